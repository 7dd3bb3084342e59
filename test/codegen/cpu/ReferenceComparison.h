// One kernel, as machine code and operation by operation on the reference target, on the same
// random values.
#ifndef EPIGRAPH_TEST_CODEGEN_CPU_REFERENCECOMPARISON_H
#define EPIGRAPH_TEST_CODEGEN_CPU_REFERENCECOMPARISON_H

#include <map>

#include "test/codegen/cpu/KernelHarness.h"

namespace epigraph::cpu::test {

/// Values for arguments that must not be random, such as counts of rows, by number.
using GivenArguments = std::map<unsigned, Tensor>;

/// `ir` with what `marks` says in place of each mark.
std::string replaceMarks(std::string ir,
                         const std::vector<std::pair<std::string, std::string>> &marks);

/// Compiles the kernel of `ir` (as Kernel does) and compares all that it yields with the
/// reference's values, for launches of each of `rowCounts` rows. The reference rounds where types
/// say so. In float32 all results must be close; a bf16 rounding inside an expression may tip
/// where a sum was added in another order, so that a few results may be off by more than their own
/// rounding.
void expectAsReference(const std::string &ir, const CpuTarget &target, ElementType type,
                       std::vector<int64_t> rowCounts, const GivenArguments &given = {});

} // namespace epigraph::cpu::test

#endif // EPIGRAPH_TEST_CODEGEN_CPU_REFERENCECOMPARISON_H
