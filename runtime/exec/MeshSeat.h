// A rank, and how it meets others along each axis of the mesh.
#ifndef EPIGRAPH_RUNTIME_EXEC_MESHSEAT_H
#define EPIGRAPH_RUNTIME_EXEC_MESHSEAT_H

#include <cstdint>
#include <memory>

#include "runtime/artifact/Plan.h"
#include "runtime/comm/Communicator.h"

namespace epigraph {

struct MeshSeat {
  int rank;
  bool replicated; ///< attention, and with it the meaning of LocalTokens
  std::unique_ptr<Communicator> expert;
  std::unique_ptr<Communicator> tensor;

  Communicator &along(plan::Axis axis) const {
    return axis == plan::Axis::Tensor ? *tensor : *expert;
  }

  /// The rows of LocalTokens along `axis`, in a step of `tokens`. Under data-parallel attention a
  /// rank's batch is its own along Expert.
  RowShare shareOfTokens(plan::Axis axis, int64_t tokens) const {
    if (axis == plan::Axis::Expert && !replicated)
      return {0, tokens};
    return shareOf(tokens, along(axis).rank(), along(axis).size());
  }
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_EXEC_MESHSEAT_H
