// Every form of attention is the same loop: for a head of a sequence, gather keys and values of all
// its positions from the cache, then attend row by row. Keys are gathered position-minor, so that a
// row's scores are built up for many positions at once, each in the order of the key's elements.
#include "codegen/reference/Attention.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "codegen/reference/Dense.h"
#include "runtime/base/Status.h"

namespace epigraph::reference {
namespace {

/// The context of one head of one sequence.
struct HeadContext {
  HeadContext(int64_t positions, int64_t key, int64_t value)
      : positions(positions), key(key), value(value), keys(static_cast<size_t>(key * positions)),
        values(static_cast<size_t>(positions * value)) {}

  void setKey(int64_t position, int64_t offset, const float *elements, int64_t count) {
    for (int64_t i = 0; i < count; ++i)
      keys[static_cast<size_t>((offset + i) * positions + position)] = elements[i];
  }
  void setValue(int64_t position, const float *elements) {
    std::copy_n(elements, value, values.data() + position * value);
  }

  int64_t positions, key, value;
  std::vector<float> keys;   ///< [key][positions]
  std::vector<float> values; ///< [positions][value]
};

/// How the scores of one head become weights.
struct HeadWeighing {
  float scale;
  int64_t window;
  float sink = -std::numeric_limits<float>::infinity();
};

/// One row of one head: softmax(scale * q . keys) * values over positions [first, last).
void attendRow(const HeadContext &context, const float *q, const HeadWeighing &weighing,
               int64_t first, int64_t last, float *result) {
  std::vector<float> scores(static_cast<size_t>(last - first), 0.0f);
  for (int64_t i = 0; i < context.key; ++i) {
    const float *keys = context.keys.data() + i * context.positions;
    for (int64_t p = first; p < last; ++p)
      scores[static_cast<size_t>(p - first)] += q[i] * keys[p];
  }
  for (float &score : scores)
    score *= weighing.scale;
  float highest = std::max(weighing.sink, *std::max_element(scores.begin(), scores.end()));
  float sum = std::exp(weighing.sink - highest);
  for (float &score : scores)
    sum += score = std::exp(score - highest);
  std::fill_n(result, context.value, 0.0f);
  for (int64_t p = first; p < last; ++p) {
    float weight = scores[static_cast<size_t>(p - first)] / sum;
    const float *values = context.values.data() + p * context.value;
    for (int64_t i = 0; i < context.value; ++i)
      result[i] += weight * values[i];
  }
}

/// Rows of q and of the result as one head sees them: elements from one row to the next.
struct HeadRows {
  const float *q;
  int64_t qStride;
  float *result;
  int64_t resultStride;
};

void attendRows(const HeadContext &context, const SequenceRows &rows, const HeadRows &head,
                const HeadWeighing &weighing, const Workers &workers) {
  int64_t flops = 2 * rows.rows * rows.positions() * (context.key + context.value);
  workers.forEach(rows.rows, flops, [&](int64_t i) {
    int64_t row = rows.firstRow + i, last = rows.firstPosition + i + 1;
    attendRow(context, head.q + row * head.qStride, weighing,
              last - std::min(last, weighing.window), last, head.result + row * head.resultStride);
  });
}

/// The cache's entries of a sequence, as [positions][entry].
absl::StatusOr<Tensor> gather(const PagedCache &cache, const SequenceRows &sequence) {
  Tensor entries = Tensor::floats({sequence.positions(), cache.entryElements()});
  for (int64_t p = 0; p < sequence.positions(); ++p) {
    const float *entry = cache.read(sequence.slots[static_cast<size_t>(p)]);
    if (!entry)
      return absl::InvalidArgumentError(
          absl::StrCat("position ", p, " of the sequence that starts at token ", sequence.firstRow,
                       " of the batch has no cache entry; earlier steps must have written it"));
    std::copy_n(entry, cache.entryElements(), entries.row(p));
  }
  return entries;
}

/// Calls `attend(sequence, entries)` for each sequence of the step.
absl::Status
forEachSequence(const PagedCache &cache, const StepBatch &step, const Tensor &q,
                const std::function<void(const SequenceRows &, const Tensor &)> &attend) {
  EPIGRAPH_RETURN_IF_ERROR(requireRows("q", q.rows(), static_cast<int64_t>(step.positions.size())));
  EPIGRAPH_ASSIGN_OR_RETURN(std::vector<SequenceRows> sequences, sequencesOf(step));
  for (const SequenceRows &sequence : sequences) {
    EPIGRAPH_ASSIGN_OR_RETURN(Tensor entries, gather(cache, sequence));
    attend(sequence, entries);
  }
  return absl::OkStatus();
}

/// Latent vectors and rotated keys apart: [positions][latent] of [positions][latent + rope].
Tensor latentsOf(const Tensor &entries, const MlaLayout &layout) {
  Tensor latents = Tensor::floats({entries.rows(), layout.latent});
  for (int64_t p = 0; p < entries.rows(); ++p)
    std::copy_n(entries.row(p), layout.latent, latents.row(p));
  return latents;
}

/// q then qRope of every head: [rows, heads, key].
Tensor joinQueries(const Tensor &q, const Tensor &qRope) {
  int64_t heads = q.dim(1), first = q.dim(2), second = qRope.dim(2), key = first + second;
  Tensor joined = Tensor::floats({q.rows(), heads, key});
  for (int64_t i = 0; i < q.rows() * heads; ++i) {
    std::copy_n(q.data() + i * first, first, joined.data() + i * key);
    std::copy_n(qRope.data() + i * second, second, joined.data() + i * key + first);
  }
  return joined;
}

} // namespace

absl::Status kvAppend(PagedCache &cache, const Tensor &first, const Tensor &second,
                      const StepBatch &step) {
  int64_t tokens = static_cast<int64_t>(step.positions.size());
  EPIGRAPH_RETURN_IF_ERROR(requireRows("first", first.rows(), tokens));
  EPIGRAPH_RETURN_IF_ERROR(requireRows("second", second.rows(), tokens));
  EPIGRAPH_ASSIGN_OR_RETURN(std::vector<SequenceRows> sequences, sequencesOf(step));
  for (const SequenceRows &sequence : sequences)
    for (int64_t i = 0; i < sequence.rows; ++i) {
      int64_t row = sequence.firstRow + i;
      float *entry = cache.write(sequence.slots[static_cast<size_t>(sequence.firstPosition + i)]);
      std::copy_n(first.row(row), first.rowElements(), entry);
      std::copy_n(second.row(row), second.rowElements(), entry + first.rowElements());
    }
  return absl::OkStatus();
}

absl::StatusOr<Tensor> attention(const Tensor &q, const PagedCache &cache, const KvLayout &layout,
                                 const StepBatch &step, const Weighing &weighing,
                                 const Workers &workers) {
  int64_t heads = q.dim(1), perKey = heads / layout.heads;
  Tensor result = Tensor::floats({q.rows(), heads, layout.value});
  auto attend = [&](const SequenceRows &sequence, const Tensor &entries) {
    for (int64_t kvHead = 0; kvHead < layout.heads; ++kvHead) {
      HeadContext context(entries.rows(), layout.key, layout.value);
      for (int64_t p = 0; p < entries.rows(); ++p) {
        context.setKey(p, 0, entries.row(p) + kvHead * layout.key, layout.key);
        context.setValue(p, entries.row(p) + layout.heads * layout.key + kvHead * layout.value);
      }
      for (int64_t head = kvHead * perKey; head < (kvHead + 1) * perKey; ++head) {
        HeadWeighing ofHead{static_cast<float>(weighing.scale), weighing.window};
        if (weighing.sinks)
          ofHead.sink = weighing.sinks->data()[head];
        attendRows(context, sequence,
                   {q.data() + head * layout.key, heads * layout.key,
                    result.data() + head * layout.value, heads * layout.value},
                   ofHead, workers);
      }
    }
  };
  EPIGRAPH_RETURN_IF_ERROR(forEachSequence(cache, step, q, attend));
  return result;
}

absl::StatusOr<Tensor> mlaAttention(const Tensor &q, const Tensor &qRope, const PagedCache &cache,
                                    const MlaLayout &layout, const Tensor *up,
                                    const StepBatch &step, double scale, const Workers &workers) {
  EPIGRAPH_RETURN_IF_ERROR(requireRows("q_rope", qRope.rows(), q.rows()));
  int64_t heads = q.dim(1), content = q.dim(2), key = content + layout.rope;
  int64_t value = up ? up->dim(0) / heads - content : layout.latent;
  const HeadWeighing weighing{static_cast<float>(scale), std::numeric_limits<int64_t>::max()};
  Tensor queries = joinQueries(q, qRope);
  Tensor result = Tensor::floats({q.rows(), heads, value});
  auto attend = [&](const SequenceRows &sequence, const Tensor &entries) {
    // Absorbed: all heads see the latent vector as key and value. Expanded: each sees its own.
    Tensor latents = latentsOf(entries, layout);
    Tensor expanded = up ? linear(latents, *up, workers) : Tensor();
    HeadContext context(entries.rows(), key, value);
    for (int64_t head = 0; head < heads; ++head) {
      for (int64_t p = 0; p < entries.rows() && (up || head == 0); ++p) {
        const float *contentKey = up ? expanded.row(p) + head * (content + value) : latents.row(p);
        context.setKey(p, 0, contentKey, content);
        context.setKey(p, content, entries.row(p) + layout.latent, layout.rope);
        context.setValue(p, up ? contentKey + content : contentKey);
      }
      attendRows(
          context, sequence,
          {queries.data() + head * key, heads * key, result.data() + head * value, heads * value},
          weighing, workers);
    }
  };
  EPIGRAPH_RETURN_IF_ERROR(forEachSequence(cache, step, q, attend));
  return result;
}

} // namespace epigraph::reference
