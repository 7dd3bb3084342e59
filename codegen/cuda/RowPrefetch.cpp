#include "codegen/cuda/RowPrefetch.h"

using namespace mlir;

namespace epigraph::cuda {

void prefetchLine(Val address) {
  address.owner().ptx({}, "prefetch.global.L2 [$0];", "l", address);
}

bool isVector(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.getRank() == 1 && type.hasStaticShape();
}

void prefetchVectors(KernelFrame &frame, int64_t threads) {
  Emitter &e = frame.e;
  e.ifThen(e.blockId() == 0, [&] {
    for (BlockArgument argument : frame.kernel.getBody().getArguments()) {
      if (!isVector(argument))
        continue;
      auto type = cast<RankedTensorType>(argument.getType());
      const int64_t lines =
          llvm::divideCeil(type.getNumElements() * type.getElementTypeBitWidth() / 8, kCacheLine);
      for (int64_t first = 0; first < lines; first += threads) {
        Val line = e.minimum(e.threadId() + first, e.i32(lines - 1));
        prefetchLine(e.at(frame.address(argument), line, kCacheLine));
      }
    }
  });
}

} // namespace epigraph::cuda
