// Expressions are followed from a result to the arguments, and what they give for a chunk is
// remembered with the chunk. Everything is straight-line code, so what a norm has loaded is still
// in registers when the result that it scales is computed; only rows too long for that are walked
// in loops, and read again.
#include "codegen/cuda/RowEvaluator.h"

#include <limits>

#include "codegen/cuda/ClusterReduction.h"
#include "codegen/cuda/Elementwise.h"
#include "codegen/cuda/LinearEpilogue.h"
#include "dialects/epi/Scales.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

/// What buffers are aligned to, in elements of any type.
constexpr int64_t kBaseAlignment = 64;
constexpr int64_t kWarp = 32;

Type elementOf(Value value) { return cast<RankedTensorType>(value.getType()).getElementType(); }
int64_t columnsOf(epi::RmsNormOp norm) { return RowLayout::elementsOf(norm.getW()); }
bool isPerHead(epi::RmsNormOp norm) {
  return RowLayout::elementsOf(norm.getX()) != columnsOf(norm);
}

/// The largest power of two that divides all of `elements`, up to that of a buffer's start.
int64_t alignmentOf(std::initializer_list<int64_t> elements) {
  int64_t bits = kBaseAlignment;
  for (int64_t count : elements)
    bits |= count;
  return bits & -bits;
}

/// A place and the step of its repetitions, in an operand.
Position moved(Position at, llvm::function_ref<int64_t(int64_t)> map) {
  const int64_t start = map(at.start);
  return {start, at.step ? map(at.start + at.step) - start : 0};
}

/// `values`, an even number of them or one, as f8E4M3FN.
void storeE4m3(Emitter &e, ArrayRef<Val> values, Val address) {
  if (values.size() == 1) {
    Val both = e.bitcast(e.vector(e.i8(), 2), e.packE4m3(values[0], values[0]));
    return e.store(e.element(both, 0), address);
  }
  Vals pairs;
  for (size_t i = 0; i < values.size(); i += 2)
    pairs.push_back(e.packE4m3(values[i], values[i + 1]));
  e.store(pairs.size() == 1 ? pairs[0] : e.pack(pairs), address);
}

} // namespace

int64_t periodOf(Operation &op) {
  if (auto norm = dyn_cast<epi::RmsNormOp>(op))
    return isPerHead(norm) ? columnsOf(norm) : 0;
  if (auto quantize = dyn_cast<epi::QuantizeOp>(op))
    return quantize.getBlock()[1];
  if (auto rope = dyn_cast<epi::RopeOp>(op))
    return cast<RankedTensorType>(rope.getX().getType()).getShape().back();
  return 0;
}

int64_t periodOf(ArrayRef<Operation *> ops) {
  int64_t period = 0;
  for (Operation *op : ops)
    if (int64_t here = periodOf(*op)) {
      if (period && period != here)
        return 0;
      period = here;
    }
  return period;
}

int64_t periodOf(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op)
    return 0;
  if (int64_t period = periodOf(*op))
    return period;
  for (Value operand : op->getOperands())
    if (int64_t period = periodOf(operand))
      return period;
  return 0;
}

bool needsWholeRow(Operation &op) {
  if (auto norm = dyn_cast<epi::RmsNormOp>(op))
    return !isPerHead(norm);
  return isa<epi::SoftmaxOp>(op);
}

int64_t sharedBytesOf(exec::KernelOp kernel, const RowThreads &threads) {
  int64_t reductions = 0;
  for (Operation &op : kernel.getBody().front())
    if (needsWholeRow(op))
      reductions += isa<epi::SoftmaxOp>(op) ? 2 : 1;
  return reductions * reductionBytes(threads);
}

LogicalResult reportCrossed(exec::KernelOp kernel, Operation *unsupported) {
  return unsupported->emitError("CUDA kernel @")
         << kernel.getSymName() << " cannot give each "
         << (isa<epi::QuantizeOp>(unsupported) ? "block" : "head") << " of '"
         << unsupported->getName()
         << "' to neighbouring lanes of one warp: it must lie together in its inputs and have at "
            "most 256 elements; outline the operation as a kernel of its own";
}

