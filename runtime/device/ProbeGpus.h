// NVIDIA's GPUs of this machine, each as a Machine, and what running on them takes beside them.
#ifndef EPIGRAPH_RUNTIME_DEVICE_PROBEGPUS_H
#define EPIGRAPH_RUNTIME_DEVICE_PROBEGPUS_H

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "runtime/device/Machine.h"

namespace epigraph {

/// One GPU. Rates are 10^9 bytes a second, 0 until they are measured.
struct GpuReport {
  std::string name;           ///< "NVIDIA H200"
  Machine machine;            ///< as a target: memoryGbps is read, hostGbps from pinned memory
  uint64_t freeBytes = 0;     ///< of its memory
  double copyGbps = 0;        ///< read and written, within its memory
  double toHostGbps = 0;      ///< to pinned memory
  std::vector<double> toPeer; ///< to each GPU, by number
  std::vector<bool> linked;   ///< whether it reaches each GPU's memory without the host
};

struct GpuProbe {
  absl::Status usable; ///< why no GPU can be used, with what to do about it
  std::string driver;  ///< "580.95.05"; empty without NVIDIA's driver
  std::string cuda;    ///< of the driver: "13.0"
  std::string nccl;    ///< "2.28.9"; empty without it
  std::vector<GpuReport> gpus;
};

/// What there is.
GpuProbe probeGpus();

/// Measures every GPU and the links between them; takes about a second, and 2 GiB of each GPU's
/// memory. Errors: what failed; what had been measured before stays.
absl::Status measureGpus(GpuProbe &probe);

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_DEVICE_PROBEGPUS_H
