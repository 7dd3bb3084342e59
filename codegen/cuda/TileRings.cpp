#include "codegen/cuda/TileRings.h"

#include "runtime/artifact/DeviceKernel.h"

#include <algorithm>

using namespace mlir;

namespace epigraph::cuda {
namespace {

constexpr int64_t kBarrierBytes = 8;
constexpr int64_t kMostStages = 3;
/// Two for the queries and for each stage of both rings, and the slot.
constexpr int64_t kControlBytes = (2 + 4 * kMostStages) * kBarrierBytes + 8;

int64_t queryBytesOf(const TileShape &shape) { return kAttentionTile * shape.key * 2; }
int64_t stageBytesOf(const TileShape &shape) {
  return TileRings::keyBytes(shape) + TileRings::kStep * shape.value * 2;
}

int64_t stagesOf(const TileShape &shape) {
  const int64_t left = DeviceLaunchLimits::kSharedBytes - kControlBytes - queryBytesOf(shape);
  return std::clamp<int64_t>(left / stageBytesOf(shape), 0, kMostStages);
}

} // namespace

TileRings::TileRings(Emitter &e, const TileShape &shape)
    : e(e), stages(stagesOf(shape)), queryBytes(queryBytesOf(shape)), keyStage(keyBytes(shape)),
      valueStage(stageBytesOf(shape) - keyStage), shared(e.sharedMemory()) {}

bool TileRings::fits(const TileShape &shape) {
  return shape.key % kChunkColumns == 0 && shape.value % kChunkColumns == 0 && shape.value <= 128 &&
         stagesOf(shape) >= 2;
}

int64_t TileRings::sharedBytes(const TileShape &shape) {
  return queryBytesOf(shape) + stagesOf(shape) * stageBytesOf(shape) + kControlBytes;
}

void TileRings::prepare() const {
  const int64_t control = queryBytes + stages * (keyStage + valueStage);
  for (int64_t i = 0; i < 2 + 4 * stages; ++i) {
    // Full ones count the thread that fetches; empty ones the warps that multiply, but their
    // threads where the queries are, which come with a number that each of them reads.
    const int64_t threads = kMultipliers * kWarpgroup;
    const int64_t arrivals = i % 2 == 0 ? 1 : i == 1 ? threads : threads / 32;
    initBarrier(e.offset(shared, control + i * kBarrierBytes), arrivals);
  }
  fenceBarrierInit(e);
}

TileRings::Place TileRings::place(int64_t first, int64_t bytes, int64_t firstBarrier, int64_t count,
                                  Val use) const {
  const int64_t control = queryBytes + stages * (keyStage + valueStage);
  Val stage = use % count;
  Val full =
      e.at(e.offset(shared, control + firstBarrier * kBarrierBytes), stage, 2 * kBarrierBytes);
  return {e.offset(shared, stage * bytes + first), full, e.offset(full, kBarrierBytes),
          (use / count) & 1};
}

TileRings::Place TileRings::queries(Val use) const {
  Place queries = place(0, 0, 0, 1, use);
  queries.countsThreads = true;
  return queries;
}

TileRings::Place TileRings::keys(Val use) const {
  return place(queryBytes, keyStage, 2, stages, use);
}

TileRings::Place TileRings::values(Val use) const {
  return place(queryBytes + stages * keyStage, valueStage, 2 + 2 * stages, stages, use);
}

Val TileRings::unitSlot() const {
  const int64_t control = queryBytes + stages * (keyStage + valueStage);
  return e.offset(shared, control + (2 + 4 * stages) * kBarrierBytes);
}

void TileRings::Place::release() const {
  Emitter &e = empty.owner();
  if (countsThreads)
    arrive(empty);
  else
    e.ifThen(e.lane() == 0, [&] { arrive(empty); });
}

} // namespace epigraph::cuda
