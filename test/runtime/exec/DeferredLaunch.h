// A launch of a DeferredDriver: what a device kernel may rely on is checked before a kernel of the
// CPU does the work.
#ifndef EPIGRAPH_TEST_RUNTIME_EXEC_DEFERREDLAUNCH_H
#define EPIGRAPH_TEST_RUNTIME_EXEC_DEFERREDLAUNCH_H

#include "runtime/device/Driver.h"

namespace epigraph {

class DeferredLaunch : public PreparedLaunch {
public:
  DeferredLaunch(const DeviceKernel &kernel, KernelFunction function, const LaunchBinding &binding)
      : kernel(kernel), function(function), binding(binding) {}

  /// Errors: Internal when the bounds are lower than what the step says, or the items that the
  /// chosen variant reads do not cover the step.
  absl::Status run(int64_t mostRows, const StepBounds &bounds) const;

private:
  absl::Status checkItems(const DeviceStep &step, int64_t mostRows, const StepBounds &bounds) const;

  const DeviceKernel kernel;
  const KernelFunction function;
  const LaunchBinding binding;
};

} // namespace epigraph

#endif // EPIGRAPH_TEST_RUNTIME_EXEC_DEFERREDLAUNCH_H
