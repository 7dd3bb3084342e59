// A CPU is reduced to a tier: x86-64-v3, the AVX-512 of x86-64-v4 on top, AVX512-BF16 on top of
// that. Kernels differ by tier only, and the features of the tier are all that they may use.
#include "codegen/target/CpuTarget.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"
#include "llvm/TargetParser/X86TargetParser.h"

#include <unistd.h>

namespace epigraph {
namespace {

constexpr llvm::StringLiteral kAvx2Tier[] = {"sse3", "ssse3", "sse4.1", "sse4.2", "popcnt",
                                             "avx",  "f16c",  "avx2",   "fma",    "bmi",
                                             "bmi2", "lzcnt", "movbe"};
constexpr llvm::StringLiteral kAvx512Tier[] = {"avx512f", "avx512bw", "avx512cd", "avx512dq",
                                               "avx512vl"};
constexpr llvm::StringLiteral kBf16Tier[] = {"avx512bf16"};

/// What a named target is assumed to have: the smallest second-level cache of its generation.
constexpr int64_t kNamedL2Bytes = 256 * 1024;
constexpr int64_t kNamedAvx512L2Bytes = 1024 * 1024;

llvm::Error makeError(const llvm::Twine &message) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), message);
}

/// Adds the features of `tier` to `target` if all of them are `present`.
bool addTier(llvm::ArrayRef<llvm::StringLiteral> tier, const llvm::StringSet<> &present,
             CpuTarget &target) {
  if (!llvm::all_of(tier, [&](llvm::StringRef name) { return present.contains(name); }))
    return false;
  for (llvm::StringRef name : tier)
    target.requiredFeatures.push_back(name.str());
  return true;
}

llvm::Error setTiers(const llvm::StringSet<> &present, CpuTarget &target) {
  if (!addTier(kAvx2Tier, present, target)) {
    std::string missing;
    for (llvm::StringRef name : kAvx2Tier)
      if (!present.contains(name))
        missing += (missing.empty() ? "" : ", ") + name.str();
    return makeError("target '" + target.name + "' lacks " + missing +
                     "; kernels need the features of x86-64-v3 (AVX2 and FMA); compile for a CPU "
                     "of 2013 (Intel), 2015 (AMD) or later, for example cpu:x86-64-v3");
  }
  if (addTier(kAvx512Tier, present, target)) {
    target.vectorWidth = 16;
    target.hasBf16Dot = addTier(kBf16Tier, present, target);
  }
  return llvm::Error::success();
}

llvm::StringSet<> enabledOf(const llvm::StringMap<bool> &features) {
  llvm::StringSet<> enabled;
  for (const auto &feature : features)
    if (feature.second)
      enabled.insert(feature.first());
  return enabled;
}

/// The features of an LLVM CPU, the implied ones (AVX2 has AVX) included.
llvm::StringSet<> featuresOf(llvm::StringRef cpu) {
  llvm::SmallVector<llvm::StringRef> named;
  llvm::X86::getFeaturesForCPU(cpu, named);
  llvm::StringMap<bool> features;
  for (llvm::StringRef feature : named) {
    features[feature] = true;
    llvm::X86::updateImpliedFeatures(feature, /*Enabled=*/true, features);
  }
  return enabledOf(features);
}

llvm::Expected<CpuTarget> hostTarget() {
  CpuTarget target;
  target.name = "cpu";
  if (!llvm::Triple(llvm::sys::getDefaultTargetTriple()).isX86_64())
    return makeError("target 'cpu' is this machine, which is not an x86-64 CPU; name the CPU to "
                     "compile for, for example cpu:x86-64-v3");
  target.tuneCpu = llvm::sys::getHostCPUName().str();
  if (llvm::Error error = setTiers(enabledOf(llvm::sys::getHostCPUFeatures()), target))
    return error;
  const long l2 = sysconf(_SC_LEVEL2_CACHE_SIZE);
  target.l2Bytes = l2 > 0 ? l2 : kNamedL2Bytes;
  return target;
}

llvm::Error unknownCpu(llvm::StringRef name) {
  llvm::SmallVector<llvm::StringRef> known;
  llvm::X86::fillValidCPUArchList(known, /*Only64Bit=*/true);
  // Only those that kernels can be compiled for.
  llvm::erase_if(known, [](llvm::StringRef cpu) {
    const llvm::StringSet<> features = featuresOf(cpu);
    return !llvm::all_of(kAvx2Tier, [&](llvm::StringRef name) { return features.contains(name); });
  });
  return makeError("target 'cpu:" + name + "': no x86-64 CPU of that name; known are " +
                   llvm::join(known, ", ") + "; or say 'cpu' for this machine");
}

llvm::Expected<CpuTarget> namedTarget(llvm::StringRef cpu) {
  if (llvm::X86::parseArchX86(cpu, /*Only64Bit=*/true) == llvm::X86::CK_None)
    return unknownCpu(cpu);
  CpuTarget target;
  target.name = ("cpu:" + cpu).str();
  target.tuneCpu = cpu.str();
  if (llvm::Error error = setTiers(featuresOf(cpu), target))
    return error;
  target.l2Bytes = target.vectorWidth == 16 ? kNamedAvx512L2Bytes : kNamedL2Bytes;
  return target;
}

} // namespace

std::string CpuTarget::featureString() const {
  std::string text;
  for (const std::string &feature : requiredFeatures)
    text += (text.empty() ? "+" : ",+") + feature;
  return text;
}

llvm::Expected<CpuTarget> parseCpuTarget(llvm::StringRef text) {
  if (text == "cpu")
    return hostTarget();
  llvm::StringRef name = text;
  if (name.consume_front("cpu:") && !name.empty())
    return namedTarget(name);
  return makeError("target '" + text +
                   "' is not a CPU target; say 'cpu' for this machine or 'cpu:NAME', for example "
                   "cpu:x86-64-v3 or cpu:x86-64-v4");
}

} // namespace epigraph
