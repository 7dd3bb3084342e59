#include "runtime/base/ExitCode.h"

#include "runtime/base/ErrorCode.h"

namespace epigraph {

ExitCode exitCodeOf(const absl::Status &status) {
  if (std::optional<ErrorCode> code = errorCodeOf(status))
    return errorInfo(*code).exit;
  switch (status.code()) {
  case absl::StatusCode::kOk:
    return ExitCode::Ok;
  case absl::StatusCode::kInvalidArgument:
  case absl::StatusCode::kDataLoss:
  case absl::StatusCode::kNotFound:
  case absl::StatusCode::kFailedPrecondition:
  case absl::StatusCode::kAlreadyExists:
  case absl::StatusCode::kPermissionDenied:
  case absl::StatusCode::kUnauthenticated:
    return ExitCode::BadInput;
  case absl::StatusCode::kUnimplemented:
    return ExitCode::Unsupported;
  case absl::StatusCode::kResourceExhausted:
  case absl::StatusCode::kDeadlineExceeded:
  case absl::StatusCode::kOutOfRange:
  case absl::StatusCode::kUnavailable:
    return ExitCode::Resources;
  case absl::StatusCode::kCancelled:
    return ExitCode::Interrupted;
  default: // Internal, Unknown, Aborted, and whatever Abseil may add.
    return ExitCode::Internal;
  }
}

} // namespace epigraph
