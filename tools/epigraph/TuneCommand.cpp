// `epigraph tune`: which form of each projection is fastest, for numbers of rows, on this GPU.
#include <CLI/App.hpp>
#include <CLI/Validators.hpp>
#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "runtime/base/FileSystem.h"
#include "runtime/base/Status.h"
#include "runtime/device/MemoryPool.h"
#include "runtime/device/OpenDriver.h"
#include "tools/epigraph/Commands.h"
#include "tools/epigraph/ProjectionTimer.h"

namespace epigraph::tool {
namespace {

constexpr char kFooter[] = R"(Examples:
  scripts/write-tuning-kernels -o tuning.mlir            # on any machine
  epigraph-compile-kernels tuning.mlir -o tuning
  epigraph tune tuning -o times.csv                      # on the one with the GPU

Times every kernel of a folder that epigraph-compile-kernels wrote of projections which each ask for
a form, at numbers of rows, and keeps the fastest: docs/how-to/tune-kernels.md. Weights are in no
cache. With groups, --rows counts those of each group on average; 8, 32 and 128
of all groups are measured besides, where that is less than one of each.)";

constexpr char kHeader[] = "kind,element,matrices,outputs,depth,parts,rows,form,fields,us\n";

/// Times of one projection at one number of rows that are kept: those so close to the best, and at
/// most so many.
constexpr double kKept = 1.1;
constexpr size_t kMostKept = 6;
/// What is this much slower than the best is not timed more than once.
constexpr double kHopeless = 1.3;

/// What one token and a few choose: most of the groups have no rows then.
constexpr uint32_t kRowsOfFewGroups[] = {8, 32, 128};

struct TuneFlags {
  std::string folder, output;
  std::vector<uint32_t> rows{1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096};
};

struct Time {
  const KernelSignature *kernel;
  double us;
};

std::string keyOf(const Projection &projection, uint32_t rows) {
  return absl::StrCat(projection.groups ? "grouped," : "linear,",
                      projection.element == DType::F8_E4M3 ? "fp8" : "bf16", ",",
                      std::max(projection.groups, 1U), ",", projection.outputs, ",",
                      projection.depth, ",", projection.parts, ",", rows);
}

/// The rows that a form is measured at: what has tiles of few rows reads weights again and again
/// for many, and what has tiles of many computes in vain for few.
bool isWorthTiming(const KernelSignature &kernel, uint32_t rowsOfMatrix) {
  const std::vector<uint32_t> &fields = kernel.fields;
  constexpr uint32_t kMostTiles = 4, kFewRows = 16, kVain = 4;
  if (kernel.form == "skinny_tile" || kernel.form == "narrow_tile")
    return !fields.empty() && rowsOfMatrix <= 2 * fields[0];
  if (kernel.form != "wide_tile" || fields.size() != 7)
    return true;
  const uint32_t tileRows = fields[1];
  return std::max(rowsOfMatrix, kFewRows) * kVain >= tileRows &&
         (tileRows >= 64 || rowsOfMatrix <= kMostTiles * tileRows);
}

/// Indices of kernels of the same projection: they share its operands, which can be gigabytes.
using KernelsByProjection = std::vector<std::pair<Projection, std::vector<size_t>>>;

absl::StatusOr<KernelsByProjection> byProjection(const KernelsFolder &folder) {
  KernelsByProjection all;
  for (size_t i = 0; i < folder.signatures.size(); ++i) {
    EPIGRAPH_ASSIGN_OR_RETURN(const Projection projection, Projection::of(folder.signatures[i]));
    const auto found = std::find_if(all.begin(), all.end(),
                                    [&](const auto &entry) { return entry.first == projection; });
    (found == all.end() ? all.emplace_back(projection, std::vector<size_t>()) : *found)
        .second.push_back(i);
  }
  return all;
}

class Tuner {
public:
  Tuner(Driver &driver, const KernelsFolder &folder, const TuneFlags &flags)
      : driver_(driver), folder_(folder), flags_(flags) {}

