// The exit codes of every Epigraph program, so that scripts can tell whose turn it is.
#ifndef EPIGRAPH_RUNTIME_BASE_EXITCODE_H
#define EPIGRAPH_RUNTIME_BASE_EXITCODE_H

#include "absl/status/status.h"

namespace epigraph {

/// | code | meaning                                                     | what to do             |
/// |------|-------------------------------------------------------------|------------------------|
/// | 0    | done                                                        |                        |
/// | 1    | internal error: a bug of Epigraph                           | report it              |
/// | 2    | usage: unknown flag, missing argument, impossible value     | see --help             |
/// | 3    | bad input: checkpoint, artifact, tokenizer or IR            | fix or fetch the file  |
/// | 4    | unsupported: architecture, target feature, set of options   | choose another         |
/// | 5    | resources: memory, a compiled limit, a deadline             | raise the limit, retry |
/// | 130  | interrupted by the user (Ctrl-C)                            |                        |
enum class ExitCode : int {
  Ok = 0,
  Internal = 1,
  Usage = 2,
  BadInput = 3,
  Unsupported = 4,
  Resources = 5,
  Interrupted = 130,
};

/// The exit code for an outcome: that of its error code (runtime/base/ErrorCode.h), or else
///   OK                                                                              -> Ok
///   InvalidArgument DataLoss NotFound FailedPrecondition AlreadyExists
///   PermissionDenied Unauthenticated                                                -> BadInput
///   Unimplemented                                                                   -> Unsupported
///   ResourceExhausted DeadlineExceeded OutOfRange Unavailable                       -> Resources
///   Cancelled                                                                       -> Interrupted
///   Internal Unknown Aborted                                                        -> Internal
/// Usage has no status of its own: refusals with such an error code have it, and the programs
/// return it when they parse their arguments.
ExitCode exitCodeOf(const absl::Status &status);

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_BASE_EXITCODE_H
