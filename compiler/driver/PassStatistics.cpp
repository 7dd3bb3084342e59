#include "compiler/driver/PassStatistics.h"

#include "passes/PassRemarks.h"

using namespace mlir;

namespace epigraph {
namespace {

class StatisticsStreamer : public remark::detail::MLIRRemarkStreamerBase {
public:
  explicit StatisticsStreamer(std::vector<Report::PassEntry> &entries) : entries_(entries) {}

  void streamOptimizationRemark(const remark::detail::Remark &remark) override {
    if (remark.getRemarkName() != kStatisticsRemark)
      return;
    Report::PassEntry entry{remark.getCategoryName().str(), {}};
    for (const remark::detail::Remark::Arg &arg : remark.getArgs())
      entry.numbers.emplace_back(arg.key, arg.val);
    entries_.push_back(std::move(entry));
  }

private:
  std::vector<Report::PassEntry> &entries_;
};

} // namespace

void collectPassStatistics(MLIRContext &context, std::vector<Report::PassEntry> &entries) {
  remark::RemarkCategories categories;
  categories.analysis = ".*";
  // Fails only when the context has an engine already.
  (void)remark::enableOptimizationRemarks(context, std::make_unique<StatisticsStreamer>(entries),
                                          std::make_unique<remark::RemarkEmittingPolicyAll>(),
                                          categories);
}

} // namespace epigraph
