// Expressions are followed from what the kernel yields down to the product, which is in registers,
// and to arguments, which are loaded where they meet it.
#include "codegen/cuda/LinearEpilogue.h"

#include <numeric>

#include "codegen/cuda/Elementwise.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

/// What every buffer, weight and cache is aligned to.
constexpr int64_t kBaseAlignment = 64;
/// Bytes that one instruction loads or stores at most.
constexpr int64_t kWidestAccess = 16;

RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

/// Elements of one access to `count` neighbours aligned to `alignment`.
int64_t pieceOf(Type element, int64_t count, int64_t alignment) {
  const int64_t fits = std::min(kWidestAccess, alignment) / bytesOf(element);
  return std::max<int64_t>(1, std::gcd(count, fits));
}

} // namespace

Vals loadFloats(Emitter &e, Type element, Val address, int64_t count, int64_t alignment) {
  const int64_t piece = pieceOf(element, count, alignment);
  Vals values;
  for (int64_t i = 0; i < count; i += piece) {
    Val at = e.offset(address, i * bytesOf(element));
    if (piece == 1)
      values.push_back(e.toF32(e.load(element, at)));
    else
      values.append(e.elements(e.toF32(e.load(e.vector(element, piece), at))));
  }
  return values;
}

void storeFloats(Emitter &e, Type element, ArrayRef<Val> values, Val address, int64_t alignment) {
  const auto count = static_cast<int64_t>(values.size());
  const int64_t piece = pieceOf(element, count, alignment);
  for (int64_t i = 0; i < count; i += piece) {
    Val at = e.offset(address, i * bytesOf(element));
    ArrayRef<Val> part = values.slice(i, piece);
    if (piece == 1)
      e.store(e.fromF32(part[0], element), at);
    else if (element.isF32())
      e.store(e.pack(part), at);
    else
      e.store(e.pack(packPairs(e, element, part)), at, piece * bytesOf(element));
  }
}

Vals packPairs(Emitter &e, Type element, ArrayRef<Val> values) {
  Vals words;
  for (size_t i = 0; i < values.size(); i += 2)
    words.push_back(e.bitcast(e.i32(), e.fromF32(e.pack(values.slice(i, 2)), element)));
  return words;
}

FailureOr<LinearEpilogue> LinearEpilogue::create(KernelAssembly &assembly,
                                                 const LinearProblem &problem) {
  LinearEpilogue epilogue(problem);
  if (failed(epilogue.readParts(assembly)))
    return failure();
  for (Operation &op : assembly.kernel.getBody().front().without_terminator())
    if (isElementwise(&op))
      for (Value operand : op.getOperands())
        if (failed(epilogue.readOperand(assembly, &op, operand)))
          return failure();
  if (failed(epilogue.readYields(assembly)))
    return failure();
  return epilogue;
}

LogicalResult LinearEpilogue::readParts(KernelAssembly &assembly) {
  Value product = problem.op->getResult(0);
  partValues = {product};
  for (Operation *user : product.getUsers()) {
    auto split = dyn_cast<epi::SplitOp>(user);
    if (!split)
      continue;
    const Type first = split.getResult(0).getType();
    const bool isEqual =
        llvm::all_of(split.getResultTypes(), [&](Type type) { return type == first; });
    if (!isEqual || static_cast<int64_t>(split.getDim()) != typeOf(product).getRank() - 1 ||
        !product.hasOneUse())
      return split.emitError("CUDA kernel @")
             << assembly.kernel.getSymName()
             << " can split a projection's result only by columns, into equal parts, and once; "
                "outline what follows as a kernel of its own";
    numParts = split.getNumResults();
    partValues.assign(split.getResults().begin(), split.getResults().end());
  }
  return success();
}

int64_t LinearEpilogue::columns() const { return problem.outputs / numParts; }

std::optional<int64_t> LinearEpilogue::partOf(Value value) const {
  auto found = llvm::find(partValues, value);
  if (found == partValues.end())
    return std::nullopt;
  return found - partValues.begin();
}

bool LinearEpilogue::isComputed(Value value) const {
  return partOf(value) || isElementwise(value.getDefiningOp());
}

LogicalResult LinearEpilogue::readOperand(KernelAssembly &assembly, Operation *op, Value operand) {
  if (isComputed(operand))
    return success();
  FailureOr<TensorView> view = assembly.view(op, operand, "operand");
  if (failed(view))
    return failure();
  if (view->elements() != 1 && view->strides.back() != 1)
    return op->emitError("CUDA kernel @") << assembly.kernel.getSymName()
                                          << " needs an operand whose last dimension is contiguous";
  views[operand.getAsOpaquePointer()] = *view;
  return success();
}

