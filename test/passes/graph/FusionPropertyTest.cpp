// Whatever graph the fusion passes are given, it computes the same afterwards, bit for bit.
#include <random>

#include "absl/strings/str_cat.h"
#include "mlir/Pass/PassManager.h"

#include "codegen/reference/Dense.h"
#include "passes/graph/Passes.h"
#include "test/codegen/reference/InterpreterHarness.h"

namespace epigraph::reference {
namespace {

/// A random graph of row-wise operations, views and projections.
class RandomGraph {
public:
  RandomGraph(unsigned seed, std::string element) : random(seed), element(std::move(element)) {}

  std::string text() {
    values = {{"%x", {8}}, {"%y", {8}}, {"%z", {2, 4}}};
    const int ops = pick(6, 24);
    for (int i = 0; i < ops; ++i)
      addOperation();
    std::string returned, types;
    for (size_t i = 0; i < values.size(); ++i)
      if (i + 1 == values.size() || pick(0, 3) == 0) {
        absl::StrAppend(&returned, returned.empty() ? "" : ", ", values[i].name);
        absl::StrAppend(&types, types.empty() ? "" : ", ", type(values[i].shape));
      }
    return absl::StrCat(
        "module attributes {exec.target = #exec.target<name = \"t\", cores = 1, vector_bits = 256, "
        "registers = ",
        pick(6, 32), ", cache_bytes = ", pick(64, 4096),
        ", memory_gbps = 1.0, gflops = ", pick(1, 50), ".0, launch_ns = ", pick(1, 3000),
        ", link_gbps = 1.0, link_latency_ns = 1>} {\nfunc.func @main(%x: ", type({8}),
        ", %y: ", type({8}), ", %z: ", type({2, 4}), ", %w8: tensor<8x", element,
        ">, %w4: tensor<4x", element, ">, %p8: tensor<8x8x", element, ">, %p4: tensor<4x4x",
        element, ">) -> (", types, ") {\n", body, "  return ", returned, " : ", types, "\n}\n}\n");
  }

private:
  struct Value {
    std::string name;
    std::vector<int> shape; ///< without the rows
  };

  int pick(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); }
  const Value &pickValue() { return values[static_cast<size_t>(pick(0, values.size() - 1))]; }

  std::string type(const std::vector<int> &shape) const {
    std::string text = "tensor<?x";
    for (int size : shape)
      absl::StrAppend(&text, size, "x");
    return text + element + ">";
  }

  void define(const std::string &expression, const std::vector<int> &shape) {
    std::string name = absl::StrCat("%v", next++);
    absl::StrAppend(&body, "  ", name, " = ", expression, "\n");
    values.push_back({name, shape});
  }

  /// A value like `like`, itself perhaps.
  std::string pickOther(const Value &like) {
    std::vector<std::string> found;
    for (const Value &value : values)
      if (value.shape == like.shape)
        found.push_back(value.name);
    return found[static_cast<size_t>(pick(0, found.size() - 1))];
  }

  void addOperation() {
    const Value x = pickValue();
    const std::string t = type(x.shape), columns = absl::StrCat(x.shape.back());
    const std::string vector = absl::StrCat("tensor<", columns, "x", element, ">");
    switch (pick(0, 10)) {
    case 0:
    case 1:
      return define(absl::StrCat("epi.add ", x.name, ", ", pickOther(x), " : ", t), x.shape);
    case 2:
      return define(absl::StrCat("epi.mul ", x.name, ", ", pickOther(x), " : ", t), x.shape);
    case 3:
      return define(absl::StrCat("epi.silu ", x.name, " : ", t), x.shape);
    case 4:
      return define(absl::StrCat("epi.sigmoid ", x.name, " : ", t), x.shape);
    case 5:
      return define(absl::StrCat("epi.add ", x.name, ", %w", columns, " : ", t, ", ", vector),
                    x.shape);
    case 6:
      return define(absl::StrCat("epi.rms_norm ", x.name, ", %w", columns,
                                 " {eps = 0.5 : f64} : ", t, ", ", vector),
                    x.shape);
    case 7:
      return addView(x);
    case 8:
      return addSplit(x);
    case 9:
      return addConcat(x);
    default:
      return addProjectionOrSoftmax(x);
    }
  }

  void addView(const Value &x) {
    const std::vector<int> shape = x.shape.size() == 2 ? std::vector{x.shape[0] * x.shape[1]}
                                   : x.shape[0] == 8   ? std::vector{2, 4}
                                                       : std::vector{1, x.shape[0]};
    define(absl::StrCat("epi.reshape ", x.name, " : ", type(x.shape), " to ", type(shape)), shape);
  }