RowEvaluator::RowEvaluator(KernelFrame &frame, RowLayout &layout, const RowThreads &threads,
                           int64_t period, Val row, Val rowExists, Val thread, TokenPlace token)
    : frame(frame), e(frame.e), layout(layout), threads(threads), row(row), rowExists(rowExists),
      thread(thread), token(token), commonPeriod(period), places({row}) {}

void RowEvaluator::storeTo(ArrayRef<Val> rows, int64_t ofRow) {
  places.assign(rows.begin(), rows.end());
  placesOfRow = ofRow;
}

void RowEvaluator::prepare(Operation &op) {
  if (auto norm = dyn_cast<epi::RmsNormOp>(op); norm && needsWholeRow(op))
    reduce(norm);
  if (auto softmax = dyn_cast<epi::SoftmaxOp>(op))
    reduce(softmax);
  if (auto unpermute = dyn_cast<epi::UnpermuteOp>(op))
    chosen.emplace(&op, ChosenRows::load(frame, *layout.viewOf(unpermute.getSlots()),
                                         *layout.viewOf(unpermute.getWeights()), row));
  for (OpOperand &operand : op.getOpOperands())
    if (broadcastOf(operand) == epi::Broadcast::Rows) {
      Chunk chunk;
      prepared[&op] = {evaluate(operand.get(), {}, chunk)[0]};
    }
}

void RowEvaluator::store(Value value, unsigned index) {
  if (auto quantize = value.getDefiningOp<epi::QuantizeOp>()) {
    const bool isScale = value == quantize.getScales();
    overValue(quantize.getX(), {}, [&](const Run &run, Chunk &chunk, ArrayRef<Val>) -> Vals {
      isScale ? storeScale(quantize, index, run.at, chunk)
              : storeQuantized(quantize, index, run.at, chunk);
      return {};
    });
    return;
  }
  const Vals addresses =
      llvm::map_to_vector(places, [&](Val place) { return frame.resultRow(index, place); });
  overValue(value, {}, [&](const Run &run, Chunk &chunk, ArrayRef<Val>) -> Vals {
    storeFloatsAt(elementOf(value), evaluateExactly(value, run.at, chunk), addresses, run.at,
                  RowLayout::elementsOf(value), chunk);
    return {};
  });
}

int64_t RowEvaluator::period(Value value) const {
  return commonPeriod ? commonPeriod : periodOf(value);
}

void RowEvaluator::keep(Value value, Val target) {
  overValue(value, {}, [&](const Run &run, Chunk &chunk, ArrayRef<Val>) -> Vals {
    storeFloatsAt(elementOf(value), evaluate(value, run.at, chunk), target, run.at,
                  RowLayout::elementsOf(value), chunk);
    return {};
  });
}

void RowEvaluator::take(Value value, Val source) { taken[value.getAsOpaquePointer()] = source; }

Vals RowEvaluator::overValue(Value value, ArrayRef<Val> carried, Body body) {
  Vals values(carried);
  const int64_t period = this->period(value);
  for (const Run &run : layout.runsOf(value, period))
    values = overRun(run, period != 0, values, body);
  return values;
}

Vals RowEvaluator::overRun(const Run &run, bool grouped, ArrayRef<Val> carried, Body body) {
  const ChunkGrid grid(run, grouped);
  const int64_t passes = threads.passes(grid.slots());
  Vals values(carried);
  if (passes <= RowThreads::kMostPasses) {
    for (int64_t pass = 0; pass < passes; ++pass)
      values = body(run, keptChunk(grid, pass), values);
    return values;
  }
  return e.forLoop(e.i32(0), e.i32(passes), e.i32(1), values, [&](Val pass, ArrayRef<Val> inner) {
    Chunk chunk =
        chunkAt(e, grid, thread + pass * threads.stride(), grid.slots() % threads.stride() != 0);
    return body(run, chunk, inner);
  });
}

