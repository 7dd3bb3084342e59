// CPUID bits as the processor manuals number them. Wide registers count only if the operating
// system saves them (XCR0), which CPUID alone does not say. Features that manifests do not name
// need no row here: a name without a row is refused, never assumed.
#include "runtime/device/CpuFeatures.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "runtime/base/ErrorCode.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace epigraph {
namespace {

#if defined(__x86_64__)

enum Register { Eax, Ebx, Ecx, Edx };
/// Register state that the operating system must save for a feature to be usable.
enum State : uint64_t { Basic = 0, Avx = 0x6, Avx512 = 0xe6, Amx = 0x60000 };

struct FeatureBit {
  const char *name;
  uint32_t leaf, subleaf;
  Register reg;
  int bit;
  State state;
};

constexpr uint32_t kExtended = 0x80000001;

constexpr FeatureBit kFeatureBits[] = {
    {"cmov", 1, 0, Edx, 15, Basic},
    {"cx8", 1, 0, Edx, 8, Basic},
    {"mmx", 1, 0, Edx, 23, Basic},
    {"fxsr", 1, 0, Edx, 24, Basic},
    {"sse", 1, 0, Edx, 25, Basic},
    {"sse2", 1, 0, Edx, 26, Basic},
    {"sse3", 1, 0, Ecx, 0, Basic},
    {"pclmul", 1, 0, Ecx, 1, Basic},
    {"ssse3", 1, 0, Ecx, 9, Basic},
    {"fma", 1, 0, Ecx, 12, Avx},
    {"cx16", 1, 0, Ecx, 13, Basic},
    {"sse4.1", 1, 0, Ecx, 19, Basic},
    {"sse4.2", 1, 0, Ecx, 20, Basic},
    {"crc32", 1, 0, Ecx, 20, Basic},
    {"movbe", 1, 0, Ecx, 22, Basic},
    {"popcnt", 1, 0, Ecx, 23, Basic},
    {"aes", 1, 0, Ecx, 25, Basic},
    {"xsave", 1, 0, Ecx, 27, Basic}, // OSXSAVE: usable, not only present
    {"avx", 1, 0, Ecx, 28, Avx},
    {"f16c", 1, 0, Ecx, 29, Avx},
    {"rdrnd", 1, 0, Ecx, 30, Basic},
    {"fsgsbase", 7, 0, Ebx, 0, Basic},
    {"bmi", 7, 0, Ebx, 3, Basic},
    {"avx2", 7, 0, Ebx, 5, Avx},
    {"bmi2", 7, 0, Ebx, 8, Basic},
    {"avx512f", 7, 0, Ebx, 16, Avx512},
    {"avx512dq", 7, 0, Ebx, 17, Avx512},
    {"adx", 7, 0, Ebx, 19, Basic},
    {"avx512ifma", 7, 0, Ebx, 21, Avx512},
    {"clflushopt", 7, 0, Ebx, 23, Basic},
    {"clwb", 7, 0, Ebx, 24, Basic},
    {"avx512cd", 7, 0, Ebx, 28, Avx512},
    {"sha", 7, 0, Ebx, 29, Basic},
    {"avx512bw", 7, 0, Ebx, 30, Avx512},
    {"avx512vl", 7, 0, Ebx, 31, Avx512},
    {"avx512vbmi", 7, 0, Ecx, 1, Avx512},
    {"avx512vbmi2", 7, 0, Ecx, 6, Avx512},
    {"gfni", 7, 0, Ecx, 8, Basic},
    {"vaes", 7, 0, Ecx, 9, Avx},
    {"vpclmulqdq", 7, 0, Ecx, 10, Avx},
    {"avx512vnni", 7, 0, Ecx, 11, Avx512},
    {"avx512bitalg", 7, 0, Ecx, 12, Avx512},
    {"avx512vpopcntdq", 7, 0, Ecx, 14, Avx512},
    {"movdiri", 7, 0, Ecx, 27, Basic},
    {"movdir64b", 7, 0, Ecx, 28, Basic},
    {"avx512vp2intersect", 7, 0, Edx, 8, Avx512},
    {"serialize", 7, 0, Edx, 14, Basic},
    {"amx-bf16", 7, 0, Edx, 22, Amx},
    {"avx512fp16", 7, 0, Edx, 23, Avx512},
    {"amx-tile", 7, 0, Edx, 24, Amx},
    {"amx-int8", 7, 0, Edx, 25, Amx},
    {"avxvnni", 7, 1, Eax, 4, Avx},
    {"avx512bf16", 7, 1, Eax, 5, Avx512},
    {"amx-fp16", 7, 1, Eax, 21, Amx},
    {"avxifma", 7, 1, Eax, 23, Avx},
    {"avxvnniint8", 7, 1, Edx, 4, Avx},
    {"avxneconvert", 7, 1, Edx, 5, Avx},
    {"avxvnniint16", 7, 1, Edx, 10, Avx},
    {"xsaveopt", 0xd, 1, Eax, 0, Basic},
    {"xsavec", 0xd, 1, Eax, 1, Basic},
    {"xsaves", 0xd, 1, Eax, 3, Basic},
    {"sahf", kExtended, 0, Ecx, 0, Basic},
    {"lzcnt", kExtended, 0, Ecx, 5, Basic},
    {"sse4a", kExtended, 0, Ecx, 6, Basic},
    {"prfchw", kExtended, 0, Ecx, 8, Basic},
    {"64bit", kExtended, 0, Edx, 29, Basic},
};

/// The state components that the operating system saves (XCR0), 0 where it does not use XSAVE.
uint64_t savedState() {
  uint32_t regs[4];
  if (!__get_cpuid(1, &regs[Eax], &regs[Ebx], &regs[Ecx], &regs[Edx]) || !(regs[Ecx] >> 27 & 1))
    return 0;
  uint32_t low = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return static_cast<uint64_t>(high) << 32 | low;
}

bool isSet(const FeatureBit &feature, uint64_t saved) {
  if ((saved & feature.state) != feature.state)
    return false;
  uint32_t regs[4];
  return __get_cpuid_count(feature.leaf, feature.subleaf, &regs[Eax], &regs[Ebx], &regs[Ecx],
                           &regs[Edx]) &&
         (regs[feature.reg] >> feature.bit & 1);
}

std::vector<std::string> probe() {
  const uint64_t saved = savedState();
  std::vector<std::string> found;
  for (const FeatureBit &feature : kFeatureBits)
    if (isSet(feature, saved))
      found.push_back(feature.name);
  std::sort(found.begin(), found.end());
  return found;
}

#else

std::vector<std::string> probe() { return {}; }

#endif

} // namespace

const std::vector<std::string> &cpuFeatures() {
  static const std::vector<std::string> features = probe();
  return features;
}

absl::Status requireCpuFeatures(absl::Span<const std::string> required) {
  const std::vector<std::string> &present = cpuFeatures();
  std::vector<std::string> missing;
  for (const std::string &name : required)
    if (!std::binary_search(present.begin(), present.end(), name))
      missing.push_back(name);
  if (missing.empty())
    return absl::OkStatus();
  return withCode(
      ErrorCode::MissingFeature,
      absl::UnimplementedError(absl::StrCat("this CPU lacks ", absl::StrJoin(missing, ", "),
                                            ", which the artifact's kernels were compiled for; "
                                            "compile the model again with a --target "
                                            "that this machine has (cpu, cpu:x86-64-v3, ...)")));
}

} // namespace epigraph