  void addSplit(const Value &x) {
    if (x.shape != std::vector{8})
      return;
    std::string name = absl::StrCat("%v", next++), half = type({4});
    absl::StrAppend(&body, "  ", name, ":2 = epi.split ", x.name, " dim 1 : ", type(x.shape),
                    " to ", half, ", ", half, "\n");
    values.push_back({name + "#0", {4}});
    values.push_back({name + "#1", {4}});
  }

  void addConcat(const Value &x) {
    if (x.shape == std::vector{4})
      define(absl::StrCat("epi.concat ", x.name, ", ", pickOther(x), " dim 1 : ", type({4}), ", ",
                          type({4}), " to ", type({8})),
             {8});
  }

  void addProjectionOrSoftmax(const Value &x) {
    if (x.shape.size() != 1)
      return;
    const std::string t = type(x.shape);
    if (pick(0, 2) == 0)
      return define(absl::StrCat("epi.softmax ", x.name, " : ", t), x.shape);
    const int size = x.shape[0];
    define(absl::StrCat("epi.linear ", x.name, ", %p", size, " : (", t, ", tensor<", size, "x",
                        size, "x", element, ">) -> ", t),
           x.shape);
  }

  std::mt19937 random;
  std::string element, body;
  std::vector<Value> values;
  int next = 0;
};

/// Of values that bf16 holds too: what an argument is must not depend on which operations pass it
/// on.
std::vector<Tensor> arguments() {
  std::vector<Tensor> result;
  int seed = 0;
  for (const Shape &shape :
       {Shape{5, 8}, Shape{5, 8}, Shape{5, 2, 4}, Shape{8}, Shape{4}, Shape{8, 8}, Shape{4, 4}})
    result.push_back(roundToBFloat16(sample(shape, ++seed)));
  return result;
}

struct Fused {
  std::string text;
  int groups = 0, merged = 0;
};

/// What the fusion passes make of the module in `text`, at random or at their defaults.
Fused fuse(Program &program, unsigned seed) {
  mlir::PassManager passes(&program.context);
  if (seed % 2 == 0) {
    passes.addPass(createFuseLinearEpiloguePass());
    passes.addPass(createFuseResidualNormPass());
  } else {
    passes.addPass(createFuseResidualNormPass());
    passes.addPass(createFuseSwigluPass());
  }
  FormFusionGroupsPassOptions options;
  options.level = 2 + seed % 2;
  options.threshold = 100;
  passes.addPass(createFormFusionGroupsPass(options));
  passes.addPass(createElideLayoutChangesPass());
  passes.addPass(createEliminateCommonPass());
  mlir::OwningOpRef<mlir::ModuleOp> module = program.module->clone();
  Fused fused;
  EXPECT_TRUE(mlir::succeeded(passes.run(*module))) << testing::PrintToString(program.said);
  llvm::raw_string_ostream(fused.text) << *module;
  module->walk([&](epi::FusedOp group) {
    ++fused.groups;
    fused.merged += llvm::range_size(group.getBody().front()) > 3;
  });
  return fused;
}

class FusionProperty : public testing::TestWithParam<std::string> {};

TEST_P(FusionProperty, FusedGraphsComputeTheSame) {
  int groups = 0, merged = 0;
  for (unsigned seed = 0; seed < 150; ++seed) {
    SCOPED_TRACE(seed);
    const InterpreterOptions options{.threads = 1, .roundToTypes = true};
    Program plain(RandomGraph(seed, GetParam()).text(), options);
    ASSERT_TRUE(plain.module);
    Fused fused = fuse(plain, seed);
    groups += fused.groups;
    merged += fused.merged;
    Program after(fused.text, options);
    std::vector<RankResult> expected = plain.run({{arguments(), {}}});
    std::vector<RankResult> found = after.run({{arguments(), {}}});
    ASSERT_EQ(expected.size(), 1U) << testing::PrintToString(plain.said);
    ASSERT_EQ(found.size(), 1U) << testing::PrintToString(after.said) << fused.text;
    ASSERT_EQ(found[0].size(), expected[0].size());
    for (size_t i = 0; i < expected[0].size(); ++i)
      expectSame(*found[0][i], *expected[0][i]);
    if (HasFailure())
      FAIL() << fused.text;
  }
  // The graphs are such that there is something to see.
  EXPECT_GT(groups, 150);
  EXPECT_GT(merged, 80);
}

INSTANTIATE_TEST_SUITE_P(Types, FusionProperty, testing::Values("f32", "bf16"),
                         [](const auto &info) { return info.param; });

} // namespace
} // namespace epigraph::reference
