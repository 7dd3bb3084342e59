// What the kernels of a step take, as `epigraph bench --profile` prints it.
#ifndef EPIGRAPH_TOOLS_EPIGRAPH_BENCHPROFILE_H
#define EPIGRAPH_TOOLS_EPIGRAPH_BENCHPROFILE_H

#include <chrono>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "runtime/artifact/Plan.h"

namespace epigraph::tool {

/// All launches of one kernel, or all exchanges of one kind, in a step.
struct ProfiledKernel {
  std::string name;  ///< of the kernel; of an exchange, its kind: "AllGatherRows"
  std::string place; ///< in the model, of the first: "model.layers.0.mlp"
  int count = 0;
  double us = 0; ///< of all together
};

/// Adds up `times`, of the steps of the plan's `function` in their order. The longest come first.
std::vector<ProfiledKernel> profiledKernels(const plan::Plan &plan, const plan::Function &function,
                                            absl::Span<const std::chrono::nanoseconds> times);

/// A line for each, on standard output.
void printProfile(absl::Span<const ProfiledKernel> kernels);

} // namespace epigraph::tool

#endif // EPIGRAPH_TOOLS_EPIGRAPH_BENCHPROFILE_H
