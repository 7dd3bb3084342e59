// Tokens form a doubly linked list in an array; a heap holds the merges that neighbours allow, by
// rank, then position. A merge changes two neighbourhoods and leaves stale entries in the heap,
// which are recognised when they come up: each of the n - 1 merges pushes at most two.
#include "runtime/text/BytePairEncoder.h"

#include <algorithm>

#include "absl/strings/string_view.h"

#include "runtime/base/StringView.h"

namespace epigraph {
namespace {

constexpr int32_t kNone = -1;

struct Symbol {
  int32_t token; ///< kNone once merged into the one before
  int32_t previous;
  int32_t next;
};

struct Candidate {
  uint32_t rank;
  int32_t position; ///< of the left symbol
  int32_t result;

  /// std::push_heap keeps the largest first.
  bool operator<(const Candidate &other) const {
    return std::pair(rank, position) > std::pair(other.rank, other.position);
  }
};

class PieceEncoder {
public:
  PieceEncoder(const BytePairEncoder &encoder, std::string_view piece) : encoder_(encoder) {
    int32_t count = static_cast<int32_t>(piece.size());
    symbols_.reserve(count);
    for (int32_t i = 0; i < count; ++i)
      symbols_.push_back({encoder.byteTokens[static_cast<uint8_t>(piece[i])], i - 1,
                          i + 1 < count ? i + 1 : kNone});
    for (int32_t i = 0; i + 1 < count; ++i)
      if (const BytePairEncoder::Merge *merge = mergeAt(i))
        heap_.push_back({merge->rank, i, merge->result});
    std::make_heap(heap_.begin(), heap_.end());
  }

  void run() {
    while (!heap_.empty()) {
      Candidate top = heap_.front();
      std::pop_heap(heap_.begin(), heap_.end());
      heap_.pop_back();
      const BytePairEncoder::Merge *merge = mergeAt(top.position);
      if (merge && merge->result == top.result)
        apply(top);
    }
  }

  void append(std::vector<int32_t> &ids) const {
    for (int32_t i = symbols_.empty() ? kNone : 0; i != kNone; i = symbols_[i].next)
      ids.push_back(symbols_[i].token);
  }

private:
  /// The merge of the symbol at `position` with the next, or null.
  const BytePairEncoder::Merge *mergeAt(int32_t position) const {
    const Symbol &left = symbols_[position];
    if (left.token == kNone || left.next == kNone)
      return nullptr;
    auto it = encoder_.merges.find(std::pair(left.token, symbols_[left.next].token));
    return it == encoder_.merges.end() ? nullptr : &it->second;
  }

  void apply(const Candidate &candidate) {
    Symbol &left = symbols_[candidate.position];
    Symbol &right = symbols_[left.next];
    left.token = candidate.result;
    left.next = right.next;
    right.token = kNone;
    if (left.next != kNone)
      symbols_[left.next].previous = candidate.position;
    push(candidate.position);
    if (left.previous != kNone)
      push(left.previous);
  }

  void push(int32_t position) {
    if (const BytePairEncoder::Merge *merge = mergeAt(position)) {
      heap_.push_back({merge->rank, position, merge->result});
      std::push_heap(heap_.begin(), heap_.end());
    }
  }

  const BytePairEncoder &encoder_;
  std::vector<Symbol> symbols_;
  std::vector<Candidate> heap_;
};

} // namespace

void BytePairEncoder::encode(std::string_view piece, std::vector<int32_t> &ids) const {
  if (!wholePieces.empty()) {
    auto it = wholePieces.find(abslView(piece));
    if (it != wholePieces.end()) {
      ids.push_back(it->second);
      return;
    }
  }
  PieceEncoder encoder(*this, piece);
  encoder.run();
  encoder.append(ids);
}

} // namespace epigraph
