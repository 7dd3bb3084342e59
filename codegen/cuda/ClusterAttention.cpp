// Attention of few tokens, each of whose contexts the blocks of a cluster share for the query heads
// of one key-value head (TokenBlock.h): the teams of the cluster take its pages in turn. Every
// block leaves, in the shared memory of each, what it found of the heads and columns that this one
// puts together. So blocks wait for each other once, nothing goes through global memory, and there
// is no other launch.
//
// The launch is the same however long contexts are: a token's length and pages are read from the
// step's arrays, and blocks without pages add nothing. Clusters that there are beside one for each
// token and key-value head share long contexts. Those do leave what they found in global memory,
// where the last of them to come puts it together.
#include "codegen/cuda/AttentionItems.h"
#include "codegen/cuda/ClusterExchange.h"
#include "codegen/cuda/Hopper.h"
#include "codegen/cuda/TokenBlock.h"

#include <algorithm>
#include <optional>

using namespace mlir;

namespace epigraph::cuda {
namespace {

/// Of a cluster: as many as every GPU has room for together.
constexpr int64_t kBlocks = 8;
/// Columns of a row that a thread puts together at a time.
constexpr int64_t kColumns = 4;
/// Pages that are worth a cluster.
constexpr int64_t kLeastPages = 64;
/// Parts of a context whose loads a thread has under way at once.
constexpr int64_t kTogether = 4;
constexpr int64_t kFloatBytes = sizeof(float);

/// Clusters that are resident together, with one block on a multiprocessor: fewer than there are
/// multiprocessors for, since those that can form a cluster are not a multiple of its blocks.
int64_t residentClusters(const CudaTarget &target) {
  return target.multiprocessors * 9 / 10 / kBlocks;
}

/// Clusters of a token whose context is not cut.
int64_t clustersOfToken(const GroupedQueries &problem) {
  return std::max<int64_t>(problem.keyHeads * problem.blocksOfKey(), 1);
}

/// Where a block's shared memory has what the blocks of its cluster left there, and how they share
/// the heads and columns that there are to put together: in units of kColumns columns.
struct ClusterLayout {
  ClusterLayout(const GroupedQueries &problem, const TokenLayout &block)
      : block(block), unitsOfRow(problem.value / kColumns),
        share(llvm::divideCeil(units(), kBlocks)) {}

  int64_t units() const { return block.rows * unitsOfRow; }
  static constexpr int64_t kUnitBytes = kColumns * kFloatBytes;
  static constexpr int64_t kTotalBytes = 2 * kFloatBytes; ///< a maximum and a total

  /// Of each block its sums of the share, [kBlocks][share] units.
  int64_t sums() const { return llvm::alignTo(block.bytes(), kUnitBytes); }
  /// Of each block its maxima and totals, [kBlocks][rows] pairs.
  int64_t totals() const { return sums() + kBlocks * share * kUnitBytes; }
  /// The barrier that counts both, then a word that says whether a block is the last.
  int64_t barrier() const { return totals() + kBlocks * block.rows * kTotalBytes; }
  int64_t isLast() const { return barrier() + 8; }
  int64_t bytes() const { return isLast() + 4; }

  /// What a cluster leaves of a unit in global memory: sums, maximum and total.
  static constexpr int64_t kPartBytes = 2 * kUnitBytes;
  int64_t partBytes() const { return units() * kPartBytes; }

  TokenLayout block;
  int64_t unitsOfRow; ///< of a head
  int64_t share;      ///< units of a block
};

/// The largest rings that fit a block; none if there are none.
std::optional<ClusterLayout> layoutOf(const CudaTarget &target, const GroupedQueries &problem) {
  constexpr TokenForm kForms[] = {{4, 2, 3}, {4, 2, 2}, {4, 4, 3}, {4, 4, 2}};
  for (const TokenForm &form : kForms) {
    const ClusterLayout layout(problem, TokenLayout(problem, form));
    if (layout.bytes() <= target.sharedBytes)
      return layout;
  }
  return std::nullopt;
}

/// A cluster's part of the context of a token, for the query heads of one key-value head.
struct ClusterPart {
  Val token, column; ///< which of the token's clusters, if its context were not cut
  Val part, parts;
  Val exists; ///< whether there is such a token, and part of it
  TokenPages pages;
};

/// The part of cluster `cluster`. All clusters of the launch are dealt out to the tokens that there
/// are; contexts are cut only into as many parts as are worth it.
ClusterPart partOf(KernelFrame &frame, const GroupedQueries &problem, Val cluster) {
  Emitter &e = frame.e;
  const int64_t ofToken = clustersOfToken(problem);
  Val tokens = frame.stepInt(offsetof(DeviceStep, tokens));
  Val most = e.blockCount() / kBlocks / e.maximum(tokens * ofToken, e.i32(1));
  most = e.maximum(most, e.i32(1));
  ClusterPart part;
  Val index = cluster / most;
  part.column = index % ofToken;
  part.part = cluster % most;
  part.token = e.minimum(index / ofToken, e.maximum(tokens - 1, e.i32(0)));
  Val position = positionOfToken(frame, part.token);
  Val first = problem.firstPage(e, position), count = position / kPageTokens + 1 - first;
  part.parts = e.minimum(e.maximum(count / kLeastPages, e.i32(1)), most);
  part.exists = e.logicalAnd(index / ofToken < tokens, part.part < part.parts);
  part.pages = {part.token,
                sequenceOfToken(frame, part.token),
                position,
                first + count * part.part / part.parts,
                first + count * (part.part + 1) / part.parts,
                /*step=*/1};
  return part;
}

class ClusterBlock {
public:
  ClusterBlock(KernelFrame &frame, const GroupedQueries &problem, const ClusterLayout &layout,
               Val cluster, const ClusterPart &part)
      : frame(frame), e(frame.e), problem(problem), layout(layout), cluster(cluster), part(part),
        block(frame, problem, layout.block), shared(e.sharedMemory()), rank(clusterRank(e)),
        firstHead(problem.firstHeadOf(part.column)) {}

