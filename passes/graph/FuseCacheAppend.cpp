// Anchored at the append. From there a group grows by one operation, or one group, at a time: what
// makes a value that a member reads, and rotations that read what a member reads or gives. One is
// taken if there is still a place where all can stand: behind the last of their operands, before
// the first use of their results. Cost: members squared, times the operations around an append.
#include "passes/PassRemarks.h"
#include "passes/graph/FusionGroup.h"
#include "passes/graph/Passes.h"
#include "passes/graph/RowGroup.h"
#include "passes/graph/WeightExpressions.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Dominance.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Transforms/CSE.h"
#include "llvm/ADT/SetVector.h"

namespace epigraph {
#define GEN_PASS_DEF_FUSECACHEAPPENDPASS
#include "passes/graph/Passes.h.inc"
} // namespace epigraph

using namespace mlir;
using namespace epigraph;

namespace {

constexpr llvm::StringLiteral kPass = "epi-fuse-cache-append";
/// The rotated elements of a head are so many, or a multiple: both elements of a pair then lie at
/// the same place of a vector access of 16 bytes, or in the same one.
constexpr int64_t kRotated = 16;

using Members = llvm::SmallSetVector<Operation *, 8>;

int64_t lastDim(Value value) { return cast<RankedTensorType>(value.getType()).getShape().back(); }

/// What `value` is a view of.
Value rootOf(Value value) {
  while (isRowView(value.getDefiningOp()))
    value = value.getDefiningOp()->getOperand(0);
  return value;
}

/// Calls `visit` for rotations of `value` and of its views.
void forRotations(Value value, llvm::function_ref<void(epi::RopeOp)> visit) {
  for (Operation *user : value.getUsers()) {
    if (auto rope = dyn_cast<epi::RopeOp>(user); rope && rope.getX() == value)
      visit(rope);
    if (isRowView(user))
      for (Value part : user->getResults())
        forRotations(part, visit);
  }
}

bool isRowGroup(epi::FusedOp group) {
  return llvm::all_of(group.getBody().front().without_terminator(),
                      [](Operation &op) { return isComputedByRows(&op); });
}

/// What `value` is computed as: a group's result is what it yields, its argument what it is given.
Value throughGroups(Value value) {
  if (auto argument = dyn_cast<BlockArgument>(value))
    if (auto group = dyn_cast<epi::FusedOp>(argument.getOwner()->getParentOp()))
      return throughGroups(group.getInputs()[argument.getArgNumber()]);
  if (auto group = value.getDefiningOp<epi::FusedOp>())
    return group.getBody().front().getTerminator()->getOperand(
        cast<OpResult>(value).getResultNumber());
  return value;
}

/// Whether runs of `columns` neighbouring elements of `value`'s row, from multiples of `columns`
/// on, are each made of neighbouring elements of what `members` read, and norms below are of whole
/// runs or rows. No run crosses a multiple of `unit` elements.
bool keepsRuns(Value value, int64_t columns, int64_t unit, const Members &members) {
  Operation *giver = value.getDefiningOp();
  if (!isa_and_nonnull<epi::FusedOp>(giver) || members.contains(giver))
    value = throughGroups(value);
  Operation *op = value.getDefiningOp();
  if (!op)
    return true;
  if (auto reshape = dyn_cast<epi::ReshapeOp>(op))
    return keepsRuns(reshape.getX(), columns, unit, members);
  if (auto split = dyn_cast<epi::SplitOp>(op)) {
    auto whole = cast<RankedTensorType>(split.getX().getType());
    int64_t inner = 1;
    for (int64_t size : whole.getShape().drop_front(split.getDim() + 1))
      inner *= size;
    const int64_t dim = cast<RankedTensorType>(value.getType()).getDimSize(split.getDim());
    return dim * inner % unit == 0 &&
           keepsRuns(split.getX(), columns, whole.getDimSize(split.getDim()) * inner, members);
  }
  if (!members.contains(op) && !isa<epi::FusedOp>(op->getParentOp()))
    return true;
  if (auto norm = dyn_cast<epi::RmsNormOp>(op)) {
    const bool isOfRow = cast<RankedTensorType>(norm.getX().getType()).getRank() == 2;
    return (isOfRow || lastDim(norm.getX()) == columns) &&
           keepsRuns(norm.getX(), columns, unit, members);
  }
  return isa<epi::AddOp, epi::MulOp, epi::SiluOp, epi::SigmoidOp, epi::CastOp>(op) &&
         llvm::all_of(op->getOperands(), [&](Value operand) {
           return !hasRows(operand) || lastDim(operand) != lastDim(value) ||
                  keepsRuns(operand, columns, unit, members);
         });
}

/// What is to be one kernel with an append.
class AppendGroup {
public:
  explicit AppendGroup(epi::KvAppendOp append) : append(append) { members.insert(append); }

