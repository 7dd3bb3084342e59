// Streams between processes of one machine: sockets with names that need no files and go away with
// their processes.
#ifndef EPIGRAPH_RUNTIME_COMM_LOCALSOCKET_H
#define EPIGRAPH_RUNTIME_COMM_LOCALSOCKET_H

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace epigraph {

/// When to give up.
using TimePoint = std::chrono::steady_clock::time_point;

/// A socket, closed when it is destroyed. All calls wait until `end` at most, and end with
/// DeadlineExceeded then; Unavailable: the other end is gone.
class LocalSocket {
public:
  LocalSocket() = default;
  LocalSocket(LocalSocket &&other) noexcept : fd(std::exchange(other.fd, -1)) {}
  LocalSocket &operator=(LocalSocket &&other) noexcept {
    std::swap(fd, other.fd);
    return *this;
  }
  ~LocalSocket();

  /// Takes connections under `name`. Errors: AlreadyExists when another socket has the name.
  static absl::StatusOr<LocalSocket> listen(const std::string &name);
  /// Connects to `name`, as soon as somebody takes connections under it.
  static absl::StatusOr<LocalSocket> connect(const std::string &name, TimePoint end);
  /// The next connection, from a process of this user; others are turned away.
  absl::StatusOr<LocalSocket> accept(TimePoint end) const;

  bool isOpen() const { return fd >= 0; }
  absl::Status send(absl::Span<const uint8_t> bytes, TimePoint end) const;
  absl::Status receive(absl::Span<uint8_t> bytes, TimePoint end) const;
  /// Whether as many bytes are there; if so, a copy of them, which receive will give again.
  absl::StatusOr<bool> peek(absl::Span<uint8_t> bytes) const;

private:
  explicit LocalSocket(int fd) : fd(fd) {}
  absl::Status wait(short events, TimePoint end) const;

  int fd = -1;
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_COMM_LOCALSOCKET_H
