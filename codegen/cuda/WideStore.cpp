#include "codegen/cuda/WideStore.h"

#include <numeric>

#include "codegen/cuda/Elementwise.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

/// Columns that a thread drains: 16 bytes of a 16-bit type.
constexpr int64_t kChunk = 8;
/// Rows whose loads are under way at the same time.
constexpr int64_t kRowsAtOnce = 4;

} // namespace

WideStore::WideStore(const WideKernel &kernel, const WorkList &list, Val warpgroup)
    : kernel(kernel), list(list), layout(kernel.layout), e(kernel.e()), warpgroup(warpgroup),
      warp(e.warp() & 3), lane(e.lane()), team(layout.teams > 1 ? warpgroup : e.i32(0)) {
  const int64_t lanes = layout.slabColumns / kChunk;
  Val inTeam = layout.teams > 1 ? e.threadId() & 127 : e.threadId();
  chunk = inTeam % lanes;
  chunkRow = inTeam / lanes;
}

void WideStore::store(const WorkTile &tile, MutableArrayRef<Accumulator> sums) {
  if (!layout.tile.streamed)
    return storeWhole(tile, sums);
  e.ifElse(
      tile.depthBegin == 0,
      [&] {
        SmallVector<Accumulator> all(sums);
        addPartials(tile, all);
        storeWhole(tile, all);
      },
      [&] { leavePartial(sums); });
}

void WideStore::meet() { e.meet(e.i32(layout.teams + 1), layout.warpgroups * 128); }

void WideStore::storeSplit(const WorkTile &tile, ArrayRef<Accumulator> sums) {
  meet(); // The slabs take the place of stages that other warpgroups may still multiply.
  for (int64_t i = 0; i < layout.slabs; ++i)
    stage(slabAt(i), sums);
  clusterSync(e);
  for (int64_t i = 0; i < layout.slabs; ++i)
    drain(slabAt(i), tile);
  clusterSync(e);
}

void WideStore::storeWhole(const WorkTile &tile, MutableArrayRef<Accumulator> sums) {
  if (kernel.problem.bias)
    addBias(tile, sums);
  if (layout.tile.split > 1)
    return storeSplit(tile, sums);
  Val barrier = team + 1;
  for (int64_t i = 0; i < layout.slabs; ++i) {
    Slab slab = slabAt(i);
    e.meet(barrier, layout.teamThreads);
    stage(slab, sums);
    e.meet(barrier, layout.teamThreads);
    drain(slab, tile);
  }
}

// Streamed: sums lie in the workspace by fours, those of neighbouring threads side by side.

Val WideStore::partialOf(Val share) {
  return e.at(e.at(kernel.frame.workspace(), share, layout.partialBytes()), e.threadId(), 16);
}

Val WideStore::flagOf(Val share) { return e.at(kernel.frame.counters(), share, 4); }

void WideStore::leavePartial(ArrayRef<Accumulator> sums) {
  Val target = partialOf(list.share());
  int64_t place = 0;
  for (const Accumulator &acc : sums)
    for (size_t i = 0; i < acc.registers.size(); i += 4, place += layout.warpgroups * 128 * 16)
      e.store(e.pack(ArrayRef(acc.registers).slice(i, 4)), e.offset(target, place));
  meet();
  e.ifThen(e.threadId() == 0, [&] {
    e.threadFence();
    e.storeRelease(e.i32(1), flagOf(list.share()));
  });
}

/// In the order of shares: the same sums every time.
void WideStore::addPartials(const WorkTile &tile, MutableArrayRef<Accumulator> sums) {
  Val next = list.share() + 1, others = list.lastShareOf(tile) - list.share();
  Val hasFlag = lane < others;
  e.ifThen(hasFlag, [&] {
    e.whileLoop(
        {}, [&](ArrayRef<Val>) { return e.loadAcquire(flagOf(next + lane)) == 0; },
        [](ArrayRef<Val>) { return Vals(); });
  });
  e.syncWarp();
  Vals own;
  for (const Accumulator &acc : sums)
    own.append(acc.registers);
  Vals all = e.forLoop(e.i32(0), others, e.i32(1), own, [&](Val other, ArrayRef<Val> totals) {
    Val source = partialOf(next + other);
    Vals added;
    for (size_t i = 0; i < totals.size(); i += 4) {
      const auto place = static_cast<int64_t>(i / 4) * layout.warpgroups * 128 * 16;
      Vals more = e.elements(e.load(e.vector(e.f32(), 4), e.offset(source, place)));
      for (size_t j = 0; j < 4; ++j)
        added.push_back(totals[i + j] + more[j]);
    }
    return added;
  });
  const Val *from = all.begin();
  for (Accumulator &acc : sums)
    for (Val &reg : acc.registers)
      reg = *from++;
  // Flags are left zero, once all warps have seen them.
  meet();
  e.ifThen(e.logicalAnd(hasFlag, e.threadId() < 32),
           [&] { e.store(e.i32(0), flagOf(next + lane)); });
}

