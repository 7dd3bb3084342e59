// Verifies what a plan says of weights that are made at load: that their parts fill them, and that
// no number in them is too large to be computed with.
#include <cmath>

#include "runtime/artifact/Plan.h"
#include "runtime/artifact/PlanChecks.h"
#include "runtime/artifact/RandomWeights.h"
#include "runtime/base/ProductSum.h"

namespace epigraph::plan {
namespace {

/// So that the chunks of a part can be counted in 32 bits.
constexpr uint64_t kMostElements = uint64_t{RandomRun::kChunkElements} * INT32_MAX;

absl::Status verifyTensor(const RandomTensor &tensor, const std::string &where) {
  if (!isPrintable(view(tensor.tensor())))
    return invalid(where, ".tensor: expected a name without control characters");
  EPIGRAPH_RETURN_IF_ERROR(checkEnum(tensor.dtype(), DType::MAX, where + ".dtype"));
  if (tensor.dtype() == DType::I32)
    return invalid(where, ".dtype: random values are floating-point");
  if (!std::isfinite(tensor.center()) || !std::isfinite(tensor.spread()))
    return invalid(where, ": center and spread must be finite");
  return absl::OkStatus();
}

absl::Status verifyPart(const RandomPart &part, uint64_t lastMatrix, const std::string &where) {
  EPIGRAPH_RETURN_IF_ERROR(verifyTensor(*part.values(), where + ".values"));
  uint64_t elements = 0;
  if (__builtin_mul_overflow(part.rows(), part.columns(), &elements) || elements == 0 ||
      elements > kMostElements)
    return invalid(where, ": expected 1 to ", kMostElements, " elements, found ", part.rows(),
                   " rows of ", part.columns());
  ProductSum last;
  last.add(1, part.first());
  last.add(lastMatrix, part.matrix_stride());
  last.add(part.rows() - 1, part.row_stride());
  last.add(part.columns() - 1, part.column_stride());
  // The FlatBuffer verifier aligns a vector's size, not its elements.
  if (part.shards() && reinterpret_cast<uintptr_t>(part.shards()->Data()) % alignof(uint64_t) != 0)
    return invalid(where, ".shards: not aligned");
  for (uint32_t i = 0; part.shards() && i < part.shards()->size(); ++i) {
    const RandomShard &shard = *part.shards()->Get(i);
    const std::string place = absl::StrCat(where, ".shards[", i, "]");
    EPIGRAPH_RETURN_IF_ERROR(checkEnum(shard.axis(), Axis::MAX, place + ".axis"));
    if (shard.parts() == 0)
      return invalid(place, ".parts: expected at least 1");
    last.add(shard.parts() - 1, shard.stride());
  }
  if (last.overflowed())
    return invalid(where, ": reaches beyond any tensor");
  if (!part.scales())
    return absl::OkStatus();
  if (part.tensor_columns() == 0 || part.tensor_columns() > INT32_MAX)
    return invalid(where, ".tensor_columns: expected 1 to ", INT32_MAX, ", found ",
                   part.tensor_columns());
  return verifyTensor(*part.scales(), where + ".scales");
}

/// Whether `shape`, of a weight in panels, is that of `held` matrices of `rows` by `columns`.
bool isInPanels(const flatbuffers::Vector<uint64_t> &shape, bool isStack, uint64_t rows,
                uint64_t columns) {
  const uint32_t rank = shape.size();
  const auto cutInto = [&](uint64_t size, uint64_t count, uint64_t piece) {
    return count == size / piece + (size % piece != 0);
  };
  return rank == (isStack ? 5u : 4u) && rows != 0 && columns != 0 &&
         cutInto(rows, shape.Get(rank - 4), shape.Get(rank - 2)) &&
         cutInto(columns, shape.Get(rank - 3), shape.Get(rank - 1));
}

/// Elements of one matrix of `weight`; 0 if its shape cannot be that of matrices.
uint64_t elementsOfMatrix(const Weight &weight, bool isStack) {
  const RandomWeight &random = *weight.random();
  const auto &shape = *weight.shape();
  if (isStack && shape.size() == 0)
    return 0;
  if (random.rows() == 0)
    return weightBytes(weight) / elementBytes(weight.dtype()) / (isStack ? shape.Get(0) : 1);
  uint64_t elements = 0;
  const bool fits = isInPanels(shape, isStack, random.rows(), random.columns()) &&
                    !__builtin_mul_overflow(random.rows(), random.columns(), &elements);
  return fits ? elements : 0;
}

} // namespace

absl::Status verifyRandomWeight(const Plan &plan, const Weight &weight, const std::string &where) {
  const RandomWeight &random = *weight.random();
  if (!plan.random())
    return invalid(where, ": the plan has no seed of random weights");
  if (weight.dtype() == DType::I32)
    return invalid(where, ": random weights are floating-point");
  const uint64_t numbers = random.matrices() ? random.matrices()->size() : 0;
  const uint64_t elements = elementsOfMatrix(weight, numbers != 0);
  if (numbers != 0 && elements != 0) {
    const uint64_t held = weight.shape()->Get(0);
    if (numbers != held && numbers / ranksAlong(Axis::Expert, plan) != held)
      return invalid(where, ".matrices: ", numbers, " of them for ", held, " on each rank");
  }
  uint64_t sum = 0;
  for (uint32_t i = 0; i < random.parts()->size(); ++i) {
    const RandomPart &part = *random.parts()->Get(i);
    EPIGRAPH_RETURN_IF_ERROR(
        verifyPart(part, numbers ? UINT32_MAX : 0, absl::StrCat(where, ".parts[", i, "]")));
    sum += part.rows() * part.columns();
    if (sum > kMostElements)
      return invalid(where, ".parts: more than ", kMostElements, " elements");
  }
  if (sum == 0 || sum != elements)
    return invalid(where, ".parts: ", sum, " elements, for matrices of ", elements);
  return absl::OkStatus();
}

absl::Status verifyRandomWeights(const Plan &plan) {
  const Kernel *kernel = plan.random()->kernel();
  if ((kernel != nullptr) != isDevicePlan(plan))
    return invalid("random.kernel: expected exactly where kernels are a device's");
  if (!kernel)
    return absl::OkStatus();
  if (!isIdentifier(view(kernel->symbol())))
    return invalid("random.kernel.symbol: expected a C identifier");
  return verifyVariants(plan, *kernel, "random.kernel");
}

} // namespace epigraph::plan
