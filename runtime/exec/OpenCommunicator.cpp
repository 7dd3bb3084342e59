#include "runtime/exec/OpenCommunicator.h"

#include "absl/strings/str_cat.h"
#include "runtime/base/Status.h"

#if defined(EPIGRAPH_HAS_CUDA) && defined(EPIGRAPH_HAS_NCCL)
#include "runtime/comm/NcclCommunicator.h"
#include "runtime/device/CudaDriver.h"
#endif

namespace epigraph {

std::vector<int> membersAlong(plan::Axis axis, int rank, int ranks, int tensor) {
  std::vector<int> members;
  for (int other = 0; other < ranks; ++other)
    if (axis == plan::Axis::Tensor ? other / tensor == rank / tensor
                                   : other % tensor == rank % tensor)
      members.push_back(other);
  return members;
}

bool communicatesAlong(plan::Axis axis, const plan::Plan &plan) {
  for (const plan::Function *function : *plan.functions())
    for (const plan::Step *step : *function->steps()) {
      const plan::Collective *collective = step->op_as_Collective();
      if (collective && collective->axis() == axis &&
          collective->kind() != plan::CollectiveKind::ShardRows &&
          collective->kind() != plan::CollectiveKind::ShardColumns)
        return true;
    }
  return false;
}

absl::StatusOr<std::unique_ptr<Communicator>> openCommunicator(Driver &driver, ProcessGroup &group,
                                                               absl::Span<const int> members,
                                                               std::chrono::milliseconds deadline) {
#if defined(EPIGRAPH_HAS_CUDA) && defined(EPIGRAPH_HAS_NCCL)
  if (driver.name() == "cuda") {
    const CudaDriver &cuda = static_cast<const CudaDriver &>(driver);
    NcclOptions options;
    options.members = members;
    options.enter = [context = cuda.sharedContext()] { context->use(); };
    options.stream = cuda.nativeStream();
    options.deadline = deadline;
    return NcclCommunicator::create(group, options);
  }
#endif
  return withCode(ErrorCode::NoDriver,
                  absl::UnimplementedError(absl::StrCat(
                      "this runtime has no way for ranks to exchange rows on '",
                      abslView(driver.name()), "'; compile the model again for one rank")));
}

} // namespace epigraph
