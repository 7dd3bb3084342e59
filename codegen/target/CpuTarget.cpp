// A CPU is reduced to a tier: x86-64-v3, the AVX-512 of x86-64-v4 on top, AVX512-BF16 on top of
// that. Kernels differ by tier only, and the features of the tier are all that they may use.
#include "codegen/target/Target.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"
#include "llvm/TargetParser/X86TargetParser.h"

#include "runtime/base/FileSystem.h"

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

/// Of a description that cannot be read.
llvm::Error makeFileError(const absl::Status &status) {
  return llvm::createStringError(std::make_error_code(std::errc::invalid_argument),
                                 "target description " + std::string(status.message()));
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

/// Sets the tier that `present` allows, with vectors of `vectorBits` (0: the widest).
llvm::Error setTiers(const llvm::StringSet<> &present, uint32_t vectorBits, CpuTarget &target) {
  if (!addTier(kAvx2Tier, present, target)) {
    std::string missing;
    for (llvm::StringRef name : kAvx2Tier)
      if (!present.contains(name))
        missing += (missing.empty() ? "" : ", ") + name.str();
    return llvm::createStringError(
        std::make_error_code(std::errc::not_supported),
        "target '" + target.name + "' lacks " + missing +
            "; kernels need the features of x86-64-v3 (AVX2 and FMA); compile for a CPU "
            "of 2013 (Intel), 2015 (AMD) or later, for example cpu:x86-64-v3");
  }
  if (vectorBits != 256 && addTier(kAvx512Tier, present, target)) {
    target.vectorWidth = 16;
    target.hasBf16Dot = addTier(kBf16Tier, present, target);
  }
  if (vectorBits != 0 && vectorBits != 32 * target.vectorWidth)
    return makeError("target '" + target.name + "': vector_bits is " + llvm::Twine(vectorBits) +
                     "; expected 256, or 512 with " +
                     llvm::join(llvm::ArrayRef(kAvx512Tier), ", ") + " among the features");
  return llvm::Error::success();
}

/// Adds `feature` and what it implies (AVX2 has AVX).
void addFeature(llvm::StringRef feature, llvm::StringSet<> &features) {
  llvm::StringMap<bool> implied;
  implied[feature] = true;
  llvm::X86::updateImpliedFeatures(feature, /*Enabled=*/true, implied);
  for (const auto &entry : implied)
    if (entry.second)
      features.insert(entry.first());
}

bool isKnownCpu(llvm::StringRef cpu) {
  return llvm::X86::parseArchX86(cpu, /*Only64Bit=*/true) != llvm::X86::CK_None;
}

/// The features of an LLVM CPU.
llvm::StringSet<> featuresOf(llvm::StringRef cpu) {
  llvm::SmallVector<llvm::StringRef> named;
  llvm::X86::getFeaturesForCPU(cpu, named);
  llvm::StringSet<> features;
  for (llvm::StringRef feature : named)
    addFeature(feature, features);
  return features;
}

/// All that any CPU has: the names that mean something.
llvm::StringSet<> knownFeatures() {
  llvm::SmallVector<llvm::StringRef> cpus;
  llvm::X86::fillValidCPUArchList(cpus, /*Only64Bit=*/true);
  llvm::StringSet<> known;
  known.insert("64bit"); // which none of them lists
  for (llvm::StringRef cpu : cpus)
    for (const auto &feature : featuresOf(cpu))
      known.insert(feature.first());
  return known;
}

std::string sorted(const llvm::StringSet<> &names) {
  llvm::SmallVector<llvm::StringRef> list(names.keys());
  llvm::sort(list);
  return llvm::join(list, ", ");
}

/// The processors that kernels can be compiled for.
std::string usableCpus() {
  llvm::SmallVector<llvm::StringRef> known;
  llvm::X86::fillValidCPUArchList(known, /*Only64Bit=*/true);
  llvm::erase_if(known, [](llvm::StringRef cpu) {
    const llvm::StringSet<> features = featuresOf(cpu);
    return !llvm::all_of(kAvx2Tier, [&](llvm::StringRef name) { return features.contains(name); });
  });
  return llvm::join(known, ", ");
}

/// Fills in what the description leaves out. Nominal: a core of 2 GHz with two multiply-add units,
/// 10 GB/s of memory bandwidth for each core, ranks that exchange through memory.
void complete(Machine &machine, const CpuTarget &cpu) {
  auto fill = [](auto &field, auto nominal) {
    if (field == std::decay_t<decltype(field)>())
      field = static_cast<std::decay_t<decltype(field)>>(nominal);
  };
  const bool wide = cpu.vectorWidth == 16;
  fill(machine.vectorBits, 32 * cpu.vectorWidth);
  fill(machine.vectorRegisters, wide ? 32 : 16);
  fill(machine.cores, 8);
  fill(machine.l1Bytes, 32 * 1024);
  fill(machine.l2Bytes, wide ? kNamedAvx512L2Bytes : kNamedL2Bytes);
  fill(machine.memoryGbps, 10.0 * machine.cores);
  fill(machine.f32Gflops, 2.0 * 2 * 2 * static_cast<double>(cpu.vectorWidth) * machine.cores);
  fill(machine.bf16Gflops, machine.f32Gflops * (cpu.hasBf16Dot ? 2 : 1));
  fill(machine.launchNs, 2000);
  fill(machine.linkGbps, 10.0);
  fill(machine.linkLatencyNs, 1000);
}

llvm::Expected<Target> finish(Machine machine, const llvm::StringSet<> &features, CpuTarget cpu) {
  if (llvm::Error error = setTiers(features, machine.vectorBits, cpu))
    return std::move(error);
  complete(machine, cpu);
  cpu.l2Bytes = static_cast<int64_t>(machine.l2Bytes);
  return Target{std::move(machine), std::move(cpu), std::nullopt};
}

llvm::Expected<Target> hostTarget() {
  if (!llvm::Triple(llvm::sys::getDefaultTargetTriple()).isX86_64())
    return makeError("target 'cpu' is this machine, which is not an x86-64 CPU; name the CPU to "
                     "compile for, for example cpu:x86-64-v3");
  Machine machine;
  machine.name = "cpu";
  machine.base = "x86-64";
  const long cores = sysconf(_SC_NPROCESSORS_ONLN), l2 = sysconf(_SC_LEVEL2_CACHE_SIZE);
  machine.cores = cores > 0 ? static_cast<uint32_t>(cores) : 0;
  machine.l2Bytes = l2 > 0 ? static_cast<uint64_t>(l2) : kNamedL2Bytes;
  llvm::StringSet<> features;
  for (const auto &feature : llvm::sys::getHostCPUFeatures())
    if (feature.second)
      features.insert(feature.first());
  CpuTarget cpu;
  cpu.name = "cpu";
  cpu.tuneCpu = llvm::sys::getHostCPUName().str();
  return finish(std::move(machine), features, std::move(cpu));
}

llvm::Expected<Target> namedTarget(llvm::StringRef cpu) {
  if (!isKnownCpu(cpu))
    return makeError("target 'cpu:" + cpu + "': no x86-64 CPU of that name; known are " +
                     usableCpus() + "; or say 'cpu' for this machine");
  Machine machine;
  machine.name = machine.base = cpu.str();
  return makeTarget(machine);
}

constexpr uint64_t kMaxDescriptionBytes = 1 << 20;

llvm::Expected<Target> describedTarget(llvm::StringRef path) {
  auto text = readFile(path.str(), kMaxDescriptionBytes);
  if (!text.ok())
    return makeFileError(text.status());
  auto machine = parseMachine(*text, path.str());
  if (!machine.ok())
    return makeFileError(machine.status());
  return makeTarget(*machine);
}

} // namespace

