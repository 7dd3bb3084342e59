// Kernels that copy rows: by token id, by the step's list, from and to halves of a batch; and the choice of replicas.
exec.kernel @embedding(%ids: tensor<?xi32>, %table: tensor<1000x7168xbf16>) -> tensor<?x7168xbf16> {
  %y = epi.embedding %ids, %table : (tensor<?xi32>, tensor<1000x7168xbf16>) -> tensor<?x7168xbf16>
  exec.yield %y : tensor<?x7168xbf16>
}
exec.kernel @embedding_odd(%ids: tensor<?xi32>, %table: tensor<7x45xf32>) -> tensor<?x45xf32> {
  %y = epi.embedding %ids, %table : (tensor<?xi32>, tensor<7x45xf32>) -> tensor<?x45xf32>
  exec.yield %y : tensor<?x45xf32>
}
exec.kernel @output_rows(%x: tensor<?x7168xbf16>, %step: !epi.step) -> tensor<?x7168xbf16> {
  %y = epi.output_rows %x, %step : tensor<?x7168xbf16>
  exec.yield %y : tensor<?x7168xbf16>
}
exec.kernel @output_rows_odd(%x: tensor<?x45xbf16>, %step: !epi.step) -> tensor<?x45xbf16> {
  %y = epi.output_rows %x, %step : tensor<?x45xbf16>
  exec.yield %y : tensor<?x45xbf16>
}
exec.kernel @halve(%x: tensor<?x2048xbf16>) -> (tensor<?x2048xbf16>, tensor<?x2048xbf16>) {
  %a, %b = epi.halve_rows %x : tensor<?x2048xbf16>
  exec.yield %a, %b : tensor<?x2048xbf16>, tensor<?x2048xbf16>
}
exec.kernel @halve_ids(%x: tensor<?x3xi32>) -> (tensor<?x3xi32>, tensor<?x3xi32>) {
  %a, %b = epi.halve_rows %x : tensor<?x3xi32>
  exec.yield %a, %b : tensor<?x3xi32>, tensor<?x3xi32>
}
exec.kernel @join(%a: tensor<?x2048xbf16>, %b: tensor<?x2048xbf16>) -> tensor<?x2048xbf16> {
  %x = epi.join_rows %a, %b : tensor<?x2048xbf16>
  exec.yield %x : tensor<?x2048xbf16>
}
exec.kernel @assign_replicas(%ids: tensor<?x8xi32>, %table: tensor<32x4xi32>) -> tensor<?x8xi32> {
  %slots = ep.assign_replicas %ids, %table : tensor<?x8xi32>, tensor<32x4xi32>
  exec.yield %slots : tensor<?x8xi32>
}
