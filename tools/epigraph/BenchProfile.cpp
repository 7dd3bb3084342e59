#include "tools/epigraph/BenchProfile.h"

#include <algorithm>
#include <cstdio>
#include <map>

namespace epigraph::tool {
namespace {

std::string nameOf(const plan::Plan &plan, const plan::Step &step) {
  if (const plan::Launch *launch = step.op_as_Launch())
    return plan.kernels()->Get(launch->kernel())->symbol()->str();
  if (const plan::Collective *collective = step.op_as_Collective())
    return plan::EnumNameCollectiveKind(collective->kind());
  return plan::EnumNameOp(step.op_type());
}

} // namespace

std::vector<ProfiledKernel> profiledKernels(const plan::Plan &plan, const plan::Function &function,
                                            absl::Span<const std::chrono::nanoseconds> times) {
  std::vector<ProfiledKernel> kernels;
  std::map<std::string, size_t> indices;
  for (uint32_t i = 0; i < function.steps()->size(); ++i) {
    const plan::Step &step = *function.steps()->Get(i);
    const std::string name = nameOf(plan, step);
    const auto [index, isNew] = indices.try_emplace(name, kernels.size());
    if (isNew)
      kernels.push_back({name, step.location() ? step.location()->str() : "", 0, 0});
    ProfiledKernel &kernel = kernels[index->second];
    ++kernel.count;
    kernel.us += std::chrono::duration<double, std::micro>(times[i]).count();
  }
  std::sort(kernels.begin(), kernels.end(), [](const auto &a, const auto &b) {
    return a.us != b.us ? a.us > b.us : a.name < b.name;
  });
  return kernels;
}

void printProfile(absl::Span<const ProfiledKernel> kernels) {
  double all = 0;
  for (const ProfiledKernel &kernel : kernels)
    all += kernel.us;
  std::printf("  %10s %6s %6s %9s  %s\n", "us", "share", "count", "us each", "kernel, first place");
  for (const ProfiledKernel &kernel : kernels)
    std::printf("  %10.1f %5.1f%% %6d %9.2f  %s, %s\n", kernel.us, 100 * kernel.us / all,
                kernel.count, kernel.us / kernel.count, kernel.name.c_str(), kernel.place.c_str());
  std::printf("  %10.1f        one after the other\n", all);
}

} // namespace epigraph::tool
