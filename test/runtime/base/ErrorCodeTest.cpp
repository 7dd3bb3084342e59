#include "runtime/base/ErrorCode.h"

#include "gtest/gtest.h"

#include "runtime/base/Status.h"

namespace epigraph {
namespace {

TEST(ErrorCodeTest, TravelsWithTheStatus) {
  absl::Status status = withCode(ErrorCode::OutputIsKept, absl::AlreadyExistsError("x.epi exists"));
  EXPECT_EQ(status.message(), "x.epi exists");
  EXPECT_EQ(errorCodeOf(status), ErrorCode::OutputIsKept);
  EXPECT_EQ(errorText(status), "[E0107] x.epi exists");
  absl::Status outer = withContext(status, "output");
  EXPECT_EQ(errorText(outer), "[E0107] output: x.epi exists");
  EXPECT_TRUE(absl::IsAlreadyExists(outer));
}

TEST(ErrorCodeTest, TheFirstOneStays) {
  absl::Status inner = withCode(ErrorCode::WrongIndex, absl::InvalidArgumentError("x"));
  EXPECT_EQ(errorCodeOf(withCode(ErrorCode::BadSafetensors, inner)), ErrorCode::WrongIndex);
  EXPECT_EQ(errorCodeOf(withCodeOf(inner, absl::DataLossError("y"))), ErrorCode::WrongIndex);
  EXPECT_EQ(errorCodeOf(withCodeOf(absl::OkStatus(), absl::DataLossError("y"))), std::nullopt);
}

TEST(ErrorCodeTest, SuccessHasNone) {
  EXPECT_TRUE(withCode(ErrorCode::WrongIndex, absl::OkStatus()).ok());
  EXPECT_EQ(errorCodeOf(absl::InternalError("bug")), std::nullopt);
  EXPECT_EQ(errorText(absl::InternalError("bug")), "bug");
  absl::StatusOr<int> value = withCode(ErrorCode::WrongIndex, absl::StatusOr<int>(5));
  ASSERT_TRUE(value.ok());
  EXPECT_EQ(*value, 5);
}

TEST(ErrorCodeTest, DecidesTheExitCode) {
  absl::Status plain = absl::InvalidArgumentError("--ep is 0");
  EXPECT_EQ(exitCodeOf(plain), ExitCode::BadInput);
  EXPECT_EQ(exitCodeOf(withCode(ErrorCode::BadLimit, plain)), ExitCode::Usage);
}

TEST(ErrorCodeTest, ReadsTheFormsThatPeopleType) {
  for (const char *text : {"E0302", "e0302", "302", "0302", "E302"})
    EXPECT_EQ(errorCodeFromText(text), ErrorCode::UnevenExperts) << text;
  for (const char *text : {"", "E", "E0302x", "9999", "E-302", "unevenexperts"})
    EXPECT_EQ(errorCodeFromText(text), std::nullopt) << text;
}

TEST(ErrorCodeTest, TheCatalogueIsInOrderAndComplete) {
  int last = 0;
  for (const ErrorInfo &info : errorCatalog()) {
    EXPECT_GT(static_cast<int>(info.code), last);
    last = static_cast<int>(info.code);
    EXPECT_FALSE(info.cause.empty()) << last;
    EXPECT_FALSE(info.remedy.empty()) << last;
    EXPECT_EQ(&errorInfo(info.code), &info);
  }
}

} // namespace
} // namespace epigraph
