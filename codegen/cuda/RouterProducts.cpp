#include "codegen/cuda/RouterProducts.h"

#include "codegen/cuda/ClusterExchange.h"
#include "codegen/cuda/Hopper.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

constexpr int64_t kFragmentExperts = 16, kFragmentTokens = 8;
constexpr int64_t kLaneBytes = 16;
constexpr int64_t kStepBytes = 4 * kLaneBytes; ///< along K, of the four lanes of a row

/// 16 bytes that are asked for where this stands.
Vals loadNow(Emitter &e, Val address) {
  return e.ptx(SmallVector<Type>(4, e.i32()),
               "ld.global.nc.L1::no_allocate.L2::256B.v4.b32 {$0, $1, $2, $3}, [$4];",
               "=r,=r,=r,=r,l", address);
}

} // namespace

int64_t RouterLayout::pitch() const {
  return static_cast<int64_t>(llvm::alignTo(depth * 2, 2 * kStepBytes)) + kStepBytes;
}

RouterProducts::RouterProducts(KernelFrame &frame, const RouterLayout &layout,
                               const TensorView &weights, Val keep)
    : e(frame.e), layout(layout), weights(frame.rowAddress(weights, {})), keep(keep),
      rank(clusterRank(e)), group(e.lane() >> 2), quad(e.lane() & 3) {}

Val RouterProducts::existsAt(int64_t step) {
  if (layout.steps() % RouterLayout::kWarps == 0)
    return {};
  return e.warp() * layout.stepsOfWarp() + step < layout.steps();
}

/// Places of steps are constants from the first one on, so that they take no registers.
Val RouterProducts::atStep(Val row, int64_t step) {
  Val first = e.warp() * layout.stepsOfWarp();
  if (layout.steps() % RouterLayout::kWarps) {
    first = e.minimum(first + step, e.i32(layout.steps() - 1));
    step = 0;
  }
  return e.offset(e.offset(row, first * kStepBytes + quad * kLaneBytes), step * kStepBytes);
}

/// Pieces go by step, then by fragment, then by half of it.
Val RouterProducts::pieceAddress(int64_t index) {
  const int64_t ofStep = layout.fragments() * 2;
  Val expert = rank * layout.expertsOfBlock() + group + index % ofStep * kFragmentTokens;
  return atStep(e.at(weights, expert, layout.depth * 2), index / ofStep);
}

Val RouterProducts::keptAddress(int64_t index) {
  return e.offset(e.at(keep, e.threadId(), kLaneBytes),
                  index * RouterLayout::kThreads * kLaneBytes);
}

void RouterProducts::fetch() {
  for (int64_t index = 0; index < layout.pieces(); ++index) {
    Val address = pieceAddress(index);
    if (index < RouterLayout::kHeld)
      pieces.push_back(loadNow(e, address));
    else
      copyAsync16(keptAddress(index - RouterLayout::kHeld), address, e.boolean(true));
  }
  commitAsync(e);
}

Vals RouterProducts::loadPiece(int64_t index) {
  if (index < RouterLayout::kHeld)
    return pieces[index];
  return e.elements(e.load(e.vector(e.i32(), 4), keptAddress(index - RouterLayout::kHeld)));
}

/// Two sums of each fragment, of which neither waits for the other's product. Tokens that are not
/// there are read as the last one is.
void RouterProducts::multiply(Val rows, Val sums) {
  const int64_t fragments = layout.fragments();
  SmallVector<Vals> acc(2 * fragments, Vals(4, e.f32(0)));
  Val row = e.at(rows, e.minimum(group, e.i32(layout.tokens - 1)), layout.pitch());
  waitForAsync(e, 0);
  for (int64_t step = 0; step < layout.stepsOfWarp(); ++step) {
    Vals x = e.elements(e.load(e.vector(e.i32(), 4), atStep(row, step)));
    if (Val exists = existsAt(step))
      for (Val &word : x)
        word = e.select(exists, word, e.i32(0));
    for (int64_t f = 0; f < fragments; ++f) {
      const Vals low = loadPiece((step * fragments + f) * 2);
      const Vals high = loadPiece((step * fragments + f) * 2 + 1);
      for (int64_t half = 0; half < 2; ++half) {
        const int64_t word = 2 * half;
        acc[f * 2 + half] =
            multiplyWarp(acc[f * 2 + half], {low[word], high[word], low[word + 1], high[word + 1]},
                         ArrayRef(x).slice(word, 2));
      }
    }
  }
  Val own = e.at(sums, e.warp(), layout.tokens * layout.expertsOfBlock() * 4);
  for (int64_t i = 0; i < 2; ++i) {
    Val token = quad * 2 + i;
    e.ifThen(token < layout.tokens, [&] {
      Val ofToken = e.at(e.at(own, token, layout.expertsOfBlock() * 4), group, 4);
      for (int64_t f = 0; f < fragments; ++f)
        for (int64_t half = 0; half < 2; ++half)
          e.store(acc[f * 2][half * 2 + i] + acc[f * 2 + 1][half * 2 + i],
                  e.offset(ofToken, (f * kFragmentExperts + half * kFragmentTokens) * 4));
    });
  }
}

void RouterProducts::share(Val sums, Val logits, Val barrier,
                           llvm::function_ref<void(Val, Val, Val)> publish) {
  const int64_t ofBlock = layout.expertsOfBlock(), values = layout.tokens * ofBlock;
  e.forEach(e.threadId(), e.i32(values * layout.blocks), e.i32(RouterLayout::kThreads),
            [&](Val index) {
              Val value = index % values, target = index / values;
              Val token = value / ofBlock, expert = rank * ofBlock + value % ofBlock;
              Val source = e.at(sums, value, 4);
              Val logit = e.load(e.f32(), source);
              for (int64_t warp = 1; warp < RouterLayout::kWarps; ++warp)
                logit = logit + e.load(e.f32(), e.offset(source, warp * values * 4));
              Val place = e.at(logits, token * layout.experts + expert, 4);
              leaveWith(target, {logit}, place, barrier);
              e.ifThen(target == rank, [&] { publish(token, expert, logit); });
            });
}

} // namespace epigraph::cuda