  /// Takes in all that it can.
  void grow() {
    for (bool hasGrown = true; hasGrown;) {
      hasGrown = false;
      for (Operation *op : neighbours()) {
        Members joined = members;
        joined.insert(op);
        if (!whyNot(joined).empty())
          continue;
        members = std::move(joined);
        hasGrown = true;
      }
    }
    for (Operation *op : neighbours()) {
      Members joined = members;
      joined.insert(op);
      reportMissed(kPass, op, whyNot(joined));
    }
  }

  size_t size() const { return members.size(); }

  /// Makes a group of the members. Returns the number of operations in it.
  size_t form() {
    Operation *place = findPlace(members);
    const std::string name = groupName();
    SmallVector<Operation *> views =
        llvm::filter_to_vector(withViews(members), [](Operation *op) { return isRowView(op); });
    for (Operation *member : llvm::to_vector(members))
      if (auto group = dyn_cast<epi::FusedOp>(member)) {
        members.remove(member);
        for (Operation *op : openFusionGroup(group))
          isRowView(op) ? views.push_back(op) : (void)members.insert(op);
      }
    for (Operation *view : llvm::reverse(views)) // Groups had them and did not need them.
      if (view->use_empty())
        view->erase();
    const SmallVector<Operation *> ops = withViews(members);
    bringOperands(ops, place);
    replace(ops, place, name);
    return members.size();
  }

private:
  /// Operations that would be members if they can.
  SmallVector<Operation *> neighbours() const {
    llvm::SmallSetVector<Operation *, 8> found;
    auto add = [&](Operation *op) {
      auto group = dyn_cast_or_null<epi::FusedOp>(op);
      const bool fits = group ? isRowGroup(group) : op && (isRowOp(op) || isa<epi::RopeOp>(op));
      if (fits && op->getBlock() == append->getBlock() && !members.contains(op))
        found.insert(op);
    };
    for (Operation *member : members) {
      for (Value operand : member->getOperands()) {
        if (!isa<RankedTensorType>(operand.getType()) || !hasRows(operand))
          continue;
        add(rootOf(operand).getDefiningOp());
        forRotations(rootOf(operand), add);
      }
      for (Value result : member->getResults())
        forRotations(result, add);
    }
    return found.takeVector();
  }

  /// Why `ops` cannot be one kernel; empty if they can.
  static StringRef whyNot(const Members &ops) {
    for (Operation *op : ops)
      if (auto rope = dyn_cast<epi::RopeOp>(op)) {
        const int64_t columns = lastDim(rope.getX());
        if (lastDim(rope.getTable()) != columns || columns % kRotated)
          return "it does not rotate whole heads of a multiple of 16 elements";
        if (!keepsRuns(rope.getX(), columns, columns, ops))
          return "a head would not lie together in what the kernel reads";
      }
    if (!findPlace(ops))
      return "another operation needs what the one gives, and gives what the other needs";
    return "";
  }

