// From the name of a target to the driver that runs it.
#ifndef EPIGRAPH_RUNTIME_DEVICE_OPENDRIVER_H
#define EPIGRAPH_RUNTIME_DEVICE_OPENDRIVER_H

#include <memory>
#include <string_view>

#include "absl/status/statusor.h"
#include "runtime/device/Driver.h"
#include "runtime/device/MemoryPool.h"

namespace epigraph {

struct DriverOptions {
  /// Of the CPU: threads of this rank, and whether they spin; see ThreadPool.
  int threads = 1;
  bool spin = false;
};

/// The driver for `target`, whose kind stands before a colon: "cpu", "cpu:x86-64-v3",
/// "cuda:sm_90a", "null". The pool must outlive it. Errors: Unimplemented for a kind without a
/// driver, or one that this machine lacks the device for.
absl::StatusOr<std::unique_ptr<Driver>> openDriver(std::string_view target, MemoryPool &pool,
                                                   const DriverOptions &options);

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_DEVICE_OPENDRIVER_H
