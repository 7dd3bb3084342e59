// What passes say about their work, as MLIR's optimization remarks: `--remarks-filter=.*` of
// epigraph-opt prints them, the driver collects them for its report.
//
// Remarks and not Pass::Statistic: distributions build MLIR with LLVM_ENABLE_STATS off, where that
// class counts nothing and has another layout than in our own code, which keeps assertions.
#ifndef EPIGRAPH_PASSES_PASSREMARKS_H
#define EPIGRAPH_PASSES_PASSREMARKS_H

#include "mlir/IR/Operation.h"
#include "mlir/IR/Remarks.h"
#include "mlir/Pass/Pass.h"

namespace epigraph {

using mlir::remark::metric;

/// The remark that holds the numbers of one run of a pass is named this; its category is the pass's
/// flag.
inline constexpr llvm::StringLiteral kStatisticsRemark = "statistics";
/// The remark that says why an opportunity was not taken.
inline constexpr llvm::StringLiteral kMissedRemark = "missed";

/// Begins the statistics of `pass` on `root`: reportStatistics(*this, op) << metric("weights", 3).
inline mlir::remark::detail::InFlightRemark reportStatistics(const mlir::Pass &pass,
                                                             mlir::Operation *root) {
  return mlir::remark::analysis(
      root->getLoc(),
      mlir::remark::RemarkOpts::name(kStatisticsRemark).category(pass.getArgument()));
}

/// Says that the pass with the flag `pass` leaves `op` as it is, and why.
inline void reportMissed(llvm::StringLiteral pass, mlir::Operation *op, llvm::StringRef reason) {
  mlir::remark::missed(op->getLoc(), mlir::remark::RemarkOpts::name(kMissedRemark).category(pass))
      << reason;
}

} // namespace epigraph

#endif // EPIGRAPH_PASSES_PASSREMARKS_H