std::string CpuTarget::featureString() const {
  std::string text;
  for (const std::string &feature : requiredFeatures)
    text += (text.empty() ? "+" : ",+") + feature;
  return text;
}

llvm::Expected<Target> makeTarget(const Machine &machine) {
  if (isCudaArchitecture(machine.base))
    return makeCudaTarget(machine);
  CpuTarget cpu;
  cpu.name = "cpu:" + machine.name;
  cpu.tuneCpu = machine.tune.empty() ? machine.base : machine.tune;
  for (const auto &[key, name] : {std::pair("base", machine.base), {"tune", cpu.tuneCpu}})
    if (!isKnownCpu(name))
      return makeError("target '" + cpu.name + "': isa." + key + " is '" + name +
                       "', which is no x86-64 CPU or level; known are " + usableCpus());
  llvm::StringSet<> features = featuresOf(machine.base);
  const llvm::StringSet<> known = knownFeatures();
  for (const std::string &feature : machine.features) {
    if (!known.contains(feature))
      return makeError("target '" + cpu.name + "': isa.features has '" + feature + "'; known are " +
                       sorted(known));
    addFeature(feature, features);
  }
  return finish(machine, features, std::move(cpu));
}

llvm::Expected<Target> parseTarget(llvm::StringRef text) {
  if (text == "cpu")
    return hostTarget();
  if (text.contains('/') || text.ends_with(".json"))
    return describedTarget(text);
  if (text == "cuda" || text.starts_with("cuda:"))
    return parseCudaTarget(text);
  llvm::StringRef name = text;
  if (name.consume_front("cpu:") && !name.empty())
    return namedTarget(name);
  return makeError("target '" + text +
                   "' is neither a CPU nor a GPU; say 'cpu' for this machine, 'cpu:NAME', for "
                   "example cpu:x86-64-v3 or cpu:x86-64-v4, 'cuda:sm_90a' for an H100 or H200, or "
                   "a description, NAME.json");
}

llvm::Expected<CpuTarget> parseCpuTarget(llvm::StringRef text) {
  llvm::Expected<Target> target = parseTarget(text);
  if (!target)
    return target.takeError();
  return std::move(target->cpu);
}

} // namespace epigraph
