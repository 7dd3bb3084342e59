#include "compiler/inspect/GraphNodes.h"

#include <set>

#include "absl/strings/str_format.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/raw_ostream.h"

#include "compiler/driver/Diagnostics.h"
#include "passes/schedule/WorkEstimate.h"

using namespace mlir;

namespace epigraph::inspection {
namespace {

/// "model.layers.3.mlp.experts" lies in "model.layers.3".
std::string layerOf(const std::string &place) {
  static constexpr StringLiteral kLayers = ".layers.";
  size_t at = place.find(kLayers.data());
  if (at == std::string::npos)
    return "";
  size_t end = place.find_first_not_of("0123456789", at + kLayers.size());
  return place.substr(0, end);
}

/// Values that depend on weights alone are no part of what runs.
bool isWeight(Operation *op) {
  if (isa<exec::LoadWeightOp, epi::WeightOp, epi::WeightStackOp, epi::RopeTableOp>(op))
    return true;
  return op->getNumOperands() != 0 && op->getNumRegions() == 0 &&
         llvm::all_of(op->getOperands(), [](Value operand) {
           Operation *definition = operand.getDefiningOp();
           return definition && isWeight(definition);
         });
}

std::string kindOf(Operation *op) {
  return llvm::TypeSwitch<Operation *, std::string>(op)
      .Case<epi::AttentionOp, epi::MlaAttentionOp, epi::KvAppendOp>(
          [](auto) { return "attention"; })
      .Case<epi::LinearOp, epi::HeadLinearOp>([](auto) { return "linear"; })
      .Case<epi::GroupedLinearOp, epi::ExpertsOp>([](auto) { return "experts"; })
      .Case<epi::RouteOp>([](auto) { return "route"; })
      .Case<epi::PermuteOp, epi::UnpermuteOp, epi::EmbeddingOp, epi::OutputRowsOp>(
          [](auto) { return "move"; })
      .Case<epi::AddOp, epi::MulOp, epi::SiluOp, epi::RmsNormOp, epi::FusedOp, epi::RopeOp,
            epi::CastOp>([](auto) { return "rows"; })
      .Default([](Operation *other) {
        return other->getName().getDialectNamespace() == "ep" ? "collective" : "other";
      });
}

/// The kind of the operation that a kernel is made around: the first that is not row by row.
std::string kindOf(exec::KernelOp kernel) {
  std::string kind = "other";
  for (Operation &op : kernel.getBody().front().without_terminator()) {
    std::string found = kindOf(&op);
    if (found != "other" && found != "rows")
      return found;
    if (found == "rows")
      kind = found;
  }
  return kind;
}

std::string typeText(TypeRange types) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  llvm::interleaveComma(types, stream);
  return text;
}

std::string rowsText(const RowExtents &extents, RowExtent rows) {
  static constexpr const char *kKinds[] = {"", "tokens", "outputs", "local tokens", "received"};
  std::string kind = kKinds[static_cast<size_t>(rows.kind)];
  std::string factor = rows.factor == 1 && !kind.empty() ? "" : std::to_string(rows.factor);
  std::string text = factor + (factor.empty() || kind.empty() ? "" : " x ") + kind;
  return absl::StrCat(text, ", at most ", extents.maxRows(rows));
}

std::string workText(const Work &work) {
  return absl::StrFormat(
      "%.4g flop; %.4g bytes of weights, %.4g read, %.4g written, %.4g of caches", work.flops,
      work.weightBytes, work.readBytes, work.writtenBytes, work.cacheBytes);
}

std::string trafficText(const Traffic &traffic) {
  return absl::StrFormat("sends %.4g bytes in %g messages", traffic.bytes, traffic.messages);
}

/// Estimates of a function that is scheduled.
struct Estimates {
  RowExtents extents;
  WorkEstimate decode, batch;
  StepShape batchShape;
};

FailureOr<std::optional<Estimates>> estimate(func::FuncOp function) {
  auto limits =
      function->getParentOfType<ModuleOp>()->getAttrOfType<exec::LimitsAttr>(exec::kLimitsAttrName);
  if (!limits || function.getOps<exec::LaunchOp>().empty())
    return std::optional<Estimates>();
  int64_t context = std::max<int64_t>(1, limits.getMaxContext() / 2);
  int64_t sequences = std::min(limits.getSequences(), limits.getBatchTokens());
  StepShape batch{limits.getBatchTokens(), sequences, sequences, context};
  FailureOr<RowExtents> extents = RowExtents::compute(function);
  FailureOr<WorkEstimate> one = WorkEstimate::compute(function, {1, 1, 1, context});
  FailureOr<WorkEstimate> many = WorkEstimate::compute(function, batch);
  if (failed(extents) || failed(one) || failed(many))
    return failure();
  return std::optional<Estimates>(
      Estimates{std::move(*extents), std::move(*one), std::move(*many), batch});
}

void addEstimates(const Estimates &known, GraphNode &node) {
  std::string batch = absl::StrFormat("%d tokens in %d sequences", known.batchShape.tokens,
                                      known.batchShape.sequences);
  if (auto launch = dyn_cast<exec::LaunchOp>(node.op)) {
    Work work = known.decode.of(launch);
    node.flops = work.flops;
    node.bytes = work.bytes();
    node.facts.emplace_back("rows", rowsText(known.extents, known.extents.ofLaunch(launch)));
    node.facts.emplace_back("one token", workText(work));
    node.facts.emplace_back(batch, workText(known.batch.of(launch)));
  } else if (node.kind == "collective") {
    node.facts.emplace_back("one token", trafficText(known.decode.trafficOf(node.op)));
    node.facts.emplace_back(batch, trafficText(known.batch.trafficOf(node.op)));
  }
}

void addBuffers(GraphNode &node) {
  auto buffers = node.op->getAttrOfType<ArrayAttr>(exec::kBuffersAttrName);
  if (!buffers)
    return;
  std::string text;
  for (auto buffer : buffers.getAsRange<exec::BufferAttr>())
    text += absl::StrFormat("%s%d bytes at %d", text.empty() ? "" : ", ", buffer.getBytes(),
                            buffer.getOffset());
  if (!text.empty())
    node.facts.emplace_back("buffers", text);
}

GraphNode makeNode(Operation *op, size_t id) {
  GraphNode node{
      op, id, op->getName().getStringRef().str(), kindOf(op), locationText(op->getLoc()), "",
      {}, {}};
  node.layer = layerOf(node.place);
  if (auto launch = dyn_cast<exec::LaunchOp>(op)) {
    node.label = launch.getKernel().str();
    if (auto kernel =
            SymbolTable::lookupNearestSymbolFrom<exec::KernelOp>(op, launch.getKernelAttr()))
      node.kind = kindOf(kernel);
  } else if (auto fused = dyn_cast<epi::FusedOp>(op)) {
    node.label = fused.getName().str();
  } else if (auto cache = dyn_cast<epi::KvCacheOp>(op)) {
    node.layer = layerOf(node.place = cache.getName().str());
  }
  node.facts.emplace_back("takes", typeText(op->getOperandTypes()));
  node.facts.emplace_back("gives", typeText(op->getResultTypes()));
  return node;
}

} // namespace

FailureOr<std::vector<GraphNode>> collectNodes(func::FuncOp function, size_t firstId) {
  FailureOr<std::optional<Estimates>> known = estimate(function);
  if (failed(known))
    return failure();
  std::vector<GraphNode> nodes;
  llvm::DenseMap<Operation *, size_t> ids;
  for (Operation &op : function.getBody().front().without_terminator()) {
    if (isWeight(&op))
      continue;
    GraphNode node = makeNode(&op, firstId + nodes.size());
    std::set<size_t> inputs;
    for (Value operand : op.getOperands())
      if (auto found = ids.find(operand.getDefiningOp());
          operand.getDefiningOp() && found != ids.end())
        inputs.insert(found->second);
    node.inputs.assign(inputs.begin(), inputs.end());
    if (*known)
      addEstimates(**known, node);
    addBuffers(node);
    ids[&op] = node.id;
    nodes.push_back(std::move(node));
  }
  return nodes;
}

} // namespace epigraph::inspection