  absl::StatusOr<std::string> run(const KernelsByProjection &all) {
    EPIGRAPH_ASSIGN_OR_RETURN(library_,
                              driver_.loadKernels(folder_.cubin, folder_.kernels.kernels));
    std::string table = kHeader;
    for (const auto &[projection, kernels] : all)
      EPIGRAPH_RETURN_IF_ERROR(tune(projection, kernels, table));
    return table;
  }

private:
  absl::Status tune(const Projection &projection, const std::vector<size_t> &kernels,
                    std::string &table) {
    const uint32_t groups = std::max(projection.groups, 1U);
    const uint32_t most = *std::max_element(flags_.rows.begin(), flags_.rows.end()) * groups;
    EPIGRAPH_ASSIGN_OR_RETURN(const std::unique_ptr<ProjectionTimer> timer,
                              ProjectionTimer::create(driver_, folder_.signatures[kernels.front()],
                                                      projection, folder_.kernels.workspaceBytes,
                                                      (most + 3) / 4 * 4));
    for (const uint32_t rows : rowsOf(groups)) {
      std::vector<Time> times;
      double best = 1e30;
      for (const size_t kernel : kernels) {
        const KernelSignature &signature = folder_.signatures[kernel];
        if (!isWorthTiming(signature, (rows + groups - 1) / groups))
          continue;
        EPIGRAPH_ASSIGN_OR_RETURN(const double us,
                                  timer->time(*library_, kernel, rows, best * kHopeless));
        times.push_back({&signature, us});
        best = std::min(best, us);
      }
      keep(keyOf(projection, rows), times, table);
    }
    return absl::OkStatus();
  }

  /// Rows to measure at, of all groups.
  std::vector<uint32_t> rowsOf(uint32_t groups) const {
    std::vector<uint32_t> rows;
    for (const uint32_t few : kRowsOfFewGroups)
      if (few < groups)
        rows.push_back(few);
    for (const uint32_t ofMatrix : flags_.rows)
      rows.push_back(ofMatrix * groups);
    return rows;
  }

  /// Adds the fastest to the table, and says which is the best.
  static void keep(const std::string &key, std::vector<Time> &times, std::string &table) {
    std::sort(times.begin(), times.end(), [](const Time &a, const Time &b) { return a.us < b.us; });
    for (size_t i = 0; i < std::min(times.size(), kMostKept); ++i) {
      if (times[i].us > times[0].us * kKept)
        break;
      const KernelSignature &kernel = *times[i].kernel;
      const std::string line =
          absl::StrCat(key, ",", kernel.form.empty() ? "chosen" : kernel.form, ",",
                       absl::StrJoin(kernel.fields, ":"), ",", times[i].us, "\n");
      absl::StrAppend(&table, line);
      if (i == 0)
        std::printf("%s", line.c_str());
    }
  }

  Driver &driver_;
  const KernelsFolder &folder_;
  const TuneFlags &flags_;
  std::unique_ptr<KernelLibrary> library_;
};

absl::Status tune(const TuneFlags &flags) {
  EPIGRAPH_ASSIGN_OR_RETURN(const KernelsFolder folder, readKernelsFolder(flags.folder));
  EPIGRAPH_ASSIGN_OR_RETURN(const KernelsByProjection kernels, byProjection(folder));
  MemoryPool pool(uint64_t{1} << 50); // What the GPU has is what there is.
  EPIGRAPH_ASSIGN_OR_RETURN(const std::unique_ptr<Driver> driver, openDriver("cuda", pool, {}));
  Tuner tuner(*driver, folder, flags);
  EPIGRAPH_ASSIGN_OR_RETURN(const std::string table, tuner.run(kernels));
  return writeFileAtomically(flags.output, table);
}

} // namespace

Command addTuneCommand(CLI::App &app) {
  auto flags = std::make_shared<TuneFlags>();
  CLI::App *command = app.add_subcommand("tune", "Measure which forms of kernels are fastest");
  command->add_option("KERNELS_DIR", flags->folder, "What epigraph-compile-kernels wrote")
      ->required();
  command->add_option("-o,--output", flags->output, "Table to write")->required();
  command
      ->add_option("--rows", flags->rows,
                   "Rows to measure at; by default powers of two from 1 to 4096")
      ->delimiter(',')
      ->check(CLI::Range(1, 65536))
      ->option_text("N,...");
  command->footer(kFooter);
  return {command, [flags] { return tune(*flags); }};
}

} // namespace epigraph::tool
