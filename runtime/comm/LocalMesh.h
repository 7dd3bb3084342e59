// The groups in which ranks of one process meet along each axis of their mesh.
//
// Rank r is member r % tensor of group r / tensor. Along Expert, the ranks meet that are the same
// member of their groups; along Tensor, the members of one group.
#ifndef EPIGRAPH_RUNTIME_COMM_LOCALMESH_H
#define EPIGRAPH_RUNTIME_COMM_LOCALMESH_H

#include <memory>
#include <vector>

#include "runtime/comm/LocalGroup.h"

namespace epigraph {

/// An axis of the mesh; plan::Axis has the same values.
enum class MeshAxis { Expert = 0, Tensor = 1 };

class LocalMesh {
public:
  /// `expert` groups of `tensor` ranks.
  LocalMesh(int expert, int tensor, const LocalGroupOptions &options);

  /// Ranks of all groups.
  int size() const { return expert * tensor; }
  /// Ranks along `axis`.
  int size(MeshAxis axis) const { return axis == MeshAxis::Expert ? expert : tensor; }
  /// The number of `rank` among those that it meets along `axis`: its seat in that group.
  int place(MeshAxis axis, int rank) const {
    return axis == MeshAxis::Expert ? rank / tensor : rank % tensor;
  }
  /// Where `rank` meets others along `axis`.
  LocalGroup &group(MeshAxis axis, int rank);

  /// Fails every wait of every group, now and later, because `rank` failed.
  void abort(int rank, const absl::Status &cause);

  /// Makes failed groups usable again. No rank may be inside an operation.
  void reset();

private:
  const int expert;
  const int tensor;
  std::vector<std::unique_ptr<LocalGroup>> alongExpert; ///< by member
  std::vector<std::unique_ptr<LocalGroup>> alongTensor; ///< by group
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_COMM_LOCALMESH_H
