// RUN: %opt %s --demo-order-addends | FileCheck %s
// RUN: %opt %s --demo-order-addends --cse | FileCheck %s --check-prefix=CSE
// RUN: %opt %s --demo-order-addends=limit=0 | FileCheck %s --check-prefix=NONE
// RUN: %opt %s --demo-order-addends --remarks-filter='.*' -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// REMARK: demo-order-addends{{.*}}swapped=2

// Equal sums in different orders become equal operations.
// CHECK-LABEL: func.func @equal_sums
// CHECK-NEXT:    epi.add %[[B:.*]], %[[A:.*]] :
// CHECK-NEXT:    epi.add %[[B]], %[[A]] :
// CSE-LABEL: func.func @equal_sums
// CSE-COUNT-1: epi.add
// CSE-NOT:     epi.add
// CSE:         return
// NONE-LABEL: func.func @equal_sums
// NONE-SAME:    (%[[A:[a-z0-9]+]]: {{.*}}, %[[B:[a-z0-9]+]]:
// NONE-NEXT:    epi.add %[[A]], %[[B]]
func.func @equal_sums(%a: tensor<?x8xf32>, %b: tensor<?x8xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>) {
  %x = epi.add %a, %b : tensor<?x8xf32>
  %y = epi.add %b, %a : tensor<?x8xf32>
  return %x, %y : tensor<?x8xf32>, tensor<?x8xf32>
}

// What is computed later comes first.
// CHECK-LABEL: func.func @residual
// CHECK:         %[[S:.*]] = epi.silu
// CHECK-NEXT:    epi.add %[[S]], %{{.*}} :
func.func @residual(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %s = epi.silu %x : tensor<?x8xf32>
  %y = epi.add %x, %s : tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// A bias stays where it is: the types differ.
// CHECK-LABEL: func.func @bias
// CHECK-SAME:    (%[[X:[a-z0-9]+]]: {{.*}}, %[[V:[a-z0-9]+]]:
// CHECK-NEXT:    epi.add %[[X]], %[[V]] :
func.func @bias(%x: tensor<?x8xf32>, %v: tensor<8xf32>) -> tensor<?x8xf32> {
  %y = epi.add %x, %v : tensor<?x8xf32>, tensor<8xf32>
  return %y : tensor<?x8xf32>
}
