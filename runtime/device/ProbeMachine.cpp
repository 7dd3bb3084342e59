#include "runtime/device/ProbeMachine.h"

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <fstream>

#include "runtime/device/CpuDriver.h"
#include "runtime/device/CpuFeatures.h"

namespace epigraph {
namespace {

bool hasAll(const std::vector<std::string> &sortedFeatures,
            std::initializer_list<const char *> names) {
  return std::all_of(names.begin(), names.end(), [&](const char *name) {
    return std::binary_search(sortedFeatures.begin(), sortedFeatures.end(), name);
  });
}

/// The highest level of x86-64 that `features` make up; empty on other machines.
std::string levelOf(const std::vector<std::string> &features) {
  if (!hasAll(features, {"sse2"}))
    return "";
  if (!hasAll(features, {"sse3", "ssse3", "sse4.1", "sse4.2", "popcnt", "cx16"}))
    return "x86-64";
  if (!hasAll(features, {"avx", "avx2", "fma", "bmi", "bmi2", "f16c", "lzcnt", "movbe"}))
    return "x86-64-v2";
  if (!hasAll(features, {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}))
    return "x86-64-v3";
  return "x86-64-v4";
}

uint64_t systemSize(int name) {
  const long value = sysconf(name);
  return value > 0 ? static_cast<uint64_t>(value) : 0;
}

/// Libraries of other kinds of machine, under the names that their makers give them.
std::vector<std::string> presentLibraries() {
  const std::pair<const char *, std::vector<const char *>> kLibraries[] = {
      {"cuda", {"libcuda.so.1"}},
      {"nccl", {"libnccl.so.2"}},
      {"mpi", {"libmpi.so.40", "libmpi.so.12"}},
  };
  std::vector<std::string> present;
  for (const auto &[name, files] : kLibraries)
    for (const char *file : files)
      if (void *handle = dlopen(file, RTLD_LAZY | RTLD_LOCAL)) {
        dlclose(handle);
        present.push_back(name);
        break;
      }
  return present;
}

} // namespace

std::string targetName(const std::string &text) {
  std::string name;
  for (const unsigned char c : text) {
    if (std::isalnum(c))
      name += static_cast<char>(std::tolower(c));
    else if (!name.empty() && name.back() != '-')
      name += '-';
  }
  name.resize(std::min<size_t>(name.size(), 64));
  while (!name.empty() && name.back() == '-')
    name.pop_back();
  return name.empty() ? "this-machine" : name;
}

std::string processorName() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.rfind("model name", 0) == 0)
      if (const size_t colon = line.find(": "); colon != std::string::npos)
        return line.substr(colon + 2);
  return "";
}

Machine probeMachine() {
  Machine machine;
  machine.name = targetName(processorName());
  machine.features = cpuFeatures();
  machine.base = levelOf(machine.features);
  const bool wide = machine.base == "x86-64-v4";
  if (wide || machine.base == "x86-64-v3") {
    machine.vectorBits = wide ? 512 : 256;
    machine.vectorRegisters = wide ? 32 : 16;
  }
  machine.cores = static_cast<uint32_t>(availableProcessors());
  machine.l1Bytes = systemSize(_SC_LEVEL1_DCACHE_SIZE);
  machine.l2Bytes = systemSize(_SC_LEVEL2_CACHE_SIZE);
  machine.l3Bytes = systemSize(_SC_LEVEL3_CACHE_SIZE);
  machine.memoryBytes = MemoryPool::physicalBytes();
  machine.libraries = presentLibraries();
  return machine;
}

} // namespace epigraph
