// Anchored at the route. The bias is looked at first: it stands between the scores and the route.
// Cost: linear.
#include "dialects/epi/Epi.h"
#include "passes/PassRemarks.h"
#include "passes/graph/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace epigraph {
#define GEN_PASS_DEF_FUSEROUTINGPASS
#include "passes/graph/Passes.h.inc"
} // namespace epigraph

using namespace mlir;
using namespace epigraph;

namespace {

constexpr llvm::StringLiteral kPass = "epi-fuse-routing";

/// The score function that `op` is, or nothing.
std::optional<epi::ScoreFunction> scoreOf(Operation *op) {
  if (isa_and_nonnull<epi::SoftmaxOp>(op))
    return epi::ScoreFunction::Softmax;
  if (isa_and_nonnull<epi::SigmoidOp>(op))
    return epi::ScoreFunction::Sigmoid;
  return std::nullopt;
}

/// Why the sum that `route` chooses from cannot become its bias; empty: it can.
StringRef whyNotBias(epi::RouteOp route, epi::AddOp sum) {
  if (route.getBias())
    return "the route has a bias already";
  if (!sum->hasOneUse())
    return "the sum with the bias has other uses";
  if (!route.getWeights().use_empty())
    return "the sum with the bias moves the weights too, which a route's bias does not";
  return {};
}

struct FuseRoutingPass : epigraph::impl::FuseRoutingPassBase<FuseRoutingPass> {
  void runOnOperation() override {
    numScores = numBiases = 0;
    for (auto function : getOperation().getOps<func::FuncOp>())
      for (auto route : function.getOps<epi::RouteOp>())
        if (route.getScore() == epi::ScoreFunction::Identity) {
          takeBias(route);
          takeScore(route);
        }
    reportStatistics(*this, getOperation())
        << metric("scores", numScores) << metric("biases", numBiases);
  }

  void takeBias(epi::RouteOp route) {
    auto sum = route.getLogits().getDefiningOp<epi::AddOp>();
    if (!sum || sum.getBroadcast() != epi::Broadcast::Columns)
      return;
    if (StringRef reason = whyNotBias(route, sum); !reason.empty())
      return reportMissed(kPass, route, reason);
    route.getLogitsMutable().assign(sum.getLhs());
    route.getBiasMutable().assign(sum.getRhs());
    sum.erase();
    ++numBiases;
  }

  void takeScore(epi::RouteOp route) {
    Operation *scores = route.getLogits().getDefiningOp();
    std::optional<epi::ScoreFunction> function = scoreOf(scores);
    if (!function)
      return;
    if (!scores->hasOneUse())
      return reportMissed(kPass, route, "the scores have other uses");
    route.setScore(*function);
    route.getLogitsMutable().assign(scores->getOperand(0));
    scores->erase();
    ++numScores;
  }

  size_t numScores = 0, numBiases = 0;
};

} // namespace
