// A case for every numbered constraint, and for what types and regions promise.
// RUN: epigraph-opt %s --split-input-file --verify-diagnostics

// epi.weight (C1)
func.func @f() {
  // expected-error @+1 {{must have a static shape, got 'tensor<?x8xf32>'}}
  %w = epi.weight "w" : tensor<?x8xf32>
  return
}

// -----

// epi.weight_stack (C1): static shape
func.func @f() {
  // expected-error @+1 {{must have a static shape of rank 2 or more, got 'tensor<?x8xf32>'}}
  %w = epi.weight_stack "w.{}" : tensor<?x8xf32>
  return
}

// -----

// epi.weight_stack (C1): rank
func.func @f() {
  // expected-error @+1 {{must have a static shape of rank 2 or more, got 'tensor<8xf32>'}}
  %w = epi.weight_stack "w.{}" : tensor<8xf32>
  return
}

// -----

// epi.weight_stack (C2): no place for the index
func.func @f() {
  // expected-error @+1 {{pattern must hold {} exactly once, got "w"}}
  %w = epi.weight_stack "w" : tensor<4x8xf32>
  return
}

// -----

// epi.weight_stack (C2): two places
func.func @f() {
  // expected-error @+1 {{pattern must hold {} exactly once}}
  %w = epi.weight_stack "w.{}.{}" : tensor<4x8xf32>
  return
}

// -----

// epi.output_rows (C1)
func.func @f(%x: tensor<?x8xf32>, %s: !epi.step) {
  // expected-error @+1 {{failed to verify that all of {x, result} have same type}}
  %y = "epi.output_rows"(%x, %s) : (tensor<?x8xf32>, !epi.step) -> tensor<?x4xf32>
  return
}

// -----

// epi.fused (C1)
func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{block arguments must have the types of the operands}}
  %y = epi.fused "g"(%x) : (tensor<?x8xf32>) -> tensor<?x8xf32> {
  ^bb0(%0: tensor<?x8xf32>, %1: tensor<?x8xf32>):
    epi.yield %0 : tensor<?x8xf32>
  }
  return
}

// -----

// epi.fused (C2)
func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{yielded values must have the types of the results}}
  %y = epi.fused "g"(%x) : (tensor<?x8xf32>) -> tensor<?x4xf32> {
  ^bb0(%0: tensor<?x8xf32>):
    epi.yield %0 : tensor<?x8xf32>
  }
  return
}

// -----

// epi.fused is isolated from above.
func.func @f(%x: tensor<?x8xf32>) {
  // expected-note @+1 {{required by region isolation constraints}}
  %y = epi.fused "g"(%x) : (tensor<?x8xf32>) -> tensor<?x8xf32> {
  ^bb0(%0: tensor<?x8xf32>):
    // expected-error @+1 {{using value defined outside the region}}
    %1 = epi.silu %x : tensor<?x8xf32>
    epi.yield %1 : tensor<?x8xf32>
  }
  return
}

// -----

// Caches hold floats.
// expected-error @+1 {{cache elements must be f32 or bf16, got 'i8'}}
func.func private @f(!epi.kv_cache<heads = 2, key = 4, value = 4, i8>)

// -----

// Sizes of caches are positive.
// expected-error @+1 {{heads, key and value must be positive}}
func.func private @f(!epi.kv_cache<heads = 0, key = 4, value = 4, f32>)

// -----

// Sizes of caches are positive.
// expected-error @+1 {{latent and rope must be positive}}
func.func private @f(!epi.mla_cache<latent = 8, rope = 0, f32>)

// -----

// epi.linear (C1)
func.func @f(%x: tensor<?x8xf32>, %w: tensor<4x6xf32>) {
  // expected-error @+1 {{x has 8 columns but w has 6; both must be K}}
  %y = epi.linear %x, %w : (tensor<?x8xf32>, tensor<4x6xf32>) -> tensor<?x4xf32>
  return
}

// -----

// epi.linear (C2)
func.func @f(%x: tensor<?x8xf32>, %w: tensor<4x8xf32>) {
  // expected-error @+1 {{the result must have shape [?, 4], but its type is 'tensor<?x5xf32>'}}
  %y = epi.linear %x, %w : (tensor<?x8xf32>, tensor<4x8xf32>) -> tensor<?x5xf32>
  return
}

// -----

// epi.head_linear (C1): heads
func.func @f(%x: tensor<?x2x4xf32>, %w: tensor<3x6x4xf32>) {
  // expected-error @+1 {{x [rows, heads, K] and w [heads, N, K] must agree in heads and K}}
  %y = epi.head_linear %x, %w : (tensor<?x2x4xf32>, tensor<3x6x4xf32>) -> tensor<?x2x6xf32>
  return
}

// -----

// epi.head_linear (C1): K
func.func @f(%x: tensor<?x2x4xf32>, %w: tensor<2x6x5xf32>) {
  // expected-error @+1 {{x [rows, heads, K] and w [heads, N, K] must agree in heads and K}}
  %y = epi.head_linear %x, %w : (tensor<?x2x4xf32>, tensor<2x6x5xf32>) -> tensor<?x2x6xf32>
  return
}

// -----

// epi.head_linear (C2)
func.func @f(%x: tensor<?x2x4xf32>, %w: tensor<2x6x4xf32>) {
  // expected-error @+1 {{the result must have shape [?, 2, 6]}}
  %y = epi.head_linear %x, %w : (tensor<?x2x4xf32>, tensor<2x6x4xf32>) -> tensor<?x2x4xf32>
  return
}

