#include "tools/epigraph/ModelFlags.h"

#include <CLI/App.hpp>
#include <CLI/Validators.hpp>
#include <chrono>
#include <cstdio>

#include "runtime/base/Status.h"
#include "runtime/device/MemoryPool.h"
#include "tools/epigraph/Interrupt.h"
#include "tools/epigraph/LoadLine.h"

namespace epigraph::tool {

void ModelFlags::addTo(CLI::App &app) {
  app.add_option("NAME.epi", artifact, "The artifact: a folder")->required()->option_text(" ");
  app.add_option("--threads", threads,
                 "Threads of all ranks together; by default one for each processor")
      ->check(CLI::Range(1, 4096))
      ->option_text("N");
  app.add_option("--memory-pool-size", memoryPoolSize,
                 "Cap on weights, activations and caches together: 8G, 512M; by default the memory "
                 "of the machine")
      ->check(
          [](const std::string &text) { return std::string(parseBytes(text).status().message()); })
      ->option_text("SIZE");
  app.add_option("--deadline", deadlineSeconds,
                 "Seconds that one rank waits for another before it gives up; by default 60, and 6 "
                 "on GPUs")
      ->check(CLI::Range(0.001, 1e6))
      ->option_text("SECONDS");
  app.add_option("--peer-memory", peerMemory,
                 "Through whose memory ranks on several GPUs exchange rows: the GPUs' (gpu), the "
                 "host's (host), or the GPUs' where all of them are linked (auto); by default auto")
      ->check(CLI::IsMember({"auto", "gpu", "host"}))
      ->option_text("gpu|host|auto");
  app.add_flag("--verify", verify, "Check the digests of all files, the weights too");
}

absl::StatusOr<std::unique_ptr<LoadedModel>> ModelFlags::load() const {
  LoadOptions options;
  options.verify = verify ? VerifyMode::Full : VerifyMode::Quick;
  options.executor.threads = threads;
  options.executor.deadline =
      std::chrono::milliseconds(static_cast<int64_t>(deadlineSeconds * 1000));
  options.executor.peerMemory = peerMemory == "gpu"    ? PeerMemory::Device
                                : peerMemory == "host" ? PeerMemory::Host
                                                       : PeerMemory::Auto;
  if (!memoryPoolSize.empty()) {
    EPIGRAPH_ASSIGN_OR_RETURN(options.executor.memoryPoolBytes, parseBytes(memoryPoolSize));
  }
  LoadLine line;
  options.executor.progress = line.progress();
  EPIGRAPH_ASSIGN_OR_RETURN(std::unique_ptr<LoadedModel> model,
                            LoadedModel::load(artifact, options, interrupted));
  if (!talksToUser(*model) && !std::freopen("/dev/null", "w", stdout))
    return absl::InternalError("cannot open /dev/null");
  return model;
}

bool talksToUser(const LoadedModel &model) { return model.executor().firstRank() == 0; }

} // namespace epigraph::tool
