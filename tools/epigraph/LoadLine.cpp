#include "tools/epigraph/LoadLine.h"

#include <algorithm>
#include <cstdio>

#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "runtime/base/StringView.h"
#include "runtime/device/MemoryPool.h"

namespace epigraph::tool {
namespace {

/// Whoever waits less needs no line, and nobody reads one that changes more often.
constexpr std::chrono::milliseconds kPatience(500), kInterval(100);

} // namespace

std::string loadText(const LoadStage &stage, std::chrono::duration<double> taken) {
  if (!stage.countsBytes)
    return absl::StrCat(abslView(stage.what), ": ", stage.done, " of ", stage.total);
  const double rate = static_cast<double>(stage.done) / std::max(taken.count(), 1e-9);
  return absl::StrCat(abslView(stage.what), ": ", formatBytes(stage.done), " of ",
                      formatBytes(stage.total), ", ", formatBytes(static_cast<uint64_t>(rate)),
                      "/s");
}

LoadLine::LoadLine() : isTerminal(isatty(STDERR_FILENO)) {}

LoadLine::~LoadLine() {
  if (isThere)
    std::fputs("\r\033[K", stderr);
}

LoadProgress LoadLine::progress() {
  if (!isTerminal)
    return nullptr;
  return [this](const LoadStage &stage) { update(stage); };
}

void LoadLine::update(const LoadStage &stage) {
  const Clock::time_point now = Clock::now();
  if (stage.what != what) {
    what = stage.what;
    begun = now;
  }
  if (now - begun < kPatience || now - written < kInterval)
    return;
  std::fprintf(stderr, "\r\033[K%s", loadText(stage, now - begun).c_str());
  std::fflush(stderr);
  written = now;
  isThere = true;
}

} // namespace epigraph::tool