// -----

// epi.embedding (C1)
func.func @f(%i: tensor<?xi32>, %t: tensor<16x8xf32>) {
  // expected-error @+1 {{the result must have shape [?, 8]}}
  %y = epi.embedding %i, %t : (tensor<?xi32>, tensor<16x8xf32>) -> tensor<?x16xf32>
  return
}

// -----

// epi.embedding (C2)
func.func @f(%i: tensor<?xi32>, %t: tensor<16x8xf32>) {
  // expected-error @+1 {{the result must have the table's element type, got 'bf16' for 'f32'}}
  %y = epi.embedding %i, %t : (tensor<?xi32>, tensor<16x8xf32>) -> tensor<?x8xbf16>
  return
}

// -----

// epi.rms_norm (C1)
func.func @f(%x: tensor<?x8xf32>, %w: tensor<4xf32>) {
  // expected-error @+1 {{w must have shape [8], but its type is 'tensor<4xf32>'}}
  %y = epi.rms_norm %x, %w {eps = 0.5 : f64} : tensor<?x8xf32>, tensor<4xf32>
  return
}

// -----

// epi.rms_norm (C2)
func.func @f(%x: tensor<?x8xf32>, %w: tensor<8xf32>) {
  // expected-error @+1 {{eps must be positive}}
  %y = epi.rms_norm %x, %w {eps = 0.0 : f64} : tensor<?x8xf32>, tensor<8xf32>
  return
}

// -----

// epi.rope_table (C1): static
func.func @f() {
  // expected-error @+1 {{must have a static shape [positions, even number of dims]}}
  %t = epi.rope_table {theta = 1.0e4 : f64, magnitude = 1.0 : f64} : tensor<?x4xf32>
  return
}

// -----

// epi.rope_table (C1): even
func.func @f() {
  // expected-error @+1 {{must have a static shape [positions, even number of dims]}}
  %t = epi.rope_table {theta = 1.0e4 : f64, magnitude = 1.0 : f64} : tensor<64x5xf32>
  return
}

// -----

// epi.rope_table (C2)
func.func @f() {
  // expected-error @+1 {{theta and magnitude must be positive}}
  %t = epi.rope_table {theta = -1.0 : f64, magnitude = 1.0 : f64} : tensor<64x4xf32>
  return
}

// -----

// epi.rope_table (C2)
func.func @f() {
  // expected-error @+1 {{theta and magnitude must be positive}}
  %t = epi.rope_table {theta = 1.0e4 : f64, magnitude = 0.0 : f64} : tensor<64x4xf32>
  return
}

// -----

// epi.rope_table (C3)
func.func @f() {
  // expected-error @+1 {{stretches frequencies by yarn or by llama3, not by both}}
  %t = epi.rope_table {theta = 1.0e4 : f64, magnitude = 1.0 : f64,
      yarn = #epi.yarn<factor = 4.0, original = 64, beta_fast = 32.0, beta_slow = 1.0>,
      llama3 = #epi.llama3_rope<factor = 8.0, original = 64, low_freq_factor = 1.0, high_freq_factor = 4.0>} : tensor<64x4xf32>
  return
}

// -----

// expected-error @+1 {{factor, original, beta_fast and beta_slow must be positive}}
func.func private @f() attributes {a = #epi.yarn<factor = 4.0, original = 0, beta_fast = 32.0, beta_slow = 1.0>}

// -----

// expected-error @+1 {{high_freq_factor larger than low_freq_factor}}
func.func private @f() attributes {a = #epi.llama3_rope<factor = 8.0, original = 64, low_freq_factor = 4.0, high_freq_factor = 4.0>}

// -----

// epi.rope (C1)
func.func @f(%x: tensor<?x2xf32>, %t: tensor<64x4xf32>, %s: !epi.step) {
  // expected-error @+1 {{rotates 4 dims (its table's), but the last dimension of x is 2}}
  %y = epi.rope %x, %t, %s : tensor<?x2xf32>, tensor<64x4xf32>
  return
}

// -----

// epi.reshape (C1)
func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{must keep the element type}}
  %y = epi.reshape %x : tensor<?x8xf32> to tensor<?x2x4xbf16>
  return
}

// -----

// epi.reshape (C2): rows go
func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{only the first dimension may be dynamic, in both types or in neither}}
  %y = epi.reshape %x : tensor<?x8xf32> to tensor<2x4xf32>
  return
}

// -----

// epi.reshape (C2): rows move
func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{only the first dimension may be dynamic, in both types or in neither}}
  %y = epi.reshape %x : tensor<?x8xf32> to tensor<8x?xf32>
  return
}

// -----

// epi.reshape (C3)
func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{must keep the number of elements}}
  %y = epi.reshape %x : tensor<?x8xf32> to tensor<?x3x3xf32>
  return
}

// -----

// epi.transpose (C1): twice
func.func @f(%x: tensor<2x3xf32>) {
  // expected-error @+1 {{permutation must name each of the 2 dimensions once}}
  %y = epi.transpose %x [0, 0] : tensor<2x3xf32> to tensor<2x2xf32>
  return
}

// -----

// epi.transpose (C1): too few
func.func @f(%x: tensor<2x3xf32>) {
  // expected-error @+1 {{permutation must name each of the 2 dimensions once}}
  %y = epi.transpose %x [0] : tensor<2x3xf32> to tensor<2x3xf32>
  return
}

