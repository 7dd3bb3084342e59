// RUN: epigraph-opt %s --split-input-file --verify-diagnostics --ep-partition-tensor="tensor=4"

func.func @heads(%x: tensor<?x24xf32>, %step: !epi.step) -> tensor<?x6x4xf32> {
  %w = epi.weight "q" : tensor<24x24xf32>
  %0 = epi.linear %x, %w : (tensor<?x24xf32>, tensor<24x24xf32>) -> tensor<?x24xf32>
  %q = epi.reshape %0 : tensor<?x24xf32> to tensor<?x6x4xf32>
  %cache = epi.kv_cache "layer" : !epi.kv_cache<heads = 6, key = 4, value = 4, f32>
  // expected-error @+1 {{has 6 heads, which 4 ranks cannot share equally; choose a number of ranks that divides them: 1, 2, 3, 6}}
  %1 = epi.attention %q, %cache, %step {scale = 0.5 : f64}
      : (tensor<?x6x4xf32>, !epi.kv_cache<heads = 6, key = 4, value = 4, f32>) -> tensor<?x6x4xf32>
  return %1 : tensor<?x6x4xf32>
}

// -----

// Four ranks can share twelve query heads, but neither split three cached heads nor hold each in equal numbers.
func.func @cached_heads(%q: tensor<?x12x4xf32>, %step: !epi.step) -> tensor<?x12x4xf32> {
  %cache = epi.kv_cache "layer" : !epi.kv_cache<heads = 3, key = 4, value = 4, f32>
  // expected-error @+1 {{has 3 heads of keys and values, which 4 ranks cannot share equally; choose a number of ranks that divides them: 1, 3}}
  %1 = epi.attention %q, %cache, %step {scale = 0.5 : f64}
      : (tensor<?x12x4xf32>, !epi.kv_cache<heads = 3, key = 4, value = 4, f32>) -> tensor<?x12x4xf32>
  return %1 : tensor<?x12x4xf32>
}

// -----

func.func @inner(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %up = epi.weight "up" : tensor<10x8xf32>
  %down = epi.weight "down" : tensor<8x10xf32>
  // expected-error @+1 {{has a dimension of 10, which 4 ranks cannot share equally; choose a number of ranks that divides it: 1, 2, 5, 10}}
  %0 = epi.linear %x, %up : (tensor<?x8xf32>, tensor<10x8xf32>) -> tensor<?x10xf32>
  %1 = epi.silu %0 : tensor<?x10xf32>
  %2 = epi.linear %1, %down : (tensor<?x10xf32>, tensor<8x10xf32>) -> tensor<?x8xf32>
  %3 = epi.add %x, %2 : tensor<?x8xf32>
  return %3 : tensor<?x8xf32>
}

// -----

// expected-error @+1 {{is here already: projections are partitioned once, before experts}}
ep.mesh @world {expert = 1 : i64, tensor = 4 : i64, attention = #ep.attention<replicated>}
