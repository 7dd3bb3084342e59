// Groups that are there are opened first, so that all clusters are plain operations in one block.
// Each member gets views of its own in front of it, and views that served members alone go, so that
// every other user of a value is a real one. A cluster's operations always stand side by
// side, and merging two moves them together, between the last of their operands and the first of
// their uses: as long as there is such a place, the group has no cycle. At the end each cluster
// becomes a group again. Cost: pairs of neighbouring clusters times merges.
#include "passes/PassRemarks.h"
#include "passes/graph/FusionGroup.h"
#include "passes/graph/Passes.h"
#include "passes/graph/RowGroup.h"
#include "passes/graph/WeightExpressions.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Dominance.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/CSE.h"
#include "llvm/ADT/MapVector.h"

namespace epigraph {
#define GEN_PASS_DEF_FORMFUSIONGROUPSPASS
#include "passes/graph/Passes.h.inc"
} // namespace epigraph

using namespace mlir;
using namespace epigraph;

namespace {

constexpr llvm::StringLiteral kPass = "epi-form-fusion-groups";

/// Row-wise operations that are, or are to be, one kernel.
struct Cluster {
  SmallVector<Operation *> ops;   ///< with their views, side by side in the block
  SmallVector<std::string> names; ///< of the operations and groups that it was made of
  bool wasGroup = false;

  bool isMerged() const { return names.size() > 1; }
};

/// What merging two clusters saves, as estimated.
struct Gain {
  double ns = 0;
  int64_t bytes = 0;
};

struct Limits {
  RowMachine machine;
  double threshold;
  int64_t operands, registers;
};

/// The row-wise operations of one block.
class Clusters {
public:
  Clusters(Block &block, const Limits &limits) : limits(limits) {
    SmallVector<Operation *> ops;
    for (Operation &op : block)
      ops.push_back(&op);
    for (Operation *op : ops) {
      if (auto group = dyn_cast<epi::FusedOp>(op); group && isRowGroup(group))
        open(group);
      else if (isRowOp(op))
        add({{op}, {op->getName().stripDialect().str()}});
    }
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
      if (op.use_empty() && viewed.contains(&op)) {
        viewed.erase(&op);
        op.erase();
      }
  }

  /// Merges as long as something is saved.
  void mergeAll() {
    collectPairs();
    while (true) {
      auto best = pairs.end();
      for (auto pair = pairs.begin(); pair != pairs.end(); ++pair)
        if (pair->second && (best == pairs.end() || pair->second->ns > best->second->ns))
          best = pair;
      if (best == pairs.end())
        return;
      auto [first, second] = best->first;
      saved.ns += best->second->ns;
      saved.bytes += best->second->bytes;
      merge(first, second);
    }
  }

  /// Makes groups of the clusters; operations that stayed alone share views again.
  void formGroups() {
    for (Cluster &cluster : clusters)
      if (cluster.isMerged() || cluster.wasGroup)
        form(cluster);
      else
        shareViews(cluster);
  }

  size_t numGroups = 0, numOps = 0;
  Gain saved;

private:
  static bool isRowGroup(epi::FusedOp group) {
    return llvm::all_of(group.getBody().front().without_terminator(),
                        [](Operation &op) { return isRowOp(&op) || isRowView(&op); });
  }

  void add(Cluster cluster) {
    SmallVector<Operation *> ops;
    for (Operation *op : cluster.ops) {
      ownViews(op, ops);
      ops.push_back(op);
    }
    cluster.ops = std::move(ops);
    for (Operation *op : cluster.ops)
      clusterOf[op] = clusters.size();
    clusters.push_back(std::move(cluster));
  }

  /// Puts the operations of `group` in its place.
  void open(epi::FusedOp group) {
    Cluster cluster;
    cluster.wasGroup = true;
    cluster.names.push_back(group.getName().str());
    for (Operation *op : openFusionGroup(group))
      if (!isRowView(op))
        cluster.ops.push_back(op);
    add(std::move(cluster));
  }

  /// Gives `op` views of its own, which are appended to `ops`.
  void ownViews(Operation *op, SmallVectorImpl<Operation *> &ops) {
    OpBuilder builder(op);
    for (OpOperand &operand : op->getOpOperands()) {
      SmallVector<Operation *> chain;
      Value value = operand.get();
      for (; isRowView(value.getDefiningOp()); value = value.getDefiningOp()->getOperand(0))
        chain.push_back(value.getDefiningOp());
      if (chain.empty())
        continue;
      IRMapping mapping;
      for (Operation *view : llvm::reverse(chain)) {
        Operation *copy = builder.clone(*view, mapping);
        copyOf[copy] = view;
        viewed.insert(view);
        ops.push_back(copy);
      }
      operand.set(mapping.lookup(operand.get()));
    }
  }