// -----

// epi.transpose (C1): out of range
func.func @f(%x: tensor<2x3xf32>) {
  // expected-error @+1 {{permutation must name each of the 2 dimensions once}}
  %y = epi.transpose %x [0, 2] : tensor<2x3xf32> to tensor<2x3xf32>
  return
}

// -----

// epi.transpose (C2)
func.func @f(%x: tensor<2x3xf32>) {
  // expected-error @+1 {{the result must have shape [3, 2]}}
  %y = epi.transpose %x [1, 0] : tensor<2x3xf32> to tensor<2x3xf32>
  return
}

// -----

// epi.split (C1)
func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{must have two or more results}}
  %y = epi.split %x dim 1 : tensor<?x8xf32> to tensor<?x8xf32>
  return
}

// -----

// epi.split (C2)
func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{dim 0 is not a static dimension of}}
  %y:2 = epi.split %x dim 0 : tensor<?x8xf32> to tensor<?x8xf32>, tensor<?x8xf32>
  return
}

// -----

// epi.split (C2): no such dimension
func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{dim 2 is not a static dimension of}}
  %y:2 = epi.split %x dim 2 : tensor<?x8xf32> to tensor<?x4xf32>, tensor<?x4xf32>
  return
}

// -----

// epi.split (C3): sum
func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{parts add up to 7 along dim 1, not 8}}
  %y:2 = epi.split %x dim 1 : tensor<?x8xf32> to tensor<?x4xf32>, tensor<?x3xf32>
  return
}

// -----

// epi.split (C3): other dimensions
func.func @f(%x: tensor<?x2x8xf32>) {
  // expected-error @+1 {{part 'tensor<?x3x4xf32>' does not fit}}
  %y:2 = epi.split %x dim 2 : tensor<?x2x8xf32> to tensor<?x2x4xf32>, tensor<?x3x4xf32>
  return
}

// -----

// epi.split (C3): element type
func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{part 'tensor<?x4xbf16>' does not fit}}
  %y:2 = epi.split %x dim 1 : tensor<?x8xf32> to tensor<?x4xf32>, tensor<?x4xbf16>
  return
}

// -----

// epi.concat (C1)
func.func @f() {
  // expected-error @+1 {{must have an operand}}
  %y = "epi.concat"() {dim = 1 : i64} : () -> tensor<?x8xf32>
  return
}

// -----

// epi.concat (C2)
func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{dim 0 is not a static dimension of}}
  %y = epi.concat %x, %x dim 0 : tensor<?x8xf32>, tensor<?x8xf32> to tensor<?x8xf32>
  return
}

// -----

// epi.concat (C3)
func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{parts add up to 16 along dim 1, not 15}}
  %y = epi.concat %x, %x dim 1 : tensor<?x8xf32>, tensor<?x8xf32> to tensor<?x15xf32>
  return
}

// -----

// epi.kv_append (C1): first part
func.func @f(%c: !epi.mla_cache<latent = 8, rope = 2, f32>, %x: tensor<?x4xf32>, %y: tensor<?x2xf32>, %s: !epi.step) {
  // expected-error @+1 {{the first part must have shape [?, 8]}}
  %n = epi.kv_append %c, %x, %y, %s : !epi.mla_cache<latent = 8, rope = 2, f32>, tensor<?x4xf32>, tensor<?x2xf32>
  return
}

// -----

// epi.kv_append (C1): second part
func.func @f(%c: !epi.kv_cache<heads = 2, key = 4, value = 6, f32>, %x: tensor<?x2x4xf32>, %s: !epi.step) {
  // expected-error @+1 {{the second part must have shape [?, 2, 6]}}
  %n = epi.kv_append %c, %x, %x, %s : !epi.kv_cache<heads = 2, key = 4, value = 6, f32>, tensor<?x2x4xf32>, tensor<?x2x4xf32>
  return
}

// -----

// epi.kv_append (C2)
func.func @f(%c: !epi.mla_cache<latent = 8, rope = 2, f32>, %x: tensor<?x8xbf16>, %y: tensor<?x2xf32>, %s: !epi.step) {
  // expected-error @+1 {{both parts must have the cache's element type 'f32'}}
  %n = epi.kv_append %c, %x, %y, %s : !epi.mla_cache<latent = 8, rope = 2, f32>, tensor<?x8xbf16>, tensor<?x2xf32>
  return
}

// -----

// epi.attention (C1)
func.func @f(%c: !epi.kv_cache<heads = 2, key = 4, value = 6, f32>, %q: tensor<?x3x4xf32>, %s: !epi.step) {
  // expected-error @+1 {{query heads (3) must be a multiple of the cache's heads (2)}}
  %o = epi.attention %q, %c, %s {scale = 0.5 : f64} : (tensor<?x3x4xf32>, !epi.kv_cache<heads = 2, key = 4, value = 6, f32>) -> tensor<?x3x6xf32>
  return
}

// -----

// epi.attention (C2): q
func.func @f(%c: !epi.kv_cache<heads = 2, key = 4, value = 6, f32>, %q: tensor<?x4x6xf32>, %s: !epi.step) {
  // expected-error @+1 {{q must have shape [?, 4, 4]}}
  %o = epi.attention %q, %c, %s {scale = 0.5 : f64} : (tensor<?x4x6xf32>, !epi.kv_cache<heads = 2, key = 4, value = 6, f32>) -> tensor<?x4x6xf32>
  return
}

