// A counting sort by expert in the shared memory of a block.
//
// Every block of a launch counts all choices of the batch for itself: a few microseconds of reading
// for thousands of tokens, and no second launch or wait between blocks. It keeps apart those before
// its own tokens, so that it knows where its own rows start in each expert's group; within its
// tokens, a choice is behind the equal ones before it. So the order is that of (expert, token,
// choice), whatever the number of blocks.
#ifndef EPIGRAPH_CODEGEN_CUDA_EXPERTSORT_H
#define EPIGRAPH_CODEGEN_CUDA_EXPERTSORT_H

#include "codegen/cuda/Emitter.h"

namespace epigraph::cuda {

/// All threads of the block must take part in what follows.
class ExpertSort {
public:
  /// `threads`: of the block, a multiple of 32. `shared`: sharedBytes() of shared memory.
  ExpertSort(Emitter &e, int64_t experts, int64_t threads, Val shared);
  static int64_t sharedBytes(int64_t experts, int64_t threads);

  /// Forgets all choices.
  void clear();
  /// Counts a choice of `expert`: one of a token before the block's, or any other.
  void count(Val expert, Val isBefore);
  /// After all choices: makes publish(expert, count) for each expert, and gives the sum of counts.
  Val start(llvm::function_ref<void(Val expert, Val count)> publish);

  /// Gives the choices of the block's next tokens their places, one for each thread in order.
  /// `expert` is -1 where there is none. The thread's place, or -1.
  Val order(Val expert);
  /// The place of thread `choice`, until the next order(). The block must meet in between.
  Val placeOf(Val choice);

private:
  Val word(int64_t first, Val index);
  /// Per expert: choices of tokens before the block's; then where its next row goes.
  Val next(Val expert) { return word(0, expert); }
  /// Per expert: all other choices.
  Val rest(Val expert) { return word(experts, expert); }
  // Per thread, of the choices being ordered.
  Val chosen(Val choice) { return word(2 * experts, choice); }
  Val place(Val choice) { return word(2 * experts + threads, choice); }
  /// Choices before `choice` of the same expert.
  Val countEqual(Val choice, Val expert);

  Emitter &e;
  const int64_t experts, threads; ///< experts: rounded up to keep what follows aligned
  const int64_t size;
  Val scratch, base;
};

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_EXPERTSORT_H
