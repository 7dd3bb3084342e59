// A block computes a tile of 64 rows by 32 columns of each part of the product. It walks K in
// steps: x and weights, converted to float32 and scaled, go through shared memory, from which each
// thread multiplies 4 rows by 2 columns of each part.
#include "codegen/cuda/GeneralLinear.h"

#include "codegen/cuda/BlockTiles.h"

#include <numeric>

using namespace mlir;

namespace epigraph::cuda {
namespace {

constexpr int64_t kThreads = 256;
constexpr int64_t kAcross = 16; ///< threads along the columns of a tile
constexpr int64_t kRowsOfThread = 4, kColumnsOfThread = 2;
constexpr int64_t kTileRows = kThreads / kAcross * kRowsOfThread;
constexpr int64_t kTileColumns = kAcross * kColumnsOfThread;
constexpr int64_t kDepth = 16; ///< K of a step
constexpr int64_t kFloat = sizeof(float);
/// Floats from one K to the next in shared memory: the padding keeps 16-byte reads aligned, and
/// spreads the writes of one row over banks.
constexpr int64_t kRowsPitch = kTileRows + 4;

class Builder {
public:
  Builder(KernelFrame &frame, const LinearProblem &problem, const LinearEpilogue &epilogue)
      : frame(frame), e(frame.e), problem(problem), epilogue(epilogue),
        weightRows(epilogue.parts() * kTileColumns), weightsPitch(weightRows + 4),
        shared(e.sharedMemory()), thread(e.threadId()), down(thread / kAcross),
        along(thread % kAcross) {}

  static int64_t stepBytes(const LinearEpilogue &epilogue) {
    return kDepth * (kRowsPitch + epilogue.parts() * kTileColumns + 4) * kFloat;
  }

  void compute(const BlockTile &tile) {
    const int64_t sums = kRowsOfThread * epilogue.parts() * kColumnsOfThread;
    Vals acc = e.forLoop(e.i32(0), e.i32(problem.depth), e.i32(kDepth), Vals(sums, e.f32(0)),
                         [&](Val depth, ArrayRef<Val> carried) {
                           e.syncThreads();
                           fetchRows(tile, depth);
                           fetchWeights(tile, depth);
                           e.syncThreads();
                           return multiply(carried);
                         });
    store(tile, acc);
  }

private:
  Val weights() { return e.offset(shared, kDepth * kRowsPitch * kFloat); }

  /// One element as float32.
  Val loadElement(Type element, Val address) {
    if (!isa<Float8E4M3FNType>(element))
      return e.toF32(e.load(element, address));
    Val byte = e.load(e.i8(), address);
    return e.unpackE4m3(e.bitcast(e.i16(), e.pack({byte, byte}))).first;
  }

  /// The value at (`row`, `depth`), or 0 past K. What does not exist is read where something does.
  void fetchRows(const BlockTile &tile, Val depth) {
    Val k = depth + thread % kDepth, last = e.minimum(k, e.i32(problem.depth - 1));
    for (int64_t i = 0; i < kTileRows * kDepth / kThreads; ++i) {
      Val inTile = thread / kDepth + i * (kThreads / kDepth);
      Val row = e.minimum(tile.row + inTile, tile.rowEnd - 1);
      Val base = frame.rowAddress(problem.x, row);
      if (problem.kind == LinearKind::Heads)
        base = e.at(base, tile.matrix, problem.x.strides[0] * bytesOf(problem.xType()));
      Val x = loadElement(problem.xType(), e.at(base, last, bytesOf(problem.xType())));
      if (problem.xScale) {
        Val column = e.toI64(last / epi::kScaleBlock) * e.toI64(frame.capacity()) * kFloat;
        Val scales = e.offset(frame.rowAddress(*problem.xScale, e.i32(0)), column);
        x = x * e.load(e.f32(), e.at(scales, row, kFloat));
      }
      keep(shared, kRowsPitch, k < problem.depth, x, inTile);
    }
  }

  void fetchWeights(const BlockTile &tile, Val depth) {
    Val k = depth + thread % kDepth, last = e.minimum(k, e.i32(problem.depth - 1));
    Val matrix = tile.matrix ? tile.matrix : e.i32(0);
    for (int64_t i = 0; i < weightRows * kDepth / kThreads; ++i) {
      Val inTile = thread / kDepth + i * (kThreads / kDepth);
      Val column = tile.column + inTile % kTileColumns;
      column = e.minimum(column, e.i32(epilogue.columns() - 1));
      column = column + inTile / kTileColumns * epilogue.columns();
      Val base = e.at(frame.rowAddress(problem.w, e.i32(0)), matrix,
                      problem.outputs * problem.depth * bytesOf(problem.wType()));
      base = e.at(base, column, problem.depth * bytesOf(problem.wType()));
      Val w = loadElement(problem.wType(), e.at(base, last, bytesOf(problem.wType())));
      if (problem.wScale) {
        Val block =
            (matrix * problem.scaleRows() + column / epi::kScaleBlock) * problem.scaleBlocks() +
            last / epi::kScaleBlock;
        w = w * e.load(e.f32(), e.at(frame.rowAddress(*problem.wScale, e.i32(0)), block, kFloat));
      }
      keep(weights(), weightsPitch, k < problem.depth, w, inTile);
    }
  }