  /// What tells the values that operations read apart, however many views of them there are. Not to
  /// be looked into: what it points to may be gone.
  RowGroup::Identity identify(Value value) const {
    if (auto found = copyOf.find(value.getDefiningOp()); found != copyOf.end())
      return {found->second, cast<OpResult>(value).getResultNumber()};
    return {value.getAsOpaquePointer(), 0};
  }

  /// Replaces the views of an operation that stayed alone by those that were there, or by equal
  /// ones of an operation before it.
  void shareViews(Cluster &cluster) {
    SmallVector<Operation *> unused;
    for (Operation *op : cluster.ops) {
      auto found = copyOf.find(op);
      if (found == copyOf.end())
        continue;
      Operation *view = found->second;
      if (!viewed.contains(view))
        view = kept.try_emplace(view, op).first->second;
      if (view == op)
        continue;
      op->replaceAllUsesWith(view->getResults());
      unused.push_back(op);
    }
    for (Operation *op : llvm::reverse(unused))
      op->erase();
  }

  /// The clusters that give `cluster` a value or read a value that it reads, then those it gives
  /// one.
  void collectNeighbours(size_t cluster, llvm::SetVector<size_t> &neighbours) const {
    auto visit = [&](Operation *op) {
      if (auto found = op ? clusterOf.find(op) : clusterOf.end(); found != clusterOf.end())
        neighbours.insert(found->second);
    };
    for (Operation *op : clusters[cluster].ops) {
      for (Value operand : op->getOperands())
        if (hasRows(operand)) {
          visit(operand.getDefiningOp());
          llvm::for_each(operand.getUsers(), visit);
        }
      llvm::for_each(op->getUsers(), visit);
    }
    neighbours.remove(cluster);
  }

  void collectPairs() {
    for (size_t cluster = 0; cluster < clusters.size(); ++cluster)
      collectPairs(cluster);
  }

  void collectPairs(size_t cluster) {
    llvm::SetVector<size_t> neighbours;
    collectNeighbours(cluster, neighbours);
    for (size_t other : neighbours) {
      bool before = clusters[cluster].ops.front()->isBeforeInBlock(clusters[other].ops.front());
      auto pair = before ? std::make_pair(cluster, other) : std::make_pair(other, cluster);
      if (!pairs.contains(pair))
        pairs[pair] = evaluate(pair.first, pair.second);
    }
  }

  static SmallVector<Operation *> join(const Cluster &first, const Cluster &second) {
    SmallVector<Operation *> ops(first.ops);
    llvm::append_range(ops, second.ops);
    return ops;
  }

  RowGroup analyze(ArrayRef<Operation *> ops) const {
    return RowGroup(ops, [&](Value value) { return identify(value); });
  }

  double nsOf(const RowGroup &group) const {
    const RowMachine &machine = limits.machine;
    return static_cast<double>(machine.rows) *
               (static_cast<double>(group.rowBytes) / machine.memoryGbps +
                static_cast<double>(group.flops) / machine.gflops) +
           machine.launchNs;
  }

  /// What merging two clusters gains, or nothing if it cannot or should not be done.
  std::optional<Gain> evaluate(size_t first, size_t second) const {
    SmallVector<Operation *> ops = join(clusters[first], clusters[second]);
    RowGroup merged = analyze(ops), a = analyze(clusters[first].ops),
             b = analyze(clusters[second].ops);
    Gain gain{nsOf(a) + nsOf(b) - nsOf(merged),
              (a.rowBytes + b.rowBytes - merged.rowBytes) * limits.machine.rows};
    auto refuse = [&](StringRef reason) {
      reportMissed(kPass, clusters[second].ops.back(), reason);
      return std::nullopt;
    };
    if (static_cast<int64_t>(merged.sources.size() + merged.outputs.size()) > limits.operands)
      return refuse("the group would have too many operands and results");
    if (merged.live > limits.registers)
      return refuse("the group would need more registers than there are");
    if (merged.passes > 1 && merged.rowBytes > limits.machine.cacheBytes / 2)
      return refuse("a row would not stay in the cache between the group's passes");
    if (gain.ns < limits.threshold)
      return refuse("merging saves too little");
    if (!findPlace(first, second))
      return refuse("another operation needs the one and gives what the other needs");
    return gain;
  }

  /// The first and the last operation that stand with `op`.
  Operation *firstOf(Operation *op) const {
    auto found = clusterOf.find(op);
    return found == clusterOf.end() ? op : clusters[found->second].ops.front();
  }
  Operation *lastOf(Operation *op) const {
    auto found = clusterOf.find(op);
    return found == clusterOf.end() ? op : clusters[found->second].ops.back();
  }

