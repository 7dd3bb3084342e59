// What both computing warpgroups do with their columns of O, and the launch.
#include "codegen/cuda/AttentionOperands.h"
#include "codegen/cuda/MlaDecodeBlock.h"

using namespace mlir;

namespace epigraph::cuda {

void MlaDecodeBlock::addValues(Accumulator &acc, ArrayRef<Val> weights, Val page,
                               int64_t firstChunk) {
  Val values = descriptorTransposed(pageAddress(page) + firstChunk * kChunk, kChunk);
  for (int64_t step = 0; step < 4; ++step)
    multiplyRegisters(acc, weights.slice(4 * step, 4), values + step * (2048 / 16),
                      /*accumulate=*/true, /*transposedB=*/true);
  commitProducts(e);
}

void MlaDecodeBlock::zeroTail(int64_t firstChunk, int64_t barrier) {
  Val seen = entriesOfLastPage();
  e.ifThen(seen < kPageTokens, [&] {
    // Two threads an entry: a chunk has 128 bytes of it.
    Val entry = thread / 2;
    e.ifThen(entry >= seen, [&] {
      Type words = e.vector(e.i32(), 4);
      Val zero = e.constant(words, 0);
      Val start =
          e.at(e.at(e.offset(shared, kPages + firstChunk * kChunk), stageOf(item.pages - 1), kPage),
               thread, 64);
      for (int64_t chunk = 0; chunk < 4; ++chunk)
        for (int64_t part = 0; part < 4; ++part)
          e.store(zero, e.offset(start, chunk * kChunk + part * 16));
    });
    fenceAsyncShared(e);
    e.meet(e.i32(barrier), kWarpgroup);
  });
}

void MlaDecodeBlock::storeFactors(RowPair factors) {
  e.store(e.pack(factors), e.at(e.offset(shared, kFactors), thread, 8));
}

RowPair MlaDecodeBlock::loadFactors() {
  Val factors = e.load(e.vector(e.f32(), 2), e.at(e.offset(shared, kFactors), thread, 8));
  return {e.element(factors, 0), e.element(factors, 1)};
}

void MlaDecodeBlock::ifHead(Val row, llvm::function_ref<void()> body) {
  if (problem.heads % kHeads == 0)
    return body();
  e.ifThen(headGroup * kHeads + row < problem.heads, body);
}

/// Means go where the item's result does: into the kernel's, or among the partial results.
void MlaDecodeBlock::storeOutput(ArrayRef<Val> registers, RowPair scales, int64_t firstColumn) {
  Val head = headGroup * kHeads + row;
  auto store = [&](Val firstRow, Type element) {
    storeColumns(registers, scales, e.offset(firstRow, firstColumn * 2), element);
  };
  e.ifElse(
      item.partials == 1,
      [&] {
        store(e.at(frame.resultRow(problem.result, item.token), head, kLatent * 2), e.bf16());
      },
      [&] { store(partials.means(frame, item.partial, head), partials.element); });
}

/// Stores 256 columns, whose first, of the thread's first row, is at `firstRow`. Lanes exchange
/// halves of neighbouring column groups, so that each stores 8 bytes.
void MlaDecodeBlock::storeColumns(ArrayRef<Val> registers, RowPair scales, Val firstRow,
                                  Type element) {
  Val isOdd = column % 2 == 1;
  Val offset = column / 2 * 8 + column % 2 * 16;
  for (int64_t r = 0; r < 2; ++r) {
    Val target = e.at(e.offset(firstRow, r * 8 * kLatent * 2), offset, 1);
    Vals words;
    for (size_t i = 0; i < registers.size(); i += 8) {
      auto packed = [&](size_t index) {
        return e.packHalves(registers[index] * scales[r], registers[index + 1] * scales[r],
                            element);
      };
      Val even = packed(i + 2 * r), odd = packed(i + 4 + 2 * r);
      Val other = e.shuffleXor(e.select(isOdd, even, odd), 1);
      words.push_back(e.pack({e.select(isOdd, other, even), e.select(isOdd, odd, other)}));
    }
    ifHead(row + 8 * r, [&] {
      for (auto [index, word] : llvm::enumerate(words))
        e.store(word, e.offset(target, static_cast<int64_t>(index) * 32));
    });
  }
}

void MlaDecodeBlock::storeLogSums(RowPair logSums) {
  e.ifThen(e.logicalAnd(column == 0, item.partials > 1), [&] {
    for (int64_t r = 0; r < 2; ++r)
      ifHead(row + 8 * r, [&] {
        Val head = headGroup * kHeads + row + 8 * r;
        e.store(logSums[r], partials.logarithm(frame, item.partial, head));
      });
  });
}

bool fitsWarpgroups(const MlaDecodeProblem &problem) {
  return problem.latent == MlaDecodeBlock::kLatent && problem.rope == MlaDecodeBlock::kRope &&
         isMappable(problem.q) && isMappable(problem.qRope);
}

void addWarpgroupMlaDecode(KernelAssembly &assembly, const MlaDecodeProblem &problem) {
  // Latent vectors are normalised, so their means are far from the limits of f16, whose rounding is
  // an eighth of the result's.
  const AttentionPartials partials{problem.heads, problem.latent,
                                   Float16Type::get(assembly.kernel.getContext())};
  FunctionSpec spec;
  spec.threads = MlaDecodeBlock::kThreads;
  spec.sharedBytes = MlaDecodeBlock::kSharedBytes;
  spec.grid = DeviceGrid::TokenItems;
  spec.columnTiles = llvm::divideCeil(problem.heads, MlaDecodeBlock::kHeads);
  spec.maps = {queryMap(assembly, problem.q, MlaDecodeBlock::kHeads, /*rows=*/1),
               queryMap(assembly, problem.qRope, MlaDecodeBlock::kHeads, /*rows=*/1),
               cacheMap(assembly, problem.cache, problem.entry())};
  const int64_t items = std::max<int64_t>(assembly.target.multiprocessors / spec.columnTiles, 1);
  needPartials(assembly, partials, items);
  assembly.addFunction(
      spec, [&](KernelFrame &frame) { MlaDecodeBlock(frame, problem, partials).emit(); });
  addAttentionMerge(assembly, partials, problem.result);
}

} // namespace epigraph::cuda