WideStore::Slab WideStore::slabAt(int64_t index) {
  const int64_t across = layout.tile.columns / layout.slabColumns;
  const int64_t places = layout.tile.split > 1 ? layout.slabs : 1;
  Val first = e.at(e.offset(kernel.shared, layout.slabsAt), team, places * layout.slabBytes);
  return {index / across * layout.slabRows, index % across * layout.slabColumns,
          e.offset(first, index % places * layout.slabBytes)};
}

Val WideStore::fragmentOf(ArrayRef<Accumulator> sums, int64_t part, int64_t column, int64_t row,
                          int64_t reg) const {
  const int64_t weightRow = part * layout.tile.columns + column;
  const int64_t along = layout.tile.swapped ? row : weightRow % layout.fragmentStep;
  return sums[weightRow / layout.fragmentStep].registers[along / 8 * 4 + reg];
}

/// Of `count` products from `inTile` on, counted from the first of the tile's weights.
Vals WideStore::biasOf(const WorkTile &tile, int64_t weightRow, Val inTile, int64_t count) {
  const int64_t part = weightRow / layout.tile.columns, column = weightRow % layout.tile.columns;
  Val first = tile.column + inTile + (part * kernel.epilogue.columns() + column);
  Val last = e.i32(kernel.problem.outputs - count);
  return kernel.epilogue.bias(kernel.frame, tile.matrix, e.minimum(first, last), count);
}

void WideStore::addBias(const WorkTile &tile, MutableArrayRef<Accumulator> sums) {
  const int64_t pairs = kernel.problem.outputs % 2 == 0 ? 2 : 1;
  for (auto [f, acc] : llvm::enumerate(sums)) {
    const int64_t weightRow = static_cast<int64_t>(f) * layout.fragmentStep;
    if (layout.tile.swapped) {
      Val inTile = warpgroup * 64 + warp * 16 + (lane >> 2);
      Vals bias = biasOf(tile, weightRow, inTile, 1);
      bias.append(biasOf(tile, weightRow, inTile + 8, 1));
      for (auto [i, reg] : llvm::enumerate(acc.registers))
        reg = reg + bias[i / 2 % 2];
      continue;
    }
    for (int64_t column = 0; column < layout.fragmentStep; column += 8) {
      Vals bias;
      for (int64_t i = 0; i < 2; i += pairs)
        bias.append(biasOf(tile, weightRow + column, (lane & 3) * 2 + i, pairs));
      for (int64_t i = 0; i < 4; ++i) {
        Val &reg = acc.registers[column / 2 + i];
        reg = reg + bias[i % 2];
      }
    }
  }
}

void WideStore::stage(const Slab &slab, ArrayRef<Accumulator> sums) {
  const bool isRounded = layout.slabPitch == layout.slabColumns * 2;
  for (int64_t part = 0; part < layout.parts; ++part)
    isRounded ? stageRounded(slab, sums, part) : stageExact(slab, sums, part);
}

/// Rounded to 16 bits, by matrices of 8 x 8. The 16-byte pieces of a row are swizzled, so that
/// neither the rows of a matrix nor the pieces of a row meet in one bank.
void WideStore::stageRounded(const Slab &slab, ArrayRef<Accumulator> sums, int64_t part) {
  const bool swapped = layout.tile.swapped;
  Val memory = e.offset(slab.memory, part * layout.slabPartBytes);
  for (int64_t at = 0; at < (swapped ? layout.slabRows : layout.slabColumns); at += 16) {
    Vals pairs;
    for (int64_t eight = 0; eight < 16; eight += 8)
      for (int64_t half = 0; half < 4; half += 2)
        for (int64_t i = 0; i < 2; ++i)
          pairs.push_back(swapped
                              ? fragmentOf(sums, part, slab.column, slab.row + at + eight, half + i)
                              : fragmentOf(sums, part, slab.column + at + eight, 0, half + i));
    Val row = swapped ? (lane >> 4) * 8 + (lane & 7) + at : warp * 16 + (lane & 15);
    Val piece = swapped ? warpgroup * 8 + warp * 2 + ((lane >> 3) & 1) : (lane >> 4) + at / 8;
    Val address = e.offset(e.at(memory, row, layout.slabPitch), (piece ^ (row & 7)) << 4);
    storeMatrices(address, packPairs(e, kernel.problem.resultType(), pairs), swapped);
  }
}

