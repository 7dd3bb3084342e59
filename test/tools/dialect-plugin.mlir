// A dialect of a plugin is read beside Epigraph's own.
// RUN: epigraph-opt %s --load-dialect-plugin=%test_dialect | FileCheck %s
// RUN: not epigraph-opt %s 2>&1 | FileCheck %s --check-prefix=WITHOUT

// WITHOUT: error: operation being parsed with an unregistered dialect
// CHECK: test_plugin.mark
// CHECK: epi.silu
func.func @f(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  "test_plugin.mark"() : () -> ()
  %y = epi.silu %x : tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
