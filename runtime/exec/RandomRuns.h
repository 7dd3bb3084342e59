// What a random weight of the plan is made of on one rank.
#ifndef EPIGRAPH_RUNTIME_EXEC_RANDOMRUNS_H
#define EPIGRAPH_RUNTIME_EXEC_RANDOMRUNS_H

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "runtime/artifact/Plan.h"
#include "runtime/artifact/RandomWeights.h"
#include "runtime/device/ThreadPool.h"

namespace epigraph {

/// The elements of `weight`, a random one of the verified `plan`, on `rank`: matrix after matrix,
/// each row-major, however it is stored. Each matrix has as many runs.
std::vector<RandomRun> randomRuns(const plan::Plan &plan, const plan::Weight &weight,
                                  uint32_t rank);

/// Writes `runs` into `result`, the memory of `weight`, which is zero, as it is stored.
void makeRandomWeight(const plan::Weight &weight, absl::Span<const RandomRun> runs,
                      absl::Span<uint8_t> result, ThreadPool &threads);

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_EXEC_RANDOMRUNS_H
