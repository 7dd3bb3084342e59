// Waiting for a device while other ranks, which its work may be waiting for, can end at any time.
#ifndef EPIGRAPH_RUNTIME_EXEC_WATCHPROCESSES_H
#define EPIGRAPH_RUNTIME_EXEC_WATCHPROCESSES_H

#include <chrono>

#include "absl/status/status.h"
#include "runtime/comm/ProcessGroup.h"
#include "runtime/device/Driver.h"

namespace epigraph {

/// Waits for the work of `driver`, as Driver::synchronize, and returns at once when a rank of
/// `group` has ended or given up: Aborted, with that work still under way. After `deadline`, says
/// which rank is late if that can be found out.
absl::Status synchronizeWatching(Driver &driver, ProcessGroup &group,
                                 std::chrono::milliseconds deadline);

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_EXEC_WATCHPROCESSES_H
