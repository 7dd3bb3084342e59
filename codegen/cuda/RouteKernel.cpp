// Routing: each warp of a block routes one token (TokenRouter.h).
#include "codegen/cuda/KernelBuilders.h"
#include "codegen/cuda/TokenRouter.h"

using namespace mlir;

namespace epigraph::cuda {

LogicalResult buildRoute(KernelAssembly &assembly, epi::RouteOp op) {
  FailureOr<Routing> routing = Routing::describe(assembly, op);
  if (failed(routing))
    return failure();
  assembly.beginVariant();
  addRoute(assembly, *routing, "");
  return success();
}

} // namespace epigraph::cuda
