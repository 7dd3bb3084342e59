#include "runtime/base/Sampling.h"

#include <algorithm>
#include <limits>
#include <vector>

namespace epigraph {
namespace {

/// For loops over whole vocabularies: without an instruction for it, a std::fma is a call.
#if defined(__x86_64__) && defined(__linux__)
#define EPIGRAPH_WITH_FMA __attribute__((target_clones("default", "arch=x86-64-v3")))
#else
#define EPIGRAPH_WITH_FMA
#endif

/// The first of the largest; -1 if some logit is not a number.
int32_t largest(absl::Span<const float> logits) {
  const bool isKnown =
      std::none_of(logits.begin(), logits.end(), [](float logit) { return std::isnan(logit); });
  const auto found = std::max_element(logits.begin(), logits.end());
  return isKnown ? static_cast<int32_t>(found - logits.begin()) : -1;
}

/// A logit and its token as one number, which falls as the logit does, and rises with the token.
uint64_t placeOf(float logit, size_t id) {
  // Adding 0 makes -0 the equal of 0.
  const auto bits = std::bit_cast<uint32_t>(logit + 0.0f);
  const uint32_t falling = bits >> 31 ? bits : ~bits & 0x7fffffffu;
  return uint64_t{falling} << 32 | id;
}

uint32_t tokenOf(uint64_t place) { return static_cast<uint32_t>(place); }

struct Weighed {
  uint64_t place;
  uint64_t mass;
};

/// Adds `count` places and their masses at `weighed`, but for those without mass, and returns how
/// many these are. `most`: the largest of `logits`. (Plain pointers: clones of a function that
/// instantiates templates do not link.)
EPIGRAPH_WITH_FMA size_t weigh(const uint64_t *places, size_t count, const float *logits,
                               float most, float scale, Weighed *weighed) {
  size_t kept = 0;
  for (size_t i = 0; i < count; ++i) {
    weighed[kept] = {places[i], samplingMass((logits[tokenOf(places[i])] - most) * scale)};
    kept += weighed[kept].mass != 0;
  }
  return kept;
}

/// The place of the last of the tokens that are needed for `need`, which all have together.
uint64_t lastNeeded(absl::Span<Weighed> tokens, uint64_t need) {
  const auto precedes = [](const Weighed &a, const Weighed &b) { return a.place < b.place; };
  while (tokens.size() > 1) {
    const size_t half = tokens.size() / 2;
    std::nth_element(tokens.begin(), tokens.begin() + static_cast<ptrdiff_t>(half), tokens.end(),
                     precedes);
    uint64_t ofFirst = 0;
    for (const Weighed &token : tokens.first(half))
      ofFirst += token.mass;
    if (ofFirst >= need) {
      tokens = tokens.first(half);
    } else {
      need -= ofFirst;
      tokens = tokens.subspan(half);
    }
  }
  return tokens.front().place;
}

/// The tokens that top-k and top-p keep.
std::vector<uint64_t> placesKept(absl::Span<const float> logits, float most,
                                 const SamplingRow &how) {
  std::vector<uint64_t> places(logits.size());
  for (size_t id = 0; id < logits.size(); ++id)
    places[id] = placeOf(logits[id], id);
  if (how.topK > 0 && static_cast<size_t>(how.topK) < places.size()) {
    std::nth_element(places.begin(), places.begin() + how.topK, places.end());
    places.resize(static_cast<size_t>(how.topK));
  }
  if (how.topP == 0)
    return places;
  std::vector<Weighed> weighed(places.size());
  weighed.resize(
      weigh(places.data(), places.size(), logits.data(), most, how.scale, weighed.data()));
  uint64_t total = 0;
  for (const Weighed &token : weighed)
    total += token.mass;
  const uint64_t last = lastNeeded(absl::MakeSpan(weighed), keptMass(total, how.topP));
  std::erase_if(places, [&](uint64_t place) { return place > last; });
  return places;
}

/// The best draw so far.
struct Drawn {
  uint32_t token;
  float score;
};

/// Draws for `token`, a logit `distance` from the largest.
inline void consider(Drawn &best, uint32_t token, float distance, const SamplingRow &how) {
  // What cannot win with any noise, or with what was drawn for it, needs none.
  if (distance < how.reach || std::fma(distance, how.scale, kMostNoise) < best.score)
    return;
  const int32_t drawn = drawnFor(how.key, token);
  if (!mayHaveNoise(drawn, best.score - distance * how.scale))
    return;
  const float score = std::fma(distance, how.scale, samplingNoise(drawn));
  if (score > best.score || (score == best.score && token < best.token))
    best = {token, score};
}

EPIGRAPH_WITH_FMA Drawn drawOfAll(const float *logits, size_t count, Drawn best, float most,
                                  const SamplingRow &how) {
  for (size_t id = 0; id < count; ++id)
    consider(best, static_cast<uint32_t>(id), logits[id] - most, how);
  return best;
}

Drawn drawOfKept(absl::Span<const float> logits, Drawn best, float most, const SamplingRow &how) {
  for (const uint64_t place : placesKept(logits, most, how))
    consider(best, tokenOf(place), logits[tokenOf(place)] - most, how);
  return best;
}

} // namespace

int32_t chooseToken(absl::Span<const float> logits, const SamplingRow &how) {
  const int32_t best = largest(logits);
  if (best < 0)
    return best;
  const float most = logits[static_cast<size_t>(best)];
  if (how.scale == 0 || std::isinf(most))
    return best;
  // Every filter keeps the largest logit.
  const auto token = static_cast<uint32_t>(best);
  const Drawn first{token, samplingNoise(drawnFor(how.key, token))};
  const Drawn drawn = how.topK == 0 && how.topP == 0
                          ? drawOfAll(logits.data(), logits.size(), first, most, how)
                          : drawOfKept(logits, first, most, how);
  return static_cast<int32_t>(drawn.token);
}

} // namespace epigraph