  void emit() {
    TokenPages pages = part.pages;
    pages.first = pages.first + rank * layout.block.teams() + e.warp() / layout.block.team;
    pages.step = kBlocks * layout.block.teams();
    block.attend(pages, part.column / problem.blocksOfKey(), firstHead, [&] {
      // Not first of all: what the next kernel fetches would come between here and the pages.
      e.allowNext();
      openExchange(barrier(), bytesToCome());
    });
    leaveTotals();
    leaveSums();
    awaitExchange(barrier());
    e.ifElse(
        part.parts == 1,
        [&] { forShare([&](Val unit) { storeMeans(unit, sumsOfCluster(unit)); }); },
        [&] {
          forShare([&](Val unit) { leavePart(unit, sumsOfCluster(unit)); });
          e.ifThen(isLastPart(),
                   [&] { forShare([&](Val unit) { storeMeans(unit, sumsOfParts(unit)); }); });
        });
  }

private:
  Val barrier() { return e.offset(shared, layout.barrier()); }
  Val sumsFrom(Val source) {
    return e.at(e.offset(shared, layout.sums()), source, layout.share * layout.kUnitBytes);
  }
  Val totalsFrom(Val source) {
    return e.at(e.offset(shared, layout.totals()), source, layout.block.rows * layout.kTotalBytes);
  }
  Val rowOf(Val unit) { return unit / layout.unitsOfRow; }
  Val columnOf(Val unit) { return unit % layout.unitsOfRow * kColumns; }

  void forUnits(int64_t count, llvm::function_ref<void(Val)> body) {
    e.forEach(e.threadId(), e.i32(count), e.i32(layout.block.threads()), body);
  }

  /// The units of the block's share. That of the last block may be a short one, as may be the heads
  /// of the last block of a key-value head.
  void forShare(llvm::function_ref<void(Val)> body) {
    forUnits(layout.share, [&](Val ofShare) {
      Val unit = rank * layout.share + ofShare;
      e.ifThen(e.logicalAnd(unit < layout.units(), rowOf(unit) < block.headCount()),
               [&] { body(unit); });
    });
  }

  /// Bytes that blocks will leave with this one.
  Val bytesToCome() {
    Val units = e.minimum(e.i32(layout.units()) - rank * layout.share, e.i32(layout.share));
    Val ofBlock = e.maximum(units, e.i32(0)) * layout.kUnitBytes;
    return (ofBlock + layout.block.rows * layout.kTotalBytes) * kBlocks;
  }

  /// Leaves the block's maxima and totals with all blocks.
  void leaveTotals() {
    forUnits(layout.block.rows * kBlocks, [&](Val index) {
      Val row = index / kBlocks;
      RowSums sums = block.sumsOf(row, e.i32(0), 0);
      Val target = e.at(totalsFrom(rank), row, layout.kTotalBytes);
      leaveWith(index % kBlocks, {sums.maximum, sums.total}, target, barrier());
    });
  }

  /// Leaves the block's sums with the blocks whose share they are.
  void leaveSums() {
    forUnits(layout.units(), [&](Val unit) {
      RowSums sums = block.sumsOf(rowOf(unit), columnOf(unit), kColumns);
      Val target = e.at(sumsFrom(rank), unit % layout.share, layout.kUnitBytes);
      leaveWith(unit / layout.share, sums.sums, target, barrier());
    });
  }

