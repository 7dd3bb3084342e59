#include "tools/epigraph/ProjectionTimer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <random>

#include "absl/strings/str_cat.h"
#include "runtime/base/BFloat16.h"
#include "runtime/base/Status.h"

namespace epigraph::tool {
namespace {

/// Weights that take turns are together several times as large as the caches.
constexpr uint64_t kManyBytes = uint64_t{200} << 20;
/// Launches, at least, that send rows to groups each in its own way.
constexpr size_t kChoices = 10;
/// Launches of one recording, and runs of it that count.
constexpr size_t kLaunches = 20;
constexpr size_t kRuns = 5;
/// Bytes of random numbers, which are repeated.
constexpr size_t kPatternBytes = size_t{1} << 22;

/// Numbers as activations and weights have them: the time of a product depends on their bits, by
/// the power that it takes. Scales are positive.
std::vector<uint8_t> patternOf(DType element) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<uint8_t> bytes(kPatternBytes);
  for (size_t i = 0; i < bytes.size(); i += dtypeBytes(element)) {
    if (element == DType::BF16) {
      const uint16_t value = bfloat16OfFloat(normal(random));
      std::memcpy(&bytes[i], &value, sizeof value);
    } else if (element == DType::F32) {
      const float value = std::abs(normal(random)) + 0.01F;
      std::memcpy(&bytes[i], &value, sizeof value);
    } else {
      // e4m3: any sign, exponents from -4 to 4.
      bytes[i] = static_cast<uint8_t>((random() & 0x80) | (24 + random() % 72));
    }
  }
  return bytes;
}

/// Each row goes to some group, whichever: sizes as a router makes them.
std::vector<int32_t> groupSizes(uint32_t groups, uint32_t rows, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<int32_t> sizes(groups);
  for (uint32_t row = 0; row < rows; ++row)
    ++sizes[random() % groups];
  return sizes;
}

absl::Span<const uint8_t> bytesOf(const std::vector<int32_t> &values) {
  return {reinterpret_cast<const uint8_t *>(values.data()), values.size() * sizeof(int32_t)};
}

} // namespace

absl::StatusOr<Projection> Projection::of(const KernelSignature &signature) {
  const std::vector<KernelTensor> &operands = signature.operands;
  const auto fail = [&](const char *what) {
    return absl::InvalidArgumentError(
        absl::StrCat("kernel '", signature.name, "' is no projection: ", what));
  };
  if (operands.size() < 2 || !operands[0].hasRows || operands[0].shape.size() != 1)
    return fail("its first operand is not rows of numbers");
  Projection projection;
  projection.element = operands[0].element;
  projection.depth = operands[0].shape[0];
  size_t next = projection.element == DType::F8_E4M3 ? 2 : 1;
  if (next < operands.size() && operands[next].element == DType::I32) {
    projection.counts = next++;
    projection.groups =
        operands[projection.counts].shape.empty() ? 0 : operands[projection.counts].shape.front();
  }
  projection.weights = next;
  if (next >= operands.size() || operands[next].hasRows || operands[next].shape.size() < 2 ||
      operands[next].shape.back() != projection.depth)
    return fail("it has no weights whose last size is that of x");
  projection.outputs = operands[next].shape[operands[next].shape.size() - 2];
  if (signature.results.empty() || signature.results[0].shape.size() != 1 ||
      signature.results[0].shape[0] == 0 || projection.outputs % signature.results[0].shape[0] != 0)
    return fail("its first result is not rows of its products or of a part of them");
  projection.parts = projection.outputs / signature.results[0].shape[0];
  return projection;
}

absl::StatusOr<std::unique_ptr<ProjectionTimer>>
ProjectionTimer::create(Driver &driver, const KernelSignature &signature,
                        const Projection &projection, uint64_t workspaceBytes, uint32_t mostRows) {
  std::unique_ptr<ProjectionTimer> timer(new ProjectionTimer(driver, projection, mostRows));
  EPIGRAPH_RETURN_IF_ERROR(timer->makeOperands(signature));
  EPIGRAPH_ASSIGN_OR_RETURN(timer->step_, timer->allocate(sizeof(DeviceStep)));
  EPIGRAPH_ASSIGN_OR_RETURN(timer->count_, timer->allocate(sizeof(int32_t)));
  EPIGRAPH_ASSIGN_OR_RETURN(timer->workspace_, timer->allocate(workspaceBytes));
  EPIGRAPH_ASSIGN_OR_RETURN(timer->start_, driver.createMark());
  EPIGRAPH_ASSIGN_OR_RETURN(timer->end_, driver.createMark());
  return timer;
}

absl::StatusOr<uint8_t *> ProjectionTimer::allocate(uint64_t bytes) {
  EPIGRAPH_ASSIGN_OR_RETURN(memory_.emplace_back(), driver_.allocate(bytes, "tuning"));
  return memory_.back()->address();
}

absl::Status ProjectionTimer::fill(uint8_t *memory, uint64_t bytes, DType element) {
  const std::vector<uint8_t> pattern = patternOf(element);
  const uint64_t first = std::min<uint64_t>(bytes, pattern.size());
  EPIGRAPH_RETURN_IF_ERROR(driver_.copyIn(memory, absl::MakeSpan(pattern).first(first)));
  for (uint64_t done = first; done < bytes; done += first)
    EPIGRAPH_RETURN_IF_ERROR(
        driver_.copy(memory + done, memory, std::min<uint64_t>(first, bytes - done)));
  return driver_.synchronize();
}

