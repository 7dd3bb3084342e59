#include "codegen/reference/Evaluator.h"

#include "absl/strings/str_join.h"

#include "codegen/reference/Attention.h"
#include "codegen/reference/Dense.h"
#include "codegen/reference/Experts.h"
#include "codegen/reference/Sampling.h"
#include "codegen/reference/Structure.h"
#include "codegen/reference/Tracer.h"
#include "dialects/epi/Sampling.h"
#include "runtime/base/Status.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace epigraph::reference {
namespace {

using Optional = absl::StatusOr<std::optional<RuntimeValues>>;

const Tensor &tensorOf(const RuntimeValue &value) { return *std::get<TensorRef>(value); }

/// A function's tensor, or its error, as the results of an operation.
Optional one(absl::StatusOr<Tensor> tensor) {
  if (!tensor.ok())
    return tensor.status();
  return RuntimeValues{shared(*std::move(tensor))};
}

/// The name that the importer gave the operation's place in the model.
StringRef placeOf(Operation *op) {
  auto name = op->getLoc()->findInstanceOf<NameLoc>();
  return name ? name.getName().getValue() : StringRef();
}

int64_t entryElementsOf(Type cacheType) {
  if (auto mla = dyn_cast<epi::MlaCacheType>(cacheType))
    return mla.getEntryElements();
  return cast<epi::KvCacheType>(cacheType).getEntryElements();
}

absl::StatusOr<PagedCache *> cacheNamed(CacheSet &caches, StringRef name, Type type) {
  int64_t elements = entryElementsOf(type);
  auto [entry, isNew] = caches.try_emplace(name.str(), elements);
  if (entry->second.entryElements() != elements)
    return absl::InvalidArgumentError(absl::StrCat("cache \"", entry->first, "\" has entries of ",
                                                   entry->second.entryElements(),
                                                   " elements elsewhere, here of ", elements));
  return &entry->second;
}

/// Whether the known sizes of `type` are those of `value`.
bool fits(const Tensor &value, RankedTensorType type) {
  if (value.rank() != type.getRank())
    return false;
  for (int64_t i = 0; i < type.getRank(); ++i)
    if (!type.isDynamicDim(static_cast<unsigned>(i)) &&
        type.getDimSize(static_cast<unsigned>(i)) != value.dim(i))
      return false;
  return value.isInt() == type.getElementType().isInteger();
}

} // namespace

FailureOr<RuntimeValues> Evaluator::run(func::FuncOp function, RuntimeValues arguments) {
  ArenaCheck arena(function);
  FailureOr<RuntimeValues> results = runBlock(function.getBody().front(), arguments, &arena);
  if (failed(results)) { // also failures that were reported without passing through report()
    context.errorReported = true;
    context.mesh.abort(context.rank, absl::AbortedError("it reported an error"));
  }
  return results;
}

FailureOr<RuntimeValues> Evaluator::runBlock(Block &block, const RuntimeValues &arguments,
                                             ArenaCheck *arena) {
  Frame frame;
  for (auto [parameter, argument] : llvm::zip_equal(block.getArguments(), arguments))
    frame[parameter] = argument;
  for (Operation &op : block.without_terminator())
    if (!context.weights.contains(&op) && failed(runOp(&op, frame, arena)))
      return failure();
  if (arena && failed(arena->read(block.getTerminator())))
    return failure();
  return operandsOf(block.getTerminator(), frame);
}

/// Weights are evaluated where they are first used; everything else is in the frame.
FailureOr<RuntimeValues> Evaluator::operandsOf(Operation *op, const Frame &frame) {
  RuntimeValues operands;
  for (Value operand : op->getOperands()) {
    Operation *definition = operand.getDefiningOp();
    if (!definition || !context.weights.contains(definition)) {
      operands.push_back(frame.at(operand));
      continue;
    }
    FailureOr<TensorRef> weight = context.weights.get(operand, context.rank);
    if (failed(weight))
      return failure();
    operands.push_back(*weight);
  }
  return operands;
}

