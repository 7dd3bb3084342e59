// Rotary position embedding: one row of the table for each token, applied to all of its heads.
// Elements past the table's columns are copied.
#include "codegen/cpu/KernelBuilders.h"

using namespace mlir;

namespace epigraph::cpu {
namespace {

constexpr int64_t kTileRows = 8;

/// The rotation of one head.
class Rotation {
public:
  Rotation(KernelEmitter &e, Type xType, int64_t dims) : e(e), xType(xType), half(dims / 2) {}

  /// Rotates the `2 * half` elements at `x` into `y` by the angles at `table`: cosines, then sines.
  void emit(Value x, Value y, Value table, bool interleaved) {
    e.forColumns(half, [&](Value pair, int64_t width) {
      Value cosine = e.loadFloats(e.element(table, pair, 4), e.builder.getF32Type(), width);
      Value sine = e.loadFloats(e.element(e.advance(table, half * 4), pair, 4),
                                e.builder.getF32Type(), width);
      if (interleaved)
        rotateNeighbours(x, y, pair, cosine, sine);
      else
        rotateHalves(x, y, pair, cosine, sine);
    });
  }

private:
  /// (a, b) turned by the angle.
  std::pair<Value, Value> rotate(Value a, Value b, Value cosine, Value sine) {
    Value first = e.fma(a, cosine, e.negate(e.multiplyFloats(b, sine)));
    Value second = e.fma(b, cosine, e.multiplyFloats(a, sine));
    return {first, second};
  }

  /// Pairs (i, i + half).
  void rotateHalves(Value x, Value y, Value pair, Value cosine, Value sine) {
    const int64_t bytes = byteSize(xType), width = e.widthOf(cosine);
    Value x0 = e.element(x, pair, bytes), y0 = e.element(y, pair, bytes);
    Value x1 = e.advance(x0, half * bytes), y1 = e.advance(y0, half * bytes);
    auto [first, second] =
        rotate(e.loadFloats(x0, xType, width), e.loadFloats(x1, xType, width), cosine, sine);
    e.storeFloats(first, y0, xType);
    e.storeFloats(second, y1, xType);
  }

  /// Pairs (2i, 2i + 1).
  void rotateNeighbours(Value x, Value y, Value pair, Value cosine, Value sine) {
    const int64_t bytes = byteSize(xType), width = e.widthOf(cosine);
    Value from = e.element(x, pair, 2 * bytes), to = e.element(y, pair, 2 * bytes);
    Value both = e.loadFloats(from, xType, 2 * width);
    SmallVector<int64_t> even, odd, joined;
    for (int64_t i = 0; i < width; ++i) {
      even.push_back(2 * i);
      odd.push_back(2 * i + 1);
      joined.append({i, width + i});
    }
    auto [first, second] =
        rotate(e.shuffle(both, both, even), e.shuffle(both, both, odd), cosine, sine);
    Value turned = e.shuffle(first, second, joined);
    e.storeFloats(turned, to, xType);
  }

  KernelEmitter &e;
  Type xType;
  int64_t half;
};

} // namespace

BuiltTiling buildRope(KernelFrame &frame, epi::RopeOp op) {
  FailureOr<TensorView> x = frame.view(op, op.getX(), "x");
  FailureOr<TensorView> table = frame.view(op, op.getTable(), "table");
  FailureOr<unsigned> result = frame.yieldedAs(op, op.getResult());
  if (failed(x) || failed(table) || failed(result))
    return failure();
  KernelEmitter &e = frame.e;
  const int64_t dims = table->shape.back(), columns = x->shape.back();
  const int64_t bytes = byteSize(x->elementType);
  const bool hasHeads = x->shape.size() == 2;
  const int64_t heads = hasHeads ? x->shape[0] : 1;
  if (x->strides.back() != 1)
    return op.emitError("CPU kernel @")
           << frame.kernel.getSymName() << " needs an x whose last dimension is contiguous";
  Value positions = frame.positions();
  Value angles = frame.rowAddress(*table, e.constant(0));
  Rotation rotation(e, x->elementType, dims);
  const Tiling tiling{kTileRows, 1};
  frame.forTiles(tiling, [&](Value first, Value last, Value) {
    e.forLoop(first, last, 1, [&](Value row) {
      Value position = e.loadI32(e.element(positions, row, sizeof(int32_t)));
      Value line = e.element(angles, position, dims * 4);
      Value from = frame.rowAddress(*x, row), to = frame.resultRow(*result, row);
      e.forLoop(e.constant(0), e.constant(heads), 1, [&](Value head) {
        Value source = e.element(from, head, hasHeads ? x->strides[0] * bytes : 0);
        Value target = e.element(to, head, columns * bytes);
        rotation.emit(source, target, line, op.getInterleaved());
        e.copyBytes(e.advance(source, dims * bytes), e.advance(target, dims * bytes),
                    (columns - dims) * bytes);
      });
    });
  });
  return tiling;
}

} // namespace epigraph::cpu
