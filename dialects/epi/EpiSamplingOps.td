// Choosing tokens. Apart from EpiOps.td, which nearly every file of the compiler includes: few need this.
#ifndef EPIGRAPH_DIALECTS_EPI_EPISAMPLINGOPS_TD
#define EPIGRAPH_DIALECTS_EPI_EPISAMPLINGOPS_TD

include "dialects/epi/EpiBase.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Epi_SampleOp : Epi_Op<"sample", [Pure]> {
  let summary = "the token that is chosen by each row of logits";
  let description = [{
    `x` is [rows, columns]: the logits of the step's output rows. Element `i` of the result is the column that is chosen for row
    `i`, as the step says for that row: the column of the largest element, or one that is drawn with the probabilities of a softmax at
    a temperature, among the columns that pass the filters top-k, top-p and min-p. runtime/base/Sampling.h has the arithmetic, which
    every target follows to the bit.

    Of equal elements the one of the lowest column is the largest (0 and -0 are equal). The result is -1 if any element of the row is
    not a number, and the column of the largest element if that is infinite.

    (C1) the number of columns is static, and at least 1. (C2) the result is [rows].

    ```mlir
    %tokens = epi.sample %logits, %step : tensor<?x129280xf32> -> tensor<?xi32>
    ```
  }];
  let arguments = (ins Epi_FloatOfRank<[2]>:$x, Epi_StepType:$step);
  let results = (outs Epi_IntOfRank<[1]>:$result);
  let assemblyFormat = "$x `,` $step attr-dict `:` type($x) `->` type($result)";
  let hasVerifier = 1;
}

#endif // EPIGRAPH_DIALECTS_EPI_EPISAMPLINGOPS_TD
