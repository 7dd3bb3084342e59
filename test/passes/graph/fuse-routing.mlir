// RUN: epigraph-opt %s --epi-fuse-routing --split-input-file | FileCheck %s

// CHECK-LABEL: func.func @softmax
// CHECK-SAME:    (%[[L:.*]]: tensor<?x8xf32>)
// CHECK-NEXT:    epi.route %[[L]] {{.*}}score = #epi.score<softmax>
func.func @softmax(%l: tensor<?x8xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>) {
  %s = epi.softmax %l : tensor<?x8xf32>
  %ids, %w = epi.route %s {score = #epi.score<identity>, top_k = 2 : i64, groups = 1 : i64, top_groups = 1 : i64,
               group_score = #epi.group_score<max>, normalize, scale = 1.0 : f64} : tensor<?x8xf32> -> tensor<?x2xi32>, tensor<?x2xf32>
  return %ids, %w : tensor<?x2xi32>, tensor<?x2xf32>
}

// -----

// The route's own bias stays what it is: added to the scores.

// CHECK-LABEL: func.func @sigmoid
// CHECK-SAME:    (%[[L:.*]]: tensor<?x8xf32>, %[[B:.*]]: tensor<8xf32>)
// CHECK-NEXT:    epi.route %[[L]] bias %[[B]] {{.*}}score = #epi.score<sigmoid>
func.func @sigmoid(%l: tensor<?x8xf32>, %b: tensor<8xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>) {
  %s = epi.sigmoid %l : tensor<?x8xf32>
  %ids, %w = epi.route %s bias %b {score = #epi.score<identity>, top_k = 2 : i64, groups = 1 : i64, top_groups = 1 : i64,
               group_score = #epi.group_score<max>, scale = 1.0 : f64} : tensor<?x8xf32> bias tensor<8xf32> -> tensor<?x2xi32>, tensor<?x2xf32>
  return %ids, %w : tensor<?x2xi32>, tensor<?x2xf32>
}

// -----

// Only the choice is asked for, so the bias may be in the scores or beside them.

// CHECK-LABEL: func.func @choice_alone
// CHECK-SAME:    (%[[L:.*]]: tensor<?x8xf32>, %[[B:.*]]: tensor<8xf32>)
// CHECK-NEXT:    epi.route %[[L]] bias %[[B]] {{.*}}score = #epi.score<sigmoid>
func.func @choice_alone(%l: tensor<?x8xf32>, %b: tensor<8xf32>) -> tensor<?x2xi32> {
  %s = epi.sigmoid %l : tensor<?x8xf32>
  %c = epi.add %s, %b : tensor<?x8xf32>, tensor<8xf32>
  %ids, %w = epi.route %c {score = #epi.score<identity>, top_k = 2 : i64, groups = 1 : i64, top_groups = 1 : i64,
               group_score = #epi.group_score<max>, scale = 1.0 : f64} : tensor<?x8xf32> -> tensor<?x2xi32>, tensor<?x2xf32>
  return %ids : tensor<?x2xi32>
}

// -----

// The sum moves the weights, a bias would not.

// CHECK-LABEL: func.func @weights_used
// CHECK:         epi.sigmoid
// CHECK-NEXT:    %[[C:.*]] = epi.add
// CHECK-NEXT:    epi.route %[[C]] {{.*}}identity
func.func @weights_used(%l: tensor<?x8xf32>, %b: tensor<8xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>) {
  %s = epi.sigmoid %l : tensor<?x8xf32>
  %c = epi.add %s, %b : tensor<?x8xf32>, tensor<8xf32>
  %ids, %w = epi.route %c {score = #epi.score<identity>, top_k = 2 : i64, groups = 1 : i64, top_groups = 1 : i64,
               group_score = #epi.group_score<max>, scale = 1.0 : f64} : tensor<?x8xf32> -> tensor<?x2xi32>, tensor<?x2xf32>
  return %ids, %w : tensor<?x2xi32>, tensor<?x2xf32>
}

// -----

// A bias on logits is none on scores; a bias is there already; the sum is no bias but a tensor.

// CHECK-LABEL: func.func @other_sums
// CHECK-COUNT-3: epi.add
// CHECK:         epi.route %{{[a-z0-9]+}} {{.*}}sigmoid
// CHECK:         epi.route %{{[a-z0-9]+}} bias %arg1 {{.*}}identity
// CHECK:         epi.route %{{[a-z0-9]+}} {{.*}}identity
func.func @other_sums(%l: tensor<?x8xf32>, %b: tensor<8xf32>, %t: tensor<?x8xf32>) -> (tensor<?x2xi32>, tensor<?x2xi32>, tensor<?x2xi32>) {
  %c = epi.add %l, %b : tensor<?x8xf32>, tensor<8xf32>
  %d = epi.add %l, %b : tensor<?x8xf32>, tensor<8xf32>
  %e = epi.add %l, %t : tensor<?x8xf32>
  %i, %u = epi.route %c {score = #epi.score<sigmoid>, top_k = 2 : i64, groups = 1 : i64, top_groups = 1 : i64,
               group_score = #epi.group_score<max>, scale = 1.0 : f64} : tensor<?x8xf32> -> tensor<?x2xi32>, tensor<?x2xf32>
  %j, %v = epi.route %d bias %b {score = #epi.score<identity>, top_k = 2 : i64, groups = 1 : i64, top_groups = 1 : i64,
               group_score = #epi.group_score<max>, scale = 1.0 : f64} : tensor<?x8xf32> bias tensor<8xf32> -> tensor<?x2xi32>, tensor<?x2xf32>
  %k, %w = epi.route %e {score = #epi.score<identity>, top_k = 2 : i64, groups = 1 : i64, top_groups = 1 : i64,
               group_score = #epi.group_score<max>, scale = 1.0 : f64} : tensor<?x8xf32> -> tensor<?x2xi32>, tensor<?x2xf32>
  return %i, %j, %k : tensor<?x2xi32>, tensor<?x2xi32>, tensor<?x2xi32>
}

// -----

// Scores that something else reads stay; so do those of a route that makes scores of its own.

// CHECK-LABEL: func.func @other_uses
// CHECK:         %[[S:.*]] = epi.softmax
// CHECK:         epi.route %[[S]] {{.*}}identity
// CHECK:         %[[T:.*]] = epi.softmax
// CHECK:         epi.route %[[T]] {{.*}}sigmoid
func.func @other_uses(%l: tensor<?x8xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>, tensor<?x8xf32>, tensor<?x2xi32>) {
  %s = epi.softmax %l : tensor<?x8xf32>
  %ids, %w = epi.route %s {score = #epi.score<identity>, top_k = 2 : i64, groups = 1 : i64, top_groups = 1 : i64,
               group_score = #epi.group_score<max>, scale = 1.0 : f64} : tensor<?x8xf32> -> tensor<?x2xi32>, tensor<?x2xf32>
  %t = epi.softmax %l : tensor<?x8xf32>
  %i, %v = epi.route %t {score = #epi.score<sigmoid>, top_k = 2 : i64, groups = 1 : i64, top_groups = 1 : i64,
               group_score = #epi.group_score<max>, scale = 1.0 : f64} : tensor<?x8xf32> -> tensor<?x2xi32>, tensor<?x2xf32>
  return %ids, %w, %s, %i : tensor<?x2xi32>, tensor<?x2xf32>, tensor<?x8xf32>, tensor<?x2xi32>
}
