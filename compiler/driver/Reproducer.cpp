// MLIR makes the reproducer (its local form: one pass); this gives it a name and a place, and
// learns which pass it was. A pass that is still running when the pass manager has failed has
// crashed.
#include "compiler/driver/Reproducer.h"

#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassInstrumentation.h"
#include "llvm/Support/raw_ostream.h"

#include "runtime/base/FileSystem.h"
#include "runtime/base/Status.h"

using namespace mlir;

namespace epigraph {
namespace {

/// Keeps the text; MLIR asks for a stream for each reproducer, the innermost pass last.
class TextStream : public ReproducerStream {
public:
  TextStream(Reproducer::State &state) : state_(state), stream_(text_) {
    // A stream is asked for when a pass has failed, and only a crash leaves it running.
    if (!state_.running.empty()) {
      state_.failed = state_.running;
      state_.crashed = true;
    }
  }
  ~TextStream() override { state_.text = std::move(text_); }

  llvm::StringRef description() override { return "memory"; }
  llvm::raw_ostream &os() override { return stream_; }

private:
  Reproducer::State &state_;
  std::string text_;
  llvm::raw_string_ostream stream_;
};

class Watch : public PassInstrumentation {
public:
  explicit Watch(Reproducer::State &state) : state_(state) {}

  void runBeforePass(Pass *pass, Operation *) override {
    // Adaptors, which only hold nested pipelines, have no flag.
    state_.running = (pass->getArgument().empty() ? pass->getName() : pass->getArgument()).str();
  }
  void runAfterPass(Pass *, Operation *) override { state_.running.clear(); }
  void runAfterPassFailed(Pass *, Operation *) override {
    // The innermost comes first.
    if (state_.failed.empty())
      state_.failed = state_.running;
    state_.running.clear();
  }

private:
  Reproducer::State &state_;
};

/// `text` as one word for a shell.
std::string quoted(const std::string &text) {
  if (text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                             "_-./=+:,@") == std::string::npos)
    return text;
  std::string result = "'";
  for (char c : text)
    result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

} // namespace

void Reproducer::watch(PassManager &passes) {
  passes.enableCrashReproducerGeneration(
      [this](std::string &) { return std::make_unique<TextStream>(state_); },
      /*genLocalReproducer=*/true);
  // After that, because what comes last hears of a failure first: before a stream is asked for.
  passes.addInstrumentation(std::make_unique<Watch>(state_));
}

absl::StatusOr<std::string> Reproducer::write(const CompileOptions &options) const {
  if (state_.text.empty())
    return absl::NotFoundError("the IR was invalid before any pass ran");
  std::filesystem::path file = options.reproducer;
  if (file.empty())
    file = options.dumpDirectory / ("epigraph-reproducer-" + state_.failed + ".mlir");
  std::error_code error; // A folder that cannot be made is one that cannot be written to.
  if (file.has_parent_path())
    std::filesystem::create_directories(file.parent_path(), error);
  EPIGRAPH_RETURN_IF_ERROR(writeFileAtomically(file, state_.text));
  std::string command = "epigraph-opt";
  for (const std::filesystem::path &plugin : options.passPlugins)
    command += " --load-pass-plugin=" + quoted(plugin.string());
  return command + " --run-reproducer " + quoted(file.string());
}

} // namespace epigraph
