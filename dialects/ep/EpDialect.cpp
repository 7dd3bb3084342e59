// Registration of the ep dialect; its types and attributes.
#include "dialects/ep/Ep.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace epigraph::ep;

#include "dialects/ep/EpDialect.cpp.inc"
#include "dialects/ep/EpEnums.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/ep/EpTypes.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/ep/EpAttrs.cpp.inc"

void EpDialect::initialize() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/ep/EpTypes.cpp.inc"
      >();
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/ep/EpAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/ep/EpOps.cpp.inc"
      >();
}

LogicalResult PlacementAttr::verify(function_ref<InFlightDiagnostic()> emitError, int64_t experts,
                                    int64_t ranks, DenseI64ArrayAttr slots) {
  int64_t count = slots ? slots.size() : experts;
  if (experts <= 0 || ranks <= 0 || count % ranks) // (C1)
    return emitError() << "ranks (" << ranks << ") must divide "
                       << (slots ? "slots (" : "experts (") << count << ")";
  if (!slots)
    return success();
  llvm::SmallVector<bool> placed(std::min(experts, count), false);
  if (count < experts) // (C2)
    return emitError() << count << " slots cannot hold " << experts << " experts";
  for (int64_t expert : slots.asArrayRef()) {
    if (expert < 0 || expert >= experts)
      return emitError() << "there is no expert " << expert << " of " << experts;
    placed[expert] = true;
  }
  auto missing = llvm::find(placed, false);
  if (missing != placed.end())
    return emitError() << "expert " << missing - placed.begin() << " has no slot";
  return success();
}

SmallVector<int64_t> PlacementAttr::getReplicas(int64_t expert) const {
  if (!getSlots())
    return {expert};
  SmallVector<int64_t> replicas;
  for (auto [slot, holds] : llvm::enumerate(getSlots().asArrayRef()))
    if (holds == expert)
      replicas.push_back(static_cast<int64_t>(slot));
  return replicas;
}

int64_t PlacementAttr::getMostReplicas() const {
  if (!getSlots())
    return 1;
  SmallVector<int64_t> count(getExperts(), 0);
  for (int64_t expert : getSlots().asArrayRef())
    ++count[expert];
  return *llvm::max_element(count);
}
