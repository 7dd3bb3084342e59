// What holds for a library as a whole: every target compiles, bytes repeat, symbols, refusals.
#include "codegen/cpu/KernelLibrary.h"
#include "codegen/cpu/SharedObject.h"
#include "dialects/exec/Exec.h"
#include "mlir/Parser/Parser.h"
#include "test/codegen/cpu/KernelHarness.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/MemoryBuffer.h"

namespace epigraph::cpu::test {
namespace {

using ::testing::HasSubstr;

CpuTarget targetOf(llvm::StringRef name) {
  llvm::Expected<CpuTarget> target = parseCpuTarget(name);
  EXPECT_TRUE(static_cast<bool>(target)) << llvm::toString(target.takeError());
  return *target;
}

/// One kernel of each structure that differs by target.
constexpr char kKernels[] = R"(
  exec.kernel @"linear.0"(%x: tensor<?x9xbf16>, %w: tensor<40x9xbf16, #exec.panel<columns = 32, depth = 2>>)
      -> tensor<?x40xbf16> {
    %y = epi.linear %x, %w : (tensor<?x9xbf16>, tensor<40x9xbf16, #exec.panel<columns = 32, depth = 2>>)
        -> tensor<?x40xbf16>
    exec.yield %y : tensor<?x40xbf16>
  }
  exec.kernel @swiglu_1(%g: tensor<?x43xbf16>, %u: tensor<?x43xbf16>) -> tensor<?x43xbf16> {
    %s = epi.silu %g : tensor<?x43xbf16>
    %y = epi.mul %s, %u : tensor<?x43xbf16>
    exec.yield %y : tensor<?x43xbf16>
  }
  exec.kernel @attention_2(%q: tensor<?x6x20xbf16>, %cache: !epi.kv_cache<heads = 2, key = 20, value = 12, bf16>,
                           %step: !epi.step) -> tensor<?x6x12xbf16> {
    %o = epi.attention %q, %cache, %step {scale = 0.2 : f64}
        : (tensor<?x6x20xbf16>, !epi.kv_cache<heads = 2, key = 20, value = 12, bf16>) -> tensor<?x6x12xbf16>
    exec.yield %o : tensor<?x6x12xbf16>
  }
  exec.kernel @route_3(%l: tensor<?x32xf32>) -> (tensor<?x4xi32>, tensor<?x4xf32>) {
    %ids, %w = epi.route %l {score = #epi.score<sigmoid>, top_k = 4 : i64, groups = 4 : i64, top_groups = 2 : i64,
        group_score = #epi.group_score<top2_sum>, normalize, scale = 2.5 : f64}
        : tensor<?x32xf32> -> tensor<?x4xi32>, tensor<?x4xf32>
    exec.yield %ids, %w : tensor<?x4xi32>, tensor<?x4xf32>
  }
  exec.kernel @linear_bias_silu_4(%x: tensor<?x9xbf16>, %w: tensor<43x9xbf16, #exec.panel<columns = 32, depth = 2>>,
                                  %b: tensor<43xbf16>, %r: tensor<?x43xf32>) -> tensor<?x43xf32> {
    %p = epi.linear %x, %w : (tensor<?x9xbf16>, tensor<43x9xbf16, #exec.panel<columns = 32, depth = 2>>)
        -> tensor<?x43xbf16>
    %0 = epi.add %p, %b : tensor<?x43xbf16>, tensor<43xbf16>
    %1 = epi.silu %0 : tensor<?x43xbf16>
    %2 = epi.cast %1 : tensor<?x43xbf16> to tensor<?x43xf32>
    %y = epi.add %2, %r : tensor<?x43xf32>
    exec.yield %y : tensor<?x43xf32>
  }
  exec.kernel @group_5(%x: tensor<?x3x43xbf16>, %w: tensor<43xbf16>, %g: tensor<?x129xbf16>)
      -> (tensor<?x129xbf16>, tensor<?x129xbf16>) {
    %0 = epi.rms_norm %x, %w {eps = 1.0e-6 : f64} : tensor<?x3x43xbf16>, tensor<43xbf16>
    %1 = epi.reshape %0 : tensor<?x3x43xbf16> to tensor<?x129xbf16>
    %2 = epi.softmax %1 : tensor<?x129xbf16>
    %3 = epi.clamped_swiglu %g, %1 {clamp = #epi.clamp<alpha = 1.702, limit = 7.0>} : tensor<?x129xbf16>
    exec.yield %2, %3 : tensor<?x129xbf16>, tensor<?x129xbf16>
  })";

KernelLibrary build(const CpuTarget &target) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  context.loadDialect<epi::EpiDialect, ep::EpDialect, exec::ExecDialect>();
  auto module = mlir::parseSourceString<mlir::ModuleOp>(kKernels, &context);
  KernelLibrary library;
  EXPECT_TRUE(module && mlir::succeeded(buildKernelLibrary(*module, target, library)));
  return library;
}

/// AVX2, AVX-512, AVX-512 with the bf16 dot product (Intel and AMD), this machine.
class KernelLibraryTest : public ::testing::TestWithParam<const char *> {};
INSTANTIATE_TEST_SUITE_P(Targets, KernelLibraryTest,
                         ::testing::Values("cpu:x86-64-v3", "cpu:x86-64-v4", "cpu:cooperlake",
                                           "cpu:znver5", "cpu"),
                         [](const auto &info) {
                           std::string name = info.param;
                           for (char &c : name)
                             c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
                           return name;
                         });

TEST_P(KernelLibraryTest, GivesTheSameBytesEveryTime) {
  const CpuTarget target = targetOf(GetParam());
  EXPECT_EQ(build(target).sharedObject, build(target).sharedObject);
}

TEST_P(KernelLibraryTest, ExportsTheKernelsAndNeedsNoLibrary) {
  const KernelLibrary library = build(targetOf(GetParam()));
  auto object = llvm::object::ObjectFile::createObjectFile(
      llvm::MemoryBufferRef(library.sharedObject, "kernels.so"));
  ASSERT_TRUE(static_cast<bool>(object)) << llvm::toString(object.takeError());
  std::vector<std::string> exported;
  for (const auto &symbol :
       llvm::cast<llvm::object::ELFObjectFileBase>(object->get())->getDynamicSymbolIterators()) {
    const uint32_t flags = llvm::cantFail(symbol.getFlags());
    const std::string name = llvm::cantFail(symbol.getName()).str();
    if (!(flags & llvm::object::SymbolRef::SF_Undefined))
      exported.push_back(name);
    else
      EXPECT_THAT(name, ::testing::AnyOf("", "memcpy", "memset", "memmove"));
  }
  EXPECT_THAT(exported,
              ::testing::UnorderedElementsAre("linear_0", "swiglu_1", "attention_2", "route_3",
                                              "linear_bias_silu_4", "group_5"));
}

TEST_P(KernelLibraryTest, UsesTheDotInstructionWhereThereIsOne) {
  const CpuTarget target = targetOf(GetParam());
  const std::string text = build(target).kernelsMlir;
  EXPECT_EQ(text.find("x86vector.avx512.dot") != std::string::npos, target.hasBf16Dot);
}

TEST(SharedObjectTest, RefusesWhatIsNoObject) {
  llvm::Expected<std::string> linked = linkSharedObject({std::string("not an object")});
  EXPECT_FALSE(static_cast<bool>(linked));
  EXPECT_THAT(llvm::toString(linked.takeError()), ::testing::Not(""));
}

TEST(KernelDiagnosticsTest, RefusesPackedUpProjections) {
  EXPECT_THAT(diagnose(R"(
    exec.kernel @mla_0(%q: tensor<?x2x8xf32>, %r: tensor<?x2x4xf32>, %c: !epi.mla_cache<latent = 8, rope = 4, f32>,
                       %s: !epi.step, %up: tensor<32x8xf32, #exec.panel<columns = 32, depth = 1>>) -> tensor<?x2x8xf32> {
      %o = epi.mla_attention %q, %r, %c, %s up %up {scale = 1.0 : f64}
          : (tensor<?x2x8xf32>, tensor<?x2x4xf32>, !epi.mla_cache<latent = 8, rope = 4, f32>) up tensor<32x8xf32, #exec.panel<columns = 32, depth = 1>>
            -> tensor<?x2x8xf32>
      exec.yield %o : tensor<?x2x8xf32>
    })",
                       targetOf("cpu:x86-64-v3")),
              HasSubstr("store it unpacked"));
}

TEST(KernelDiagnosticsTest, RefusesUnpackedWeights) {
  EXPECT_THAT(diagnose(R"(
    exec.kernel @linear_0(%x: tensor<?x8xf32>, %w: tensor<4x8xf32>) -> tensor<?x4xf32> {
      %y = epi.linear %x, %w : (tensor<?x8xf32>, tensor<4x8xf32>) -> tensor<?x4xf32>
      exec.yield %y : tensor<?x4xf32>
    })",
                       targetOf("cpu:x86-64-v3")),
              HasSubstr("--cpu-pack-weights"));
}

TEST(KernelDiagnosticsTest, RefusesTwoAnchorsInOneKernel) {
  EXPECT_THAT(diagnose(R"(
    exec.kernel @two_0(%i: tensor<?xi32>, %t: tensor<4x8xf32>, %s: !epi.step) -> tensor<?x8xf32> {
      %x = epi.embedding %i, %t : (tensor<?xi32>, tensor<4x8xf32>) -> tensor<?x8xf32>
      %y = epi.output_rows %x, %s : tensor<?x8xf32>
      exec.yield %y : tensor<?x8xf32>
    })",
                       targetOf("cpu:x86-64-v3")),
              HasSubstr("outline them apart"));
}

TEST(KernelDiagnosticsTest, RefusesNamesThatBecomeOneSymbol) {
  EXPECT_THAT(diagnose(R"(
    exec.kernel @"a.b"(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
      %y = epi.silu %x : tensor<?x8xf32>
      exec.yield %y : tensor<?x8xf32>
    }
    exec.kernel @"a-b"(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
      %y = epi.silu %x : tensor<?x8xf32>
      exec.yield %y : tensor<?x8xf32>
    })",
                       targetOf("cpu:x86-64-v3")),
              HasSubstr("rename one"));
}

TEST(KernelSymbolTest, IsACIdentifier) {
  EXPECT_EQ(kernelSymbol("add_rms_norm_3"), "add_rms_norm_3");
  EXPECT_EQ(kernelSymbol("model.layers-0"), "model_layers_0");
  EXPECT_EQ(kernelSymbol("3d"), "_3d");
}

} // namespace
} // namespace epigraph::cpu::test
