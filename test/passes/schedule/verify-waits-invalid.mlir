// RUN: epigraph-opt %s --exec-verify-waits --split-input-file --verify-diagnostics

// A result is read too early.
module {
  ep.mesh @world {expert = 2 : i64, attention = #ep.attention<replicated>}
  exec.kernel @silu_0(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    %0 = epi.silu %x : tensor<?x8xf32>
    exec.yield %0 : tensor<?x8xf32>
  }
  func.func @main(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    // expected-note @below {{started here}}
    %a, %ta = ep.all_reduce %x on @world : tensor<?x8xf32>, !ep.token
    // expected-error @below {{reads a result of 'ep.all_reduce', which is under way: an ep.wait for its token is missing before (--exec-insert-waits)}}
    %0 = exec.launch @silu_0(%a) : (tensor<?x8xf32>) -> tensor<?x8xf32>
    ep.wait %ta
    return %x : tensor<?x8xf32>
  }
}

// -----

// A wait for an earlier one does not do.
module {
  ep.mesh @world {expert = 2 : i64, attention = #ep.attention<replicated>}
  exec.kernel @silu_0(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    %0 = epi.silu %x : tensor<?x8xf32>
    exec.yield %0 : tensor<?x8xf32>
  }
  func.func @main(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    %a, %ta = ep.all_reduce %x on @world : tensor<?x8xf32>, !ep.token
    // expected-note @below {{started here}}
    %b, %tb = ep.all_reduce %x on @world : tensor<?x8xf32>, !ep.token
    ep.wait %ta
    // expected-error @below {{reads a result of 'ep.all_reduce'}}
    %0 = exec.launch @silu_0(%b) : (tensor<?x8xf32>) -> tensor<?x8xf32>
    ep.wait %tb
    return %x : tensor<?x8xf32>
  }
}

// -----

// A collective reads the result of one under way.
module {
  ep.mesh @world {expert = 2 : i64, attention = #ep.attention<replicated>}
  exec.kernel @silu_0(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    %0 = epi.silu %x : tensor<?x8xf32>
    exec.yield %0 : tensor<?x8xf32>
  }
  func.func @main(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    // expected-note @below {{started here}}
    %a, %ta = ep.all_reduce %x on @world : tensor<?x8xf32>, !ep.token
    // expected-error @below {{reads a result of 'ep.all_reduce'}}
    %b, %tb = ep.all_reduce %a on @world : tensor<?x8xf32>, !ep.token
    ep.wait %tb
    return %x : tensor<?x8xf32>
  }
}

// -----

// The function ends.
module {
  ep.mesh @world {expert = 2 : i64, attention = #ep.attention<replicated>}
  exec.kernel @silu_0(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    %0 = epi.silu %x : tensor<?x8xf32>
    exec.yield %0 : tensor<?x8xf32>
  }
  func.func @main(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    // expected-note @below {{started here}}
    %a, %ta = ep.all_reduce %x on @world : tensor<?x8xf32>, !ep.token
    // expected-error @below {{ends the function during 'ep.all_reduce'}}
    return %x : tensor<?x8xf32>
  }
}

// -----

// A wait for what has finished.
module {
  ep.mesh @world {expert = 2 : i64, attention = #ep.attention<replicated>}
  exec.kernel @silu_0(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    %0 = epi.silu %x : tensor<?x8xf32>
    exec.yield %0 : tensor<?x8xf32>
  }
  func.func @main(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    %a, %ta = ep.all_reduce %x on @world : tensor<?x8xf32>, !ep.token
    ep.wait %ta
    // expected-error @below {{waits for nothing: its collectives have finished before; erase it}}
    ep.wait %ta
    return %x : tensor<?x8xf32>
  }
}

// -----

// Memory of the result is written.
module {
  ep.mesh @world {expert = 2 : i64, attention = #ep.attention<replicated>}
  exec.kernel @silu_0(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    %0 = epi.silu %x : tensor<?x8xf32>
    exec.yield %0 : tensor<?x8xf32>
  }
  func.func @main(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    // expected-note @below {{started here}}
    %a, %ta = ep.all_reduce %x on @world {exec.buffers = [#exec.buffer<offset = 0, bytes = 128>]} : tensor<?x8xf32>, !ep.token
    // expected-error @below {{writes memory that is written by 'ep.all_reduce'}}
    %0 = exec.launch @silu_0(%x) {exec.buffers = [#exec.buffer<offset = 64, bytes = 128>]} : (tensor<?x8xf32>) -> tensor<?x8xf32>
    ep.wait %ta
    return %x : tensor<?x8xf32>
  }
}

// -----

// Memory of the operand is written.
module {
  ep.mesh @world {expert = 2 : i64, attention = #ep.attention<replicated>}
  exec.kernel @silu_0(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    %0 = epi.silu %x : tensor<?x8xf32>
    exec.yield %0 : tensor<?x8xf32>
  }
  func.func @main(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    %0 = exec.launch @silu_0(%x) {exec.buffers = [#exec.buffer<offset = 0, bytes = 128>]} : (tensor<?x8xf32>) -> tensor<?x8xf32>
    // expected-note @below {{started here}}
    %a, %ta = ep.all_reduce %0 on @world {exec.buffers = [#exec.buffer<offset = 256, bytes = 128>]} : tensor<?x8xf32>, !ep.token
    // expected-error @below {{writes memory that is read by 'ep.all_reduce'}}
    %1 = exec.launch @silu_0(%x) {exec.buffers = [#exec.buffer<offset = 64, bytes = 128>]} : (tensor<?x8xf32>) -> tensor<?x8xf32>
    ep.wait %ta
    return %x : tensor<?x8xf32>
  }
}

// -----

// Memory of the result, in which another value lay, is read.
module {
  ep.mesh @world {expert = 2 : i64, attention = #ep.attention<replicated>}
  exec.kernel @silu_0(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    %0 = epi.silu %x : tensor<?x8xf32>
    exec.yield %0 : tensor<?x8xf32>
  }
  func.func @main(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    %0 = exec.launch @silu_0(%x) {exec.buffers = [#exec.buffer<offset = 0, bytes = 128>]} : (tensor<?x8xf32>) -> tensor<?x8xf32>
    // expected-note @below {{started here}}
    %a, %ta = ep.all_reduce %x on @world {exec.buffers = [#exec.buffer<offset = 0, bytes = 128>]} : tensor<?x8xf32>, !ep.token
    // expected-error @below {{reads memory that is written by 'ep.all_reduce'}}
    %1 = exec.launch @silu_0(%0) {exec.buffers = [#exec.buffer<offset = 256, bytes = 128>]} : (tensor<?x8xf32>) -> tensor<?x8xf32>
    ep.wait %ta
    return %x : tensor<?x8xf32>
  }
}
