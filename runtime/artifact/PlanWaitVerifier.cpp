// Verifies that started collectives are waited for, and that nothing touches their memory before.
// A plan does not say which arguments of a launch are results, but a buffer is one value: the first
// step that names it is the one that writes it.
#include <vector>

#include "runtime/artifact/Plan.h"
#include "runtime/artifact/PlanChecks.h"

namespace epigraph::plan {
namespace {

/// The buffers that one step names.
struct StepBuffers {
  std::vector<uint32_t> read;
  std::vector<uint32_t> written; ///< known to be
};

class WaitVerifier {
public:
  WaitVerifier(const Function &function, std::string where)
      : function_(function), where_(std::move(where)), named_(function.buffers()->size()) {}

  absl::Status verify() {
    for (uint32_t i = 0; i < function_.steps()->size(); ++i) {
      const Step &step = *function_.steps()->Get(i);
      std::string where = absl::StrCat(where_, ".steps[", i, "]");
      if (step.location())
        absl::StrAppend(&where, " (", abslView(view(step.location())), ")");
      EPIGRAPH_RETURN_IF_ERROR(verifyStep(i, step, where));
    }
    if (!underWay_.empty())
      return invalid(where_, ": ends before a Wait for steps[", underWay_.back().step,
                     "], which only starts");
    return absl::OkStatus();
  }

private:
  struct UnderWay {
    uint32_t step;
    StepBuffers buffers;
    const ScatterExperts *scatter;
  };

  absl::Status verifyStep(uint32_t index, const Step &step, const std::string &where);
  absl::Status finish(uint32_t until, const std::string &where);
  absl::Status checkApart(const StepBuffers &buffers, const std::string &where) const;
  absl::Status checkReceived(const Rows &rows, const std::string &where) const;
  StepBuffers buffersOf(const Step &step);
  void addRead(const Ref *ref, StepBuffers &buffers);
  void addWritten(const Ref *ref, StepBuffers &buffers);
  bool overlap(uint32_t a, uint32_t b) const;

  const Function &function_;
  const std::string where_;
  std::vector<bool> named_; ///< buffers that some step so far names
  std::vector<UnderWay> underWay_;
};

absl::Status WaitVerifier::verifyStep(uint32_t index, const Step &step, const std::string &where) {
  if (const Wait *wait = step.op_as_Wait())
    return finish(wait->until(), where);
  const Collective *collective = step.op_as_Collective();
  const bool moves = collective && collective->kind() != CollectiveKind::ShardRows &&
                     collective->kind() != CollectiveKind::ShardColumns;
  if (collective && collective->starts() && !moves)
    return invalid(where, ".starts: ", EnumNameCollectiveKind(collective->kind()),
                   " moves nothing between ranks, so there is nothing to wait for");

  StepBuffers buffers = buffersOf(step);
  EPIGRAPH_RETURN_IF_ERROR(checkApart(buffers, where));
  if (const Launch *launch = step.op_as_Launch())
    EPIGRAPH_RETURN_IF_ERROR(checkReceived(*launch->rows(), where));
  for (uint32_t buffer : buffers.read)
    EPIGRAPH_RETURN_IF_ERROR(checkReceived(*function_.buffers()->Get(buffer)->rows(), where));
  if (startsOnly(step))
    underWay_.push_back({index, std::move(buffers), step.op_as_ScatterExperts()});
  else if (moves || step.op_as_ScatterExperts() || step.op_as_GatherExperts())
    underWay_.clear(); // it finishes, and so has everything that started before it
  return absl::OkStatus();
}

absl::Status WaitVerifier::finish(uint32_t until, const std::string &where) {
  for (size_t i = 0; i < underWay_.size(); ++i)
    if (underWay_[i].step == until) {
      underWay_.erase(underWay_.begin(), underWay_.begin() + static_cast<ptrdiff_t>(i) + 1);
      return absl::OkStatus();
    }
  return invalid(where, ".until: steps[", until, "] is not under way here");
}

/// No buffer that is in use may be one that a collective under way writes, and none that is written
/// one that it reads.
absl::Status WaitVerifier::checkApart(const StepBuffers &buffers, const std::string &where) const {
  const auto check = [&](const std::vector<uint32_t> &used, const std::vector<uint32_t> &held,
                         const char *what, uint32_t step) -> absl::Status {
    for (uint32_t a : used)
      for (uint32_t b : held)
        if (overlap(a, b))
          return invalid(where, ": ", what, " buffer ", b, " of steps[", step,
                         "], which is under way: a Wait is missing");
    return absl::OkStatus();
  };
  for (const UnderWay &held : underWay_) {
    EPIGRAPH_RETURN_IF_ERROR(check(buffers.read, held.buffers.written, "reads", held.step));
    EPIGRAPH_RETURN_IF_ERROR(check(buffers.written, held.buffers.written, "overwrites", held.step));
    EPIGRAPH_RETURN_IF_ERROR(check(buffers.written, held.buffers.read, "overwrites", held.step));
  }
  return absl::OkStatus();
}

absl::Status WaitVerifier::checkReceived(const Rows &rows, const std::string &where) const {
  if (rows.kind() == RowKind::Received)
    for (const UnderWay &held : underWay_)
      if (held.scatter && held.scatter->exchange() == rows.id())
        return invalid(where, ": needs the number of rows of exchange ", rows.id(),
                       ", which is under way: a Wait is missing");
  return absl::OkStatus();
}

StepBuffers WaitVerifier::buffersOf(const Step &step) {
  StepBuffers buffers;
  if (const Launch *launch = step.op_as_Launch()) {
    for (const Ref *ref : *launch->args())
      addRead(ref, buffers);
  } else if (const Collective *collective = step.op_as_Collective()) {
    addRead(collective->source(), buffers);
    addWritten(collective->result(), buffers);
  } else if (const ScatterExperts *scatter = step.op_as_ScatterExperts()) {
    addRead(scatter->rows(), buffers);
    addRead(scatter->counts(), buffers);
    addWritten(scatter->result(), buffers);
    addWritten(scatter->result_counts(), buffers);
  } else if (const GatherExperts *gather = step.op_as_GatherExperts()) {
    addRead(gather->rows(), buffers);
    addRead(gather->counts(), buffers);
    addWritten(gather->result(), buffers);
  }
  return buffers;
}

/// Of a launch, what is named for the first time is written.
void WaitVerifier::addRead(const Ref *ref, StepBuffers &buffers) {
  if (ref->kind() != RefKind::Buffer)
    return;
  (named_[ref->index()] ? buffers.read : buffers.written).push_back(ref->index());
  named_[ref->index()] = true;
}

void WaitVerifier::addWritten(const Ref *ref, StepBuffers &buffers) {
  buffers.written.push_back(ref->index());
  named_[ref->index()] = true;
}

bool WaitVerifier::overlap(uint32_t a, uint32_t b) const {
  const Buffer &first = *function_.buffers()->Get(a), &second = *function_.buffers()->Get(b);
  return first.offset() < second.offset() + second.bytes() &&
         second.offset() < first.offset() + first.bytes();
}

} // namespace

absl::Status verifyWaits(const Function &function, const std::string &where) {
  return WaitVerifier(function, where).verify();
}

} // namespace epigraph::plan