Chunk &RowEvaluator::keptChunk(const ChunkGrid &grid, int64_t pass) {
  auto [entry, isNew] = chunks.try_emplace({grid.key(), pass});
  if (isNew)
    entry->second = chunkAt(e, grid, thread + pass * threads.stride(),
                            (pass + 1) * threads.stride() > grid.slots());
  return entry->second;
}

void RowEvaluator::reduce(epi::RmsNormOp norm) {
  Val squares = overValue(norm.getX(), e.f32(0),
                          [&](const Run &run, Chunk &chunk, ArrayRef<Val> carried) -> Vals {
                            Val sum = carried[0];
                            for (Val x : masked(chunk, evaluate(norm.getX(), run.at, chunk), 0))
                              sum = e.fma(x, x, sum);
                            if (threads.eager)
                              evaluateOperand(norm.getWMutable(), run.at, chunk);
                            return {sum};
                          })[0];
  Val mean = rowSum(squares) * e.f32(1.0 / static_cast<double>(columnsOf(norm)));
  prepared[norm] = {e.rsqrt(mean + e.f32(norm.getEps().convertToDouble()))};
}

void RowEvaluator::reduce(epi::SoftmaxOp softmax) {
  const double least = -std::numeric_limits<double>::infinity();
  Val maximum =
      overValue(softmax.getX(), e.f32(least),
                [&](const Run &run, Chunk &chunk, ArrayRef<Val> carried) -> Vals {
                  Val best = carried[0];
                  for (Val x : masked(chunk, evaluate(softmax.getX(), run.at, chunk), least))
                    best = e.maximum(best, x);
                  return {best};
                })[0];
  prepared[softmax] = {rowMax(maximum)};
  Val sum = overValue(softmax.getX(), e.f32(0),
                      [&](const Run &run, Chunk &chunk, ArrayRef<Val> carried) -> Vals {
                        Val total = carried[0];
                        for (Val x : masked(chunk, exponentials(softmax, run.at, chunk), 0))
                          total = total + x;
                        return {total};
                      })[0];
  prepared[softmax].push_back(e.reciprocal(rowSum(sum)));
}

Val RowEvaluator::rowSum(Val x) {
  if (threads.isWarp())
    return e.warpSum(x, threads.ofRow);
  if (threads.columns == 1 && threads.rows == 1)
    return e.blockSum(x, scratch(), threads.ofRow);
  return combineOverWarps(e.warpSum(x), [](Val a, Val b) { return a + b; });
}

Val RowEvaluator::rowMax(Val x) {
  if (threads.isWarp())
    return e.warpMax(x, threads.ofRow);
  if (threads.columns == 1 && threads.rows == 1)
    return e.blockMax(x, scratch(), threads.ofRow);
  return combineOverWarps(e.warpMax(x), [&](Val a, Val b) { return e.maximum(a, b); });
}

Val RowEvaluator::combineOverWarps(Val ofWarp, llvm::function_ref<Val(Val, Val)> combine) {
  return threads.columns > 1 ? combineOverCluster(e, ofWarp, scratch(), threads, combine)
                             : combineOverRow(e, ofWarp, scratch(), threads, combine);
}

Val RowEvaluator::scratch() {
  return e.offset(e.sharedMemory(), reductionBytes(threads) * scratches++);
}

/// Whether the lanes of the chunk's repetition hold one whole period of `reduced`, over which `op`
/// reduces.
bool RowEvaluator::coversPeriod(Operation *op, Value reduced, Position at, const Chunk &chunk) {
  const int64_t period = periodOf(*op);
  assert(period && "asked of an operation that reduces over parts of a row");
  const bool covers = at.start % period == 0 && at.step % period == 0 &&
                      chunk.length == std::min(period, RowLayout::elementsOf(reduced) - at.start) &&
                      chunk.lanes <= std::min(kWarp, threads.ofRow);
  if (!covers)
    crossed = op;
  return covers;
}

