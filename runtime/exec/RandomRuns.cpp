#include "runtime/exec/RandomRuns.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "runtime/base/BFloat16.h"
#include "runtime/base/Float8.h"

namespace epigraph {
namespace {

/// Stands in a name for the number of a matrix.
constexpr std::string_view kNumber = "{}";

/// The place of `rank` along `axis`.
uint32_t placeAlong(plan::Axis axis, uint32_t rank, const plan::Plan &plan) {
  return axis == plan::Axis::Tensor ? rank % plan.tensor() : rank / plan.tensor();
}

/// The first value of `part` in its tensor, on `rank`.
uint64_t firstOf(const plan::Plan &plan, const plan::RandomPart &part, uint32_t rank) {
  uint64_t first = part.first();
  if (part.shards())
    for (const plan::RandomShard *shard : *part.shards()) {
      const uint64_t place = placeAlong(shard->axis(), rank, plan);
      first += place * shard->parts() / ranksAlong(shard->axis(), plan) * shard->stride();
    }
  return first;
}

/// The numbers of the matrices that `rank` holds.
std::vector<uint32_t> matricesOf(const plan::Plan &plan, const plan::Weight &weight,
                                 uint32_t rank) {
  const auto *all = weight.random()->matrices();
  if (!all || all->size() == 0)
    return {0};
  const uint64_t held = weight.shape()->Get(0);
  const uint64_t first =
      all->size() == held ? 0 : placeAlong(plan::Axis::Expert, rank, plan) * held;
  std::vector<uint32_t> matrices;
  for (uint64_t i = first; i < first + held; ++i)
    matrices.push_back(all->Get(static_cast<uint32_t>(i)));
  return matrices;
}

RandomTensor tensorOf(const plan::RandomTensor &tensor, uint32_t matrix, uint64_t seed) {
  std::string name = tensor.tensor()->str();
  if (const size_t number = name.find(kNumber); number != std::string::npos)
    name.replace(number, kNumber.size(), absl::StrCat(matrix));
  RandomTensor result;
  result.key = randomKey(name, seed);
  result.range = {tensor.center(), tensor.spread()};
  result.drawn = static_cast<int32_t>(storedType(tensor.dtype()));
  return result;
}

/// Value `index` of `tensor`.
float drawnValue(const RandomTensor &tensor, int64_t index) {
  const float value = randomValue(tensor.key, static_cast<uint64_t>(index), tensor.range);
  switch (static_cast<DType>(tensor.drawn)) {
  case DType::BF16:
    return floatOfBFloat16(bfloat16OfFloat(value));
  case DType::F8_E4M3:
    return floatOfFloat8(float8OfFloat(value));
  default:
    return value;
  }
}

/// Element `index` of `run`.
float elementOf(const RandomRun &run, int64_t index) {
  const int64_t place = run.placeOf(index);
  const float value = drawnValue(run.values, place);
  if (run.tensorColumns == 0)
    return value;
  const int64_t blocks = (run.tensorColumns + kRandomScaleBlock - 1) / kRandomScaleBlock;
  const int64_t block = place / run.tensorColumns / kRandomScaleBlock * blocks +
                        place % run.tensorColumns / kRandomScaleBlock;
  return value * drawnValue(run.scales, block);
}

void store(float value, uint8_t &to) { to = float8OfFloat(value); }
void store(float value, uint16_t &to) { to = bfloat16OfFloat(value); }
void store(float value, float &to) { to = value; }

/// Runs `body(tile)` for tiles [0, tiles), on all threads.
template <typename Body> void forEachTile(ThreadPool &threads, int64_t tiles, const Body &body) {
  threads.run(
      tiles,
      [](const void *context, int64_t begin, int64_t end) {
        for (int64_t tile = begin; tile < end; ++tile)
          (*static_cast<const Body *>(context))(tile);
      },
      &body);
}

template <typename T>
void makeRows(absl::Span<const RandomRun> runs, T *result, ThreadPool &threads) {
  constexpr int64_t kChunk = RandomRun::kChunkElements;
  for (const RandomRun &run : runs) {
    forEachTile(threads, run.chunks, [&](int64_t chunk) {
      for (int64_t i = chunk * kChunk; i < std::min((chunk + 1) * kChunk, run.elements); ++i)
        store(elementOf(run, i), result[i]);
    });
    result += run.elements;
  }
}

/// Element `index` of a matrix whose runs are `runs`.
float elementOfMatrix(absl::Span<const RandomRun> runs, int64_t index) {
  size_t run = 0;
  while (index >= runs[run].elements)
    index -= runs[run++].elements;
  return elementOf(runs[run], index);
}

/// Panels, whose padding stays as it is.
template <typename T>
void makePanels(const plan::Weight &weight, absl::Span<const RandomRun> runs, T *result,
                ThreadPool &threads) {
  const auto &shape = *weight.shape();
  const auto size = [&](uint32_t fromLast) {
    return static_cast<int64_t>(shape.Get(shape.size() - fromLast));
  };
  const int64_t panels = size(4), groups = size(3), columns = size(2), depth = size(1);
  const auto n = static_cast<int64_t>(weight.random()->rows());
  const auto k = static_cast<int64_t>(weight.random()->columns());
  const size_t runsOfMatrix = weight.random()->parts()->size();
  const int64_t matrices = static_cast<int64_t>(runs.size() / runsOfMatrix);
  forEachTile(threads, matrices * panels, [&](int64_t tile) {
    const auto matrix =
        runs.subspan(static_cast<size_t>(tile / panels) * runsOfMatrix, runsOfMatrix);
    const int64_t first = tile % panels * columns;
    T *const panel = result + tile * groups * columns * depth;
    for (int64_t row = first; row < std::min(first + columns, n); ++row)
      for (int64_t column = 0; column < k; ++column)
        store(elementOfMatrix(matrix, row * k + column),
              panel[(column / depth * columns + row - first) * depth + column % depth]);
  });
}

template <typename T>
void makeAs(const plan::Weight &weight, absl::Span<const RandomRun> runs, uint8_t *result,
            ThreadPool &threads) {
  T *const elements = reinterpret_cast<T *>(result);
  if (weight.random()->rows() == 0)
    makeRows(runs, elements, threads);
  else
    makePanels(weight, runs, elements, threads);
}

} // namespace

std::vector<RandomRun> randomRuns(const plan::Plan &plan, const plan::Weight &weight,
                                  uint32_t rank) {
  const uint64_t seed = plan.random()->seed();
  std::vector<RandomRun> runs;
  for (uint32_t matrix : matricesOf(plan, weight, rank))
    for (const plan::RandomPart *part : *weight.random()->parts()) {
      RandomRun &run = runs.emplace_back();
      run.values = tensorOf(*part->values(), matrix, seed);
      if (part->scales()) {
        run.scales = tensorOf(*part->scales(), matrix, seed);
        run.tensorColumns = static_cast<int64_t>(part->tensor_columns());
      }
      run.elements = static_cast<int64_t>(part->rows() * part->columns());
      run.columns = static_cast<int64_t>(part->columns());
      run.first = static_cast<int64_t>(firstOf(plan, *part, rank) + matrix * part->matrix_stride());
      run.rowStride = static_cast<int64_t>(part->row_stride());
      run.columnStride = static_cast<int64_t>(part->column_stride());
      run.chunks = static_cast<int32_t>((run.elements + RandomRun::kChunkElements - 1) /
                                        RandomRun::kChunkElements);
      run.stored = static_cast<int32_t>(storedType(weight.dtype()));
    }
  return runs;
}

void makeRandomWeight(const plan::Weight &weight, absl::Span<const RandomRun> runs,
                      absl::Span<uint8_t> result, ThreadPool &threads) {
  switch (weight.dtype()) {
  case plan::DType::F8E4M3:
    return makeAs<uint8_t>(weight, runs, result.data(), threads);
  case plan::DType::BF16:
    return makeAs<uint16_t>(weight, runs, result.data(), threads);
  default:
    return makeAs<float>(weight, runs, result.data(), threads);
  }
}

} // namespace epigraph
