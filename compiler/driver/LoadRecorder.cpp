#include "compiler/driver/LoadRecorder.h"

#include "dialects/epi/Verify.h"

namespace epigraph {

void LoadRecorder::before(const reference::RankContext &rank, mlir::Operation *op,
                          const reference::RuntimeValues &operands) {
  auto experts = llvm::dyn_cast<epi::ExpertsOp>(op);
  auto layer = op->getLoc()->findInstanceOf<mlir::NameLoc>();
  if (!experts || !layer || rank.rank != 0)
    return;
  std::vector<uint64_t> &counts = loads[layer.getName().str()];
  counts.resize(static_cast<size_t>(epi::dim(experts.getGate().getType(), 0)));
  const reference::Tensor &ids = *std::get<reference::TensorRef>(operands[1]);
  for (int32_t expert : ids.intVector())
    if (expert >= 0 && static_cast<size_t>(expert) < counts.size())
      ++counts[static_cast<size_t>(expert)];
}

} // namespace epigraph
