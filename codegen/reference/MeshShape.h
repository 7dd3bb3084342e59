// The sizes of a module's mesh, and where a rank stands in it.
#ifndef EPIGRAPH_CODEGEN_REFERENCE_MESHSHAPE_H
#define EPIGRAPH_CODEGEN_REFERENCE_MESHSHAPE_H

#include "dialects/ep/Ep.h"
#include "mlir/IR/BuiltinOps.h"

namespace epigraph::reference {

/// `expert` groups of `tensor` ranks (see ep.mesh).
struct MeshShape {
  int expert = 1;
  int tensor = 1;

  /// The mesh of `module`; without one, `otherwise`.
  static MeshShape of(mlir::ModuleOp module, MeshShape otherwise) {
    for (auto mesh : module.getOps<ep::MeshOp>())
      return {static_cast<int>(mesh.getExpert()), static_cast<int>(mesh.getTensor())};
    return otherwise;
  }

  int ranks() const { return expert * tensor; }
  /// Ranks along `axis`.
  int size(ep::Axis axis) const { return axis == ep::Axis::Expert ? expert : tensor; }
  /// The number of `rank` among those along `axis`.
  int place(ep::Axis axis, int rank) const {
    return axis == ep::Axis::Expert ? rank / tensor : rank % tensor;
  }
};

} // namespace epigraph::reference

#endif // EPIGRAPH_CODEGEN_REFERENCE_MESHSHAPE_H
