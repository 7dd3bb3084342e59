// RUN: epigraph-opt %s --epi-quantize-activations | FileCheck %s
// RUN: epigraph-opt %s --epi-quantize-activations --remarks-filter=.* -o /dev/null 2>&1 | FileCheck %s --check-prefix=STATS

// STATS: Category:epi-quantize-activations | inputs=2, products=3

// One quantization serves both products that read x; a product with a wide weight keeps x.
// CHECK-LABEL: func.func @main
// CHECK-SAME:    (%[[X:.*]]: tensor<?x200xbf16>
// CHECK-NEXT:    %[[Q:.*]], %[[S:.*]] = epi.quantize %[[X]] {block = array<i64: 1, 128>} : tensor<?x200xbf16> -> tensor<?x200xf8E4M3FN>, tensor<?x2xf32>
// CHECK:         %[[A:.*]] = epi.linear %[[Q]] scale %[[S]], %{{.*}} scale %{{.*}} -> tensor<?x64xbf16>
// CHECK-NEXT:    %[[AQ:.*]], %[[AS:.*]] = epi.quantize %[[A]] {block = array<i64: 1, 128>} : tensor<?x64xbf16> -> tensor<?x64xf8E4M3FN>, tensor<?x1xf32>
// CHECK-NEXT:    epi.linear %[[Q]] scale %[[S]], %{{.*}} scale %{{.*}}
// CHECK-NEXT:    epi.linear %[[X]], %{{.*}} : (tensor<?x200xbf16>, tensor<64x200xbf16>)
// CHECK-NEXT:    epi.grouped_linear %[[AQ]] scale %[[AS]], %{{.*}}, %{{.*}} scale %{{.*}}
func.func @main(%x: tensor<?x200xbf16>, %w: tensor<64x200xf8E4M3FN>, %s: tensor<1x2xf32>, %r: tensor<64x200xbf16>,
                %n: tensor<2xi32>, %e: tensor<2x32x64xf8E4M3FN>, %es: tensor<2x1x1xf32>)
    -> (tensor<?x64xbf16>, tensor<?x64xbf16>, tensor<?x32xbf16>) {
  %a = epi.linear %x, %w scale %s : (tensor<?x200xbf16>, tensor<64x200xf8E4M3FN> scale tensor<1x2xf32>) -> tensor<?x64xbf16>
  %b = epi.linear %x, %w scale %s : (tensor<?x200xbf16>, tensor<64x200xf8E4M3FN> scale tensor<1x2xf32>) -> tensor<?x64xbf16>
  %c = epi.linear %x, %r : (tensor<?x200xbf16>, tensor<64x200xbf16>) -> tensor<?x64xbf16>
  %d = epi.grouped_linear %a, %n, %e scale %es : (tensor<?x64xbf16>, tensor<2xi32>, tensor<2x32x64xf8E4M3FN> scale tensor<2x1x1xf32>) -> tensor<?x32xbf16>
  return %b, %c, %d : tensor<?x64xbf16>, tensor<?x64xbf16>, tensor<?x32xbf16>
}
