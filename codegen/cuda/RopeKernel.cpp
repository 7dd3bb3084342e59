// Rotary position embedding: one row of the table for each token, applied to all of its heads.
// A thread turns a few neighbouring pairs, or copies elements past the table's columns.
#include "codegen/cuda/Elementwise.h"
#include "codegen/cuda/KernelBuilders.h"
#include "codegen/cuda/RowUnits.h"
#include "runtime/artifact/KernelAbi.h"

#include <cstddef>

using namespace mlir;

namespace epigraph::cuda {
namespace {

/// The shape of the rotation and how its work is cut into units. Sizes in elements.
struct Rotation {
  TensorView x;
  int64_t heads, columns;
  int64_t dims; ///< elements of a head that are rotated
  bool interleaved;
  int64_t access; ///< bytes that may be moved at once

  int64_t elementBytes() const { return x.elementType.getIntOrFloatBitWidth() / 8; }
  /// Elements of a unit that is copied.
  int64_t copied() const { return access / elementBytes(); }
  /// Neighbouring elements that a unit rotates: of neighbours as pairs, an even number of them; of
  /// halves, as many in each half.
  int64_t rotated() const { return interleaved ? std::max<int64_t>(copied(), 2) : copied(); }
  int64_t rotatingUnits() const { return (interleaved ? dims : dims / 2) / rotated(); }
  int64_t unitsOfHead() const { return rotatingUnits() + (columns - dims) / copied(); }
};

/// Emits the units of a rotation.
class RotationEmission {
public:
  RotationEmission(Emitter &e, const Rotation &rotation) : e(e), r(rotation) {}

  /// `x`, `y`: addresses of a head; `line`: the table's row, cosines and then sines.
  void emit(Val x, Val y, Val line, Val unit) {
    auto rotate = [&] {
      r.interleaved ? rotateNeighbours(x, y, line, unit) : rotateHalves(x, y, line, unit);
    };
    if (r.columns == r.dims)
      return rotate();
    e.ifElse(unit < r.rotatingUnits(), rotate, [&] {
      const int64_t start = r.dims * r.elementBytes();
      Val rest = unit - r.rotatingUnits();
      copyBytes(e, e.at(e.offset(x, start), rest, r.access),
                e.at(e.offset(y, start), rest, r.access), r.access);
    });
  }

private:
  Vals loadFloats(Val address, int64_t count) {
    Type type = e.vector(r.x.elementType, count);
    return e.elements(e.toF32(e.load(type, address, LoadHint::Plain, r.access)));
  }

  void storeFloats(ArrayRef<Val> values, Val address) {
    e.store(e.fromF32(e.pack(values), r.x.elementType), address, r.access);
  }

  /// `count` cosines and sines from pair `first` on.
  std::pair<Vals, Vals> loadAngles(Val line, Val first, int64_t count) {
    Val cosines = e.at(line, first, sizeof(float));
    auto load = [&](Val address) {
      Type type = e.vector(e.f32(), count);
      return e.elements(e.load(type, address, LoadHint::Plain, alignmentOf(count * 4)));
    };
    return {load(cosines), load(e.offset(cosines, r.dims / 2 * sizeof(float)))};
  }

  /// Pairs (2i, 2i + 1).
  void rotateNeighbours(Val x, Val y, Val line, Val unit) {
    const int64_t count = r.rotated(), bytes = count * r.elementBytes();
    Vals values = loadFloats(e.at(x, unit, bytes), count);
    auto [cosines, sines] = loadAngles(line, unit * (count / 2), count / 2);
    for (int64_t i = 0; i < count; i += 2)
      std::tie(values[i], values[i + 1]) =
          rotatePair(values[i], values[i + 1], cosines[i / 2], sines[i / 2]);
    storeFloats(values, e.at(y, unit, bytes));
  }

  /// Pairs (i, i + dims / 2).
  void rotateHalves(Val x, Val y, Val line, Val unit) {
    const int64_t count = r.rotated(), bytes = count * r.elementBytes();
    const int64_t half = r.dims / 2 * r.elementBytes();
    Val from = e.at(x, unit, bytes), to = e.at(y, unit, bytes);
    Vals low = loadFloats(from, count), high = loadFloats(e.offset(from, half), count);
    auto [cosines, sines] = loadAngles(line, unit * count, count);
    for (int64_t i = 0; i < count; ++i)
      std::tie(low[i], high[i]) = rotatePair(low[i], high[i], cosines[i], sines[i]);
    storeFloats(low, to);
    storeFloats(high, e.offset(to, half));
  }

  Emitter &e;
  const Rotation &r;
};

} // namespace

LogicalResult buildRope(KernelAssembly &assembly, epi::RopeOp op) {
  FailureOr<TensorView> x = assembly.view(op, op.getX(), "x");
  FailureOr<TensorView> table = assembly.view(op, op.getTable(), "table");
  FailureOr<unsigned> result = assembly.yieldedAs(op, op.getResult());
  if (failed(x) || failed(table) || failed(result))
    return failure();
  if (x->strides.back() != 1 && x->shape.back() != 1)
    return op.emitError("CUDA kernel @")
           << assembly.kernel.getSymName() << " needs an x whose last dimension is contiguous";
  const bool hasHeads = x->shape.size() == 2;
  const int64_t columns = x->shape.back(), dims = table->shape.back();
  const int64_t run = op.getInterleaved() ? dims : dims / 2;
  const Rotation rotation{*x,   hasHeads ? x->shape[0] : 1, columns,
                          dims, op.getInterleaved(),        accessBytes(*x, columns | run)};
  const RowUnits units(rotation.heads * rotation.unitsOfHead());
  assembly.beginVariant();
  assembly.addFunction(units.spec(), [&](KernelFrame &frame) {
    Emitter &e = frame.e;
    const int64_t bytes = rotation.elementBytes();
    units.emit(frame, [&](Val row, Val unit) {
      Val positions = frame.stepPointer(offsetof(DeviceStep, positions));
      Val position = e.load(e.i32(), e.at(positions, row, sizeof(int32_t)));
      Val line = e.at(frame.rowAddress(*table, e.i32(0)), position, dims * 4);
      Val head = unit / rotation.unitsOfHead();
      Val source = e.at(frame.rowAddress(*x, row), head, hasHeads ? x->strides[0] * bytes : 0);
      Val target = e.at(frame.resultRow(*result, row), head, columns * bytes);
      RotationEmission(e, rotation).emit(source, target, line, unit % rotation.unitsOfHead());
    });
  });
  return success();
}

} // namespace epigraph::cuda