  /// What all blocks have found of a unit of the block's share.
  RowSums sumsOfCluster(Val unit) {
    SmallVector<RowSums> ofBlocks;
    for (int64_t source = 0; source < kBlocks; ++source) {
      Val totals = e.at(totalsFrom(e.i32(source)), rowOf(unit), layout.kTotalBytes);
      Val sums = e.at(sumsFrom(e.i32(source)), unit - rank * layout.share, layout.kUnitBytes);
      ofBlocks.push_back(loadSums(sums, totals));
    }
    return RowSums::of(ofBlocks);
  }

  RowSums loadSums(Val sums, Val totals) {
    Val pair = e.load(e.vector(e.f32(), 2), totals);
    return {e.element(pair, 0), e.element(pair, 1),
            e.elements(e.load(e.vector(e.f32(), kColumns), sums))};
  }

  void storeMeans(Val unit, RowSums sums) {
    Val head = firstHead + rowOf(unit);
    sums.total = sums.total + problem.sinkWeight(frame, head, sums.maximum);
    problem.store(frame, part.token, head, columnOf(unit), sums.means());
  }

  /// Where the workspace has `unit` of part `of` of the token's.
  Val placeOf(Val of, Val unit) {
    Val ofPart = e.at(frame.workspace(), cluster - part.part + of, layout.partBytes());
    return e.at(ofPart, unit, layout.kPartBytes);
  }

  void leavePart(Val unit, const RowSums &sums) {
    Val place = placeOf(part.part, unit);
    e.store(e.pack(sums.sums), place);
    e.store(e.pack({sums.maximum, sums.total}), e.offset(place, layout.kUnitBytes));
  }

  /// Whether all other parts of the block's share have been left. The last block to come sets the
  /// counter back.
  Val isLastPart() {
    e.syncThreads();
    Val flag = e.offset(shared, layout.isLast());
    e.ifThen(e.threadId() == 0, [&] {
      Val counter = e.at(frame.counters(), (cluster - part.part) * kBlocks + rank, 4);
      e.threadFence();
      Val isLast = e.atomicAdd(counter, e.i32(1)) == part.parts - 1;
      e.threadFence();
      e.ifThen(isLast, [&] { e.store(e.i32(0), counter); });
      e.store(e.toI32(isLast), flag);
    });
    e.syncThreads();
    return e.load(e.i32(), flag) == 1;
  }

  /// What all parts have left of a unit, in their order: the same sums every time.
  RowSums sumsOfParts(Val unit) {
    auto pack = [](const RowSums &sums) {
      Vals all{sums.maximum, sums.total};
      all.append(sums.sums);
      return all;
    };
    auto load = [&](Val of) {
      Val place = placeOf(e.minimum(of, part.parts - 1), unit);
      RowSums sums = loadSums(place, e.offset(place, layout.kUnitBytes));
      sums.maximum = e.select(of < part.parts, sums.maximum, e.f32(kNoMaximum));
      return sums;
    };
    RowSums none{e.f32(kNoMaximum), e.f32(0.0), Vals(kColumns, e.f32(0.0))};
    Vals all = e.forLoop(
        e.i32(0), part.parts, e.i32(kTogether), pack(none), [&](Val first, ArrayRef<Val> carried) {
          SmallVector<RowSums> some{{carried[0], carried[1], Vals(carried.drop_front(2))}};
          for (int64_t i = 0; i < kTogether; ++i)
            some.push_back(load(first + i));
          return pack(RowSums::of(some));
        });
    return {all[0], all[1], Vals(ArrayRef(all).drop_front(2))};
  }

  KernelFrame &frame;
  Emitter &e;
  const GroupedQueries &problem;
  const ClusterLayout &layout;
  const Val cluster; ///< its number in the launch
  const ClusterPart part;
  TokenBlock block;
  Val shared, rank; ///< the block's memory, and its place in the cluster
  Val firstHead;
};

} // namespace

int64_t mostClusterRows(const CudaTarget &target, const GroupedQueries &problem) {
  return layoutOf(target, problem) ? residentClusters(target) / clustersOfToken(problem) : 0;
}

void addClusterAttention(KernelAssembly &assembly, const GroupedQueries &problem) {
  const ClusterLayout layout = *layoutOf(assembly.target, problem);
  const int64_t clusters = residentClusters(assembly.target);
  FunctionSpec spec;
  spec.suffix = "cluster";
  spec.threads = layout.block.threads();
  spec.cluster = kBlocks;
  spec.rowTile = 0; // Clusters are dealt out to the tokens that there are.
  spec.columnTiles = clusters * kBlocks;
  spec.sharedBytes = layout.bytes();
  assembly.needWorkspace(clusters * layout.partBytes());
  assembly.addFunction(spec, [&](KernelFrame &frame) {
    Emitter &e = frame.e;
    Val cluster = e.blockId() / kBlocks;
    const ClusterPart part = partOf(frame, problem, cluster);
    ifHasWork(e, part.exists, [&] { ClusterBlock(frame, problem, layout, cluster, part).emit(); });
  });
}

} // namespace epigraph::cuda