  /// `members` and the views that they read through, in the order of the block.
  static SmallVector<Operation *> withViews(const Members &members) {
    llvm::SmallSetVector<Operation *, 16> all(members.begin(), members.end());
    for (Operation *member : members)
      for (Value value : member->getOperands())
        for (; isRowView(value.getDefiningOp()); value = value.getDefiningOp()->getOperand(0))
          all.insert(value.getDefiningOp());
    SmallVector<Operation *> ops = all.takeVector();
    llvm::sort(ops, [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
    return ops;
  }

  /// The views among `ops` that something else reads, too.
  static llvm::SmallPtrSet<Operation *, 8> keptViews(ArrayRef<Operation *> ops) {
    llvm::SmallPtrSet<Operation *, 8> kept;
    for (Operation *op : llvm::reverse(ops))
      if (isRowView(op) && llvm::any_of(op->getUsers(), [&](Operation *user) {
            return !llvm::is_contained(ops, user) || kept.contains(user);
          }))
        kept.insert(op);
    return kept;
  }

  /// The operation before which all `members` can stand, or null.
  static Operation *findPlace(const Members &members) {
    auto append = cast<epi::KvAppendOp>(members.front());
    const SmallVector<Operation *> ops = withViews(members);
    const llvm::SmallPtrSet<Operation *, 8> kept = keptViews(ops);
    Operation *place = append;
    for (Operation *op : members)
      for (Operation *user : op->getUsers())
        if ((!llvm::is_contained(ops, user) || kept.contains(user)) && user->isBeforeInBlock(place))
          place = user;
    for (Operation *op : ops)
      for (Value operand : op->getOperands()) {
        Operation *giver = operand.getDefiningOp();
        const bool isThere = !giver || llvm::is_contained(ops, giver) ||
                             isWeightExpression(operand) || isa<epi::KvCacheOp>(giver) ||
                             giver->isBeforeInBlock(place);
        if (!isThere)
          return nullptr;
      }
    // The append moves up to there, past nothing that may read or write a cache.
    for (Operation *op = place; op != append; op = op->getNextNode())
      if (!llvm::is_contained(ops, op) && op != append.getCache().getDefiningOp() &&
          !isMemoryEffectFree(op))
        return nullptr;
    return place;
  }

  /// "rms_norm_x2_rope_x2_kv_append".
  std::string groupName() const {
    SmallVector<Operation *> sorted(members.begin(), members.end());
    llvm::sort(sorted, [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
    return fusionName(llvm::map_to_vector(sorted, [](Operation *op) {
      auto group = dyn_cast<epi::FusedOp>(op);
      return group ? group.getName().str() : op->getName().stripDialect().str();
    }));
  }

  /// Moves what `ops` read, as far as it has no place of its own, up to `place`.
  static void bringOperands(ArrayRef<Operation *> ops, Operation *place) {
    for (Operation *op : ops)
      for (Value operand : op->getOperands()) {
        auto cache = operand.getDefiningOp<epi::KvCacheOp>();
        if (cache && place->isBeforeInBlock(cache))
          cache->moveBefore(place);
        if (isWeightExpression(operand))
          moveWeightBefore(operand, place);
      }
  }

  /// Puts a group of `ops` before `place`, and erases them.
  static void replace(ArrayRef<Operation *> ops, Operation *place, StringRef name) {
    const llvm::SmallPtrSet<Operation *, 8> kept = keptViews(ops);
    SmallVector<Value> yielded;
    for (Operation *op : ops)
      for (Value result : op->getResults())
        if (isa<epi::KvAppendOp>(op) ||
            (!isRowView(op) && llvm::any_of(result.getUsers(), [&](Operation *user) {
              return !llvm::is_contained(ops, user) || kept.contains(user);
            })))
          yielded.push_back(result);
    OpBuilder builder(place);
    epi::FusedOp group = formFusionGroup(builder, name, ops, yielded);
    for (auto [value, by] : llvm::zip_equal(yielded, group.getResults()))
      value.replaceAllUsesWith(by);
    for (Operation *op : llvm::reverse(ops))
      if (!kept.contains(op))
        op->erase();
    IRRewriter rewriter(group.getContext());
    DominanceInfo dominance;
    eliminateCommonSubExpressions(rewriter, dominance, group); // Views that members had each.
  }

  epi::KvAppendOp append;
  Members members; ///< the append first
};

struct FuseCacheAppendPass : epigraph::impl::FuseCacheAppendPassBase<FuseCacheAppendPass> {
  void runOnOperation() override {
    size_t numGroups = 0, numOps = 0, numLaunches = 0;
    for (auto function : getOperation().getOps<func::FuncOp>())
      for (auto append : llvm::to_vector(function.getOps<epi::KvAppendOp>())) {
        AppendGroup group(append);
        group.grow();
        if (group.size() == 1)
          continue;
        ++numGroups;
        numLaunches += group.size() - 1;
        numOps += group.form();
      }
    reportStatistics(*this, getOperation())
        << metric("groups", numGroups) << metric("ops", numOps) << metric("launches", numLaunches);
  }
};

} // namespace
