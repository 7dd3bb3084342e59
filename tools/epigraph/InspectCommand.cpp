// `epigraph inspect`: what an artifact is and needs. Loads nothing, and works for artifacts of
// other machines.
#include <CLI/App.hpp>
#include <cstdio>
#include <memory>
#include <numeric>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "runtime/artifact/Artifact.h"
#include "runtime/artifact/PlanText.h"
#include "runtime/base/Status.h"
#include "runtime/device/MemoryPool.h"
#include "tools/epigraph/Commands.h"

namespace epigraph::tool {
namespace {

constexpr char kFooter[] = R"(Examples:
  epigraph inspect tiny.epi
  epigraph inspect tiny.epi --plan      every weight, cache, buffer and step
  epigraph inspect tiny.epi --json      the manifest
  epigraph inspect tiny.epi --graph tiny.html   the graph as a page (artifacts made with --keep-ir)
  epigraph inspect 07-plan-memory.mlir --graph plan.html)";

struct InspectFlags {
  std::string artifact;
  bool json = false;
  bool plan = false;
  bool verify = false;
  std::string graph;
};

void printModel(const Manifest &manifest) {
  const Manifest::Model &model = manifest.model;
  absl::PrintF("%s%s\n", model.architecture, model.hasMtp ? " with MTP layer" : "");
  absl::PrintF("  model    %d layers, hidden size %d, vocabulary %d, made for %d positions\n",
               model.layers, model.hidden, model.vocab, model.context);
  absl::PrintF("  target   %s (needs %s)\n", manifest.target.name,
               manifest.target.features.empty() ? "nothing special"
                                                : absl::StrJoin(manifest.target.features, " "));
  absl::PrintF("  compute  %s\n", manifest.compute);
  absl::PrintF("  ranks    %d, attention %s\n", manifest.ranks, manifest.attention);
  absl::PrintF("  limits   %d tokens and %d sequences a step, context %d\n",
               manifest.limits.batchTokens, manifest.limits.sequences, manifest.limits.context);
  absl::PrintF("  compiled by %s: %d ops, %d of them in fused kernels, %d kernels\n",
               manifest.generator, manifest.summary.ops, manifest.summary.fusedOps,
               manifest.summary.kernels);
}

void printMemory(const Manifest &manifest) {
  const Manifest::Memory &memory = manifest.memory;
  const uint64_t own =
      std::accumulate(memory.weightBytes.begin(), memory.weightBytes.end(), uint64_t{0});
  absl::PrintF("\nmemory\n");
  absl::PrintF("  %-12s %12s  shared by all ranks\n", "weights",
               formatBytes(memory.sharedWeightBytes));
  absl::PrintF("  %-12s %12s  of the ranks' own\n", "", formatBytes(own));
  absl::PrintF("  %-12s %12s  on each rank (%s without reuse)\n", "activations",
               formatBytes(memory.arenaBytes), formatBytes(memory.arenaNaiveBytes));
  absl::PrintF("  %-12s %12s  for each token of each sequence\n", "caches",
               formatBytes(memory.cacheBytesPerToken));
}

void printFiles(const Manifest &manifest) {
  absl::PrintF("\nfiles\n");
  for (const auto &[name, file] : manifest.files)
    absl::PrintF("  %12s  %s  sha256 %s\n", formatBytes(file.bytes), name,
                 file.sha256.substr(0, 16));
}

absl::Status inspect(const InspectFlags &flags) {
  if (!flags.graph.empty())
    return runProgram("epigraph-graph", {flags.artifact, "-o", flags.graph});
  EPIGRAPH_ASSIGN_OR_RETURN(
      const Artifact artifact,
      Artifact::open(flags.artifact, flags.verify ? VerifyMode::Full : VerifyMode::Quick));
  if (flags.json) {
    EPIGRAPH_ASSIGN_OR_RETURN(const std::string text, printManifest(artifact.manifest()));
    std::fputs(text.c_str(), stdout);
    return absl::OkStatus();
  }
  printModel(artifact.manifest());
  printMemory(artifact.manifest());
  printFiles(artifact.manifest());
  if (flags.plan)
    std::printf("\n%s", printPlan(artifact.plan()).c_str());
  return absl::OkStatus();
}

} // namespace

Command addInspectCommand(CLI::App &app) {
  auto flags = std::make_shared<InspectFlags>();
  CLI::App *command = app.add_subcommand("inspect", "Show what an artifact is and needs");
  command->add_option("NAME.epi", flags->artifact, "The artifact: a folder")
      ->required()
      ->option_text(" ");
  command->add_flag("--json", flags->json, "Print the manifest as JSON");
  command->add_flag("--plan", flags->plan, "Also print the plan: weights, buffers, every step");
  command->add_flag("--verify", flags->verify, "Check the digests of all files, the weights too");
  command->add_option("--graph", flags->graph,
                      "Write the graph as an HTML page instead; also of IR (NAME.mlir)");
  command->footer(kFooter);
  return {command, [flags] { return inspect(*flags); }};
}

} // namespace epigraph::tool
