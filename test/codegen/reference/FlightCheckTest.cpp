// Collectives that only start: the interpreter must find what is wrong with a schedule even though
// it runs them where they start.
#include "test/codegen/reference/InterpreterHarness.h"

namespace epigraph::reference {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// What a run of `body` on two ranks says. `%a` is the result of an all_reduce of `%0` with token
/// `%t`.
std::vector<std::string> saysOf(const std::string &body, bool planned = false) {
  const auto buffer = [&](int offset) {
    return planned ? " {exec.buffers = [#exec.buffer<offset = " + std::to_string(offset) +
                         ", bytes = 64>]}"
                   : std::string();
  };
  Program program(R"(
    ep.mesh @world {expert = 2 : i64, attention = #ep.attention<replicated>}
    exec.kernel @double(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
      %0 = epi.add %x, %x : tensor<?x4xf32>
      exec.yield %0 : tensor<?x4xf32>
    }
    func.func @main(%x: tensor<?x4xf32>) -> tensor<?x4xf32> )" +
                  std::string(planned ? "attributes {exec.arena_bytes = 512 : i64}" : "") + R"({
      %0 = exec.launch @double(%x))" +
                  buffer(0) + R"( : (tensor<?x4xf32>) -> tensor<?x4xf32>
      %a, %t = ep.all_reduce %0 on @world)" +
                  buffer(64) + " : tensor<?x4xf32>, !ep.token\n" + body + "}");
  const RankInput input{{sample({2, 4}, 1)}, {}};
  for (const RankResult &result : program.run({input, input}))
    for (int i = 0; i < 8; ++i)
      EXPECT_EQ(result[0]->data()[i], 4 * input.tensors[0].data()[i]);
  return program.said;
}

TEST(FlightCheck, AWaitMakesResultsReadable) {
  EXPECT_THAT(saysOf("ep.wait %t return %a : tensor<?x4xf32>"), IsEmpty());
}

TEST(FlightCheck, ACollectiveWithoutATokenEndsAllBefore) {
  EXPECT_THAT(saysOf(R"(%b = ep.all_reduce %0 on @world : tensor<?x4xf32>
                        return %a : tensor<?x4xf32>)"),
              IsEmpty());
}

TEST(FlightCheck, AWaitForALaterOneEndsAllBefore) {
  EXPECT_THAT(saysOf(R"(%b, %u = ep.all_reduce %0 on @world : tensor<?x4xf32>, !ep.token
                        ep.wait %u
                        return %a : tensor<?x4xf32>)"),
              IsEmpty());
}

TEST(FlightCheck, ReadingTooEarlyIsFound) {
  EXPECT_THAT(saysOf(R"(%b = exec.launch @double(%a) : (tensor<?x4xf32>) -> tensor<?x4xf32>
                        ep.wait %t
                        return %a : tensor<?x4xf32>)"),
              Contains(HasSubstr("reads a result of 'ep.all_reduce', which has only started")));
}

TEST(FlightCheck, AWaitForAnEarlierOneIsNotEnough) {
  EXPECT_THAT(saysOf(R"(%b, %u = ep.all_reduce %0 on @world : tensor<?x4xf32>, !ep.token
                        ep.wait %t
                        %c = exec.launch @double(%b) : (tensor<?x4xf32>) -> tensor<?x4xf32>
                        ep.wait %u
                        return %a : tensor<?x4xf32>)"),
              Contains(HasSubstr("reads a result of 'ep.all_reduce', which has only started")));
}

TEST(FlightCheck, ReturningTooEarlyIsFound) {
  EXPECT_THAT(saysOf("return %0 : tensor<?x4xf32>"),
              Contains(HasSubstr("returns while 'ep.all_reduce' is under way")));
}

/// The buffer of a launch between start and wait: beside all, over the operand, over the result.
TEST(FlightCheck, OverwritingWhatIsNeededIsFound) {
  const auto launchAt = [](int offset) {
    return "%b = exec.launch @double(%x) {exec.buffers = [#exec.buffer<offset = " +
           std::to_string(offset) + R"(, bytes = 64>]} : (tensor<?x4xf32>) -> tensor<?x4xf32>
             ep.wait %t
             return %a : tensor<?x4xf32>)";
  };
  EXPECT_THAT(saysOf(launchAt(128), /*planned=*/true), IsEmpty());
  for (int offset : {0, 64})
    EXPECT_THAT(saysOf(launchAt(offset), /*planned=*/true),
                Contains(HasSubstr("which 'ep.all_reduce' needs until an ep.wait")));
}

} // namespace
} // namespace epigraph::reference
