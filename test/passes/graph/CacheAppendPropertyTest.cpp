// Whatever stands around an append, what becomes one kernel with it computes the same, bit for bit.
#include <random>

#include "absl/strings/str_cat.h"
#include "mlir/Pass/PassManager.h"

#include "codegen/reference/Dense.h"
#include "passes/graph/Passes.h"
#include "test/codegen/reference/InterpreterHarness.h"

namespace epigraph::reference {
namespace {

constexpr int64_t kTokens = 5;
constexpr llvm::StringLiteral kCache = "!epi.kv_cache<heads = 4, key = 16, value = 16, f32>";

/// A random graph of rows of 64 elements, as they are or as 4 heads, and two layers' caches.
class RandomLayers {
public:
  explicit RandomLayers(unsigned seed) : random(seed) {}

  std::string text() {
    values = {{"%x", false}, {"%y", false}};
    for (int layer = 0; layer < 2; ++layer) {
      addOperations();
      const std::string keys = heads(), inner = heads();
      addOperations();
      absl::StrAppend(&body, "  %c", layer, " = epi.kv_cache \"", layer, "\" : ", kCache.str(),
                      "\n  %n", layer, " = epi.kv_append %c", layer, ", ", keys, ", ", inner,
                      ", %step : ", kCache.str(), ", ", type(true), ", ", type(true), "\n");
      addOperations();
      define(absl::StrCat("epi.attention ", heads(), ", %n", layer,
                          ", %step {scale = 0.25 : f64} : (", type(true), ", ", kCache.str(),
                          ") -> ", type(true)),
             true);
    }
    std::string returned, types;
    for (size_t i = 0; i < values.size(); ++i)
      if (i + 1 == values.size() || pick(0, 4) == 0) {
        absl::StrAppend(&returned, returned.empty() ? "" : ", ", values[i].name);
        absl::StrAppend(&types, types.empty() ? "" : ", ", type(values[i].hasHeads));
      }
    return absl::StrCat("func.func @main(%x: tensor<?x64xf32>, %y: tensor<?x64xf32>, %w16: "
                        "tensor<16xf32>, %w64: tensor<64xf32>, %p: tensor<64x64xf32>, %t16: "
                        "tensor<64x16xf32>, %t8: tensor<64x8xf32>, %step: !epi.step) -> (",
                        types, ") {\n", body, "  return ", returned, " : ", types, "\n}\n");
  }

private:
  struct Value {
    std::string name;
    bool hasHeads;
  };

  int pick(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); }

  static std::string type(bool hasHeads) {
    return hasHeads ? "tensor<?x4x16xf32>" : "tensor<?x64xf32>";
  }

  std::string define(const std::string &expression, bool hasHeads) {
    std::string name = absl::StrCat("%v", next++);
    absl::StrAppend(&body, "  ", name, " = ", expression, "\n");
    values.push_back({name, hasHeads});
    return name;
  }

  /// One of the last values.
  Value some() {
    const int last = static_cast<int>(values.size()) - 1;
    return values[static_cast<size_t>(pick(std::max(0, last - 5), last))];
  }

  std::string heads() {
    const Value x = some();
    return x.hasHeads ? x.name
                      : define(absl::StrCat("epi.reshape ", x.name, " : ", type(false), " to ",
                                            type(true)),
                               true);
  }

  void addOperations() {
    for (int i = pick(0, 5); i > 0; --i)
      addOperation();
  }

  void addOperation() {
    const Value x = some();
    const std::string t = type(x.hasHeads);
    switch (pick(0, 6)) {
    case 0:
      define(absl::StrCat("epi.add ", x.name, ", ", x.name, " : ", t), x.hasHeads);
      return;
    case 1:
      define(absl::StrCat("epi.rms_norm ", x.name, ", ", x.hasHeads ? "%w16" : "%w64",
                          " {eps = 0.5 : f64} : ", t, ", tensor<", x.hasHeads ? 16 : 64, "xf32>"),
             x.hasHeads);
      return;
    case 2:
      if (!x.hasHeads)
        define(absl::StrCat("epi.linear ", x.name, ", %p : (", t, ", tensor<64x64xf32>) -> ", t),
               false);
      return;
    case 3:
      if (x.hasHeads)
        define(absl::StrCat("epi.reshape ", x.name, " : ", t, " to ", type(false)), false);
      return;
    default:
      const std::string turned = heads();
      const int dims = pick(0, 5) ? 16 : 8;
      define(absl::StrCat("epi.rope ", turned, ", %t", dims, ", %step ",
                          pick(0, 1) ? "{interleaved} : " : ": ", type(true), ", tensor<64x", dims,
                          "xf32>"),
             true);
    }
  }

  std::mt19937 random;
  std::string body;
  std::vector<Value> values;
  int next = 0;
};

std::vector<Tensor> arguments() {
  return {sample({kTokens, 64}, 1), sample({kTokens, 64}, 2), sample({16}, 3),   sample({64}, 4),
          sample({64, 64}, 5),      sample({64, 16}, 6),      sample({64, 8}, 7)};
}

/// What the pass makes of the module in `text`, of single operations or of groups.
std::string fuse(Program &program, bool ofGroups, int &members) {
  mlir::PassManager passes(&program.context);
  if (ofGroups) {
    FormFusionGroupsPassOptions options;
    options.level = 3;
    passes.addPass(createFormFusionGroupsPass(options));
  }
  passes.addPass(createFuseCacheAppendPass());
  passes.addPass(createEliminateCommonPass());
  mlir::OwningOpRef<mlir::ModuleOp> module = program.module->clone();
  EXPECT_TRUE(mlir::succeeded(passes.run(*module))) << testing::PrintToString(program.said);
  module->walk([&](epi::KvAppendOp append) {
    if (auto group = mlir::dyn_cast<epi::FusedOp>(append->getParentOp()))
      members += static_cast<int>(llvm::range_size(group.getBody().front())) - 1;
  });
  std::string text;
  llvm::raw_string_ostream(text) << *module;
  return text;
}

class CacheAppendProperty : public testing::TestWithParam<bool> {};

TEST_P(CacheAppendProperty, FusedGraphsComputeTheSame) {
  int members = 0;
  for (unsigned seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    Program plain(RandomLayers(seed).text());
    ASSERT_TRUE(plain.module);
    const std::string fused = fuse(plain, GetParam(), members);
    Program after(fused);
    ASSERT_TRUE(after.module) << fused;
    const StepBatch step = batchOf({{0, 2, {3}}, {0, 3, {1}}});
    std::vector<RankResult> expected = plain.run({{arguments(), step}});
    std::vector<RankResult> found = after.run({{arguments(), step}});
    ASSERT_EQ(expected.size(), 1U) << testing::PrintToString(plain.said);
    ASSERT_EQ(found.size(), 1U) << testing::PrintToString(after.said) << fused;
    ASSERT_EQ(found[0].size(), expected[0].size());
    for (size_t i = 0; i < expected[0].size(); ++i)
      expectSame(*found[0][i], *expected[0][i]);
    if (HasFailure())
      FAIL() << fused;
  }
  // The graphs are such that there is something to see.
  EXPECT_GT(members, 1000);
}

INSTANTIATE_TEST_SUITE_P(Of, CacheAppendProperty, testing::Values(false, true),
                         [](const auto &info) { return info.param ? "groups" : "operations"; });

} // namespace
} // namespace epigraph::reference
