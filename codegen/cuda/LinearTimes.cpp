#include "codegen/cuda/LinearTimes.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "llvm/ADT/StringExtras.h"

namespace epigraph::cuda {

/// Lines of LinearTimes.csv, the first of them its header (LinearTimesTable.cpp, made by CMake).
llvm::ArrayRef<llvm::StringLiteral> linearTimesTable();

namespace {

/// Sizes beyond this factor say nothing of one another.
const double kNear = std::log(4.0);
/// As far as another size is one whose columns are split into parts, or are not.
const double kOtherParts = std::log(2.0);

struct Row {
  llvm::StringRef kind, element;
  int64_t matrices, outputs, depth, parts;
  LinearTime time;
};

int64_t numberOf(llvm::StringRef text) {
  int64_t value = 0;
  const bool failed = text.getAsInteger(10, value);
  assert(!failed && "LinearTimes.csv has something else than a number");
  return failed ? 0 : value;
}

/// kind,element,matrices,outputs,depth,parts,rows,form,fields,us
Row parseRow(llvm::StringRef line) {
  llvm::SmallVector<llvm::StringRef> cells, numbers;
  line.split(cells, ',');
  assert(cells.size() == 10 && "LinearTimes.csv has a line with other columns");
  cells[8].split(numbers, ':');
  const std::optional<LinearForm> form = formOf(cells[7], llvm::map_to_vector(numbers, numberOf));
  assert(form && "LinearTimes.csv has a form that there is not");
  double us = 0;
  cells[9].getAsDouble(us);
  return {cells[0],
          cells[1],
          numberOf(cells[2]),
          numberOf(cells[3]),
          numberOf(cells[4]),
          numberOf(cells[5]),
          {numberOf(cells[6]), *form, us}};
}

const std::vector<Row> &table() {
  static const std::vector<Row> rows = [] {
    std::vector<Row> parsed;
    for (llvm::StringRef line : linearTimesTable().drop_front())
      parsed.push_back(parseRow(line));
    return parsed;
  }();
  return rows;
}

double distance(int64_t a, int64_t b) {
  const double far = std::abs(std::log(static_cast<double>(a) / static_cast<double>(b)));
  return far <= kNear ? far : std::numeric_limits<double>::infinity();
}

double distance(const Row &row, const LinearProblem &problem, const LinearEpilogue &epilogue) {
  const bool isGrouped = problem.kind == LinearKind::Grouped;
  if (problem.kind == LinearKind::Heads || (row.kind == "grouped") != isGrouped ||
      (row.element == "bf16") != problem.xType().isBF16())
    return std::numeric_limits<double>::infinity();
  // How many groups there are matters less than how large each of them is.
  return distance(row.outputs, problem.outputs) + distance(row.depth, problem.depth) +
         (row.parts != epilogue.parts() ? kOtherParts : 0) +
         (isGrouped ? std::abs(std::log(static_cast<double>(row.matrices) /
                                        static_cast<double>(problem.matrices))) /
                          4
                    : 0);
}

/// Adds the times of the nearest projection that was measured with fewer rows than groups, or of
/// that with more. Of fewer, each has a group of its own, however many groups there are.
void addNearest(std::vector<LinearTime> &times, const LinearProblem &problem,
                const LinearEpilogue &epilogue, bool hasFewRows) {
  double nearest = std::numeric_limits<double>::infinity();
  const size_t first = times.size();
  for (const Row &row : table()) {
    const double far = distance(row, problem, epilogue);
    if (far > nearest || std::isinf(far) || (row.time.rows < row.matrices) != hasFewRows ||
        (hasFewRows && row.time.rows >= problem.matrices))
      continue;
    if (far < nearest)
      times.resize(first);
    nearest = far;
    times.push_back(row.time);
    if (!hasFewRows)
      times.back().rows = row.time.rows / row.matrices * problem.matrices;
  }
}

} // namespace

std::optional<LinearForm> formOf(llvm::StringRef name, llvm::ArrayRef<int64_t> fields) {
  if (name == "wide_tile" && fields.size() == 7)
    return WideTile{fields[0] != 0, fields[1], fields[2],     fields[3],
                    fields[4],      fields[5], fields[6] != 0};
  if (name == "narrow_tile" && fields.size() == 4)
    return NarrowTile{fields[0], fields[1], fields[2], fields[3]};
  if (name == "skinny_tile" && fields.size() == 6)
    return SkinnyTile{fields[0], fields[1], fields[2], fields[3], fields[4], fields[5]};
  return std::nullopt;
}

std::vector<LinearTime> measuredTimes(const LinearProblem &problem,
                                      const LinearEpilogue &epilogue) {
  std::vector<LinearTime> times;
  addNearest(times, problem, epilogue, /*hasFewRows=*/true);
  addNearest(times, problem, epilogue, /*hasFewRows=*/false);
  llvm::sort(times, [](const LinearTime &a, const LinearTime &b) {
    return std::pair(a.rows, a.us) < std::pair(b.rows, b.us);
  });
  return times;
}

} // namespace epigraph::cuda
