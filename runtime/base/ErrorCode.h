// Codes of refusals. Each kind of refusal has a number that stays the same; `epigraph explain CODE`
// and docs/errors.md say what it means. A code travels with an absl::Status, beside its message.
#ifndef EPIGRAPH_RUNTIME_BASE_ERRORCODE_H
#define EPIGRAPH_RUNTIME_BASE_ERRORCODE_H

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

#include "runtime/base/ExitCode.h"

namespace epigraph {

/// Numbers are never given twice: a refusal that is gone leaves a gap. ErrorCatalog.cpp has a row
/// for each, in this order.
enum class ErrorCode : uint16_t {
  // The command line, and options of a compilation.
  Usage = 101,
  UnknownPhase = 102,
  UnknownPass = 103,
  NeededPass = 104,
  BadInsertedPass = 105,
  BadPlugin = 106,
  OutputIsKept = 107,
  NoOutputFolder = 108,
  BadLimit = 109,
  WrongStartPhase = 110,
  UnknownErrorCode = 111,
  // Checkpoints.
  NoCheckpoint = 201,
  NoSafetensors = 202,
  BadConfig = 203,
  WrongTensors = 204,
  BadSafetensors = 205,
  WrongIndex = 206,
  // What Epigraph does not have.
  UnsupportedModel = 301,
  UnevenExperts = 302,
  UnknownTarget = 303,
  TargetTooOld = 304,
  BadTargetFile = 305,
  CutScaleBlock = 306,
  // IR and passes.
  UnreadableIr = 401,
  NotAModel = 402,
  WrongWeights = 403,
  WrongMesh = 404,
  PassFailed = 405,
  // Artifacts.
  NotAnArtifact = 501,
  WrongFileSize = 502,
  WrongDigest = 503,
  MixedArtifact = 504,
  MissingFeature = 505,
  NoDriver = 506,
  DoesNotFit = 507,
  BadKernelLibrary = 508,
  UnsupportedTokenizer = 509,
  BadPlan = 510,
  BadManifest = 511,
  NoGpu = 512,
  DriverTooOld = 513,
  WrongGpu = 514,
  TooFewGpus = 515,
  NotLinked = 516,
  NoNccl = 517,
  // Running.
  PromptTooLong = 601,
  CachesTooSmall = 602,
  OutsideVocabulary = 603,
  EmptyPrompt = 604,
  NoTokenizer = 605,
  NoBos = 606,
  TextTooShort = 607,
  NoMtp = 608,
  NoFreePages = 609,
  Deadline = 610,
  DeviceFailed = 611,
  WrongWorld = 612,
  BadRank = 613,
  DifferentArtifacts = 614,
  RankLost = 615,
  BadSampling = 616,
};

/// What `epigraph explain` says.
struct ErrorInfo {
  ErrorCode code;
  ExitCode exit;
  /// The constant words of its messages; "…" stands for names and numbers, "; " separates variants.
  std::string_view message;
  std::string_view cause;
  std::string_view remedy;
  /// A command, or a line of Python, that does it right.
  std::string_view example;
};

/// All refusals, by code.
absl::Span<const ErrorInfo> errorCatalog();

/// The row of `code`.
const ErrorInfo &errorInfo(ErrorCode code);

/// "E0107".
std::string errorCodeText(ErrorCode code);

/// The code that `text` ("E0107", "e107", "107") names, if there is such a refusal.
std::optional<ErrorCode> errorCodeFromText(std::string_view text);

/// `status` as a refusal of kind `code`, unless it is OK or has a code already: who knows more
/// comes first.
absl::Status withCode(ErrorCode code, absl::Status status);

/// The same, for what may also be a value.
template <typename T> absl::StatusOr<T> withCode(ErrorCode code, absl::StatusOr<T> value) {
  if (!value.ok())
    return withCode(code, value.status());
  return value;
}

/// The code of `status`, if it has one.
std::optional<ErrorCode> errorCodeOf(const absl::Status &status);

/// The message of `status`, with its code before it: "[E0107] x.epi exists and ...".
std::string errorText(const absl::Status &status);

/// `to` with the code of `from`.
absl::Status withCodeOf(const absl::Status &from, absl::Status to);

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_BASE_ERRORCODE_H
