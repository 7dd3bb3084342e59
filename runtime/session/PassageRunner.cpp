// A step computes at most maxSequences rows of logits, and here every row is wanted: that is the
// size of the chunks.
#include "runtime/session/PassageRunner.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "runtime/base/Status.h"

namespace epigraph {
namespace {

struct ActivePassage {
  size_t index;
  PageLease pages;
  size_t done = 0; ///< positions visited
};

/// A chunk in the step at hand.
struct ChunkTurn {
  ActivePassage *passage;
  size_t count;
};

class PassageRunner {
public:
  PassageRunner(StepDriver &driver, absl::Span<const Passage> passages, const RowVisitor &visit)
      : driver(driver), passages(passages), visit(visit), active(driver.lanes().size()),
        turns(driver.lanes().size()) {}

  absl::Status run();

private:
  absl::Status check() const;
  void chooseChunks(size_t lane);
  bool start(size_t lane);
  void buildBatch(size_t lane, bool isMtp);
  absl::StatusOr<std::vector<StepResult>> step();
  absl::Status visitRows(size_t lane, absl::Span<const float> logits);
  bool wantsMtp() const { return !passages.empty() && !passages.front().nextIds.empty(); }

  StepDriver &driver;
  const absl::Span<const Passage> passages;
  const RowVisitor &visit;
  size_t next = 0;
  std::vector<std::deque<ActivePassage>> active; ///< by lane
  std::vector<std::vector<ChunkTurn>> turns;     ///< by lane
};

absl::Status PassageRunner::check() const {
  for (size_t i = 0; i < passages.size(); ++i) {
    const std::string what =
        passages.size() == 1 ? std::string("the sequence") : absl::StrCat("sequence ", i + 1);
    const int64_t length = static_cast<int64_t>(passages[i].ids.size());
    EPIGRAPH_RETURN_IF_ERROR(driver.checkSequence(passages[i].ids, length, what));
    if (passages[i].nextIds.size() != (wantsMtp() ? passages[i].ids.size() : 0))
      return absl::InvalidArgumentError(
          absl::StrCat(what, ": expected a next token for each of the ", length, " tokens, found ",
                       passages[i].nextIds.size()));
    if (wantsMtp())
      EPIGRAPH_RETURN_IF_ERROR(driver.checkSequence(passages[i].nextIds, length, what));
  }
  if (wantsMtp() && !driver.info().hasMtp)
    return withCode(ErrorCode::NoMtp,
                    absl::UnimplementedError(
                        "the model has no MTP layer, or the artifact was compiled without it"));
  return absl::OkStatus();
}

absl::Status PassageRunner::run() {
  EPIGRAPH_RETURN_IF_ERROR(check());
  for (;;) {
    bool busy = false;
    for (size_t lane = 0; lane < active.size(); ++lane) {
      chooseChunks(lane);
      busy |= !turns[lane].empty();
    }
    if (!busy)
      break;
    EPIGRAPH_ASSIGN_OR_RETURN(const std::vector<StepResult> results, step());
    for (size_t lane = 0; lane < active.size(); ++lane)
      EPIGRAPH_RETURN_IF_ERROR(visitRows(lane, results[lane].logits));
  }
  if (next < passages.size())
    return withCode(
        ErrorCode::NoFreePages,
        absl::ResourceExhaustedError(absl::StrCat(
            "sequence ", next + 1,
            " finds no free cache pages: sequences left open hold them; close some of them")));
  return absl::OkStatus();
}

/// Divides the rows of a step among the passages of a lane, and starts more while rows are left.
void PassageRunner::chooseChunks(size_t lane) {
  turns[lane].clear();
  size_t room =
      static_cast<size_t>(std::min(driver.info().maxBatchTokens, driver.info().maxSequences));
  for (size_t i = 0; room > 0; ++i) {
    if (i == active[lane].size() && !start(lane))
      return;
    ActivePassage &passage = active[lane][i];
    const size_t count = std::min(room, passages[passage.index].ids.size() - passage.done);
    turns[lane].push_back({&passage, count});
    room -= count;
  }
}

/// Starts the next passage on `lane`, if there is one and pages for it.
bool PassageRunner::start(size_t lane) {
  if (next == passages.size())
    return false;
  const int64_t length = static_cast<int64_t>(passages[next].ids.size());
  std::optional<PageLease> pages = driver.lanes()[lane].pool.take(PagePool::pagesFor(length));
  if (!pages)
    return false;
  active[lane].push_back({next++, *std::move(pages)});
  return true;
}

void PassageRunner::buildBatch(size_t lane, bool isMtp) {
  BatchBuilder &builder = driver.lanes()[lane].builder;
  builder.clear();
  for (const ChunkTurn &turn : turns[lane]) {
    const Passage &passage = passages[turn.passage->index];
    const absl::Span<const int32_t> ids = isMtp ? passage.nextIds : passage.ids;
    // With MTP, the logits of the model itself are not looked at.
    const ChunkOutputs outputs = wantsMtp() && !isMtp ? ChunkOutputs::None : ChunkOutputs::All;
    builder.add({ids.subspan(turn.passage->done, turn.count),
                 static_cast<int32_t>(turn.passage->done), turn.passage->pages.get(), outputs});
  }
}

absl::StatusOr<std::vector<StepResult>> PassageRunner::step() {
  for (size_t lane = 0; lane < active.size(); ++lane)
    buildBatch(lane, /*isMtp=*/false);
  absl::StatusOr<std::vector<StepResult>> results = driver.step("main", wantsMtp());
  if (!results.ok() || !wantsMtp())
    return results;
  for (size_t lane = 0; lane < active.size(); ++lane) {
    buildBatch(lane, /*isMtp=*/true);
    driver.lanes()[lane].builder.setHidden(std::move((*results)[lane].hidden));
  }
  return driver.step("mtp", false);
}

absl::Status PassageRunner::visitRows(size_t lane, absl::Span<const float> logits) {
  const size_t vocab = static_cast<size_t>(driver.info().vocab);
  size_t row = 0;
  for (const ChunkTurn &turn : turns[lane])
    for (size_t i = 0; i < turn.count; ++i)
      EPIGRAPH_RETURN_IF_ERROR(visit(turn.passage->index,
                                     static_cast<int32_t>(turn.passage->done++),
                                     logits.subspan(vocab * row++, vocab)));
  std::erase_if(active[lane], [this](const ActivePassage &passage) {
    return passage.done == passages[passage.index].ids.size();
  });
  return absl::OkStatus();
}

} // namespace

absl::Status visitLogits(StepDriver &driver, absl::Span<const Passage> passages,
                         const RowVisitor &visit) {
  return PassageRunner(driver, passages, visit).run();
}

} // namespace epigraph
