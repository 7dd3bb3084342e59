// Attention of one token of each sequence, by blocks that take one item of a token's context each
// (TokenBlock.h), and the merge of their partial results.
#include "codegen/cuda/AttentionItems.h"
#include "codegen/cuda/TokenBlock.h"

#include <algorithm>

using namespace mlir;

namespace epigraph::cuda {
namespace {

constexpr TokenForm kForm{/*warps=*/4, /*team=*/4, /*stages=*/3};

class ItemBlock {
public:
  ItemBlock(KernelFrame &frame, const GroupedQueries &problem, const TokenLayout &layout)
      : frame(frame), e(frame.e), problem(problem), layout(layout), block(frame, problem, layout) {}

  void emit(const ItemValues &theItem, Val keyHead, Val theFirstHead) {
    item = theItem;
    firstHead = theFirstHead;
    Val end = item.firstPage + item.pages;
    Val first = e.minimum(e.maximum(item.firstPage, problem.firstPage(e, item.position)), end);
    block.attend({item.token, item.sequence, item.position, first, end, /*step=*/1}, keyHead,
                 firstHead);
    const int64_t pairs = problem.value / 2;
    e.forEach(e.threadId(), block.headCount() * pairs, e.i32(layout.threads()),
              [&](Val unit) { storePair(unit / pairs, (unit % pairs) * 2); });
  }

private:
  void storePair(Val row, Val column) {
    RowSums sums = block.sumsOf(row, column, 2);
    sums.total = sums.total + sinkWeight(firstHead + row, sums.maximum);
    storeMeans(row, column, sums.means(), sums.maximum + e.log2(sums.total));
  }

  /// The weight of the sink, which is in the item that has the token's last page, or 0.
  Val sinkWeight(Val head, Val maximum) {
    Val hasLast = (item.firstPage + item.pages) * kPageTokens > item.position;
    return e.select(hasLast, problem.sinkWeight(frame, head, maximum), e.f32(0.0));
  }

  void storeMeans(Val row, Val column, ArrayRef<Val> means, Val logarithm) {
    Val head = firstHead + row;
    e.ifElse(
        item.partials == 1, [&] { problem.store(frame, item.token, head, column, means); },
        [&] {
          const AttentionPartials partials{problem.heads, problem.value, e.f32()};
          e.store(e.pack(means),
                  e.at(partials.means(frame, item.partial, head), column, sizeof(float)));
          e.ifThen(column == 0,
                   [&] { e.store(logarithm, partials.logarithm(frame, item.partial, head)); });
        });
  }

  KernelFrame &frame;
  Emitter &e;
  const GroupedQueries &problem;
  const TokenLayout &layout;
  TokenBlock block;
  ItemValues item;
  Val firstHead;
};

} // namespace

void addTokenAttention(KernelAssembly &assembly, const GroupedQueries &problem) {
  const TokenLayout layout(problem, kForm);
  const int64_t columns = problem.keyHeads * problem.blocksOfKey();
  FunctionSpec spec;
  spec.suffix = "tokens";
  spec.threads = layout.threads();
  spec.grid = DeviceGrid::TokenItems;
  spec.columnTiles = columns;
  spec.sharedBytes = layout.bytes();
  assembly.addFunction(spec, [&](KernelFrame &frame) {
    Emitter &e = frame.e;
    e.allowNext();
    Val index = e.blockId() / columns, column = e.blockId() % columns;
    Val exists = index < itemCount(frame, kTokenItems);
    ifHasWork(e, exists, [&] {
      ItemValues item = loadItem(frame, kTokenItems, index);
      ItemBlock(frame, problem, layout)
          .emit(item, column / problem.blocksOfKey(), problem.firstHeadOf(column));
    });
  });
  const AttentionPartials partials{problem.heads, problem.value,
                                   Float32Type::get(assembly.kernel.getContext())};
  // Two blocks for each multiprocessor: one is about its item's start or end while the other reads.
  const int64_t cores = assembly.target.multiprocessors;
  const int64_t items = std::clamp<int64_t>(2 * cores / columns, 1, cores);
  needPartials(assembly, partials, items);
  addAttentionMerge(assembly, partials, problem.result);
}

} // namespace epigraph::cuda
