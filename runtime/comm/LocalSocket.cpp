// Names lie in Linux' abstract namespace: the first byte of the address is zero.
#include "runtime/comm/LocalSocket.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <thread>

#include "absl/strings/str_cat.h"
#include "runtime/base/Status.h"

namespace epigraph {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kRetryTime{5};

absl::Status failure(const char *what) {
  return absl::UnavailableError(absl::StrCat(what, ": ", std::strerror(errno)));
}

/// The address of `name`, and its size.
std::pair<sockaddr_un, socklen_t> addressOf(const std::string &name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const size_t bytes = std::min(name.size(), sizeof(address.sun_path) - 1);
  std::memcpy(address.sun_path + 1, name.data(), bytes);
  return {address, static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + bytes)};
}

int openSocket() { return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0); }

bool isOfThisUser(int fd) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == geteuid();
}

} // namespace

LocalSocket::~LocalSocket() {
  if (fd >= 0)
    close(fd);
}

absl::StatusOr<LocalSocket> LocalSocket::listen(const std::string &name) {
  LocalSocket result(openSocket());
  const auto [address, size] = addressOf(name);
  if (!result.isOpen() ||
      bind(result.fd, reinterpret_cast<const sockaddr *>(&address), size) != 0) {
    if (errno == EADDRINUSE)
      return absl::AlreadyExistsError(absl::StrCat("another process has the name ", name));
    return failure("opening a socket");
  }
  if (::listen(result.fd, SOMAXCONN) != 0)
    return failure("taking connections");
  return result;
}

absl::StatusOr<LocalSocket> LocalSocket::connect(const std::string &name, TimePoint end) {
  const auto [address, size] = addressOf(name);
  for (;;) {
    LocalSocket result(openSocket());
    if (!result.isOpen())
      return failure("opening a socket");
    if (::connect(result.fd, reinterpret_cast<const sockaddr *>(&address), size) == 0) {
      if (!isOfThisUser(result.fd))
        return absl::PermissionDeniedError(
            absl::StrCat("a process of another user has the name ", name));
      return result;
    }
    // Nobody is there yet, or there are more than the queue has room for.
    if (errno != ECONNREFUSED && errno != EAGAIN)
      return failure("connecting");
    if (Clock::now() >= end)
      return absl::DeadlineExceededError("nobody takes connections");
    std::this_thread::sleep_for(kRetryTime);
  }
}

absl::StatusOr<LocalSocket> LocalSocket::accept(TimePoint end) const {
  for (;;) {
    EPIGRAPH_RETURN_IF_ERROR(wait(POLLIN, end));
    LocalSocket result(accept4(fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (result.isOpen() && isOfThisUser(result.fd))
      return result;
    if (!result.isOpen() && errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
      return failure("taking a connection");
  }
}

absl::Status LocalSocket::wait(short events, TimePoint end) const {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now()).count();
    if (left <= 0)
      return absl::DeadlineExceededError("nothing came in time");
    pollfd waiting{fd, events, 0};
    const int ready = poll(&waiting, 1, static_cast<int>(std::min<int64_t>(left, INT32_MAX)));
    if (ready > 0)
      return absl::OkStatus();
    if (ready < 0 && errno != EINTR)
      return failure("waiting");
  }
}

absl::Status LocalSocket::send(absl::Span<const uint8_t> bytes, TimePoint end) const {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0)
      bytes.remove_prefix(static_cast<size_t>(sent));
    else if (errno == EAGAIN)
      EPIGRAPH_RETURN_IF_ERROR(wait(POLLOUT, end));
    else if (errno != EINTR)
      return failure("sending");
  }
  return absl::OkStatus();
}

absl::Status LocalSocket::receive(absl::Span<uint8_t> bytes, TimePoint end) const {
  while (!bytes.empty()) {
    const ssize_t received = ::recv(fd, bytes.data(), bytes.size(), 0);
    if (received > 0)
      bytes.remove_prefix(static_cast<size_t>(received));
    else if (received == 0)
      return absl::UnavailableError("the other end is closed");
    else if (errno == EAGAIN)
      EPIGRAPH_RETURN_IF_ERROR(wait(POLLIN, end));
    else if (errno != EINTR)
      return failure("receiving");
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> LocalSocket::peek(absl::Span<uint8_t> bytes) const {
  for (;;) {
    const ssize_t seen = ::recv(fd, bytes.data(), bytes.size(), MSG_PEEK);
    if (seen > 0)
      return static_cast<size_t>(seen) == bytes.size();
    if (seen == 0)
      return absl::UnavailableError("the other end is closed");
    if (errno == EAGAIN)
      return false;
    if (errno != EINTR)
      return failure("receiving");
  }
}

} // namespace epigraph
