// Choosing tokens. Apart from EpiOps.td, which nearly every file of the compiler includes: few need this.
#ifndef EPIGRAPH_DIALECTS_EPI_EPISAMPLINGOPS_TD
#define EPIGRAPH_DIALECTS_EPI_EPISAMPLINGOPS_TD

include "dialects/epi/EpiBase.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Epi_ArgmaxOp : Epi_Op<"argmax", [Pure]> {
  let summary = "where the largest element of each row is";
  let description = [{
    `x` is [rows, columns]. Element `i` of the result is the column of the largest element of row `i`, the lowest of equal
    ones (0 and -0 are equal), or -1 if any element of the row is not a number.

    (C1) the number of columns is static, and at least 1. (C2) the result is [rows].

    ```mlir
    %tokens = epi.argmax %logits : tensor<?x129280xf32> -> tensor<?xi32>
    ```
  }];
  let arguments = (ins Epi_FloatOfRank<[2]>:$x);
  let results = (outs Epi_IntOfRank<[1]>:$result);
  let assemblyFormat = "$x attr-dict `:` type($x) `->` type($result)";
  let hasVerifier = 1;
}

#endif // EPIGRAPH_DIALECTS_EPI_EPISAMPLINGOPS_TD
