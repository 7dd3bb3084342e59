#include "runtime/exec/WeightMaker.h"

#include "absl/strings/str_cat.h"
#include "runtime/base/Status.h"
#include "runtime/device/CpuDriver.h"

namespace epigraph {

WeightMaker::WeightMaker(const Artifact &artifact, Driver &driver)
    : artifact(artifact), plan(*artifact.plan()), driver(driver),
      threads(driver.hostAddressable() ? availableProcessors() : 1, /*spin=*/false) {}

absl::StatusOr<std::unique_ptr<DeviceMemory>> WeightMaker::make(const plan::Weight &weight,
                                                                uint32_t rank) {
  EPIGRAPH_ASSIGN_OR_RETURN(
      std::unique_ptr<DeviceMemory> memory,
      driver.allocate(weightBytes(weight),
                      absl::StrCat("weight ", abslView(weight.name()->string_view()))));
  const std::vector<RandomRun> ofWeight = randomRuns(plan, weight, rank);
  if (driver.hostAddressable()) {
    makeRandomWeight(weight, ofWeight, {memory->address(), memory->bytes()}, threads);
    return memory;
  }
  uint8_t *address = memory->address();
  for (const RandomRun &run : ofWeight) {
    runs.push_back(run);
    results.push_back(address);
    address += static_cast<uint64_t>(run.elements) * elementBytes(weight.dtype());
  }
  return memory;
}

absl::Status WeightMaker::finish() {
  if (runs.empty())
    return absl::OkStatus();
  EPIGRAPH_ASSIGN_OR_RETURN(const std::filesystem::path path, artifact.file(kDeviceKernelsFile));
  EPIGRAPH_ASSIGN_OR_RETURN(
      const std::unique_ptr<KernelLibrary> library,
      driver.loadKernels(std::filesystem::absolute(path), {kernelOf(*plan.random()->kernel())}));
  const absl::Span<const uint8_t> bytes(reinterpret_cast<const uint8_t *>(runs.data()),
                                        runs.size() * sizeof(RandomRun));
  EPIGRAPH_ASSIGN_OR_RETURN(const std::unique_ptr<DeviceMemory> memory,
                            driver.allocate(bytes.size(), "the making of random weights"));
  EPIGRAPH_RETURN_IF_ERROR(driver.copyIn(memory->address(), bytes));
  auto *const there = reinterpret_cast<RandomRun *>(memory->address());
  for (size_t i = 0; i < runs.size(); ++i) {
    void *const arguments[] = {there + i, results[i]};
    LaunchBinding binding;
    binding.arguments = arguments;
    binding.count = &there[i].chunks;
    binding.capacity = runs[i].chunks;
    EPIGRAPH_ASSIGN_OR_RETURN(const std::unique_ptr<PreparedLaunch> launch,
                              driver.prepare(*library, binding));
    EPIGRAPH_RETURN_IF_ERROR(driver.launch(*launch, runs[i].chunks, {}));
  }
  EPIGRAPH_RETURN_IF_ERROR(driver.synchronize());
  runs.clear();
  results.clear();
  return absl::OkStatus();
}

} // namespace epigraph
