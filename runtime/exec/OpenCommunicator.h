// The communicator of ranks that are processes, for the device that they run on.
#ifndef EPIGRAPH_RUNTIME_EXEC_OPENCOMMUNICATOR_H
#define EPIGRAPH_RUNTIME_EXEC_OPENCOMMUNICATOR_H

#include <chrono>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/artifact/Plan.h"
#include "runtime/comm/Communicator.h"
#include "runtime/comm/ProcessGroup.h"
#include "runtime/device/Driver.h"

namespace epigraph {

/// The ranks that `rank` meets along `axis`, itself among them, by their places along it.
std::vector<int> membersAlong(plan::Axis axis, int rank, int ranks, int tensor);

/// Whether ranks move rows among each other along `axis` through a communicator. Taking shares of
/// one's own rows moves nothing.
bool communicatesAlong(plan::Axis axis, const plan::Plan &plan);

/// For ranks `members` of `group`, in this order. All ranks of the group call it together. Driver
/// and group must outlive it. Errors: Unimplemented for a driver whose ranks cannot communicate,
/// and without the library that they do it through.
absl::StatusOr<std::unique_ptr<Communicator>> openCommunicator(Driver &driver, ProcessGroup &group,
                                                               absl::Span<const int> members,
                                                               std::chrono::milliseconds deadline);

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_EXEC_OPENCOMMUNICATOR_H
