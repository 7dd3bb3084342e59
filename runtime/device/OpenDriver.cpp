#include "runtime/device/OpenDriver.h"

#include "absl/strings/str_cat.h"
#include "runtime/base/Status.h"
#include "runtime/device/CpuDriver.h"
#include "runtime/device/NullDriver.h"
#ifdef EPIGRAPH_HAS_CUDA
#include "runtime/device/CudaDriver.h"
#endif

namespace epigraph {

absl::StatusOr<std::unique_ptr<Driver>> openDriver(std::string_view target, MemoryPool &pool,
                                                   const DriverOptions &options) {
  const std::string_view kind = target.substr(0, target.find(':'));
  if (kind == "cpu")
    return std::make_unique<CpuDriver>(pool, options.threads, options.spin);
  if (kind == "null")
    return std::make_unique<NullDriver>(pool);
#ifdef EPIGRAPH_HAS_CUDA
  if (kind == "cuda")
    return CudaDriver::open(pool);
#endif
  return withCode(ErrorCode::NoDriver,
                  absl::UnimplementedError(
                      absl::StrCat("this runtime has no driver for target '", abslView(target),
                                   "'; compile the model again with --target cpu")));
}

} // namespace epigraph
