#include "runtime/device/ProbeGpus.h"

#include <dlfcn.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "runtime/base/Status.h"
#include "runtime/device/CudaContext.h"
#include "runtime/device/ProbeMachine.h"

namespace epigraph {
namespace {

/// The version of the kernel module, which is that of the driver.
std::string driverVersion() {
  std::ifstream file("/sys/module/nvidia/version");
  std::string version;
  std::getline(file, version);
  return version;
}

std::string ncclVersion() {
  void *library = dlopen("libnccl.so.2", RTLD_LAZY | RTLD_LOCAL);
  if (!library)
    return "";
  const auto get = reinterpret_cast<int (*)(int *)>(dlsym(library, "ncclGetVersion"));
  int version = 0;
  if (!get || get(&version) != 0)
    return "";
  return absl::StrCat(version / 10000, ".", version % 10000 / 100, ".", version % 100);
}

int attributeOf(const CudaApi &api, const GpuIdentity &gpu, CUdevice_attribute attribute) {
  int value = 0;
  return api.deviceGetAttribute(&value, attribute, gpu.device) == CUDA_SUCCESS ? value : 0;
}

GpuReport describe(const CudaApi &api, const GpuIdentity &gpu, int count) {
  GpuReport report;
  report.name = gpu.name;
  Machine &machine = report.machine;
  machine.name = targetName(gpu.name);
  // From Hopper on, kernels are compiled for the features of one architecture.
  machine.base = absl::StrCat("sm_", gpu.major, gpu.minor, gpu.major >= 9 ? "a" : "");
  machine.cores = static_cast<uint32_t>(gpu.multiprocessors);
  machine.l2Bytes = static_cast<uint64_t>(gpu.sharedBytes);
  machine.l3Bytes = static_cast<uint64_t>(attributeOf(api, gpu, CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE));
  machine.memoryBytes = gpu.memoryBytes;
  for (int other = 0; other < count; ++other) {
    int linked = 0;
    CUdevice device = 0;
    if (other != gpu.ordinal && api.deviceGet(&device, other) == CUDA_SUCCESS)
      api.deviceCanAccessPeer(&linked, gpu.device, device);
    report.linked.push_back(linked != 0);
  }
  report.toPeer.assign(static_cast<size_t>(count), 0);
  return report;
}

absl::Status addGpus(GpuProbe &probe) {
  EPIGRAPH_ASSIGN_OR_RETURN(const CudaApi *api, CudaApi::get());
  EPIGRAPH_ASSIGN_OR_RETURN(const int count, gpuCount(*api));
  for (int ordinal = 0; ordinal < count; ++ordinal) {
    EPIGRAPH_ASSIGN_OR_RETURN(const GpuIdentity gpu, identifyGpu(*api, ordinal));
    probe.gpus.push_back(describe(*api, gpu, count));
  }
  return absl::OkStatus();
}

} // namespace

GpuProbe probeGpus() {
  GpuProbe probe;
  probe.driver = driverVersion();
  if (const int version = installedCudaVersion())
    probe.cuda = cudaVersionText(version);
  probe.nccl = ncclVersion();
  probe.usable = addGpus(probe);
  return probe;
}

} // namespace epigraph
