#include "runtime/base/ExitCode.h"

#include "gtest/gtest.h"

namespace epigraph {
namespace {

TEST(ExitCodeTest, FollowsTheTable) {
  const std::pair<absl::StatusCode, int> table[] = {
      {absl::StatusCode::kOk, 0},
      {absl::StatusCode::kInternal, 1},
      {absl::StatusCode::kUnknown, 1},
      {absl::StatusCode::kAborted, 1},
      {absl::StatusCode::kInvalidArgument, 3},
      {absl::StatusCode::kDataLoss, 3},
      {absl::StatusCode::kNotFound, 3},
      {absl::StatusCode::kFailedPrecondition, 3},
      {absl::StatusCode::kAlreadyExists, 3},
      {absl::StatusCode::kPermissionDenied, 3},
      {absl::StatusCode::kUnauthenticated, 3},
      {absl::StatusCode::kUnimplemented, 4},
      {absl::StatusCode::kResourceExhausted, 5},
      {absl::StatusCode::kDeadlineExceeded, 5},
      {absl::StatusCode::kOutOfRange, 5},
      {absl::StatusCode::kUnavailable, 5},
      {absl::StatusCode::kCancelled, 130},
  };
  for (const auto &[code, expected] : table)
    EXPECT_EQ(static_cast<int>(exitCodeOf(absl::Status(code, ""))), expected)
        << absl::StatusCodeToString(code);
}

} // namespace
} // namespace epigraph