LogicalResult LinearEpilogue::readYields(KernelAssembly &assembly) {
  Operation *yield = assembly.kernel.getBody().front().getTerminator();
  for (auto [index, value] : llvm::enumerate(yield->getOperands())) {
    if (auto quantize = value.getDefiningOp<epi::QuantizeOp>()) {
      if (!quantization && failed(readQuantize(assembly, quantize)))
        return failure();
      continue;
    }
    auto type = dyn_cast<RankedTensorType>(value.getType());
    if (!isComputed(value) || !type || type.getShape() != typeOf(partValues[0]).getShape())
      return problem.op->emitError("CUDA kernel @")
             << assembly.kernel.getSymName() << " yields a value of type " << value.getType()
             << ", but can store only this operation's result and what elementwise operations make "
                "of it, all of one shape; outline what follows as a kernel of its own";
    yields.push_back({value, static_cast<unsigned>(index)});
  }
  return success();
}

LogicalResult LinearEpilogue::readQuantize(KernelAssembly &assembly, epi::QuantizeOp op) {
  FailureOr<unsigned> values = assembly.yieldedAs(op, op.getQuantized());
  if (failed(values))
    return failure();
  FailureOr<unsigned> scales = assembly.yieldedAs(op, op.getScales());
  if (failed(scales))
    return failure();
  Value x = op.getX();
  bool hasBlocks = op.getBlock() == ArrayRef<int64_t>{1, epi::kScaleBlock};
  if (problem.kind == LinearKind::Heads) {
    auto flat = x.getDefiningOp<epi::ReshapeOp>();
    x = flat ? flat.getX() : Value();
    hasBlocks = hasBlocks && columns() % epi::kScaleBlock == 0;
  }
  if (!x || !isComputed(x) || !hasBlocks)
    return op.emitError("CUDA kernel @")
           << assembly.kernel.getSymName()
           << " can quantize only what it makes of a projection's result, in blocks of 1x128 that "
              "are of one head; outline it as a kernel of its own";
  quantization = Quantized{*values, *scales};
  yields.push_back({x, std::nullopt});
  return success();
}

bool LinearEpilogue::isPlain() const {
  return numParts == 1 && yields.size() == 1 && yields[0].result == 0u &&
         yields[0].value == partValues[0];
}

Vals LinearEpilogue::bias(KernelFrame &frame, Val matrix, Val column, int64_t count) const {
  if (!problem.bias)
    return {};
  Emitter &e = frame.e;
  const TensorView &view = *problem.bias;
  const int64_t bytes = bytesOf(view.elementType);
  Val row = e.at(frame.rowAddress(view, matrix), matrix, problem.outputs * bytes);
  return loadFloats(e, view.elementType, e.at(row, column, bytes), count,
                    std::gcd(problem.outputs * bytes, count * bytes));
}

SmallVector<Vals> LinearEpilogue::evaluate(KernelFrame &frame, ArrayRef<Val> sums,
                                           const ResultPlace &place) const {
  Known known;
  return llvm::map_to_vector(yields, [&](const Yielded &yielded) {
    return valuesOf(frame, yielded.value, sums, place, known);
  });
}

void LinearEpilogue::store(KernelFrame &frame, ArrayRef<Val> sums, const ResultPlace &place) const {
  SmallVector<Vals> values = evaluate(frame, sums, place);
  for (auto [yielded, of] : llvm::zip_equal(yields, values))
    if (yielded.result)
      storeValues(frame, yielded, of, place);
}

void LinearEpilogue::storeValues(KernelFrame &frame, const Yielded &yielded, ArrayRef<Val> values,
                                 const ResultPlace &place) const {
  Type element = typeOf(yielded.value).getElementType();
  const int64_t bytes = bytesOf(element);
  storeFloats(frame.e, element, values, resultAddress(frame, *yielded.result, place),
              std::gcd(std::gcd(columns(), place.count) * bytes, kBaseAlignment));
}

