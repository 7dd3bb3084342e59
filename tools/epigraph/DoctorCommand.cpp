// `epigraph doctor`: what this machine has and how fast it is, for a person or as a target
// description that `epigraph compile --target` takes.
#include <CLI/App.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "runtime/base/Status.h"
#include "runtime/device/CpuFeatures.h"
#include "runtime/device/MemoryPool.h"
#include "runtime/device/ProbeMachine.h"
#include "tools/epigraph/Commands.h"
#include "tools/epigraph/DoctorGpus.h"

namespace epigraph::tool {
namespace {

constexpr char kFooter[] = R"(Examples:
  epigraph doctor
  epigraph doctor --json > this.json
  epigraph doctor --json --gpu 0 > gpu.json
  epigraph compile MODEL_DIR -o NAME.epi --target this.json

docs/targets.md explains every key. Measure on an idle machine.)";

struct DoctorFlags {
  std::string name;
  std::optional<int> gpu;
  bool json = false;
};

void line(const char *name, const std::string &value) { absl::PrintF("  %-12s %s\n", name, value); }

std::string cacheText(const Machine &machine) {
  std::vector<std::string> parts;
  for (const auto &[level, bytes] :
       {std::pair("L1", machine.l1Bytes), {"L2", machine.l2Bytes}, {"L3", machine.l3Bytes}})
    if (bytes)
      parts.push_back(absl::StrCat(level, " ", formatBytes(bytes)));
  return parts.empty() ? "unknown" : absl::StrJoin(parts, ", ");
}

std::string libraryText(const Machine &machine) {
  std::vector<std::string> parts;
  for (const char *name : {"cuda", "nccl", "mpi"}) {
    const auto &present = machine.libraries;
    const bool found = std::find(present.begin(), present.end(), name) != present.end();
    parts.push_back(absl::StrCat(name, found ? " found" : " not found"));
  }
  return absl::StrJoin(parts, ", ");
}

void printForPeople(const Machine &machine) {
  const std::string processor = processorName();
  absl::PrintF("%s\n", processor.empty() ? machine.name : processor);
  line("processor", absl::StrFormat("%d cores, %s", machine.cores,
                                    machine.base.empty() ? "not x86-64" : machine.base));
  line("caches", cacheText(machine));
  line("memory",
       absl::StrFormat("%s, %g GB/s", formatBytes(machine.memoryBytes), machine.memoryGbps));
  if (machine.f32Gflops > 0)
    line("peak", absl::StrFormat("%g GFLOP/s in float32, %g in bf16", machine.f32Gflops,
                                 machine.bf16Gflops));
  line("launch", absl::StrFormat("%d ns", machine.launchNs));
  line("ranks", absl::StrFormat("%g GB/s, %d ns a message, through memory", machine.linkGbps,
                                machine.linkLatencyNs));
  line("libraries", libraryText(machine));
  const absl::Status usable = requireCpuFeatures(std::vector<std::string>{"avx2", "fma"});
  line("kernels", usable.ok() ? "--target cpu works here"
                              : "--target cpu does not work here: it needs AVX2 and FMA");
}

Machine processorAsTarget() {
  Machine machine = probeMachine();
  measureMachine(machine);
  return machine;
}

absl::Status examine(const DoctorFlags &flags) {
  if (!flags.json) {
    printForPeople(processorAsTarget());
    examineGpus();
    return absl::OkStatus();
  }
  Machine machine;
  if (flags.gpu) {
    EPIGRAPH_ASSIGN_OR_RETURN(machine, gpuAsTarget(*flags.gpu));
  } else {
    machine = processorAsTarget();
  }
  if (!flags.name.empty())
    machine.name = flags.name;
  const std::string text = printMachine(machine);
  // What is printed must be what --target reads, above all a name from the command line.
  const absl::StatusOr<Machine> readBack = parseMachine(text, "this machine");
  if (!readBack.ok())
    return readBack.status();
  std::fputs(text.c_str(), stdout);
  return absl::OkStatus();
}

} // namespace

Command addDoctorCommand(CLI::App &app) {
  auto flags = std::make_shared<DoctorFlags>();
  CLI::App *command = app.add_subcommand("doctor", "Show what this machine has and how fast it is");
  command->add_flag("--json", flags->json, "Print a target description for `epigraph compile`");
  command->add_option("--name", flags->name, "The target's name in the description");
  command->add_option("--gpu", flags->gpu, "Describe this GPU, not the processor (with --json)");
  command->footer(kFooter);
  return {command, [flags] { return examine(*flags); }};
}

} // namespace epigraph::tool
