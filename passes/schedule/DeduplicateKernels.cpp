// Kernels are kept in buckets by a hash of what they are: type, attributes, and the operations of
// the body. Within a bucket bodies are compared as wholes, locations and names of values aside.
// Cost: linear in operations, and one comparison for each kernel that is not the first of its kind.
#include "dialects/exec/Exec.h"
#include "passes/PassRemarks.h"
#include "passes/schedule/Passes.h"

#include "mlir/IR/OperationSupport.h"

namespace epigraph {
#define GEN_PASS_DEF_DEDUPLICATEKERNELSPASS
#include "passes/schedule/Passes.h.inc"
} // namespace epigraph

using namespace mlir;
using namespace epigraph;

namespace {

/// All that a kernel is beside its body and its name.
DictionaryAttr attributesOf(exec::KernelOp kernel) {
  NamedAttrList attributes(kernel->getAttrDictionary());
  attributes.erase(kernel.getSymNameAttrName());
  return attributes.getDictionary(kernel.getContext());
}

llvm::hash_code hashOf(exec::KernelOp kernel) {
  llvm::hash_code hash = hash_value(attributesOf(kernel));
  for (Operation &op : kernel.getBody().front())
    hash = llvm::hash_combine(
        hash, OperationEquivalence::computeHash(&op, OperationEquivalence::ignoreHashValue,
                                                OperationEquivalence::ignoreHashValue,
                                                OperationEquivalence::IgnoreLocations));
  return hash;
}

bool areEqual(exec::KernelOp a, exec::KernelOp b) {
  return attributesOf(a) == attributesOf(b) &&
         OperationEquivalence::isRegionEquivalentTo(&a.getBody(), &b.getBody(),
                                                    OperationEquivalence::IgnoreLocations);
}

struct DeduplicateKernelsPass : epigraph::impl::DeduplicateKernelsPassBase<DeduplicateKernelsPass> {
  void runOnOperation() override {
    llvm::DenseMap<size_t, SmallVector<exec::KernelOp>> buckets;
    llvm::DenseMap<StringAttr, FlatSymbolRefAttr> replacements;
    size_t numKept = 0, numRedirected = 0;
    for (auto kernel : llvm::make_early_inc_range(getOperation().getOps<exec::KernelOp>())) {
      SmallVector<exec::KernelOp> &bucket = buckets[hashOf(kernel)];
      auto *equal =
          llvm::find_if(bucket, [&](exec::KernelOp known) { return areEqual(known, kernel); });
      if (equal == bucket.end()) {
        bucket.push_back(kernel);
        ++numKept;
        continue;
      }
      replacements[kernel.getSymNameAttr()] = FlatSymbolRefAttr::get(equal->getSymNameAttr());
      kernel.erase();
    }
    getOperation().walk([&](exec::LaunchOp launch) {
      auto found = replacements.find(launch.getKernelAttr().getAttr());
      if (found == replacements.end())
        return;
      launch.setKernelAttr(found->second);
      ++numRedirected;
    });
    reportStatistics(*this, getOperation())
        << metric("merged", replacements.size()) << metric("kernels", numKept)
        << metric("redirected", numRedirected);
  }
};

} // namespace