LogicalResult Evaluator::runOp(Operation *op, Frame &frame, ArenaCheck *arena) {
  if (arena && failed(arena->read(op)))
    return failure();
  FailureOr<RuntimeValues> operands = operandsOf(op, frame);
  if (failed(operands))
    return failure();
  if (context.tracer)
    context.tracer->before(context, op, *operands);
  if (failed(runOp(op, *operands, frame, arena)))
    return failure();
  if (context.tracer)
    context.tracer->after(context, op, llvm::map_to_vector<6>(op->getResults(), [&](Value result) {
                            return frame.at(result);
                          }));
  return success();
}

LogicalResult Evaluator::runOp(Operation *op, const RuntimeValues &operands, Frame &frame,
                               ArenaCheck *arena) {
  Region *body = nullptr;
  if (auto fused = dyn_cast<epi::FusedOp>(op))
    body = &fused.getBody();
  else if (auto launch = dyn_cast<exec::LaunchOp>(op))
    body = &context.symbols.lookup<exec::KernelOp>(launch.getKernel()).getBody();
  if (body) {
    FailureOr<RuntimeValues> results = runBlock(body->front(), operands, /*arena=*/nullptr);
    return failed(results) ? failure() : define(op, std::move(*results), frame, arena);
  }
  absl::StatusOr<RuntimeValues> results = evaluate(op, operands);
  if (!results.ok())
    return report(op, results.status());
  return define(op, *std::move(results), frame, arena);
}

absl::StatusOr<RuntimeValues> Evaluator::evaluate(Operation *op, const RuntimeValues &operands) {
  TensorRefs tensors = llvm::map_to_vector(operands, [](const RuntimeValue &value) {
    auto *tensor = std::get_if<TensorRef>(&value);
    return tensor ? *tensor : TensorRef();
  });
  EPIGRAPH_ASSIGN_OR_RETURN(std::optional<TensorRefs> pure,
                            evaluateTensorOp(op, tensors, context.workers));
  if (pure)
    return RuntimeValues(pure->begin(), pure->end());
  EPIGRAPH_ASSIGN_OR_RETURN(std::optional<RuntimeValues> results, evaluateStepOp(op, operands));
  if (!results) {
    EPIGRAPH_ASSIGN_OR_RETURN(results, evaluateRankOp(op, operands));
  }
  if (!results) {
    EPIGRAPH_ASSIGN_OR_RETURN(results, evaluatePeerOp(op, operands));
  }
  if (!results)
    return absl::UnimplementedError("is unknown to the reference target, which runs func, epi, ep "
                                    "and exec operations from import to codegen");
  if (op->getNumResults() != 0 && isa<ep::TokenType>(op->getResults().back().getType()))
    results->push_back(TokenValue{});
  return *std::move(results);
}

Optional Evaluator::evaluateStepOp(Operation *op, const RuntimeValues &operands) {
  const StepBatch &step = context.step;
  auto tensor = [&](size_t index) -> const Tensor & { return tensorOf(operands[index]); };
  auto cache = [&](size_t index) { return std::get<PagedCache *>(operands[index]); };
  return TypeSwitch<Operation *, Optional>(op)
      .Case([&](epi::KvCacheOp kv) -> Optional {
        EPIGRAPH_ASSIGN_OR_RETURN(PagedCache * named,
                                  cacheNamed(context.caches, kv.getName(), kv.getType()));
        return RuntimeValues{named};
      })
      .Case([&](epi::KvAppendOp) -> Optional {
        EPIGRAPH_RETURN_IF_ERROR(kvAppend(*cache(0), tensor(1), tensor(2), step));
        return RuntimeValues{cache(0)};
      })
      .Case([&](epi::AttentionOp attend) {
        auto type = cast<epi::KvCacheType>(attend.getCache().getType());
        Weighing weighing{attend.getScale().convertToDouble()};
        if (attend.getWindow())
          weighing.window = static_cast<int64_t>(*attend.getWindow());
        if (attend.getSinks())
          weighing.sinks = &tensor(3);
        return one(attention(tensor(0), *cache(1),
                             {type.getHeads(), type.getKey(), type.getValue()}, step, weighing,
                             context.workers));
      })
      .Case([&](epi::MlaAttentionOp attend) {
        auto type = cast<epi::MlaCacheType>(attend.getCache().getType());
        return one(mlaAttention(tensor(0), tensor(1), *cache(2), {type.getLatent(), type.getRope()},
                                attend.getUp() ? &tensor(4) : nullptr, step,
                                attend.getScale().convertToDouble(), context.workers));
      })
      .Case([&](epi::RopeOp rotate) {
        return one(rope(tensor(0), tensor(1), step.positions, rotate.getInterleaved()));
      })
      .Case([&](epi::OutputRowsOp) { return one(selectRows(tensor(0), step.outputRows)); })
      .Case([&](epi::SampleOp) { return one(sample(tensor(0), step.sampling)); })
      .Default([](Operation *) { return Optional(std::nullopt); });
}