void LinearEpilogue::storeQuantized(KernelFrame &frame, ArrayRef<Val> values,
                                    const ResultPlace &place, Val exists) const {
  Emitter &e = frame.e;
  const int64_t lanes = epi::kScaleBlock / static_cast<int64_t>(values.size());
  Val amax = e.f32(epi::kLeastAmax);
  for (Val value : values)
    amax = e.maximum(amax, e.select(exists, e.abs(value), e.f32(0.0)));
  Val scale = e.warpMax(amax, lanes) / e.f32(epi::kLargestF8E4M3);
  Val inverse = e.f32(1.0) / scale;
  Vals pairs;
  for (size_t i = 0; i < values.size(); i += 2)
    pairs.push_back(e.packE4m3(quotient(e, values[i], scale, inverse),
                               quotient(e, values[i + 1], scale, inverse)));
  e.ifThen(exists, [&] {
    e.store(e.bitcast(e.vector(e.i32(), static_cast<int64_t>(pairs.size()) / 2), e.pack(pairs)),
            resultAddress(frame, quantization->values, place));
    Val block = place.column / epi::kScaleBlock;
    if (problem.kind == LinearKind::Heads)
      block = place.matrix * (columns() / epi::kScaleBlock) + block;
    e.ifThen(place.column % epi::kScaleBlock == 0, [&] {
      Val element = block * frame.capacity() + place.row;
      e.store(scale, e.at(frame.result(quantization->scales), element, 4));
    });
  });
}

Val LinearEpilogue::resultAddress(KernelFrame &frame, unsigned result,
                                  const ResultPlace &place) const {
  Emitter &e = frame.e;
  const auto type = cast<RankedTensorType>(frame.kernel.getResultTypes()[result]);
  const int64_t bytes = bytesOf(type.getElementType());
  Val row = frame.resultRow(result, place.row);
  if (problem.kind == LinearKind::Heads)
    row = e.at(row, place.matrix, columns() * bytes);
  return e.at(row, place.column, bytes);
}

Vals LinearEpilogue::valuesOf(KernelFrame &frame, Value value, ArrayRef<Val> sums,
                              const ResultPlace &place, Known &known) const {
  Emitter &e = frame.e;
  if (auto found = known.find(value.getAsOpaquePointer()); found != known.end())
    return found->second;
  Vals values;
  Type element = typeOf(value).getElementType();
  if (std::optional<int64_t> part = partOf(value)) {
    for (Val sum : sums.slice(*part * place.count, place.count))
      values.push_back(roundTo(e, element, sum));
  } else if (auto view = views.find(value.getAsOpaquePointer()); view != views.end()) {
    values = load(frame, view->second, place);
  } else {
    SmallVector<Vals> operands;
    for (OpOperand &operand : value.getDefiningOp()->getOpOperands())
      operands.push_back(broadcastOf(operand) == epi::Broadcast::Rows
                             ? Vals(place.count, loadOfRow(frame, operand.get(), place))
                             : valuesOf(frame, operand.get(), sums, place, known));
    for (int64_t i = 0; i < place.count; ++i) {
      Vals column = llvm::map_to_vector(operands, [&](const Vals &of) { return of[i]; });
      values.push_back(roundTo(e, element, computeElementwise(e, value.getDefiningOp(), column)));
    }
  }
  known[value.getAsOpaquePointer()] = values;
  return values;
}

Vals LinearEpilogue::load(KernelFrame &frame, const TensorView &view,
                          const ResultPlace &place) const {
  Emitter &e = frame.e;
  const int64_t bytes = bytesOf(view.elementType);
  const bool hasHeads = problem.kind == LinearKind::Heads && view.hasRows;
  const int64_t headBytes = hasHeads ? view.strides[0] * bytes : 0;
  Val address = frame.rowAddress(view, place.row);
  if (hasHeads)
    address = e.at(address, place.matrix, headBytes);
  int64_t alignment = kBaseAlignment;
  for (int64_t step : {view.offset * bytes, view.rowStride * bytes, headBytes, place.count * bytes})
    alignment = std::gcd(alignment, step);
  return loadFloats(e, view.elementType, e.at(address, place.column, bytes), place.count,
                    alignment);
}

/// The one value, a scalar, of a row of `value`.
Val LinearEpilogue::loadOfRow(KernelFrame &frame, Value value, const ResultPlace &place) const {
  Emitter &e = frame.e;
  if (auto found = views.find(value.getAsOpaquePointer()); found != views.end())
    return e.toF32(e.load(found->second.elementType, frame.rowAddress(found->second, place.row)));
  Operation *op = value.getDefiningOp();
  Vals operands = llvm::map_to_vector(
      op->getOperands(), [&](Value operand) { return loadOfRow(frame, operand, place); });
  return roundTo(e, typeOf(value).getElementType(), computeElementwise(e, op, operands));
}

} // namespace epigraph::cuda