  /// The operation before which both clusters can stand, or null. `first` stands before `second`.
  Operation *findPlace(size_t first, size_t second) const {
    auto isInside = [&](Operation *op) {
      auto found = clusterOf.find(op);
      return found != clusterOf.end() && (found->second == first || found->second == second);
    };
    Operation *lastOperand = nullptr, *firstUse = nullptr;
    for (Operation *op : join(clusters[first], clusters[second])) {
      for (Value operand : op->getOperands()) {
        Operation *def = operand.getDefiningOp();
        if (!def || isInside(def) || isWeightExpression(operand))
          continue;
        def = lastOf(def);
        if (!lastOperand || lastOperand->isBeforeInBlock(def))
          lastOperand = def;
      }
      for (Operation *user : op->getUsers()) {
        user = op->getBlock()->findAncestorOpInBlock(*user);
        if (isInside(user))
          continue;
        user = firstOf(user);
        if (!firstUse || user->isBeforeInBlock(firstUse))
          firstUse = user;
      }
    }
    Operation *start = clusters[second].ops.front();
    if (!firstUse || start->isBeforeInBlock(firstUse))
      return start;
    if (lastOperand && !lastOperand->isBeforeInBlock(firstUse))
      return nullptr;
    return firstUse;
  }

  void merge(size_t first, size_t second) {
    Operation *place = findPlace(first, second);
    Cluster &target = clusters[first], &source = clusters[second];
    for (Operation *op : target.ops)
      op->moveBefore(place);
    if (place != source.ops.front())
      for (Operation *op : source.ops)
        op->moveBefore(place);
    target.ops = join(target, source);
    for (Operation *op : source.ops)
      clusterOf[op] = first;
    for (Operation *op : target.ops)
      for (Value operand : op->getOperands())
        if (isWeightExpression(operand))
          moveWeightBefore(operand, target.ops.front());
    llvm::append_range(target.names, source.names);
    target.wasGroup = target.wasGroup || source.wasGroup;
    source.ops.clear();
    source.names.clear();
    source.wasGroup = false;
    refreshPairs(first, second);
  }

  /// Forgets what was known of pairs with `first` or `second`, which are now one, and of those
  /// whose places may have changed with them.
  void refreshPairs(size_t first, size_t second) {
    pairs.remove_if([&](const auto &entry) {
      auto [a, b] = entry.first;
      return a == first || a == second || b == first || b == second;
    });
    collectPairs(first);
    for (auto &[pair, gain] : pairs)
      if (gain && !findPlace(pair.first, pair.second))
        gain.reset();
  }

  void form(Cluster &cluster) {
    RowGroup analysis = analyze(cluster.ops);
    OpBuilder builder(cluster.ops.back());
    epi::FusedOp group = formFusionGroup(builder, fusionName(cluster.names), cluster.ops,
                                         analysis.outputs.getArrayRef());
    for (auto [index, output] : llvm::enumerate(analysis.outputs.takeVector()))
      output.replaceAllUsesWith(group.getResult(index));
    for (Operation *op : llvm::reverse(cluster.ops))
      op->erase();
    IRRewriter rewriter(group.getContext());
    DominanceInfo dominance;
    eliminateCommonSubExpressions(rewriter, dominance, group); // Views of its own, twice.
    if (cluster.isMerged()) {
      ++numGroups;
      numOps += llvm::count_if(group.getBody().front().without_terminator(),
                               [](Operation &op) { return !isRowView(&op); });
    }
  }

  const Limits limits;
  std::vector<Cluster> clusters;
  DenseMap<Operation *, size_t> clusterOf;
  DenseMap<Operation *, Operation *> copyOf; ///< views that operations have for their own
  llvm::SmallPtrSet<Operation *, 16> viewed; ///< what these are copies of, if others use it
  DenseMap<Operation *, Operation *> kept;   ///< the copy that stays, of a view that is gone
  llvm::MapVector<std::pair<size_t, size_t>, std::optional<Gain>> pairs;
};

struct FormFusionGroupsPass : epigraph::impl::FormFusionGroupsPassBase<FormFusionGroupsPass> {
  using FormFusionGroupsPassBase::FormFusionGroupsPassBase;

  void runOnOperation() override {
    if (level < 2)
      return;
    Limits limits{RowMachine::of(getOperation()), level >= 3 ? 0.0 : threshold, maxOperands, 0};
    limits.registers = limits.machine.registers * (level >= 3 ? 2 : 1);
    size_t numGroups = 0, numOps = 0;
    Gain saved;
    for (auto function : getOperation().getOps<func::FuncOp>())
      for (Block &block : function.getBody()) {
        Clusters clusters(block, limits);
        clusters.mergeAll();
        clusters.formGroups();
        numGroups += clusters.numGroups;
        numOps += clusters.numOps;
        saved.bytes += clusters.saved.bytes;
        saved.ns += clusters.saved.ns;
      }
    reportStatistics(*this, getOperation())
        << metric("groups", numGroups) << metric("ops", numOps) << metric("bytes", saved.bytes)
        << metric("ns", static_cast<int64_t>(saved.ns));
  }
};

} // namespace