  /// Stores to shared memory, at the thread's K and `place`.
  void keep(Val memory, int64_t pitch, Val exists, Val value, Val place) {
    Val row = e.at(memory, thread % kDepth, pitch * kFloat);
    e.store(e.select(exists, value, e.f32(0)), e.at(row, place, kFloat));
  }

  Vals multiply(ArrayRef<Val> carried) {
    Vals sums(carried);
    const int64_t columns = epilogue.parts() * kColumnsOfThread;
    for (int64_t k = 0; k < kDepth; ++k) {
      Val row = e.offset(shared, k * kRowsPitch * kFloat);
      Vals x = loadFloats(e, e.f32(), e.at(row, down, kRowsOfThread * kFloat), kRowsOfThread, 16);
      Val weight = e.offset(weights(), k * weightsPitch * kFloat);
      Vals w;
      for (int64_t part = 0; part < epilogue.parts(); ++part)
        w.append(loadFloats(
            e, e.f32(),
            e.at(e.offset(weight, part * kTileColumns * kFloat), along, kColumnsOfThread * kFloat),
            kColumnsOfThread, 8));
      for (int64_t i = 0; i < kRowsOfThread; ++i)
        for (int64_t j = 0; j < columns; ++j)
          sums[i * columns + j] = e.fma(x[i], w[j], sums[i * columns + j]);
    }
    return sums;
  }

  void store(const BlockTile &tile, ArrayRef<Val> sums) {
    const int64_t columns = epilogue.parts() * kColumnsOfThread;
    for (int64_t i = 0; i < kRowsOfThread; ++i) {
      Val row = tile.row + down * kRowsOfThread + i;
      e.ifThen(row < tile.rowEnd, [&] { storeRow(tile, row, sums.slice(i * columns, columns)); });
    }
  }

  void storeRow(const BlockTile &tile, Val row, ArrayRef<Val> sums) {
    const int64_t count = std::gcd(kColumnsOfThread, epilogue.columns());
    for (int64_t j = 0; j < kColumnsOfThread; j += count) {
      Val column = tile.column + along * kColumnsOfThread + j;
      e.ifThen(column < epilogue.columns(), [&] {
        Vals ofPiece;
        for (int64_t part = 0; part < epilogue.parts(); ++part) {
          Vals piece(sums.slice(part * kColumnsOfThread + j, count));
          Val inProduct = column + part * epilogue.columns();
          for (auto [sum, more] :
               llvm::zip(piece, epilogue.bias(frame, tile.matrix, inProduct, count)))
            sum = sum + more;
          ofPiece.append(piece);
        }
        epilogue.store(frame, ofPiece, {row, tile.matrix, column, count});
      });
    }
  }

  KernelFrame &frame;
  Emitter &e;
  const LinearProblem &problem;
  const LinearEpilogue &epilogue;
  const int64_t weightRows;   ///< of a tile, of all parts
  const int64_t weightsPitch; ///< floats
  Val shared, thread;
  Val down, along; ///< the thread's place in the tile
};

} // namespace

void addGeneralLinear(KernelAssembly &assembly, const LinearProblem &problem,
                      const LinearEpilogue &epilogue) {
  const BlockTiles tiles(problem, epilogue, kTileRows, kTileColumns);
  const int64_t stepBytes = Builder::stepBytes(epilogue);
  FunctionSpec spec;
  spec.suffix = "general";
  spec.threads = kThreads;
  spec.sharedBytes = stepBytes + tiles.sharedBytes();
  tiles.setGrid(spec, assembly.target, 2);
  assembly.addFunction(spec, [&](KernelFrame &frame) {
    frame.e.waitForPrevious();
    frame.e.allowNext(); // Of groups only now: followsProjectionOfGroups.
    Builder builder(frame, problem, epilogue);
    Val list = frame.e.offset(frame.e.sharedMemory(), stepBytes);
    tiles.forEach(frame, list, kThreads, [&](const BlockTile &tile) { builder.compute(tile); });
  });
}

} // namespace epigraph::cuda