// -----

// epi.attention (C2): result
func.func @f(%c: !epi.kv_cache<heads = 2, key = 4, value = 6, f32>, %q: tensor<?x4x4xf32>, %s: !epi.step) {
  // expected-error @+1 {{the result must have shape [?, 4, 6]}}
  %o = epi.attention %q, %c, %s {scale = 0.5 : f64} : (tensor<?x4x4xf32>, !epi.kv_cache<heads = 2, key = 4, value = 6, f32>) -> tensor<?x4x4xf32>
  return
}

// -----

// epi.attention (C3)
func.func @f(%c: !epi.kv_cache<heads = 2, key = 4, value = 6, f32>, %q: tensor<?x4x4xf32>, %s: !epi.step) {
  // expected-error @+1 {{scale must be positive}}
  %o = epi.attention %q, %c, %s {scale = 0.0 : f64} : (tensor<?x4x4xf32>, !epi.kv_cache<heads = 2, key = 4, value = 6, f32>) -> tensor<?x4x6xf32>
  return
}

// -----

// epi.mla_attention (C1): heads
func.func @f(%c: !epi.mla_cache<latent = 8, rope = 2, f32>, %q: tensor<?x3x8xf32>, %r: tensor<?x2x2xf32>, %s: !epi.step) {
  // expected-error @+1 {{q_rope must have shape [?, 3, 2]}}
  %o = epi.mla_attention %q, %r, %c, %s {scale = 0.5 : f64} : (tensor<?x3x8xf32>, tensor<?x2x2xf32>, !epi.mla_cache<latent = 8, rope = 2, f32>) -> tensor<?x3x8xf32>
  return
}

// -----

// epi.mla_attention (C1): rope
func.func @f(%c: !epi.mla_cache<latent = 8, rope = 2, f32>, %q: tensor<?x3x8xf32>, %r: tensor<?x3x4xf32>, %s: !epi.step) {
  // expected-error @+1 {{q_rope must have shape [?, 3, 2]}}
  %o = epi.mla_attention %q, %r, %c, %s {scale = 0.5 : f64} : (tensor<?x3x8xf32>, tensor<?x3x4xf32>, !epi.mla_cache<latent = 8, rope = 2, f32>) -> tensor<?x3x8xf32>
  return
}

// -----

// epi.mla_attention (C2)
func.func @f(%c: !epi.mla_cache<latent = 8, rope = 2, f32>, %q: tensor<?x3x4xf32>, %r: tensor<?x3x2xf32>, %up: tensor<26x8xf32>, %s: !epi.step) {
  // expected-error @+1 {{up must have shape [27, 8]}}
  %o = epi.mla_attention %q, %r, %c, %s up %up {scale = 0.5 : f64} : (tensor<?x3x4xf32>, tensor<?x3x2xf32>, !epi.mla_cache<latent = 8, rope = 2, f32>) up tensor<26x8xf32> -> tensor<?x3x5xf32>
  return
}

// -----

// epi.mla_attention (C3): q
func.func @f(%c: !epi.mla_cache<latent = 8, rope = 2, f32>, %q: tensor<?x3x4xf32>, %r: tensor<?x3x2xf32>, %s: !epi.step) {
  // expected-error @+1 {{q must have shape [?, 3, 8]}}
  %o = epi.mla_attention %q, %r, %c, %s {scale = 0.5 : f64} : (tensor<?x3x4xf32>, tensor<?x3x2xf32>, !epi.mla_cache<latent = 8, rope = 2, f32>) -> tensor<?x3x8xf32>
  return
}

// -----

// epi.mla_attention (C3): result
func.func @f(%c: !epi.mla_cache<latent = 8, rope = 2, f32>, %q: tensor<?x3x8xf32>, %r: tensor<?x3x2xf32>, %s: !epi.step) {
  // expected-error @+1 {{the result must have shape [?, 3, 8]}}
  %o = epi.mla_attention %q, %r, %c, %s {scale = 0.5 : f64} : (tensor<?x3x8xf32>, tensor<?x3x2xf32>, !epi.mla_cache<latent = 8, rope = 2, f32>) -> tensor<?x3x5xf32>
  return
}

// -----

// epi.mla_attention (C4)
func.func @f(%c: !epi.mla_cache<latent = 8, rope = 2, f32>, %q: tensor<?x3x8xf32>, %r: tensor<?x3x2xf32>, %s: !epi.step) {
  // expected-error @+1 {{scale must be positive}}
  %o = epi.mla_attention %q, %r, %c, %s {scale = -1.0 : f64} : (tensor<?x3x8xf32>, tensor<?x3x2xf32>, !epi.mla_cache<latent = 8, rope = 2, f32>) -> tensor<?x3x8xf32>
  return
}

// -----

