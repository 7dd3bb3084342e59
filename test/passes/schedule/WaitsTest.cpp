// Properties of started collectives on random schedules: waits are enough and none too many, memory
// in flight stays, and starting, splitting and reordering change no bit of any number. The passes
// are given functions of launches, sums over ranks and dispatches that use each other's results at
// random.
#include <random>

#include "absl/strings/str_cat.h"
#include "mlir/Pass/PassManager.h"
#include "passes/schedule/MemoryPlan.h"
#include "passes/schedule/Passes.h"
#include "passes/schedule/UnderWay.h"
#include "test/codegen/reference/InterpreterHarness.h"

namespace epigraph {
namespace {

using namespace mlir;
using reference::Program;
using reference::RankInput;
using reference::RankResult;

constexpr char kHead[] = R"(
#p = #ep.placement<experts = 4, ranks = 2>
module attributes {exec.limits = #exec.limits<batch_tokens = 9, sequences = 9, context = 64>} {
  ep.mesh @world {expert = 2 : i64, attention = #ep.attention<replicated>}
  exec.kernel @silu(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
    %0 = epi.silu %x : tensor<?x4xf32>
    exec.yield %0 : tensor<?x4xf32>
  }
  exec.kernel @add(%x: tensor<?x4xf32>, %y: tensor<?x4xf32>) -> tensor<?x4xf32> {
    %0 = epi.add %x, %y : tensor<?x4xf32>
    exec.yield %0 : tensor<?x4xf32>
  }
  exec.kernel @permute(%x: tensor<?x4xf32>, %ids: tensor<?x2xi32>) -> (tensor<?x4xf32>, tensor<?x2xi32>, tensor<4xi32>) {
    %r, %s, %n = epi.permute %x, %ids : tensor<?x4xf32>, tensor<?x2xi32> -> tensor<?x4xf32>, tensor<?x2xi32>, tensor<4xi32>
    exec.yield %r, %s, %n : tensor<?x4xf32>, tensor<?x2xi32>, tensor<4xi32>
  }
  exec.kernel @unpermute(%x: tensor<?x4xf32>, %s: tensor<?x2xi32>, %w: tensor<?x2xf32>) -> tensor<?x4xf32> {
    %0 = epi.unpermute %x, %s, %w : tensor<?x4xf32>, tensor<?x2xi32>, tensor<?x2xf32> -> tensor<?x4xf32>
    exec.yield %0 : tensor<?x4xf32>
  }
  func.func @main(%x: tensor<?x4xf32>, %ids: tensor<?x2xi32>, %w: tensor<?x2xf32>) -> (tensor<?x4xf32>, tensor<?x4xf32>) {
    %il = ep.shard_rows %ids on @world : tensor<?x2xi32>
    %wl = ep.shard_rows %w on @world : tensor<?x2xf32>
)";

/// A dispatch of rank shares of $x, named after $n.
constexpr char kRouted[] = R"(
    %l$n = ep.shard_rows $x on @world : tensor<?x4xf32>
    %p$n:3 = exec.launch @permute(%l$n, %il) : (tensor<?x4xf32>, tensor<?x2xi32>) -> (tensor<?x4xf32>, tensor<?x2xi32>, tensor<4xi32>)
    %r$n:2 = ep.scatter_experts %p$n#0, %p$n#2 on @world {placement = #p}
        : tensor<?x4xf32>, tensor<4xi32> -> tensor<?x4xf32>, tensor<2xi32>
    %e$n = exec.launch @silu(%r$n#0) : (tensor<?x4xf32>) -> tensor<?x4xf32>
    %g$n = ep.gather_experts %e$n, %p$n#2, %r$n#1 on @world : tensor<?x4xf32>, tensor<4xi32>, tensor<2xi32> -> tensor<?x4xf32>
    %u$n = exec.launch @unpermute(%g$n, %p$n#1, %wl) : (tensor<?x4xf32>, tensor<?x2xi32>, tensor<?x2xf32>) -> tensor<?x4xf32>
    %$n = ep.all_gather %u$n on @world : tensor<?x4xf32>
)";

std::string replaced(std::string text, const std::string &from, const std::string &to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

/// A function whose operations work on random results of earlier ones.
std::string randomSchedule(unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::string> values{"%x"};
  std::string text = kHead;
  const auto any = [&] {
    // Mostly recent ones: else nearly everything is independent of everything.
    const size_t back = std::min<size_t>(values.size(), 1 + random() % 5);
    return values[values.size() - back];
  };
  const size_t count = 4 + random() % 16;
  for (size_t i = 0; i < count; ++i) {
    const std::string name = absl::StrCat("v", i), x = any(), y = any();
    switch (random() % 6) {
    case 0:
    case 1:
      absl::StrAppend(&text, "    %", name, " = exec.launch @silu(", x,
                      ") : (tensor<?x4xf32>) -> tensor<?x4xf32>\n");
      break;
    case 2:
      absl::StrAppend(&text, "    %", name, " = exec.launch @add(", x, ", ", y,
                      ") : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>\n");
      break;
    case 3:
      absl::StrAppend(&text, replaced(replaced(kRouted, "$n", name), "$x", x));
      break;
    default:
      absl::StrAppend(&text, "    %", name, " = ep.all_reduce ", x,
                      " on @world : tensor<?x4xf32>\n");
    }
    values.push_back("%" + name);
  }
  return absl::StrCat(text, "    return ", any(), ", ", any(),
                      " : tensor<?x4xf32>, tensor<?x4xf32>\n  }\n}\n");
}

class Schedule {
public:
  explicit Schedule(const std::string &text) {
    context.loadDialect<epi::EpiDialect, ep::EpDialect, exec::ExecDialect, func::FuncDialect>();
    module = parseSourceString<ModuleOp>(text, ParserConfig(&context));
  }

  testing::AssertionResult run(llvm::StringRef pipeline) {
    std::string errors;
    ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
      errors += diagnostic.str() + "\n";
      return success();
    });
    PassManager passes(&context, ModuleOp::getOperationName());
    static const bool registered = (registerSchedulePasses(), true);
    (void)registered;
    if (!module || failed(parsePassPipeline(pipeline, passes)) || failed(passes.run(*module)))
      return testing::AssertionFailure() << errors << text();
    return testing::AssertionSuccess();
  }

  func::FuncOp main() { return *module->getOps<func::FuncOp>().begin(); }

  std::string text() {
    std::string result;
    llvm::raw_string_ostream stream(result);
    if (module)
      module->print(stream);
    return result;
  }

  bool waitsAreRight() {
    ScopedDiagnosticHandler quiet(&context, [](Diagnostic &) { return success(); });
    return succeeded(verifyWaits(main()));
  }

  MLIRContext context;
  OwningOpRef<ModuleOp> module;
};

constexpr unsigned kSchedules = 150;

TEST(Waits, AreEnoughAndNoneIsTooMany) {
  size_t waits = 0, collectives = 0;
  for (unsigned seed = 0; seed < kSchedules; ++seed) {
    Schedule schedule(randomSchedule(seed));
    ASSERT_TRUE(schedule.run(seed % 2 ? "exec-start-collectives,exec-insert-waits"
                                      : "exec-start-collectives,ep-split-batches{batches="
                                        "2},ep-overlap,exec-insert-waits"));
    ASSERT_TRUE(schedule.waitsAreRight()) << schedule.text();
    const auto all = llvm::to_vector(schedule.main().getOps<ep::WaitOp>());
    for (ep::WaitOp wait : all) {
      Operation *next = wait->getNextNode();
      wait->remove();
      EXPECT_FALSE(schedule.waitsAreRight()) << "without one of the waits of " << schedule.text();
      next->getBlock()->getOperations().insert(next->getIterator(), wait);
    }
    waits += all.size();
    for (Operation &op : schedule.main().getOps())
      collectives += static_cast<bool>(tokenOf(&op));
  }
  // The test would prove nothing if all were waited for one by one, or none.
  EXPECT_GT(waits, kSchedules / 2);
  EXPECT_LT(waits, collectives);
}

/// Even where a wait could not come later: one operation later it is too late.
TEST(Waits, AreAsLateAsTheyCanBe) {
  for (unsigned seed = 0; seed < kSchedules; ++seed) {
    Schedule schedule(randomSchedule(seed));
    ASSERT_TRUE(schedule.run("exec-start-collectives,exec-insert-waits"));
    for (ep::WaitOp wait : llvm::to_vector(schedule.main().getOps<ep::WaitOp>())) {
      Operation *next = wait->getNextNode();
      if (isa<func::ReturnOp>(next))
        continue;
      wait->moveAfter(next);
      EXPECT_FALSE(schedule.waitsAreRight()) << schedule.text();
      wait->moveBefore(next);
    }
  }
}

TEST(Waits, MemoryInFlightStays) {
  for (unsigned seed = 0; seed < kSchedules; ++seed) {
    Schedule schedule(randomSchedule(seed));
    ASSERT_TRUE(schedule.run("exec-start-collectives,ep-split-batches{batches=2},ep-"
                             "overlap,exec-insert-waits,exec-plan-memory,exec-verify-waits"));
  }
}

/// With memory planned without regard to what is in flight, the check finds the races.
TEST(Waits, ReusedMemoryIsFound) {
  size_t found = 0;
  for (unsigned seed = 0; seed < kSchedules; ++seed) {
    Schedule schedule(randomSchedule(seed));
    ASSERT_TRUE(schedule.run("exec-plan-memory,exec-start-collectives,exec-insert-"
                             "waits"));
    found += !schedule.waitsAreRight();
  }
  EXPECT_GT(found, kSchedules / 10);
}

std::vector<RankResult> resultsOf(const std::string &text, const RankInput &input) {
  Program program(text);
  std::vector<RankResult> results = program.run({input, input});
  EXPECT_EQ(results.size(), 2u) << testing::PrintToString(program.said) << text;
  return results;
}

TEST(Waits, ChangeNoNumber) {
  for (unsigned seed = 0; seed < kSchedules / 3; ++seed) {
    const std::string text = randomSchedule(seed);
    const int64_t tokens = seed % 10; // no token, one (a half has none), odd and even numbers
    reference::Tensor ids = reference::Tensor::ints({tokens, 2});
    for (int64_t i = 0; i < 2 * tokens; ++i)
      ids.intData()[i] = static_cast<int32_t>((i * 7 + seed) % 4);
    const RankInput input{
        {reference::sample({tokens, 4}, 1), std::move(ids), reference::sample({tokens, 2}, 2)}, {}};
    const std::vector<RankResult> expected = resultsOf(text, input);
    for (const char *passes :
         {"exec-insert-waits,exec-plan-memory", "ep-overlap,exec-insert-waits,exec-plan-memory",
          "ep-split-batches{batches=2},exec-insert-waits,exec-plan-memory",
          "ep-split-batches{batches=2},ep-overlap,exec-insert-waits,exec-plan-"
          "memory"}) {
      Schedule schedule(text);
      ASSERT_TRUE(schedule.run(absl::StrCat("exec-start-collectives,", passes)));
      const std::vector<RankResult> found = resultsOf(schedule.text(), input);
      ASSERT_EQ(found.size(), expected.size());
      for (size_t rank = 0; rank < found.size(); ++rank)
        for (size_t i = 0; i < found[rank].size(); ++i)
          EXPECT_EQ(found[rank][i]->floatVector(), expected[rank][i]->floatVector())
              << "seed " << seed << ", " << passes;
    }
  }
}

} // namespace
} // namespace epigraph
