#include "codegen/cuda/ClusterReduction.h"

#include "codegen/cuda/Hopper.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

constexpr int64_t kWarp = 32;
constexpr int64_t kBytes = sizeof(float);

} // namespace

int64_t reductionBytes(const RowThreads &threads) {
  return threads.isWarp() ? 0 : threads.ofBlock() / kWarp * threads.columns * kBytes;
}

Val combineOverRow(Emitter &e, Val ofWarp, Val scratch, const RowThreads &threads,
                   llvm::function_ref<Val(Val, Val)> combine) {
  const int64_t warps = threads.ofRow / kWarp;
  e.ifThen(e.lane() == 0, [&] { e.store(ofWarp, e.at(scratch, e.warp(), kBytes)); });
  e.syncThreads();
  Val ofRow = e.at(scratch, e.warp() / warps, warps * kBytes);
  Val all = e.load(e.f32(), ofRow);
  for (int64_t other = 1; other < warps; ++other)
    all = combine(all, e.load(e.f32(), e.offset(ofRow, other * kBytes)));
  return all;
}

Val combineOverCluster(Emitter &e, Val ofWarp, Val scratch, const RowThreads &threads,
                       llvm::function_ref<Val(Val, Val)> combine) {
  const int64_t warps = threads.ofRow / kWarp;
  Val place = e.at(scratch, clusterRank(e) * warps + e.warp(), kBytes);
  e.ifThen(e.lane() < threads.columns, [&] { e.store(ofWarp, inCluster(place, e.lane())); });
  clusterSync(e);
  Val all = e.load(e.f32(), scratch);
  for (int64_t other = 1; other < warps * threads.columns; ++other)
    all = combine(all, e.load(e.f32(), e.offset(scratch, other * kBytes)));
  return all;
}

} // namespace epigraph::cuda