Val RowEvaluator::headFactor(epi::RmsNormOp norm, Position at, Chunk &chunk) {
  if (chunk.origin)
    return headFactor(norm, at, *chunk.origin);
  Vals &known = chunk.known[{norm.getOperation(), at.start, at.step, false}];
  if (known.empty() && !coversPeriod(norm, norm.getX(), at, chunk))
    known = {e.f32(1)};
  if (!known.empty())
    return known[0];
  Val squares = e.f32(0);
  for (Val x : masked(chunk, evaluate(norm.getX(), at, chunk), 0))
    squares = e.fma(x, x, squares);
  Val mean = e.warpSum(squares, chunk.lanes) * e.f32(1.0 / static_cast<double>(columnsOf(norm)));
  known = {e.rsqrt(mean + e.f32(norm.getEps().convertToDouble()))};
  return known[0];
}

Val RowEvaluator::blockScale(epi::QuantizeOp quantize, Position at, Chunk &chunk) {
  Vals &known = chunk.known[{quantize.getOperation(), at.start, at.step, false}];
  if (known.empty() && !coversPeriod(quantize, quantize.getX(), at, chunk))
    known = {e.f32(1)};
  if (!known.empty())
    return known[0];
  Val largest = e.f32(0);
  for (Val x : masked(chunk, evaluate(quantize.getX(), at, chunk), 0))
    largest = e.maximum(largest, e.abs(x));
  Val amax = e.maximum(e.warpMax(largest, chunk.lanes), e.f32(epi::kLeastAmax));
  known = {amax / e.f32(epi::kLargestF8E4M3)};
  return known[0];
}

Vals RowEvaluator::evaluate(Value value, Position at, Chunk &chunk) {
  // References into a std::map stay valid while the operands are computed.
  Vals &known = chunk.known[{value.getAsOpaquePointer(), at.start, at.step, true}];
  if (!known.empty())
    return known;
  Vals exact = evaluateExactly(value, at, chunk);
  const bool isRounded =
      layout.viewOf(value) || taken.contains(value.getAsOpaquePointer()) ||
      isa<epi::ReshapeOp, epi::SplitOp, epi::ConcatOp, epi::PermuteOp>(value.getDefiningOp());
  if (!isRounded)
    for (Val &x : exact)
      x = roundTo(e, elementOf(value), x);
  return known = exact;
}

Vals RowEvaluator::evaluateExactly(Value value, Position at, Chunk &chunk) {
  Vals &known = chunk.known[{value.getAsOpaquePointer(), at.start, at.step, false}];
  if (known.empty())
    known = compute(value, at, chunk);
  return known;
}

Vals RowEvaluator::evaluateOperand(OpOperand &operand, Position at, Chunk &chunk) {
  switch (broadcastOf(operand)) {
  case epi::Broadcast::None:
    return evaluate(operand.get(), at, chunk);
  case epi::Broadcast::Columns: {
    auto throughVector = [&](int64_t position) {
      return RowLayout::throughVector(operand.get(), position);
    };
    return evaluate(operand.get(), moved(at, throughVector), chunk);
  }
  case epi::Broadcast::Rows:
    return Vals(chunk.width, prepared.at(operand.getOwner())[0]);
  }
  llvm_unreachable("all ways to meet are covered");
}