// epi.route (C1)
func.func @f(%l: tensor<?x8xf32>, %b: tensor<4xf32>) {
  // expected-error @+1 {{bias must have shape [8]}}
  %i, %w = epi.route %l bias %b {score = #epi.score<sigmoid>, top_k = 3 : i64, groups = 4 : i64, top_groups = 2 : i64, group_score = #epi.group_score<max>, scale = 1.0 : f64} : tensor<?x8xf32> bias tensor<4xf32> -> tensor<?x3xi32>, tensor<?x3xf32>
  return
}

// -----

// epi.route (C2): groups
func.func @f(%l: tensor<?x8xf32>) {
  // expected-error @+1 {{groups (3) must divide the experts (8)}}
  %i, %w = epi.route %l {score = #epi.score<sigmoid>, top_k = 3 : i64, groups = 3 : i64, top_groups = 2 : i64, group_score = #epi.group_score<max>, scale = 1.0 : f64} : tensor<?x8xf32> -> tensor<?x3xi32>, tensor<?x3xf32>
  return
}

// -----

// epi.route (C2): groups
func.func @f(%l: tensor<?x8xf32>) {
  // expected-error @+1 {{groups (0) must divide the experts (8)}}
  %i, %w = epi.route %l {score = #epi.score<sigmoid>, top_k = 3 : i64, groups = 0 : i64, top_groups = 2 : i64, group_score = #epi.group_score<max>, scale = 1.0 : f64} : tensor<?x8xf32> -> tensor<?x3xi32>, tensor<?x3xf32>
  return
}

// -----

// epi.route (C2): top_groups
func.func @f(%l: tensor<?x8xf32>) {
  // expected-error @+1 {{top_groups (5) must lie in 1 to groups (4)}}
  %i, %w = epi.route %l {score = #epi.score<sigmoid>, top_k = 3 : i64, groups = 4 : i64, top_groups = 5 : i64, group_score = #epi.group_score<max>, scale = 1.0 : f64} : tensor<?x8xf32> -> tensor<?x3xi32>, tensor<?x3xf32>
  return
}

// -----

// epi.route (C3): too many
func.func @f(%l: tensor<?x8xf32>) {
  // expected-error @+1 {{top_k (5) must lie in 1 to the 4 experts of top_groups groups}}
  %i, %w = epi.route %l {score = #epi.score<sigmoid>, top_k = 5 : i64, groups = 4 : i64, top_groups = 2 : i64, group_score = #epi.group_score<max>, scale = 1.0 : f64} : tensor<?x8xf32> -> tensor<?x5xi32>, tensor<?x5xf32>
  return
}

// -----

// epi.route (C3): none
func.func @f(%l: tensor<?x8xf32>) {
  // expected-error @+1 {{top_k (0) must lie in 1 to the 4 experts of top_groups groups}}
  %i, %w = epi.route %l {score = #epi.score<sigmoid>, top_k = 0 : i64, groups = 4 : i64, top_groups = 2 : i64, group_score = #epi.group_score<max>, scale = 1.0 : f64} : tensor<?x8xf32> -> tensor<?x3xi32>, tensor<?x3xf32>
  return
}

// -----

// epi.route (C4): ids
func.func @f(%l: tensor<?x8xf32>) {
  // expected-error @+1 {{ids must have shape [?, 3]}}
  %i, %w = epi.route %l {score = #epi.score<sigmoid>, top_k = 3 : i64, groups = 4 : i64, top_groups = 2 : i64, group_score = #epi.group_score<max>, scale = 1.0 : f64} : tensor<?x8xf32> -> tensor<?x2xi32>, tensor<?x3xf32>
  return
}

// -----

// epi.route (C4): weights
func.func @f(%l: tensor<?x8xf32>) {
  // expected-error @+1 {{weights must have shape [?, 3]}}
  %i, %w = epi.route %l {score = #epi.score<sigmoid>, top_k = 3 : i64, groups = 4 : i64, top_groups = 2 : i64, group_score = #epi.group_score<max>, scale = 1.0 : f64} : tensor<?x8xf32> -> tensor<?x3xi32>, tensor<?x2xf32>
  return
}

// -----

// epi.experts (C1)
func.func @f(%x: tensor<?x6xf32>, %i: tensor<?x2xi32>, %w: tensor<?x3xf32>, %g: tensor<8x4x6xf32>, %u: tensor<8x4x6xf32>, %d: tensor<8x6x4xf32>) {
  // expected-error @+1 {{weights must have shape [?, 2]}}
  %y = epi.experts %x, %i, %w, %g, %u, %d : tensor<?x6xf32>, tensor<?x2xi32>, tensor<?x3xf32>, tensor<8x4x6xf32>, tensor<8x4x6xf32>, tensor<8x6x4xf32>
  return
}

// -----

// epi.experts (C2): hidden size
func.func @f(%x: tensor<?x6xf32>, %i: tensor<?x2xi32>, %w: tensor<?x2xf32>, %g: tensor<8x4x5xf32>, %u: tensor<8x4x6xf32>, %d: tensor<8x6x4xf32>) {
  // expected-error @+1 {{gate must have shape [8, 4, 6]}}
  %y = epi.experts %x, %i, %w, %g, %u, %d : tensor<?x6xf32>, tensor<?x2xi32>, tensor<?x2xf32>, tensor<8x4x5xf32>, tensor<8x4x6xf32>, tensor<8x6x4xf32>
  return
}

// -----

// epi.experts (C2): up
func.func @f(%x: tensor<?x6xf32>, %i: tensor<?x2xi32>, %w: tensor<?x2xf32>, %g: tensor<8x4x6xf32>, %u: tensor<4x4x6xf32>, %d: tensor<8x6x4xf32>) {
  // expected-error @+1 {{up must have shape [8, 4, 6]}}
  %y = epi.experts %x, %i, %w, %g, %u, %d : tensor<?x6xf32>, tensor<?x2xi32>, tensor<?x2xf32>, tensor<8x4x6xf32>, tensor<4x4x6xf32>, tensor<8x6x4xf32>
  return
}

// -----

// epi.experts (C2): down
func.func @f(%x: tensor<?x6xf32>, %i: tensor<?x2xi32>, %w: tensor<?x2xf32>, %g: tensor<8x4x6xf32>, %u: tensor<8x4x6xf32>, %d: tensor<8x4x6xf32>) {
  // expected-error @+1 {{down must have shape [8, 6, 4]}}
  %y = epi.experts %x, %i, %w, %g, %u, %d : tensor<?x6xf32>, tensor<?x2xi32>, tensor<?x2xf32>, tensor<8x4x6xf32>, tensor<8x4x6xf32>, tensor<8x4x6xf32>
  return
}

// -----

// epi.permute (C1): hidden size
func.func @f(%x: tensor<?x6xf32>, %i: tensor<?x2xi32>) {
  // expected-error @+1 {{rows must have shape [?, 6]}}
  %r, %s, %n = epi.permute %x, %i : tensor<?x6xf32>, tensor<?x2xi32> -> tensor<?x5xf32>, tensor<?x2xi32>, tensor<8xi32>
  return
}

// -----

// epi.permute (C1): element type
func.func @f(%x: tensor<?x6xf32>, %i: tensor<?x2xi32>) {
  // expected-error @+1 {{rows must have the element type of x, 'f32'}}
  %r, %s, %n = epi.permute %x, %i : tensor<?x6xf32>, tensor<?x2xi32> -> tensor<?x6xbf16>, tensor<?x2xi32>, tensor<8xi32>
  return
}

// -----

// epi.permute (C2)
func.func @f(%x: tensor<?x6xf32>, %i: tensor<?x2xi32>) {
  // expected-error @+1 {{slots must have shape [?, 2]}}
  %r, %s, %n = epi.permute %x, %i : tensor<?x6xf32>, tensor<?x2xi32> -> tensor<?x6xf32>, tensor<?x3xi32>, tensor<8xi32>
  return
}

// -----

// epi.unpermute (C1)
func.func @f(%x: tensor<?x6xf32>, %i: tensor<?x2xi32>, %w: tensor<?x3xf32>) {
  // expected-error @+1 {{weights must have shape [?, 2]}}
  %y = epi.unpermute %x, %i, %w : tensor<?x6xf32>, tensor<?x2xi32>, tensor<?x3xf32> -> tensor<?x6xf32>
  return
}

// -----

// epi.unpermute (C2)
func.func @f(%x: tensor<?x6xf32>, %i: tensor<?x2xi32>, %w: tensor<?x2xf32>) {
  // expected-error @+1 {{the result must have shape [?, 6]}}
  %y = epi.unpermute %x, %i, %w : tensor<?x6xf32>, tensor<?x2xi32>, tensor<?x2xf32> -> tensor<?x5xf32>
  return
}

// -----

// epi.grouped_linear (C1)
func.func @f(%x: tensor<?x6xf32>, %n: tensor<4xi32>, %w: tensor<8x4x6xf32>) {
  // expected-error @+1 {{counts must have shape [8]}}
  %y = epi.grouped_linear %x, %n, %w : (tensor<?x6xf32>, tensor<4xi32>, tensor<8x4x6xf32>) -> tensor<?x4xf32>
  return
}

// -----

// epi.grouped_linear (C2)
func.func @f(%x: tensor<?x6xf32>, %n: tensor<8xi32>, %w: tensor<8x4x5xf32>) {
  // expected-error @+1 {{x has 6 columns but w has 5; both must be K}}
  %y = epi.grouped_linear %x, %n, %w : (tensor<?x6xf32>, tensor<8xi32>, tensor<8x4x5xf32>) -> tensor<?x4xf32>
  return
}

// -----

// epi.grouped_linear (C3)
func.func @f(%x: tensor<?x6xf32>, %n: tensor<8xi32>, %w: tensor<8x4x6xf32>) {
  // expected-error @+1 {{the result must have shape [?, 4]}}
  %y = epi.grouped_linear %x, %n, %w : (tensor<?x6xf32>, tensor<8xi32>, tensor<8x4x6xf32>) -> tensor<?x5xf32>
  return
}

// -----

// epi.add (C1)
func.func @f(%x: tensor<?x8xf32>, %y: tensor<4xf32>) {
  // expected-error @+1 {{the second operand must have the type of the first, or be one value for each column or for each row of it}}
  %0 = epi.add %x, %y : tensor<?x8xf32>, tensor<4xf32>
  return
}

// -----

// epi.mul (C1)
func.func @f(%x: tensor<?x4x8xf32>, %y: tensor<?x1xf32>) {
  // expected-error @+1 {{the second operand must have the type of the first, or be one value for each column or for each row of it}}
  %0 = epi.mul %x, %y : tensor<?x4x8xf32>, tensor<?x1xf32>
  return
}

// -----

// #epi.clamp
// expected-error @+1 {{alpha and limit must be positive}}
func.func private @f() attributes {c = #epi.clamp<alpha = 1.702, limit = 0.0>}

// -----

// epi.rms_norm (C1): of each head
func.func @f(%x: tensor<?x4x8xf32>, %w: tensor<32xf32>) {
  // expected-error @+1 {{w must have shape [8]}}
  %0 = epi.rms_norm %x, %w {eps = 1.0e-6 : f64} : tensor<?x4x8xf32>, tensor<32xf32>
  return
}

// -----

// epi.attention (C4)
func.func @f(%q: tensor<?x8x64xf32>, %c: !epi.kv_cache<heads = 2, key = 64, value = 64, f32>, %step: !epi.step, %s: tensor<2xf32>) {
  // expected-error @+1 {{sinks must have shape [8]}}
  %0 = epi.attention %q, %c, %step sinks %s {scale = 0.125 : f64} : (tensor<?x8x64xf32>, !epi.kv_cache<heads = 2, key = 64, value = 64, f32>) sinks tensor<2xf32> -> tensor<?x8x64xf32>
  return
}

// -----

// epi.attention (C5)
func.func @f(%q: tensor<?x8x64xf32>, %c: !epi.kv_cache<heads = 2, key = 64, value = 64, f32>, %step: !epi.step) {
  // expected-error @+1 {{window must be positive, got 0}}
  %0 = epi.attention %q, %c, %step {scale = 0.125 : f64, window = 0 : i64} : (tensor<?x8x64xf32>, !epi.kv_cache<heads = 2, key = 64, value = 64, f32>) -> tensor<?x8x64xf32>
  return
}

// -----

// epi.experts (C3)
func.func @f(%x: tensor<?x64xf32>, %ids: tensor<?x2xi32>, %w: tensor<?x2xf32>, %g: tensor<8x32x64xf32>, %d: tensor<8x64x32xf32>, %b: tensor<8x32xf32>) {
  // expected-error @+1 {{must have no biases, or those of gate, up and down, got 2}}
  %0 = epi.experts %x, %ids, %w, %g, %g, %d biases %b, %b : tensor<?x64xf32>, tensor<?x2xi32>, tensor<?x2xf32>, tensor<8x32x64xf32>, tensor<8x32x64xf32>, tensor<8x64x32xf32> biases tensor<8x32xf32>, tensor<8x32xf32>
  return
}

// -----

// epi.experts (C3): the last one
func.func @f(%x: tensor<?x64xf32>, %ids: tensor<?x2xi32>, %w: tensor<?x2xf32>, %g: tensor<8x32x64xf32>, %d: tensor<8x64x32xf32>, %b: tensor<8x32xf32>) {
  // expected-error @+1 {{the bias of down must have shape [8, 64]}}
  %0 = epi.experts %x, %ids, %w, %g, %g, %d biases %b, %b, %b : tensor<?x64xf32>, tensor<?x2xi32>, tensor<?x2xf32>, tensor<8x32x64xf32>, tensor<8x32x64xf32>, tensor<8x64x32xf32> biases tensor<8x32xf32>, tensor<8x32xf32>, tensor<8x32xf32>
  return
}

// -----

// epi.grouped_linear (C4)
func.func @f(%x: tensor<?x64xf32>, %n: tensor<8xi32>, %w: tensor<8x32x64xf32>, %b: tensor<32xf32>, %c: tensor<8x64xf32>) {
  // expected-error @+1 {{bias must have shape [8, 32]}}
  %0 = epi.grouped_linear %x, %n, %w bias %c : (tensor<?x64xf32>, tensor<8xi32>, tensor<8x32x64xf32>) bias tensor<8x64xf32> -> tensor<?x32xf32>
  return
}

// -----

// epi.halve_rows (C1)
func.func @f(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{must have a dynamic number of rows}}
  %a, %b = epi.halve_rows %x : tensor<4x8xf32>
  return
}

// -----

// epi.join_rows (C2)
func.func @f(%x: tensor<?x8xf32>) {
  %a, %b = epi.halve_rows %x : tensor<?x8xf32>
  // expected-error @+1 {{must join the first and the second half of an epi.halve_rows}}
  %y = epi.join_rows %b, %a : tensor<?x8xf32>
  return
}

// -----

// epi.linear (C3): no scales
func.func @f(%x: tensor<?x64xbf16>, %w: tensor<32x64xf8E4M3FN>) {
  // expected-error @+1 {{w is quantized ('tensor<32x64xf8E4M3FN>') but has no scales}}
  %0 = epi.linear %x, %w : (tensor<?x64xbf16>, tensor<32x64xf8E4M3FN>) -> tensor<?x32xbf16>
  return
}

// -----

// epi.linear (C3): scales of what is not quantized
func.func @f(%x: tensor<?x64xbf16>, %w: tensor<32x64xbf16>, %s: tensor<1x1xf32>) {
  // expected-error @+1 {{w has scales but is not quantized}}
  %0 = epi.linear %x, %w scale %s : (tensor<?x64xbf16>, tensor<32x64xbf16> scale tensor<1x1xf32>) -> tensor<?x32xbf16>
  return
}

// -----

// epi.linear (C4)
func.func @f(%x: tensor<?x64xf8E4M3FN>, %s: tensor<?x1xf32>, %w: tensor<32x64xbf16>) {
  // expected-error @+1 {{a quantized x needs a quantized w}}
  %0 = epi.linear %x scale %s, %w : (tensor<?x64xf8E4M3FN> scale tensor<?x1xf32>, tensor<32x64xbf16>) -> tensor<?x32xbf16>
  return
}

// -----

// epi.linear (C5)
func.func @f(%x: tensor<?x200xbf16>, %w: tensor<300x200xf8E4M3FN>, %s: tensor<2x2xf32>) {
  // expected-error @+1 {{the scales of w must have shape [3, 2]}}
  %0 = epi.linear %x, %w scale %s : (tensor<?x200xbf16>, tensor<300x200xf8E4M3FN> scale tensor<2x2xf32>) -> tensor<?x300xbf16>
  return
}

// -----

// epi.grouped_linear (C5)
func.func @f(%x: tensor<?x64xf8E4M3FN>, %n: tensor<2xi32>, %w: tensor<2x32x64xf8E4M3FN>, %s: tensor<2x1x1xf32>) {
  // expected-error @+1 {{x is quantized ('tensor<?x64xf8E4M3FN>') but has no scales}}
  %0 = epi.grouped_linear %x, %n, %w scale %s : (tensor<?x64xf8E4M3FN>, tensor<2xi32>, tensor<2x32x64xf8E4M3FN> scale tensor<2x1x1xf32>) -> tensor<?x32xbf16>
  return
}

// -----

// epi.grouped_linear (C6)
func.func @f(%x: tensor<?x64xf8E4M3FN>, %s: tensor<?x1xf32>, %n: tensor<2xi32>, %w: tensor<2x32x64xbf16>) {
  // expected-error @+1 {{a quantized x needs a quantized w}}
  %0 = epi.grouped_linear %x scale %s, %n, %w : (tensor<?x64xf8E4M3FN> scale tensor<?x1xf32>, tensor<2xi32>, tensor<2x32x64xbf16>) -> tensor<?x32xbf16>
  return
}

// -----

// epi.grouped_linear (C7)
func.func @f(%x: tensor<?x64xbf16>, %n: tensor<2xi32>, %w: tensor<2x32x64xf8E4M3FN>, %s: tensor<1x1x1xf32>) {
  // expected-error @+1 {{the scales of w must have shape [2, 1, 1]}}
  %0 = epi.grouped_linear %x, %n, %w scale %s : (tensor<?x64xbf16>, tensor<2xi32>, tensor<2x32x64xf8E4M3FN> scale tensor<1x1x1xf32>) -> tensor<?x32xbf16>
  return
}

// -----

// epi.dequantize (C1)
func.func @f(%q: tensor<64x64xf8E4M3FN>, %s: tensor<1x1xf32>) {
  // expected-error @+1 {{block must be two positive sizes, got [128, 0]}}
  %0 = epi.dequantize %q, %s {block = array<i64: 128, 0>} : tensor<64x64xf8E4M3FN>, tensor<1x1xf32> -> tensor<64x64xbf16>
  return
}

// -----

// epi.dequantize (C2)
func.func @f(%q: tensor<4x130x64xf8E4M3FN>, %s: tensor<4x1x1xf32>) {
  // expected-error @+1 {{scales must have shape [4, 2, 1]}}
  %0 = epi.dequantize %q, %s {block = array<i64: 128, 128>} : tensor<4x130x64xf8E4M3FN>, tensor<4x1x1xf32> -> tensor<4x130x64xbf16>
  return
}

// -----

// epi.dequantize (C3)
func.func @f(%q: tensor<64x64xf8E4M3FN>, %s: tensor<1x1xf32>) {
  // expected-error @+1 {{the result must have shape [64, 64]}}
  %0 = epi.dequantize %q, %s {block = array<i64: 128, 128>} : tensor<64x64xf8E4M3FN>, tensor<1x1xf32> -> tensor<64x32xbf16>
  return
}

// -----

// epi.quantize (C1)
func.func @f(%x: tensor<?x64xbf16>) {
  // expected-error @+1 {{block must be one row and a positive number of columns, got [2, 128]}}
  %q, %s = epi.quantize %x {block = array<i64: 2, 128>} : tensor<?x64xbf16> -> tensor<?x64xf8E4M3FN>, tensor<?x1xf32>
  return
}

// -----

// epi.quantize (C2)
func.func @f(%x: tensor<?x64xbf16>) {
  // expected-error @+1 {{quantized must have shape [?, 64]}}
  %q, %s = epi.quantize %x {block = array<i64: 1, 128>} : tensor<?x64xbf16> -> tensor<?x32xf8E4M3FN>, tensor<?x1xf32>
  return
}

// -----

// epi.quantize (C3)
func.func @f(%x: tensor<?x200xbf16>) {
  // expected-error @+1 {{scales must have shape [?, 2]}}
  %q, %s = epi.quantize %x {block = array<i64: 1, 128>} : tensor<?x200xbf16> -> tensor<?x200xf8E4M3FN>, tensor<?x1xf32>
  return
}

// -----

// epi.sample (C1)
func.func @f(%x: tensor<?x0xf32>, %step: !epi.step) {
  // expected-error @+1 {{x must have a static number of columns, at least one, got 'tensor<?x0xf32>'}}
  %0 = epi.sample %x, %step : tensor<?x0xf32> -> tensor<?xi32>
  return
}

// -----

// epi.sample (C1)
func.func @f(%x: tensor<?x?xf32>, %step: !epi.step) {
  // expected-error @+1 {{x must have a static number of columns, at least one, got 'tensor<?x?xf32>'}}
  %0 = epi.sample %x, %step : tensor<?x?xf32> -> tensor<?xi32>
  return
}

// -----

// epi.sample (C2)
func.func @f(%x: tensor<4x8xf32>, %step: !epi.step) {
  // expected-error @+1 {{the result must have shape [4], but its type is 'tensor<8xi32>'}}
  %0 = epi.sample %x, %step : tensor<4x8xf32> -> tensor<8xi32>
  return
}
