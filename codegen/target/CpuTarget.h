// What the CPU code generator knows of the machine it compiles for. A description, not a probe: a
// named target is the same on every build machine, so that artifacts are byte-reproducible.
#ifndef EPIGRAPH_CODEGEN_TARGET_CPUTARGET_H
#define EPIGRAPH_CODEGEN_TARGET_CPUTARGET_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <string>
#include <vector>

namespace epigraph {

/// A CPU target. Kernels are compiled for baseline x86-64 plus exactly `requiredFeatures`, and
/// scheduled for `tuneCpu`; so a machine with these features runs them, whatever its model.
struct CpuTarget {
  std::string name;    ///< as given on the command line: "cpu", "cpu:x86-64-v3"
  std::string tuneCpu; ///< LLVM's name of the CPU whose latencies the scheduler assumes
  std::vector<std::string> requiredFeatures; ///< LLVM's names, in a fixed order
  int64_t vectorWidth = 8;                   ///< float32 elements of the widest register: 8 or 16
  bool hasBf16Dot = false;                   ///< has the dot product of bf16 pairs (AVX512-BF16)
  int64_t l2Bytes = 0;                       ///< second-level cache of one core, in bytes

  /// The features as LLVM takes them: "+avx,+avx2,...".
  std::string featureString() const;
};

/// The target that `text` names: "cpu" (this machine) or "cpu:NAME", with NAME any of LLVM's x86
/// CPU names that has AVX2 and FMA, "x86-64-v3" and "x86-64-v4" included. Errors: what was given,
/// what is known, and what to do.
llvm::Expected<CpuTarget> parseCpuTarget(llvm::StringRef text);

} // namespace epigraph

#endif // EPIGRAPH_CODEGEN_TARGET_CPUTARGET_H