Member Evaluator::seat(ep::Axis axis, StringRef place) {
  MeshAxis along = axis == ep::Axis::Expert ? MeshAxis::Expert : MeshAxis::Tensor;
  return {context.mesh.group(along, context.rank),
          context.mesh.place(along, context.rank),
          {place.data(), place.size()}};
}

Optional Evaluator::evaluateRankOp(Operation *op, const RuntimeValues &operands) {
  StringRef place = placeOf(op);
  Member member = seat(ep::Axis::Expert, place);
  auto tensor = [&](size_t index) -> const Tensor & { return tensorOf(operands[index]); };
  auto along = [&](auto collective) { return seat(collective.getAxis(), place); };
  return TypeSwitch<Operation *, Optional>(op)
      .Case([&](ep::ShardRowsOp op) {
        return one(shardRows(tensor(0), along(op).rank, along(op).ranks()));
      })
      .Case([&](ep::ShardColumnsOp op) {
        return one(shardColumns(tensor(0), along(op).rank, along(op).ranks()));
      })
      .Case([&](ep::AllGatherOp op) { return one(allGather(tensor(0), along(op))); })
      .Case([&](ep::AllReduceOp op) { return one(allReduce(tensor(0), along(op))); })
      .Case([&](ep::ReduceScatterOp op) { return one(reduceScatter(tensor(0), along(op))); })
      .Case([&](ep::GatherColumnsOp op) { return one(gatherColumns(tensor(0), along(op))); })
      .Case([&](ep::WaitOp) -> Optional { return RuntimeValues(); }) // FlightCheck's
      .Case([&](ep::DispatchOp send) -> Optional { return dispatch(send, operands, member); })
      .Case([&](ep::CombineOp) -> Optional {
        const auto &back = *std::get<std::shared_ptr<const ExchangeValue>>(operands[2]);
        EPIGRAPH_ASSIGN_OR_RETURN(Tensor rows, gatherExperts(tensor(0), back.counts, member));
        return one(unpermute(rows, back.slots, tensor(1)));
      })
      .Case([&](ep::ScatterExpertsOp) -> Optional {
        EPIGRAPH_ASSIGN_OR_RETURN(Scattered result, scatterExperts(tensor(0), tensor(1), member));
        return RuntimeValues{shared(std::move(result.rows)), shared(std::move(result.counts))};
      })
      .Case([&](ep::GatherExpertsOp) { return one(gatherExperts(tensor(0), tensor(1), member)); })
      .Default([](Operation *) { return Optional(std::nullopt); });
}

