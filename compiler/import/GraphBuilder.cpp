#include "compiler/import/GraphBuilder.h"

#include <algorithm>

#include "mlir/IR/Verifier.h"

#include "compiler/import/Quantization.h"
#include "runtime/base/Status.h"

using namespace mlir;

namespace epigraph {

GraphBuilder::GraphBuilder(MLIRContext &context, StringRef architecture,
                           const Checkpoint &checkpoint, const ImportLimits &limits,
                           const NumberFormats &formats)
    : builder_(&context), ledger_(checkpoint), limits_(limits), formats_(formats) {
  Location loc = NameLoc::get(builder_.getStringAttr("model"));
  module_ = ModuleOp::create(loc, architecture);
  activation_ = typeOf(formats.activation);
}

absl::Status GraphBuilder::declareModel(const ModelShape &shape) {
  maxContext_ = limits_.maxContext.value_or(std::min(shape.maxContext, kDefaultMaxContext));
  if (maxContext_ > shape.maxContext)
    return withCode(ErrorCode::BadLimit,
                    absl::InvalidArgumentError(absl::StrCat(
                        "--max-context is ", maxContext_, ", but the model was made for ",
                        shape.maxContext, " positions; give at most that")));
  MLIRContext *context = builder_.getContext();
  (*module_)->setAttr(epi::kModelAttrName,
                      epi::ModelAttr::get(context, module_->getSymNameAttr(), shape.layers,
                                          shape.hidden, shape.vocab, shape.maxContext));
  (*module_)->setAttr(exec::kLimitsAttrName, exec::LimitsAttr::get(context, limits_.batchTokens,
                                                                   limits_.sequences, maxContext_));
  return absl::OkStatus();
}

absl::StatusOr<OwningOpRef<ModuleOp>> GraphBuilder::finish() {
  EPIGRAPH_RETURN_IF_ERROR(ledger_.finish());
  // Its diagnostics say more than this status does.
  if (failed(verify(*module_)))
    return absl::InternalError("the imported graph is not valid; this is a bug of the importer");
  return std::move(module_);
}

//===----------------------------------------------------------------------===//
// Functions and scopes
//===----------------------------------------------------------------------===//

Block::BlockArgListType GraphBuilder::beginFunction(StringRef name, ArrayRef<Parameter> arguments,
                                                    ArrayRef<Parameter> results) {
  auto types = [](ArrayRef<Parameter> parameters) {
    return llvm::map_to_vector(parameters, [](const Parameter &p) { return p.type; });
  };
  FunctionType type = builder_.getFunctionType(types(arguments), types(results));
  builder_.setInsertionPointToEnd(module_->getBody());
  auto function =
      func::FuncOp::create(builder_, NameLoc::get(builder_.getStringAttr(name)), name, type);
  for (auto [i, argument] : llvm::enumerate(arguments))
    function.setArgAttr(i, "epi.name", builder_.getStringAttr(argument.name));
  for (auto [i, result] : llvm::enumerate(results))
    function.setResultAttr(i, "epi.name", builder_.getStringAttr(result.name));
  Block *body = function.addEntryBlock();
  builder_.setInsertionPointToEnd(body);
  return body->getArguments();
}

void GraphBuilder::endFunction(ValueRange results) {
  func::ReturnOp::create(builder_, loc(), results);
}

GraphBuilder::Scope::Scope(GraphBuilder &builder, StringRef name)
    : builder_(builder), outer_(builder.scope_) {
  builder.scope_ = builder.qualify(name);
}

GraphBuilder::Scope::~Scope() { builder_.scope_ = std::move(outer_); }

std::string GraphBuilder::qualify(StringRef name) const {
  return scope_.empty() ? name.str() : scope_ + "." + name.str();
}

Location GraphBuilder::loc() {
  return NameLoc::get(builder_.getStringAttr(scope_.empty() ? "model" : scope_));
}

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

Type GraphBuilder::typeOf(DType dtype) {
  switch (dtype) {
  case DType::F32:
    return builder_.getF32Type();
  case DType::BF16:
    return builder_.getBF16Type();
  case DType::F8_E4M3:
    return builder_.getType<Float8E4M3FNType>();
  default:
    llvm_unreachable("no other weights are booked");
  }
}

RankedTensorType GraphBuilder::rows(ArrayRef<int64_t> shape, Type element) {
  SmallVector<int64_t> dims{ShapedType::kDynamic};
  dims.append(shape.begin(), shape.end());
  return RankedTensorType::get(dims, element ? element : activation_);
}

Type GraphBuilder::idsType() { return rows({}, builder_.getI32Type()); }

Type GraphBuilder::stepType() { return epi::StepType::get(builder_.getContext()); }

Type GraphBuilder::mlaCacheType(int64_t latent, int64_t rope) {
  return epi::MlaCacheType::get(builder_.getContext(), latent, rope, activation_);
}

Type GraphBuilder::kvCacheType(int64_t heads, int64_t key, int64_t value) {
  return epi::KvCacheType::get(builder_.getContext(), heads, key, value, activation_);
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

Value GraphBuilder::weightOf(StringRef name, ArrayRef<int64_t> shape, ArrayRef<DType> dtypes) {
  std::string qualified = qualify(name);
  DType dtype =
      ledger_.book(qualified, {shape.data(), shape.size()}, {dtypes.data(), dtypes.size()});
  return epi::WeightOp::create(builder_, loc(), RankedTensorType::get(shape, typeOf(dtype)),
                               qualified);
}

/// What DeepSeek-V3's own checkpoints quantize of the matrices that may be: all but the embedding
/// and the projection of the layer that predicts one token more.
static bool isUsuallyQuantized(StringRef name) {
  return !name.ends_with("embed_tokens.weight") && !name.ends_with("eh_proj.weight");
}

bool GraphBuilder::isQuantized(StringRef name) const {
  if (!ledger_.knowsTensors())
    return formats_.fp8Blocks && isUsuallyQuantized(name);
  // One of the two is enough: then the other, or its type, is what is wrong.
  return formats_.fp8Blocks && (ledger_.dtypeOf(name.str()) == DType::F8_E4M3 ||
                                ledger_.has((name + kScaleSuffix).str()));
}

static SmallVector<int64_t, 3> blockScaleShape(ArrayRef<int64_t> shape) {
  return epi::scaleShape(shape, {epi::kScaleBlock, epi::kScaleBlock});
}

Value GraphBuilder::dequantize(Value x, Value scales) {
  auto type = mlir::cast<RankedTensorType>(x.getType()).clone(activation_);
  return epi::DequantizeOp::create(
      builder_, loc(), type, x, scales,
      builder_.getDenseI64ArrayAttr({epi::kScaleBlock, epi::kScaleBlock}));
}

Value GraphBuilder::weight(StringRef name, ArrayRef<int64_t> shape) {
  if (shape.size() != 2 || !isQuantized(qualify(name)))
    return weightOf(name, shape, {formats_.activation});
  Value quantized = weightOf(name, shape, {DType::F8_E4M3});
  return dequantize(quantized,
                    weightOf((name + kScaleSuffix).str(), blockScaleShape(shape), {DType::F32}));
}

Value GraphBuilder::weightF32(StringRef name, ArrayRef<int64_t> shape) {
  return cast(weightOf(name, shape, {formats_.activation, DType::F32}), f32());
}

Value GraphBuilder::stackOf(StringRef pattern, int64_t count, ArrayRef<int64_t> shape,
                            DType dtype) {
  auto [before, after] = pattern.split("{}");
  for (int64_t i = 0; i < count && !ledger_.isHopeless(); ++i)
    ledger_.book(qualify((before + llvm::Twine(i) + after).str()), {shape.data(), shape.size()},
                 {dtype});
  SmallVector<int64_t> dims{count};
  dims.append(shape.begin(), shape.end());
  return epi::WeightStackOp::create(builder_, loc(), RankedTensorType::get(dims, typeOf(dtype)),
                                    qualify(pattern));
}

Value GraphBuilder::weightStack(StringRef pattern, int64_t count, ArrayRef<int64_t> shape) {
  auto [before, after] = pattern.split("{}");
  if (!isQuantized(qualify((before + "0" + after).str())))
    return stackOf(pattern, count, shape, formats_.activation);
  Value quantized = stackOf(pattern, count, shape, DType::F8_E4M3);
  return dequantize(quantized, stackOf((pattern + kScaleSuffix).str(), count,
                                       blockScaleShape(shape), DType::F32));
}

//===----------------------------------------------------------------------===//
// Operations
//===----------------------------------------------------------------------===//

/// The size of the last dimension.
static int64_t lastDim(Value value) {
  return cast<RankedTensorType>(value.getType()).getShape().back();
}

/// The type of `value` with another size of dimension `dim`.
static RankedTensorType withDim(Value value, int64_t dim, int64_t size) {
  auto type = cast<RankedTensorType>(value.getType());
  SmallVector<int64_t> shape(type.getShape());
  shape[static_cast<size_t>(dim)] = size;
  return RankedTensorType::get(shape, type.getElementType());
}

static int64_t lastDimOf(Value value) {
  return mlir::cast<RankedTensorType>(value.getType()).getRank() - 1;
}

Value GraphBuilder::linear(Value x, StringRef name, int64_t outputs, bool bias) {
  Value w = weight((name + ".weight").str(), {outputs, lastDim(x)});
  Value y = epi::LinearOp::create(builder_, loc(), rows({outputs}), x, w);
  return bias ? add(y, weight((name + ".bias").str(), {outputs})) : y;
}

Value GraphBuilder::linearF32(Value x, StringRef name, int64_t outputs, bool bias) {
  Value w =
      weightOf((name + ".weight").str(), {outputs, lastDim(x)}, {formats_.activation, DType::F32});
  x = cast(x, mlir::cast<RankedTensorType>(w.getType()).getElementType());
  Value y = epi::LinearOp::create(builder_, loc(), rows({outputs}, f32()), x, w);
  return bias ? add(y, weightF32((name + ".bias").str(), {outputs})) : y;
}

Value GraphBuilder::rmsNorm(Value x, StringRef name, double eps) {
  Value w = weight((name + ".weight").str(), {lastDim(x)});
  return epi::RmsNormOp::create(builder_, loc(), x.getType(), x, w, builder_.getF64FloatAttr(eps));
}

Value GraphBuilder::swigluMlp(Value x, StringRef name, int64_t inner, bool bias) {
  Scope scope(*this, name);
  Value gate = linear(x, "gate_proj", inner, bias);
  Value up = linear(x, "up_proj", inner, bias);
  Value activated = epi::SiluOp::create(builder_, loc(), gate.getType(), gate);
  return linear(mul(activated, up), "down_proj", lastDim(x), bias);
}

Value GraphBuilder::add(Value a, Value b) {
  return epi::AddOp::create(builder_, loc(), a.getType(), a, b);
}

Value GraphBuilder::mul(Value a, Value b) {
  return epi::MulOp::create(builder_, loc(), a.getType(), a, b);
}

Value GraphBuilder::sigmoid(Value x) {
  return epi::SigmoidOp::create(builder_, loc(), x.getType(), x);
}

Value GraphBuilder::reshape(Value x, ArrayRef<int64_t> shape) {
  Type element = mlir::cast<RankedTensorType>(x.getType()).getElementType();
  return epi::ReshapeOp::create(builder_, loc(), rows(shape, element), x);
}

Value GraphBuilder::reshapeWeight(Value w, ArrayRef<int64_t> shape) {
  Type element = mlir::cast<RankedTensorType>(w.getType()).getElementType();
  return epi::ReshapeOp::create(builder_, loc(), RankedTensorType::get(shape, element), w);
}

Value GraphBuilder::transpose(Value w, ArrayRef<int64_t> permutation) {
  auto type = mlir::cast<RankedTensorType>(w.getType());
  auto shape = llvm::map_to_vector(permutation, [&](int64_t dim) { return type.getDimSize(dim); });
  return epi::TransposeOp::create(
      builder_, loc(), RankedTensorType::get(shape, type.getElementType()), w, permutation);
}

SmallVector<Value> GraphBuilder::split(Value x, int64_t dim, ArrayRef<int64_t> sizes) {
  SmallVector<Type> types;
  for (int64_t size : sizes)
    types.push_back(withDim(x, dim, size));
  auto split = epi::SplitOp::create(builder_, loc(), types, x, builder_.getI64IntegerAttr(dim));
  return llvm::to_vector_of<Value>(split.getResults());
}

SmallVector<Value> GraphBuilder::splitLast(Value x, ArrayRef<int64_t> sizes) {
  return split(x, lastDimOf(x), sizes);
}

Value GraphBuilder::concatLast(ValueRange parts) {
  int64_t total = 0;
  for (Value part : parts)
    total += lastDim(part);
  int64_t dim = lastDimOf(parts.front());
  return epi::ConcatOp::create(builder_, loc(), withDim(parts.front(), dim, total), parts,
                               builder_.getI64IntegerAttr(dim));
}

Value GraphBuilder::cast(Value x, Type element) {
  auto type = mlir::cast<RankedTensorType>(x.getType());
  if (type.getElementType() == element)
    return x;
  return epi::CastOp::create(builder_, loc(), type.clone(element), x);
}

Value GraphBuilder::ropeTable(const RopeConfig &rope, int64_t dims) {
  epi::YarnAttr yarn;
  if (rope.yarn)
    yarn = epi::YarnAttr::get(builder_.getContext(), builder_.getF64FloatAttr(rope.yarn->factor),
                              rope.yarn->original, builder_.getF64FloatAttr(rope.yarn->betaFast),
                              builder_.getF64FloatAttr(rope.yarn->betaSlow), rope.yarn->truncate);
  epi::Llama3RopeAttr llama3;
  if (rope.llama3)
    llama3 = epi::Llama3RopeAttr::get(
        builder_.getContext(), builder_.getF64FloatAttr(rope.llama3->factor), rope.llama3->original,
        builder_.getF64FloatAttr(rope.llama3->lowFreqFactor),
        builder_.getF64FloatAttr(rope.llama3->highFreqFactor));
  return epi::RopeTableOp::create(builder_, loc(),
                                  RankedTensorType::get({maxContext_, dims}, f32()),
                                  builder_.getF64FloatAttr(rope.theta),
                                  builder_.getF64FloatAttr(rope.magnitude()), yarn, llama3);
}

} // namespace epigraph