absl::Status ProjectionTimer::makeOperands(const KernelSignature &signature) {
  Arguments arguments;
  const auto add = [&](const KernelTensor &tensor) -> absl::Status {
    const uint64_t bytes = tensor.bytes() * (tensor.hasRows ? mostRows_ : 1);
    EPIGRAPH_ASSIGN_OR_RETURN(uint8_t *const memory, allocate(bytes));
    arguments.push_back(memory);
    argumentRows_.push_back(tensor.hasRows ? mostRows_ : 0);
    return tensor.element == DType::I32 ? absl::OkStatus() : fill(memory, bytes, tensor.element);
  };
  for (const std::vector<KernelTensor> *tensors : {&signature.operands, &signature.results})
    for (const KernelTensor &tensor : *tensors)
      EPIGRAPH_RETURN_IF_ERROR(add(tensor));
  const KernelTensor &weights = signature.operands[projection_.weights];
  copies_.push_back(arguments);
  for (uint64_t bytes = weights.bytes(); bytes < kManyBytes; bytes += weights.bytes()) {
    EPIGRAPH_ASSIGN_OR_RETURN(uint8_t *const memory, allocate(weights.bytes()));
    EPIGRAPH_RETURN_IF_ERROR(fill(memory, weights.bytes(), weights.element));
    copies_.push_back(arguments);
    copies_.back()[projection_.weights] = memory;
  }
  return projection_.groups == 0 ? absl::OkStatus() : makeChoices();
}

/// Few rows read few of the matrices: launches take turns with others of them, too.
absl::Status ProjectionTimer::makeChoices() {
  for (size_t i = 0; copies_.size() < kChoices; ++i)
    copies_.push_back(copies_[i]);
  for (Arguments &arguments : copies_) {
    EPIGRAPH_ASSIGN_OR_RETURN(arguments[projection_.counts],
                              allocate(projection_.groups * sizeof(int32_t)));
  }
  return absl::OkStatus();
}

absl::Status ProjectionTimer::setRows(uint32_t rows) {
  const std::vector<int32_t> count{static_cast<int32_t>(rows)};
  EPIGRAPH_RETURN_IF_ERROR(driver_.copyIn(count_, bytesOf(count)));
  if (projection_.groups == 0)
    return driver_.synchronize();
  for (size_t i = 0; i < copies_.size(); ++i) {
    const std::vector<int32_t> sizes =
        groupSizes(projection_.groups, rows, static_cast<uint32_t>(i + 1));
    EPIGRAPH_RETURN_IF_ERROR(
        driver_.copyIn(static_cast<uint8_t *>(copies_[i][projection_.counts]), bytesOf(sizes)));
  }
  return driver_.synchronize();
}

absl::StatusOr<std::unique_ptr<RecordedWork>>
ProjectionTimer::record(const std::vector<std::unique_ptr<PreparedLaunch>> &launches,
                        uint32_t rows) {
  EPIGRAPH_RETURN_IF_ERROR(driver_.beginRecording());
  for (size_t i = 0; i < kLaunches; ++i)
    EPIGRAPH_RETURN_IF_ERROR(driver_.launch(*launches[i % launches.size()], rows, StepBounds()));
  return driver_.endRecording();
}

absl::StatusOr<double> ProjectionTimer::replay(const RecordedWork &work) {
  EPIGRAPH_RETURN_IF_ERROR(driver_.place(*start_));
  EPIGRAPH_RETURN_IF_ERROR(driver_.replay(work));
  EPIGRAPH_RETURN_IF_ERROR(driver_.place(*end_));
  EPIGRAPH_ASSIGN_OR_RETURN(const std::chrono::nanoseconds took, driver_.between(*start_, *end_));
  return static_cast<double>(took.count()) / 1e3 / static_cast<double>(kLaunches);
}

absl::StatusOr<double> ProjectionTimer::time(const KernelLibrary &library, size_t kernel,
                                             uint32_t rows, double enough) {
  EPIGRAPH_RETURN_IF_ERROR(setRows(rows));
  std::vector<std::unique_ptr<PreparedLaunch>> launches;
  for (const Arguments &arguments : copies_) {
    LaunchBinding binding;
    binding.kernel = kernel;
    binding.arguments = arguments;
    binding.argumentRows = argumentRows_;
    binding.step = step_;
    binding.count = reinterpret_cast<const int32_t *>(count_);
    binding.capacity = static_cast<int32_t>(mostRows_);
    binding.workspace = workspace_;
    EPIGRAPH_ASSIGN_OR_RETURN(launches.emplace_back(), driver_.prepare(library, binding));
  }
  EPIGRAPH_ASSIGN_OR_RETURN(const std::unique_ptr<RecordedWork> work, record(launches, rows));
  EPIGRAPH_RETURN_IF_ERROR(replay(*work).status());
  EPIGRAPH_ASSIGN_OR_RETURN(const double first, replay(*work));
  if (first > enough)
    return first;
  std::vector<double> times{first};
  while (times.size() < kRuns) {
    EPIGRAPH_ASSIGN_OR_RETURN(times.emplace_back(), replay(*work));
  }
  std::nth_element(times.begin(), times.begin() + kRuns / 2, times.end());
  return times[kRuns / 2];
}

} // namespace epigraph::tool