absl::StatusOr<RuntimeValues> Evaluator::dispatch(ep::DispatchOp op, const RuntimeValues &operands,
                                                  const Member &member) {
  EPIGRAPH_ASSIGN_OR_RETURN(
      Permutation sorted,
      permute(tensorOf(operands[0]), tensorOf(operands[1]), op.getPlacement().getNumSlots()));
  EPIGRAPH_ASSIGN_OR_RETURN(Scattered result, scatterExperts(sorted.rows, sorted.counts, member));
  auto exchange = std::make_shared<const ExchangeValue>(
      ExchangeValue{std::move(sorted.slots), std::move(sorted.counts)});
  return RuntimeValues{shared(std::move(result.rows)), shared(std::move(result.counts)),
                       std::move(exchange)};
}

Optional Evaluator::evaluatePeerOp(Operation *op, const RuntimeValues &operands) {
  StringRef place = placeOf(op);
  Member member = seat(ep::Axis::Expert, place);
  auto tensor = [&](size_t index) -> const Tensor & { return tensorOf(operands[index]); };
  return TypeSwitch<Operation *, Optional>(op)
      .Case([&](ep::DispatchSendOp send) -> Optional {
        peers.send(tensor(0), tensor(1), tensor(2), send.getXScale() ? tensor(3) : Tensor());
        return RuntimeValues();
      })
      .Case([&](ep::DispatchReceiveOp receive) -> Optional {
        EPIGRAPH_ASSIGN_OR_RETURN(
            ReceivedTokens got, peers.receive(receive.getPlacement().getLocalExperts(),
                                              static_cast<int64_t>(receive.getCapacity()), member));
        RuntimeValues results{shared(std::move(got.rows)), shared(std::move(got.counts)),
                              shared(std::move(got.received)), shared(std::move(got.places)),
                              shared(std::move(got.weights))};
        if (receive.getRowScales())
          results.push_back(shared(std::move(got.scales)));
        return results;
      })
      .Case([&](ep::CombineSendOp send) -> Optional {
        auto rows = cast<RankedTensorType>(send.getRows().getType());
        const bool round = context.roundToTypes && rows.getElementType().isBF16();
        peers.sendSums(tensor(0), tensor(1), tensor(2), round);
        return RuntimeValues();
      })
      .Case([&](ep::CombineReceiveOp receive) {
        return one(peers.receiveSums(tensor(0), tensor(1), tensor(3),
                                     static_cast<int64_t>(receive.getCapacity()), member));
      })
      .Default([](Operation *) { return Optional(std::nullopt); });
}

LogicalResult Evaluator::define(Operation *op, RuntimeValues results, Frame &frame,
                                ArenaCheck *arena) {
  SmallVector<const Tensor *> tensors;
  for (auto [result, value] : llvm::zip_equal(op->getResults(), results)) {
    auto *tensor = std::get_if<TensorRef>(&value);
    tensors.push_back(tensor ? tensor->get() : nullptr);
    if (!tensor) {
      frame[result] = value;
      continue;
    }
    auto type = cast<RankedTensorType>(result.getType());
    if (!fits(**tensor, type))
      return report(op, absl::InternalError(absl::StrCat("result ", result.getResultNumber(),
                                                         " came out with shape [",
                                                         absl::StrJoin((*tensor)->shape(), ", "),
                                                         "], which its type does not allow")));
    bool round = context.roundToTypes && type.getElementType().isBF16();
    frame[result] = round ? shared(roundToBFloat16(**tensor)) : *tensor;
  }
  return arena ? arena->write(op, tensors) : success();
}

LogicalResult Evaluator::report(Operation *op, const absl::Status &status) {
  std::string message(status.message());
  std::string prefix = absl::StrCat("rank ", context.rank, ": ");
  if (context.mesh.size() > 1 && message.rfind(prefix, 0) != 0)
    message = prefix + message;
  // The first error is the cause; ranks that fail after it are only said to have stopped.
  if (context.errorReported.exchange(true)) {
    op->emitRemark() << "stopped here: " << message;
  } else {
    op->emitOpError(message);
    std::string place = placeOf(op).str();
    std::string where =
        absl::StrCat(op->getName().getStringRef().str(), place.empty() ? "" : " at ", place);
    context.mesh.abort(context.rank, withContext(status, where));
  }
  return failure();
}

} // namespace epigraph::reference
