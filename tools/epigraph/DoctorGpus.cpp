#include "tools/epigraph/DoctorGpus.h"

#include "absl/strings/str_format.h"
#include "runtime/base/Status.h"

#ifdef EPIGRAPH_HAS_CUDA
#include "absl/strings/str_join.h"
#include "runtime/device/MemoryPool.h"
#include "runtime/device/ProbeGpus.h"
#endif

namespace epigraph::tool {

#ifdef EPIGRAPH_HAS_CUDA
namespace {

void line(const char *name, const std::string &value) { absl::PrintF("  %-12s %s\n", name, value); }

/// "to GPU 1 390 GB/s", one for each other GPU.
std::string linkText(const GpuReport &gpu, size_t self) {
  std::vector<std::string> parts;
  for (size_t other = 0; other < gpu.linked.size(); ++other)
    if (other != self)
      parts.push_back(absl::StrFormat("to GPU %d %g GB/s%s", other, gpu.toPeer[other],
                                      gpu.linked[other] ? "" : " through the host"));
  return absl::StrJoin(parts, ", ");
}

void print(const GpuReport &gpu, size_t ordinal) {
  const Machine &machine = gpu.machine;
  absl::PrintF("%s (GPU %d)\n", gpu.name, ordinal);
  line("processor", absl::StrFormat("%d multiprocessors, %s", machine.cores, machine.base));
  line("memory", absl::StrFormat("%s, %s free, %g GB/s read, %g GB/s copied",
                                 formatBytes(machine.memoryBytes), formatBytes(gpu.freeBytes),
                                 machine.memoryGbps, gpu.copyGbps));
  line("host", absl::StrFormat("%g GB/s from it, %g GB/s to it", machine.hostGbps, gpu.toHostGbps));
  line("launch", absl::StrFormat("%d ns", machine.launchNs));
  if (gpu.linked.size() > 1)
    line("links", linkText(gpu, ordinal));
}

/// What to do before `--target cuda` works well, a line each.
std::vector<std::string> missingParts(const GpuProbe &probe, const absl::Status &measured) {
  std::vector<std::string> missing;
  for (const absl::Status *status : {&probe.usable, &measured})
    if (!status->ok())
      missing.push_back(errorText(*status));
  if (!probe.usable.ok())
    return missing;
  if (probe.nccl.empty())
    missing.push_back("NCCL (libnccl.so.2), which more than one rank needs: install libnccl2");
  for (size_t i = 0; i < probe.gpus.size(); ++i) {
    const GpuReport &gpu = probe.gpus[i];
    if (gpu.machine.base != "sm_90a")
      missing.push_back(
          absl::StrFormat("GPU %d is %s; kernels are compiled for sm_90a", i, gpu.machine.base));
    for (size_t other = i + 1; other < gpu.linked.size(); ++other)
      if (!gpu.linked[other])
        missing.push_back(absl::StrFormat("a direct link between GPU %d and GPU %d: exchanges go "
                                          "through the host; see nvidia-smi topo -m",
                                          i, other));
  }
  return missing;
}

} // namespace

void examineGpus() {
  GpuProbe probe = probeGpus();
  const absl::Status measured = measureGpus(probe);
  for (size_t i = 0; i < probe.gpus.size(); ++i)
    print(probe.gpus[i], i);
  const std::vector<std::string> missing =
      missingParts(probe, probe.usable.ok() ? measured : absl::OkStatus());
  absl::PrintF("NVIDIA\n");
  line("driver", probe.driver.empty() ? "none"
                                      : absl::StrCat(probe.driver, ", CUDA ",
                                                     probe.cuda.empty() ? "unknown" : probe.cuda));
  line("nccl", probe.nccl.empty() ? "none" : probe.nccl);
  for (const std::string &part : missing)
    line("missing", part);
  if (missing.empty())
    line("kernels", "--target cuda works here");
}

absl::StatusOr<Machine> gpuAsTarget(int ordinal) {
  GpuProbe probe = probeGpus();
  EPIGRAPH_RETURN_IF_ERROR(probe.usable);
  if (ordinal < 0 || static_cast<size_t>(ordinal) >= probe.gpus.size())
    return absl::InvalidArgumentError(absl::StrCat("--gpu ", ordinal, ": this machine has ",
                                                   probe.gpus.size(), ", numbered from 0"));
  EPIGRAPH_RETURN_IF_ERROR(measureGpus(probe));
  return probe.gpus[static_cast<size_t>(ordinal)].machine;
}

#else

void examineGpus() { absl::PrintF("NVIDIA\n  this build has no driver for GPUs\n"); }

absl::StatusOr<Machine> gpuAsTarget(int) {
  return withCode(ErrorCode::NoDriver,
                  absl::UnimplementedError("this build has no driver for GPUs; build it where "
                                           "cuda.h of the CUDA toolkit is"));
}

#endif

} // namespace epigraph::tool
