// Every operation and attribute of the dialect, printed as it was written; as text and as bytecode.
// RUN: epigraph-opt %s --verify-roundtrip | FileCheck %s
// RUN: epigraph-opt %s --emit-bytecode | epigraph-opt | FileCheck %s

// CHECK: module attributes {exec.limits = #exec.limits<batch_tokens = 512, sequences = 32, context = 4096>}
module attributes {exec.limits = #exec.limits<batch_tokens = 512, sequences = 32, context = 4096>} {

  // CHECK: exec.weight @"model.q+kv.weight" : tensor<24x8xbf16, #exec.panel<columns = 32, depth = 2>> {
  // CHECK: exec.pack %{{.*}} : tensor<24x8xbf16> to tensor<24x8xbf16, #exec.panel<columns = 32, depth = 2>>
  // CHECK: exec.yield %{{.*}} : tensor<24x8xbf16, #exec.panel<columns = 32, depth = 2>>
  exec.weight @"model.q+kv.weight" : tensor<24x8xbf16, #exec.panel<columns = 32, depth = 2>> {
    %0 = epi.weight "model.q.weight" : tensor<16x8xbf16>
    %1 = epi.weight "model.kv.weight" : tensor<8x8xbf16>
    %2 = epi.concat %0, %1 dim 0 : tensor<16x8xbf16>, tensor<8x8xbf16> to tensor<24x8xbf16>
    %3 = exec.pack %2 : tensor<24x8xbf16> to tensor<24x8xbf16, #exec.panel<columns = 32, depth = 2>>
    exec.yield %3 : tensor<24x8xbf16, #exec.panel<columns = 32, depth = 2>>
  }

  // CHECK: exec.weight rank_local @experts.up.weight : tensor<2x4x8xbf16> {
  exec.weight rank_local @experts.up.weight : tensor<2x4x8xbf16> {
    %0 = epi.weight_stack "experts.{}.up.weight" : tensor<4x4x8xbf16>
    %1 = ep.local_experts %0 {placement = #ep.placement<experts = 4, ranks = 2>} : tensor<4x4x8xbf16> to tensor<2x4x8xbf16>
    exec.yield %1 : tensor<2x4x8xbf16>
  }

  // CHECK: exec.kernel @linear_0(%{{.*}}: tensor<?x8xbf16>, %{{.*}}: tensor<24x8xbf16, #exec.panel<columns = 32, depth = 2>>) -> tensor<?x24xbf16> attributes {tiling = #exec.tiling<rows = 8, columns = 1>} {
  exec.kernel @linear_0(%x: tensor<?x8xbf16>, %w: tensor<24x8xbf16, #exec.panel<columns = 32, depth = 2>>) -> tensor<?x24xbf16>
      attributes {tiling = #exec.tiling<rows = 8, columns = 1>} {
    %0 = epi.linear %x, %w : (tensor<?x8xbf16>, tensor<24x8xbf16, #exec.panel<columns = 32, depth = 2>>) -> tensor<?x24xbf16>
    exec.yield %0 : tensor<?x24xbf16>
  }

  // A kernel without tensor results.
  // CHECK: exec.kernel @kv_append_0(
  exec.kernel @kv_append_0(%c: !epi.mla_cache<latent = 16, rope = 8, bf16>, %x: tensor<?x24xbf16>, %step: !epi.step)
      -> !epi.mla_cache<latent = 16, rope = 8, bf16> {
    %a, %b = epi.split %x dim 1 : tensor<?x24xbf16> to tensor<?x16xbf16>, tensor<?x8xbf16>
    %0 = epi.kv_append %c, %a, %b, %step : !epi.mla_cache<latent = 16, rope = 8, bf16>, tensor<?x16xbf16>, tensor<?x8xbf16>
    exec.yield %0 : !epi.mla_cache<latent = 16, rope = 8, bf16>
  }

  // CHECK: func.func @main({{.*}}) attributes {exec.arena_bytes = 24576 : i64}
  func.func @main(%x: tensor<?x8xbf16>, %step: !epi.step) attributes {exec.arena_bytes = 24576 : i64} {
    // CHECK: %[[W:.*]] = exec.load_weight @"model.q+kv.weight" : tensor<24x8xbf16, #exec.panel<columns = 32, depth = 2>>
    %w = exec.load_weight @"model.q+kv.weight" : tensor<24x8xbf16, #exec.panel<columns = 32, depth = 2>>
    // CHECK: %[[Y:.*]] = exec.launch @linear_0(%{{.*}}, %[[W]]) {exec.buffers = [#exec.buffer<offset = 0, bytes = 24576>]} : (tensor<?x8xbf16>, tensor<24x8xbf16, #exec.panel<columns = 32, depth = 2>>) -> tensor<?x24xbf16>
    %y = exec.launch @linear_0(%x, %w) {exec.buffers = [#exec.buffer<offset = 0, bytes = 24576>]}
        : (tensor<?x8xbf16>, tensor<24x8xbf16, #exec.panel<columns = 32, depth = 2>>) -> tensor<?x24xbf16>
    %c = epi.kv_cache "layer.0" : !epi.mla_cache<latent = 16, rope = 8, bf16>
    // CHECK: exec.launch @kv_append_0(%{{.*}}, %[[Y]], %{{.*}}) : (!epi.mla_cache<latent = 16, rope = 8, bf16>, tensor<?x24xbf16>, !epi.step) -> !epi.mla_cache<latent = 16, rope = 8, bf16>
    %d = exec.launch @kv_append_0(%c, %y, %step)
        : (!epi.mla_cache<latent = 16, rope = 8, bf16>, tensor<?x24xbf16>, !epi.step) -> !epi.mla_cache<latent = 16, rope = 8, bf16>
    return
  }
}
