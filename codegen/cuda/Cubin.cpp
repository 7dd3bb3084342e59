#include "codegen/cuda/Cubin.h"

#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/raw_ostream.h"

namespace epigraph::cuda {
namespace {

llvm::Error makeError(const llvm::Twine &message) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), message);
}

/// A file that is gone at the end of the scope.
class TemporaryFile {
public:
  explicit TemporaryFile(llvm::StringRef suffix) {
    failed = static_cast<bool>(llvm::sys::fs::createTemporaryFile("epigraph", suffix, path));
  }
  ~TemporaryFile() { llvm::sys::fs::remove(path); }

  llvm::SmallString<128> path;
  bool failed = false;
};

llvm::Expected<std::string> contents(llvm::StringRef path) {
  auto buffer = llvm::MemoryBuffer::getFile(path);
  if (!buffer)
    return makeError("cannot read " + path + ": " + buffer.getError().message());
  return (*buffer)->getBuffer().str();
}

bool isZeroSpill(llvm::StringRef line) {
  return line.contains("0 bytes spill stores, 0 bytes spill loads") &&
         line.trim().starts_with("0 bytes stack frame");
}

/// What the assembler said that a correct kernel must not make it say.
std::string complaints(llvm::StringRef log) {
  std::string found, function;
  for (llvm::StringRef line : llvm::split(log, '\n')) {
    if (line.contains("Function properties for"))
      function = line.substr(line.find("for ") + 4).trim().str();
    if (line.contains("bytes spill") && !isZeroSpill(line))
      found += "\n  " + function + ": " + line.trim().str();
    if (line.contains("C75"))
      found += "\n  " + line.trim().str();
  }
  return found;
}

} // namespace

std::optional<std::string> findAssembler() {
  if (const char *named = std::getenv("EPIGRAPH_PTXAS"))
    return std::string(named);
  if (auto found = llvm::sys::findProgramByName("ptxas"))
    return *found;
  const char *home = std::getenv("CUDA_HOME");
  for (llvm::StringRef root : {home ? home : "/usr/local/cuda", "/usr/local/cuda"}) {
    llvm::SmallString<128> path(root);
    llvm::sys::path::append(path, "bin", "ptxas");
    if (llvm::sys::fs::can_execute(path))
      return std::string(path);
  }
  return std::nullopt;
}

llvm::Expected<std::string> assemble(llvm::StringRef ptx, llvm::StringRef architecture) {
  std::optional<std::string> assembler = findAssembler();
  if (!assembler)
    return makeError("no ptxas, which turns PTX into machine code: it is not on the PATH, in "
                     "$CUDA_HOME/bin or in /usr/local/cuda/bin; install the CUDA toolkit 13, or "
                     "set EPIGRAPH_PTXAS to the program");
  TemporaryFile source("ptx"), object("cubin"), log("log");
  if (source.failed || object.failed || log.failed)
    return makeError("cannot create temporary files for ptxas");
  std::error_code error;
  {
    llvm::raw_fd_ostream stream(source.path, error);
    stream << ptx;
  }
  if (error)
    return makeError("cannot write " + source.path + ": " + error.message());
  const std::string arch = ("--gpu-name=" + architecture).str();
  const llvm::StringRef arguments[] = {*assembler,  arch, "-O3",      "-v",
                                       source.path, "-o", object.path};
  const std::optional<llvm::StringRef> redirects[] = {std::nullopt, log.path.str(), log.path.str()};
  std::string problem;
  const int code =
      llvm::sys::ExecuteAndWait(*assembler, arguments, std::nullopt, redirects, 0, 0, &problem);
  if (code < 0)
    return makeError("cannot run " + *assembler + ": " + problem +
                     "; install the CUDA toolkit 13, or set EPIGRAPH_PTXAS to its ptxas");
  llvm::Expected<std::string> said = contents(log.path);
  if (!said)
    return said.takeError();
  if (code != 0)
    return makeError("ptxas failed on generated code: " + problem + "\n" + *said +
                     "\nthis is a mistake in a kernel builder, or ptxas is older than CUDA 13");
  if (std::string bad = complaints(*said); !bad.empty())
    return makeError("a kernel would be slow:" + bad +
                     "\nthis is a mistake in a kernel builder or its choice of tile");
  return contents(object.path);
}

} // namespace epigraph::cuda