Vals RowEvaluator::compute(Value value, Position at, Chunk &chunk) {
  if (const std::optional<TensorView> &view = layout.viewOf(value))
    return load(*view, row, at, chunk);
  if (auto row = taken.find(value.getAsOpaquePointer()); row != taken.end()) {
    const int64_t bytes = bytesOf(elementOf(value));
    const int64_t alignment = alignmentOf({at.start, at.step, chunk.width});
    return loadFloats(e, elementOf(value), e.at(row->second, elementIndex(at, chunk), bytes),
                      chunk.width, alignment * bytes);
  }
  Operation *op = value.getDefiningOp();
  Vals results;
  if (isElementwise(op)) {
    SmallVector<Vals> operands;
    for (OpOperand &operand : op->getOpOperands())
      operands.push_back(evaluateOperand(operand, at, chunk));
    for (int64_t i = 0; i < chunk.width; ++i)
      results.push_back(computeElementwise(
          e, op, llvm::map_to_vector(operands, [&](const Vals &all) { return all[i]; })));
    return results;
  }
  return llvm::TypeSwitch<Operation *, Vals>(op)
      .Case([&](epi::ReshapeOp reshape) { return evaluate(reshape.getX(), at, chunk); })
      // A token's row is the same in all of its places.
      .Case([&](epi::PermuteOp permute) { return evaluate(permute.getX(), at, chunk); })
      .Case([&](epi::UnpermuteOp unpermute) {
        const TensorView &rows = *layout.viewOf(unpermute.getRows());
        return chosen.at(unpermute).sum(e, [&](Val slot) { return load(rows, slot, at, chunk); });
      })
      .Case([&](epi::RmsNormOp norm) {
        Val factor = isPerHead(norm) ? headFactor(norm, at, chunk) : prepared.at(norm)[0];
        Vals weights = evaluateOperand(norm.getWMutable(), at, chunk);
        for (auto [x, weight] : llvm::zip_equal(evaluate(norm.getX(), at, chunk), weights))
          results.push_back(x * factor * weight);
        return results;
      })
      .Case([&](epi::SoftmaxOp softmax) {
        for (Val power : exponentials(softmax, at, chunk))
          results.push_back(power * prepared.at(softmax)[1]);
        return results;
      })
      .Case([&](epi::RopeOp rope) { return rotate(rope, at, chunk); })
      .Case([&](epi::SplitOp split) {
        const unsigned part = cast<OpResult>(value).getResultNumber();
        auto throughSplit = [&](int64_t position) {
          return RowLayout::throughSplit(split, part, position);
        };
        return evaluate(split.getX(), moved(at, throughSplit), chunk);
      })
      .Case([&](epi::ConcatOp concat) {
        Value operand = concat.getInputs()[RowLayout::throughConcat(concat, at.start).first];
        auto throughConcat = [&](int64_t position) {
          return RowLayout::throughConcat(concat, position).second;
        };
        return evaluate(operand, moved(at, throughConcat), chunk);
      });
}

/// The elements of a chunk in row `fromRow` of `view`. Those that do not exist are read where
/// others are.
Vals RowEvaluator::load(const TensorView &view, Val fromRow, Position at, Chunk &chunk) {
  const Position offset =
      moved(at, [&](int64_t position) { return RowLayout::offsetIn(view, position); });
  const int64_t bytes = bytesOf(view.elementType);
  const int64_t alignment =
      alignmentOf({view.offset, offset.start, offset.step, view.rowStride, chunk.width});
  Val base = frame.rowAddress(view, fromRow);
  if (!chunk.isRagged)
    return loadFloats(e, view.elementType, e.at(base, elementIndex(offset, chunk), bytes),
                      chunk.width, alignment * bytes);
  const int64_t piece = alignmentOf({alignment, chunk.length});
  Val column = chunk.column;
  Vals values;
  for (int64_t first = 0; first < chunk.width; first += piece) {
    chunk.column = e.minimum(column + first, e.i32(chunk.length - piece));
    values.append(loadFloats(e, view.elementType, e.at(base, elementIndex(offset, chunk), bytes),
                             piece, piece * bytes));
  }
  chunk.column = column;
  return values;
}

/// exp(x - maximum).
Vals RowEvaluator::exponentials(epi::SoftmaxOp softmax, Position at, Chunk &chunk) {
  Vals powers;
  for (Val x : evaluate(softmax.getX(), at, chunk))
    powers.push_back(e.exp(x - prepared.at(softmax)[0]));
  return powers;
}

