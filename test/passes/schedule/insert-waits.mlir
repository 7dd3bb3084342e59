// RUN: epigraph-opt %s --exec-insert-waits --split-input-file | FileCheck %s
// RUN: epigraph-opt %s --exec-insert-waits --exec-verify-waits --split-input-file -o /dev/null
// RUN: epigraph-opt %s --exec-insert-waits --split-input-file --remarks-filter=exec-insert-waits -o /dev/null 2>&1 | FileCheck %s --check-prefix=STATS

// A wait stands before the first reader, for the latest collective that it reads: that ends %a's too, although %a is
// read only later. %c started after and goes on until its own reader.

// CHECK-LABEL: func.func @one_wait_covers_earlier_ones
// CHECK-NEXT:    %[[A:.*]], %[[TA:.*]] = ep.all_reduce %{{.*}} on @world
// CHECK-NEXT:    %[[B:.*]], %[[TB:.*]] = ep.all_reduce %{{.*}} on @world
// CHECK-NEXT:    %[[C:.*]], %[[TC:.*]] = ep.all_reduce %{{.*}} on @world
// CHECK-NEXT:    exec.launch @silu_0(%arg0)
// CHECK-NEXT:    ep.wait %[[TB]]
// CHECK-NEXT:    exec.launch @silu_0(%[[B]])
// CHECK-NEXT:    exec.launch @silu_0(%[[A]])
// CHECK-NEXT:    ep.wait %[[TC]]
// CHECK-NEXT:    exec.launch @silu_0(%[[C]])
// CHECK-NEXT:    return
// STATS: Category:exec-insert-waits | naive-waits=3, started=3, tokens-taken=0, waits=2
module {
  ep.mesh @world {expert = 2 : i64, attention = #ep.attention<replicated>}
  exec.kernel @silu_0(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    %0 = epi.silu %x : tensor<?x8xf32>
    exec.yield %0 : tensor<?x8xf32>
  }
  func.func @one_wait_covers_earlier_ones(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    %a, %ta = ep.all_reduce %x on @world : tensor<?x8xf32>, !ep.token
    %b, %tb = ep.all_reduce %x on @world : tensor<?x8xf32>, !ep.token
    %c, %tc = ep.all_reduce %x on @world : tensor<?x8xf32>, !ep.token
    %0 = exec.launch @silu_0(%x) : (tensor<?x8xf32>) -> tensor<?x8xf32>
    %1 = exec.launch @silu_0(%b) : (tensor<?x8xf32>) -> tensor<?x8xf32>
    %2 = exec.launch @silu_0(%a) : (tensor<?x8xf32>) -> tensor<?x8xf32>
    %3 = exec.launch @silu_0(%c) : (tensor<?x8xf32>) -> tensor<?x8xf32>
    return %3 : tensor<?x8xf32>
  }
}

// -----

// What nobody reads has to finish too: one wait at the end, for the last.

// CHECK-LABEL: func.func @the_end
// CHECK-NEXT:    ep.all_reduce
// CHECK-NEXT:    %{{.*}}, %[[T:.*]] = ep.all_reduce
// CHECK-NEXT:    exec.launch
// CHECK-NEXT:    ep.wait %[[T]]
// CHECK-NEXT:    return
// STATS: Category:exec-insert-waits | naive-waits=2, started=2, tokens-taken=0, waits=1
module {
  ep.mesh @world {expert = 2 : i64, attention = #ep.attention<replicated>}
  exec.kernel @silu_0(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    %0 = epi.silu %x : tensor<?x8xf32>
    exec.yield %0 : tensor<?x8xf32>
  }
  func.func @the_end(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    %a, %ta = ep.all_reduce %x on @world : tensor<?x8xf32>, !ep.token
    %b, %tb = ep.all_reduce %x on @world : tensor<?x8xf32>, !ep.token
    %0 = exec.launch @silu_0(%x) : (tensor<?x8xf32>) -> tensor<?x8xf32>
    return %0 : tensor<?x8xf32>
  }
}

// -----

// The reader of %a comes next, so that starting it alone is of no use. A load of a weight is no step of the runtime. The wait
// of %a ends %b's as well.

// CHECK-LABEL: func.func @tokens_taken
// CHECK-NEXT:    ep.all_reduce %{{.*}} on @world : tensor<?x8xf32>, !ep.token
// CHECK-NEXT:    exec.launch
// CHECK-NEXT:    %[[A:.*]] = ep.all_reduce %{{.*}} on @world : tensor<?x8xf32>{{$}}
// CHECK-NEXT:    exec.load_weight
// CHECK-NEXT:    exec.launch @linear_0(%[[A]],
// CHECK-NEXT:    exec.launch
// CHECK-NEXT:    return
// STATS: Category:exec-insert-waits | naive-waits=2, started=1, tokens-taken=1, waits=0
module {
  ep.mesh @world {expert = 2 : i64, attention = #ep.attention<replicated>}
  exec.weight @w : tensor<8x8xf32> {
    %0 = epi.weight "w" : tensor<8x8xf32>
    exec.yield %0 : tensor<8x8xf32>
  }
  exec.kernel @silu_0(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    %0 = epi.silu %x : tensor<?x8xf32>
    exec.yield %0 : tensor<?x8xf32>
  }
  exec.kernel @linear_0(%x: tensor<?x8xf32>, %w: tensor<8x8xf32>) -> tensor<?x8xf32> {
    %0 = epi.linear %x, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
    exec.yield %0 : tensor<?x8xf32>
  }
  func.func @tokens_taken(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    %b, %tb = ep.all_reduce %x on @world : tensor<?x8xf32>, !ep.token
    %0 = exec.launch @silu_0(%x) : (tensor<?x8xf32>) -> tensor<?x8xf32>
    %a, %ta = ep.all_reduce %0 on @world : tensor<?x8xf32>, !ep.token
    %w = exec.load_weight @w : tensor<8x8xf32>
    %1 = exec.launch @linear_0(%a, %w) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
    %2 = exec.launch @silu_0(%b) : (tensor<?x8xf32>) -> tensor<?x8xf32>
    return %2 : tensor<?x8xf32>
  }
}

// -----

// Left alone: a function without tokens, and waits that are needed; one that waits for nothing goes.

// CHECK-LABEL: func.func @no_tokens
// CHECK-NEXT:    ep.all_reduce
// CHECK-NEXT:    return
// CHECK-LABEL: func.func @waits
// CHECK-NEXT:    ep.all_reduce
// CHECK-NEXT:    ep.wait
// CHECK-NEXT:    return
// STATS: Category:exec-insert-waits | naive-waits=1, started=1, tokens-taken=0, waits=0
module {
  ep.mesh @world {expert = 2 : i64, attention = #ep.attention<replicated>}
  func.func @no_tokens(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    %a = ep.all_reduce %x on @world : tensor<?x8xf32>
    return %a : tensor<?x8xf32>
  }
  func.func @waits(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    %a, %ta = ep.all_reduce %x on @world : tensor<?x8xf32>, !ep.token
    ep.wait %ta
    ep.wait %ta
    return %a : tensor<?x8xf32>
  }
}
