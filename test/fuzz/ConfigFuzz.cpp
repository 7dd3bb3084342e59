// Any config.json beside a checkpoint that has hardly a tensor: families must read it, build as far
// as they get, and say what is wrong, in time and memory that the file's numbers do not decide.
#include <filesystem>
#include <fstream>
#include <memory>

#include <unistd.h>

#include "compiler/import/Importer.h"
#include "mlir/IR/Diagnostics.h"
#include "runtime/artifact/SafetensorsWriter.h"
#include "test/fuzz/Expect.h"

namespace epigraph {
namespace {

/// A checkpoint of one tensor in a folder that goes away with the program.
class Folder {
public:
  Folder()
      : path_(std::filesystem::temp_directory_path() /
              ("epigraph-config-fuzz-" + std::to_string(getpid()))) {
    std::filesystem::create_directories(path_);
    auto writer = SafetensorsWriter::create(path_ / "model.safetensors",
                                            {{"model.norm.weight", DType::BF16, {16}}});
    FUZZ_EXPECT(writer.ok());
    FUZZ_EXPECT(writer->append(std::vector<uint8_t>(32)).ok());
    FUZZ_EXPECT(writer->finish().ok());
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path &path() const { return path_; }

private:
  std::filesystem::path path_;
};

} // namespace
} // namespace epigraph

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace epigraph;
  static const Folder folder;
  std::ofstream(folder.path() / "config.json", std::ios::binary)
      .write(reinterpret_cast<const char *>(data), static_cast<std::streamsize>(size));
  absl::StatusOr<Checkpoint> checkpoint = Checkpoint::open(folder.path());
  FUZZ_EXPECT(checkpoint.ok());

  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  context.loadDialect<epi::EpiDialect, ep::EpDialect, exec::ExecDialect, mlir::func::FuncDialect>();
  mlir::ScopedDiagnosticHandler silent(&context, [](mlir::Diagnostic &) {});
  absl::StatusOr<ImportedModel> model = importModel(context, *checkpoint, {});
  FUZZ_EXPECT(!model.ok()); // The tensors are not there.
  FUZZ_EXPECT(model.status().code() != absl::StatusCode::kInternal);
  FUZZ_EXPECT(!model.status().message().empty());
  return 0;
}
