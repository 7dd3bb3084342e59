#include "codegen/cuda/LinearForms.h"

#include "codegen/cuda/LinearTiles.h"
#include "codegen/cuda/NarrowLinear.h"
#include "codegen/cuda/WideLinear.h"

namespace epigraph::cuda {
namespace {

/// Numbers of rows up to which weights are streamed where nothing was measured, each in tiles of
/// their own; of each matrix, where there are groups.
constexpr int64_t kFewRows[] = {8, 16};
/// What was the fastest for so many rows of a matrix is taken for any more.
constexpr int64_t kManyRows = 256;
/// A gain that is worth another device function.
constexpr double kWorthOfFunction = 1.03;
/// What was the fastest for a number of rows of all groups is taken for so much more of it, too:
/// how many rows some of the groups get is chance, and time changes little with it.
constexpr int64_t kShareMoreOfGroups = 8;

int64_t mostRowsOf(const LinearTime &time, const LinearProblem &problem) {
  const bool fillsGroups = problem.kind == LinearKind::Grouped && time.rows >= problem.matrices;
  return time.rows + (fillsGroups ? time.rows / kShareMoreOfGroups : 0);
}

/// Each number of rows that was measured has the fastest form, or that of fewer rows where it is
/// nearly as fast.
std::vector<FormChoice> measuredForms(const LinearProblem &problem, const LinearEpilogue &epilogue,
                                      const CudaTarget &target) {
  std::vector<LinearTime> times = measuredTimes(problem, epilogue);
  llvm::erase_if(times, [&](const LinearTime &time) {
    return !canHave(time.form, problem, epilogue, target);
  });
  std::vector<FormChoice> choices;
  for (auto best = times.begin(); best != times.end();) {
    const auto end = std::find_if(best, times.end(),
                                  [&](const LinearTime &time) { return time.rows != best->rows; });
    const bool isLastGood = !choices.empty() && std::any_of(best, end, [&](const LinearTime &time) {
      return time.form == choices.back().form && time.us <= kWorthOfFunction * best->us;
    });
    if (isLastGood)
      choices.back().mostRows = mostRowsOf(*best, problem);
    else
      choices.push_back({mostRowsOf(*best, problem), best->form});
    best = end;
  }
  return choices;
}

std::vector<FormChoice> modelledForms(const LinearProblem &problem, const LinearEpilogue &epilogue,
                                      const CudaTarget &target) {
  const int64_t groups = problem.kind == LinearKind::Grouped ? problem.matrices : 1;
  std::vector<TileChoice> tiles;
  if (canBeWide(problem, epilogue))
    tiles = chooseTiles(problem, epilogue, target);
  // Groups of e4m3 are faster in tiles at any size: some group is always larger than the others.
  const bool isSkinny =
      canBeSkinny(problem, epilogue) && (tiles.empty() || groups == 1 || !problem.xScale);
  const int64_t fewRows = isSkinny ? std::end(kFewRows)[-1] * groups : 0;
  std::vector<FormChoice> choices;
  for (int64_t rows : kFewRows)
    if (isSkinny)
      choices.push_back({rows * groups, skinnyTile(problem, epilogue, rows, target)});
  for (const TileChoice &choice : tiles)
    if (choice.mostRows == 0 || choice.mostRows > fewRows)
      choices.push_back({choice.mostRows, choice.tile});
  if (tiles.empty() && isSkinny)
    choices.back().mostRows = 0;
  return choices;
}

} // namespace

bool canHave(const LinearForm &form, const LinearProblem &problem, const LinearEpilogue &epilogue,
             const CudaTarget &target) {
  if (const auto *tile = std::get_if<WideTile>(&form))
    return canBeWide(problem, epilogue) && fits(*tile, problem, epilogue, target);
  if (const auto *tile = std::get_if<NarrowTile>(&form))
    return canBeNarrow(problem, epilogue) && fits(*tile, problem, epilogue, target);
  return canBeSkinny(problem, epilogue);
}

std::vector<FormChoice> chooseForms(const LinearProblem &problem, const LinearEpilogue &epilogue,
                                    const CudaTarget &target) {
  std::vector<FormChoice> choices = measuredForms(problem, epilogue, target);
  const int64_t groups = problem.kind == LinearKind::Grouped ? problem.matrices : 1;
  const int64_t measured = choices.empty() ? 0 : choices.back().mostRows;
  if (measured >= kManyRows * groups) {
    choices.back().mostRows = 0;
    return choices;
  }
  for (const FormChoice &choice : modelledForms(problem, epilogue, target))
    if (choice.mostRows == 0 || choice.mostRows > measured)
      choices.push_back(choice);
  return choices;
}

} // namespace epigraph::cuda