void WideStore::stageExact(const Slab &slab, ArrayRef<Accumulator> sums, int64_t part) {
  Val memory = e.offset(slab.memory, part * layout.slabPartBytes);
  Val pairs = (lane & 3) * 2, single = warp * 16 + (lane >> 2);
  if (layout.tile.swapped) {
    Val corner = e.at(e.at(memory, pairs, layout.slabPitch), warpgroup * 64 + single, 4);
    for (int64_t row = 0; row < layout.slabRows; row += 8)
      for (int64_t reg = 0; reg < 4; ++reg)
        e.store(fragmentOf(sums, part, slab.column, slab.row + row, reg),
                e.offset(corner, (row + reg % 2) * layout.slabPitch + reg / 2 * 8 * 4));
    return;
  }
  Val corner = e.at(e.at(memory, single, layout.slabPitch), pairs, 4);
  for (int64_t column = 0; column < layout.slabColumns; column += 8)
    for (int64_t half = 0; half < 2; ++half) {
      Val pair = e.pack({fragmentOf(sums, part, slab.column + column, 0, half * 2),
                         fragmentOf(sums, part, slab.column + column, 0, half * 2 + 1)});
      e.store(pair, e.offset(corner, half * 8 * layout.slabPitch + column * 4));
    }
}

void WideStore::drain(const Slab &slab, const WorkTile &tile) {
  const int64_t rowsOfPass = layout.teamThreads * kChunk / layout.slabColumns;
  const int64_t rows = layout.slabRows / layout.tile.split, passes = rows / rowsOfPass;
  const int64_t atOnce = std::gcd(passes, kRowsAtOnce);
  Val first = chunkRow;
  if (layout.tile.split > 1)
    first = first + kernel.rank * rows;
  e.forEach(e.i32(0), e.i32(passes / atOnce), e.i32(1), [&](Val round) {
    Vals slabRows;
    for (int64_t i = 0; i < atOnce; ++i)
      slabRows.push_back(first + round * (atOnce * rowsOfPass) + i * rowsOfPass);
    drainRows(slab, tile, slabRows);
  });
}

/// Rows and columns that do not exist are evaluated as the last that do, so that loads need no
/// branches, and not stored.
void WideStore::drainRows(const Slab &slab, const WorkTile &tile, ArrayRef<Val> slabRows) {
  const int64_t columns = kernel.epilogue.columns();
  const int64_t count = std::gcd(kChunk, columns);
  Val column = tile.column + chunk * kChunk + slab.column;
  Val firstRow = tile.row + slab.row;
  if (layout.teams > 1)
    firstRow = firstRow + team * 64;
  // Where there is one tile along the rows they are counted only now, and there may be none.
  Val rowEnd = tile.rowEnd ? tile.rowEnd : kernel.frame.rows();
  Val last = e.maximum(rowEnd - 1, e.i32(0));
  struct Piece {
    ResultPlace place;
    Val exists;
    SmallVector<Vals> values;
  };
  SmallVector<Piece> pieces;
  for (Val slabRow : slabRows) {
    Val row = firstRow + slabRow;
    Val rowExists = row < rowEnd, lastRow = e.minimum(row, last);
    SmallVector<Vals> sums;
    for (int64_t part = 0; part < layout.parts; ++part)
      sums.push_back(loadSums(slab, slabRow, part));
    for (int64_t i = 0; i < kChunk; i += count) {
      Vals ofPiece;
      for (const Vals &ofPart : sums)
        ofPiece.append(ofPart.begin() + i, ofPart.begin() + i + count);
      ResultPlace place{lastRow, tile.matrix, e.minimum(column + i, e.i32(columns - count)), count};
      pieces.push_back({place, e.logicalAnd(rowExists, column + i < columns),
                        kernel.epilogue.evaluate(kernel.frame, ofPiece, place)});
    }
  }
  for (const Piece &piece : pieces)
    for (auto [yielded, values] : llvm::zip_equal(kernel.epilogue.yielded(), piece.values)) {
      if (yielded.result)
        e.ifThen(piece.exists,
                 [&] { kernel.epilogue.storeValues(kernel.frame, yielded, values, piece.place); });
      else
        kernel.epilogue.storeQuantized(kernel.frame, values, piece.place, piece.exists);
    }
}

Vals WideStore::loadSums(const Slab &slab, Val slabRow, int64_t part) {
  Val memory = e.offset(slab.memory, part * layout.slabPartBytes);
  Val row = e.at(memory, slabRow, layout.slabPitch);
  if (layout.slabPitch == layout.slabColumns * 2) {
    Val address = e.offset(row, (chunk ^ (slabRow & 7)) << 4);
    return loadFloats(e, kernel.problem.resultType(), address, kChunk, 16);
  }
  Val address = e.at(row, chunk, kChunk * 4);
  if (layout.tile.split == 1)
    return loadFloats(e, e.f32(), address, kChunk, 16);
  Vals sums(kChunk, e.f32(0.0));
  for (int64_t rank = 0; rank < layout.tile.split; ++rank) {
    Vals more = loadFloats(e, e.f32(), inCluster(address, e.i32(rank)), kChunk, 16);
    for (auto [sum, x] : llvm::zip_equal(sums, more))
      sum = sum + x;
  }
  return sums;
}

} // namespace epigraph::cuda