/// `values`, but `neutral` for elements that do not exist.
Vals RowEvaluator::masked(Chunk &chunk, ArrayRef<Val> values, double neutral) {
  Vals masked(values);
  for (auto [index, x] : llvm::enumerate(masked))
    if (Val exists = chunk.exists(static_cast<int64_t>(index)))
      x = e.select(exists, x, e.f32(neutral));
  return masked;
}

/// The position of the chunk's first element at `at`.
Val RowEvaluator::elementIndex(Position at, const Chunk &chunk) {
  Val index = chunk.column ? chunk.column + at.start : e.i32(at.start);
  if (chunk.repetition && at.step)
    index = index + chunk.repetition * at.step;
  return index;
}

/// Calls `body`, where they exist, for pieces of the chunk at `at` of a result with `rowElements`
/// elements in each row: as many elements as are aligned together.
void RowEvaluator::forPieces(Position at, int64_t rowElements, Chunk &chunk,
                             llvm::function_ref<void(int64_t, int64_t, Val)> body) {
  const int64_t alignment = alignmentOf({at.start, at.step, rowElements, chunk.width});
  const int64_t piece = chunk.isRagged ? alignmentOf({alignment, chunk.length}) : chunk.width;
  for (int64_t first = 0; first < chunk.width; first += piece) {
    Val exists = chunk.exists(first);
    if (rowExists)
      exists = exists ? e.logicalAnd(exists, rowExists) : rowExists;
    auto emit = [&] { body(first, piece, elementIndex(at, chunk) + first); };
    if (exists)
      e.ifThen(exists, emit);
    else
      emit();
  }
}

void RowEvaluator::storeFloatsAt(Type element, ArrayRef<Val> values, ArrayRef<Val> rowAddresses,
                                 Position at, int64_t rowElements, Chunk &chunk) {
  const int64_t bytes = bytesOf(element);
  const int64_t alignment = alignmentOf({at.start, at.step, rowElements, chunk.width});
  forPieces(at, rowElements, chunk, [&](int64_t first, int64_t count, Val position) {
    for (Val address : rowAddresses)
      storeFloats(e, element, values.slice(first, count), e.at(address, position, bytes),
                  alignment * bytes);
  });
}

void RowEvaluator::storeQuantized(epi::QuantizeOp quantize, unsigned index, Position at,
                                  Chunk &chunk) {
  const int64_t rowElements = RowLayout::elementsOf(quantize.getX());
  const int64_t alignment = alignmentOf({at.start, at.step, rowElements, chunk.width});
  Val scale = blockScale(quantize, at, chunk), inverse = e.f32(1) / scale;
  Vals values;
  for (Val x : evaluate(quantize.getX(), at, chunk))
    values.push_back(quotient(e, x, scale, inverse));
  forPieces(at, rowElements, chunk, [&](int64_t first, int64_t count, Val position) {
    const int64_t together = std::min(count, alignment);
    for (Val place : places) {
      Val address = e.at(frame.resultRow(index, place), position, 1);
      for (int64_t i = 0; i < count; i += together)
        storeE4m3(e, ArrayRef(values).slice(first + i, together), e.offset(address, i));
    }
  });
}

/// Scales are column-major: that of block b of row r is element b * (most rows) + r.
void RowEvaluator::storeScale(epi::QuantizeOp quantize, unsigned index, Position at, Chunk &chunk) {
  const int64_t period = periodOf(*quantize);
  Val scale = blockScale(quantize, at, chunk);
  Val exists = rowExists ? e.logicalAnd(chunk.isFirst, rowExists) : chunk.isFirst;
  e.ifThen(exists, [&] {
    Val block = e.i32(at.start / period);
    if (chunk.repetition && at.step)
      block = block + chunk.repetition * (at.step / period);
    Val column = e.offset(frame.result(index),
                          e.toI64(block) * e.toI64(frame.capacity()) * (4 * placesOfRow));
    for (Val place : places)
      e.store(scale, e.at(column, place, 4));
  });
}

} // namespace epigraph::cuda
