#include "compiler/bisect/FirstWrongValue.h"

#include <cmath>
#include <map>

#include "llvm/ADT/DenseSet.h"

using namespace mlir;

namespace epigraph::bisection {
namespace {

using reference::Tensor;

bool hasBody(Operation *op) { return isa<exec::LaunchOp, epi::FusedOp>(op); }

TracedValue trace(Operation *op, unsigned result, Operation *within, const Tensor &tensor) {
  TracedValue value{op, result, within, tensor.elements(), 0, {}};
  const auto at = [&](int64_t i) {
    const auto index = static_cast<size_t>(i);
    return tensor.isInt() ? static_cast<float>(tensor.intVector()[index])
                          : tensor.floatVector()[index];
  };
  double squares = 0;
  for (int64_t i = 0; i < value.elements; ++i)
    squares += static_cast<double>(at(i)) * at(i);
  value.norm = std::sqrt(squares);
  const int64_t count = std::min(value.elements, TracedValue::kSample);
  for (int64_t i = 0; i < count; ++i)
    value.sample.push_back(at(i * value.elements / count));
  return value;
}

Distance distanceOf(const TracedValue &actual, const TracedValue &expected) {
  const auto tensor = [](const TracedValue &value) {
    return Tensor({static_cast<int64_t>(value.sample.size())}, value.sample);
  };
  return bisection::distanceOf(tensor(actual), tensor(expected));
}

/// Values before the pass, found by their size.
class RightValues {
public:
  RightValues(ArrayRef<TracedValue> values, double tolerance) : tolerance_(tolerance) {
    for (const TracedValue &value : values)
      bySize_[value.elements].push_back(&value);
  }

  bool contains(const TracedValue &value) const {
    auto found = bySize_.find(value.elements);
    if (found == bySize_.end())
      return false;
    for (const TracedValue *candidate : found->second)
      if (std::abs(candidate->norm - value.norm) <= tolerance_ * candidate->norm &&
          distanceOf(value, *candidate).relative <= tolerance_)
        return true;
    return false;
  }

  /// The value that an operation of the same name gave at the same place, or null.
  const TracedValue *counterpart(const TracedValue &value) const {
    auto found = bySize_.find(value.elements);
    if (found == bySize_.end())
      return nullptr;
    for (const TracedValue *candidate : found->second)
      if (candidate->op->getName() == value.op->getName() && candidate->result == value.result &&
          locationText(candidate->op->getLoc()) == locationText(value.op->getLoc()))
        return candidate;
    return nullptr;
  }

private:
  const double tolerance_;
  std::map<int64_t, std::vector<const TracedValue *>> bySize_;
};

/// The operations of `block` that compute wrong values, by one walk from its end. `values` are
/// those traced in the block, by operation and result.
class WrongWays {
public:
  using Key = std::pair<Operation *, unsigned>;

  WrongWays(Block &block, ArrayRef<TracedValue> values, Operation *within,
            const RightValues &right) {
    for (const TracedValue &value : values)
      if (value.within == within && !right.contains(value))
        unmatched_.insert({{value.op, value.result}, &value});
    for (Operation &op : llvm::reverse(block))
      for (OpResult result : op.getResults())
        if (isWrong(result))
          wrong_.insert(result);
  }

  /// The first wrong tensor of the block, in its order.
  const TracedValue *first(Block &block) const {
    for (Operation &op : block)
      for (OpResult result : op.getResults())
        if (auto found = unmatched_.find({&op, result.getResultNumber()});
            found != unmatched_.end() && wrong_.contains(result))
          return found->second;
    return nullptr;
  }

private:
  /// Handles of caches have no numbers: they are wrong if what uses them is.
  bool isWrong(OpResult result) const {
    const bool isTensor = isa<RankedTensorType>(result.getType());
    if (isTensor && !unmatched_.contains({result.getOwner(), result.getResultNumber()}))
      return false;
    return llvm::any_of(result.getUsers(), [&](Operation *user) {
      return user->hasTrait<OpTrait::IsTerminator>()
                 ? isTensor
                 : llvm::any_of(user->getResults(),
                                [&](Value next) { return wrong_.contains(next); });
    });
  }

  std::map<Key, const TracedValue *> unmatched_;
  llvm::DenseSet<Value> wrong_;
};

Block *bodyOf(Operation *op) {
  if (auto fused = dyn_cast<epi::FusedOp>(op))
    return &fused.getBody().front();
  if (auto launch = dyn_cast<exec::LaunchOp>(op))
    if (auto kernel =
            SymbolTable::lookupNearestSymbolFrom<exec::KernelOp>(op, launch.getKernelAttr()))
      return &kernel.getBody().front();
  return nullptr;
}

} // namespace

void ValueTrace::before(const reference::RankContext &rank, Operation *op,
                        const reference::RuntimeValues &) {
  if (active_ && rank.rank == 0 && hasBody(op))
    within_ = op;
}

void ValueTrace::after(const reference::RankContext &rank, Operation *op,
                       const reference::RuntimeValues &results) {
  if (!active_ || rank.rank != 0)
    return;
  if (op == within_)
    within_ = nullptr;
  for (auto [i, result] : llvm::enumerate(results))
    if (auto *tensor = std::get_if<reference::TensorRef>(&result))
      values_.push_back(trace(op, static_cast<unsigned>(i), within_, **tensor));
}

std::optional<WrongValue> findFirstWrong(func::FuncOp function, const ValueTrace &before,
                                         const ValueTrace &after, double tolerance) {
  const RightValues right(before.values(), tolerance);
  Block &block = function.getBody().front();
  const TracedValue *wrong =
      WrongWays(block, after.values(), /*within=*/nullptr, right).first(block);
  if (!wrong)
    return std::nullopt;
  WrongValue result{wrong->op, wrong->result, nullptr, std::nullopt};
  const TracedValue *expected = right.counterpart(*wrong);
  const TracedValue *actual = wrong;
  if (Block *body = bodyOf(wrong->op))
    if (const TracedValue *inner =
            WrongWays(*body, after.values(), wrong->op, right).first(*body)) {
      result.inner = inner->op;
      if (const TracedValue *found = right.counterpart(*inner)) {
        expected = found;
        actual = inner;
      }
    }
  if (expected)
    result.distance = distanceOf(*actual, *expected);
  return result;
}

} // namespace epigraph::bisection
