// lld reads and writes files, so objects pass through a temporary folder. Nothing of its path
// reaches the output: symbols are stripped, and there is no build id, no soname and no run path.
#include "codegen/cpu/SharedObject.h"

#include "lld/Common/Driver.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Object/ObjectFile.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <mutex>
#include <vector>

LLD_HAS_DRIVER(elf)

namespace epigraph::cpu {
namespace {

/// What LLVM may call without being asked to; every process has them.
const llvm::StringSet<> &allowedSymbols() {
  static const llvm::StringSet<> names{"memcpy", "memmove", "memset"};
  return names;
}

llvm::Error makeError(const llvm::Twine &message) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), message);
}

/// A kernel that calls a library would load only where that library is, or not at all.
llvm::Error checkSymbols(llvm::StringRef object) {
  auto file =
      llvm::object::ObjectFile::createObjectFile(llvm::MemoryBufferRef(object, "kernels.o"));
  if (!file)
    return file.takeError();
  for (const llvm::object::SymbolRef &symbol : (*file)->symbols()) {
    llvm::Expected<uint32_t> flags = symbol.getFlags();
    if (!flags)
      return flags.takeError();
    llvm::Expected<llvm::StringRef> name = symbol.getName();
    if (!name)
      return name.takeError();
    if ((*flags & llvm::object::SymbolRef::SF_Undefined) && !name->empty() &&
        !allowedSymbols().contains(*name))
      return makeError("generated code calls '" + *name +
                       "', which no artifact may depend on; the kernel builder must emit the "
                       "operation as instructions");
  }
  return llvm::Error::success();
}

llvm::Error writeFile(llvm::StringRef path, llvm::StringRef bytes) {
  std::error_code code;
  llvm::raw_fd_ostream stream(path, code);
  if (!code) {
    stream << bytes;
    stream.close();
    code = stream.error();
    stream.clear_error();
  }
  if (code)
    return makeError("cannot write " + path + ": " + code.message() +
                     "; free space there, or name another folder in TMPDIR");
  return llvm::Error::success();
}

llvm::Error runLinker(llvm::ArrayRef<std::string> inputs, const std::string &output) {
  std::vector<const char *> args{
      "ld.lld",         "-shared", "--build-id=none", "--hash-style=gnu", "--strip-all",
      "--threads=1",    "-znow",   "-zrelro",         "-znoexecstack",    "--no-rosegment",
      "--eh-frame-hdr", "-o",      output.c_str()};
  for (const std::string &input : inputs)
    args.push_back(input.c_str());
  std::string messages;
  llvm::raw_string_ostream stream(messages);
  // lld keeps its state in globals.
  static std::mutex mutex;
  static bool usable = true;
  std::lock_guard<std::mutex> lock(mutex);
  if (!usable)
    return makeError("the linker failed before in this process and cannot run again");
  const lld::Result result =
      lld::lldMain(args, llvm::nulls(), stream, {{lld::Gnu, &lld::elf::link}});
  usable = result.canRunAgain;
  if (result.retCode != 0)
    return makeError("cannot link the kernels: " + messages);
  return llvm::Error::success();
}

llvm::Expected<std::string> linkIn(llvm::StringRef folder, llvm::ArrayRef<std::string> objects) {
  std::vector<std::string> inputs;
  for (const std::string &object : objects) {
    llvm::SmallString<128> path(folder);
    llvm::sys::path::append(path, "part" + llvm::Twine(inputs.size()) + ".o");
    if (llvm::Error error = writeFile(path, object))
      return error;
    inputs.push_back(path.str().str());
  }
  llvm::SmallString<128> output(folder);
  llvm::sys::path::append(output, "kernels.so");
  if (llvm::Error error = runLinker(inputs, output.str().str()))
    return error;
  auto bytes = llvm::MemoryBuffer::getFile(output);
  if (!bytes)
    return makeError("cannot read the linked kernels from " + output + ": " +
                     bytes.getError().message());
  return (*bytes)->getBuffer().str();
}

} // namespace

llvm::Expected<std::string> linkSharedObject(llvm::ArrayRef<std::string> objects) {
  for (const std::string &object : objects)
    if (llvm::Error error = checkSymbols(object))
      return error;
  llvm::SmallString<128> folder;
  if (std::error_code code = llvm::sys::fs::createUniqueDirectory("epigraph-link", folder))
    return makeError("cannot create a temporary folder: " + code.message() +
                     "; name a writable one in TMPDIR");
  llvm::scope_exit cleanup([&] {
    // What cannot be removed from a folder for temporary files is the system's to clean up.
    (void)llvm::sys::fs::remove_directories(folder, /*IgnoreErrors=*/true);
  });
  return linkIn(folder, objects);
}

} // namespace epigraph::cpu
