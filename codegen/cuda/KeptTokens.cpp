// A place is a number of two parts: the distance of a token's order key from the largest, which is
// 0 for the largest logit, and the token's column, for equal logits. The number of the last place
// is found digit by digit, the highest first. Each digit takes a pass over the row: of all tokens
// whose higher digits are those found so far, each thread adds up, for each value of the digit, how
// many there are and what mass they have, in a column of shared memory of its own. All sums
// are of integers, so nothing depends on how a row is shared out, and no atomics are needed. The
// sums of a block go to all blocks of the cluster, which go on alike.
//
// The first digit is the number of bits of the distance, since most tokens that matter lie near the
// largest. As soon as the tokens that are left are so few that each thread can list its own, passes
// go over these lists. The search ends when what is left beyond the digits found is one token, or
// kept as a whole. Digits of columns are only searched where equal logits straddle the end.
#include "codegen/cuda/KeptTokens.h"

#include "codegen/cuda/SamplingMath.h"
#include "codegen/cuda/WarpChoice.h"
#include "runtime/base/Sampling.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <limits>

using namespace mlir;

namespace epigraph::cuda {
namespace {

constexpr int64_t kLanes = 32;
/// Of one place's number.
constexpr int64_t kDistanceBits = 32, kColumnBits = 18;
static_assert(kMostSampledColumns == int64_t{1} << kColumnBits);

/// A sum is a mass in the lower bits, and a count above it.
constexpr int64_t kSumBytes = 8;
constexpr int64_t kCountShift = 44;
constexpr int64_t kOneToken = int64_t{1} << kCountShift;
static_assert(kMassBits + kColumnBits < kCountShift && kCountShift + kColumnBits < 63);

/// Two blocks of 512 threads have their sums and lists on a multiprocessor, or one of 1,024.
constexpr int64_t kDigitBits = 4;
constexpr int64_t kDigits = int64_t{1} << kDigitBits;
/// Sums of a thread: one for each digit, and whether its list is too short.
constexpr int64_t kSums = kDigits + 1;
/// Of the number of bits of a distance, those that the lowest value of the first digit stands for.
constexpr int64_t kNearBits = kDistanceBits - (kDigits - 1);

/// The value and the column of a token that a thread has listed.
constexpr int64_t kListedBytes = 8;
constexpr int64_t kMostListed = 8;

int64_t sumsBytes(const RowSharing &sharing) { return kSums * sharing.threads * kSumBytes; }

/// Of every block of the cluster its sums; twice, in turn.
int64_t totalsBytes(const RowSharing &sharing) { return 2 * sharing.blocks * kSums * kSumBytes; }

Val countOf(Val sums) { return sums >> kCountShift; }
Val massOf(Val sums) { return sums & (kOneToken - 1); }

Val shiftedLeft(Val x, Val bits) {
  return x.owner().wrap(arith::ShLIOp::create(x.owner().builder(), x, bits));
}
Val shiftedRight(Val x, Val bits) {
  return x.owner().wrap(arith::ShRUIOp::create(x.owner().builder(), x, bits));
}
Val isBelow(Val a, Val b) {
  return a.owner().wrap(
      arith::CmpIOp::create(a.owner().builder(), arith::CmpIPredicate::ult, a, b));
}

/// `shuffle` of both halves of an i64.
Val ofHalves(Val x, llvm::function_ref<Val(Val)> shuffle) {
  Emitter &e = x.owner();
  Val halves = e.bitcast(e.vector(e.i32(), 2), x);
  return e.bitcast(e.i64(), e.pack({shuffle(e.element(halves, 0)), shuffle(e.element(halves, 1))}));
}

Val sumOfWarp(Val x) {
  for (int64_t distance = kLanes / 2; distance > 0; distance /= 2)
    x = x + ofHalves(x, [&](Val half) { return half.owner().shuffleXor(half, distance); });
  return x;
}

Val ofLane(Val x, Val lane) {
  return ofHalves(x, [&](Val half) { return half.owner().shuffle(half, lane); });
}

/// Of each lane, the sum over the lanes up to it.
Val sumsUpToLane(Val x) {
  Emitter &e = x.owner();
  for (int64_t distance = 1; distance < kLanes; distance *= 2) {
    Val before = ofHalves(x, [&](Val half) { return e.shuffleUp(half, distance); });
    x = x + e.select(e.lane() >= distance, before, e.i64(0));
  }
  return x;
}

/// How many bits `x` has.
Val bitsOf(Val x) {
  Emitter &e = x.owner();
  return e.i32(32) - e.ptx(e.i32(), "clz.b32 $0, $1;", "=r,r", x, false)[0];
}

/// The lowest bit that is set in `x`.
Val lowestBit(Val x) {
  Emitter &e = x.owner();
  return e.popCount((x & (e.i32(0) - x)) - 1);
}

} // namespace

/// Carried from one pass to the next; all i32 but the sums.
struct KeptTokens::Search {
  Val isOfMass;   ///< i1: what adds up is mass, not counts
  Val isFirst;    ///< 1: the digit that is looked for is the number of bits of the distance
  Val isOfColumn; ///< 1 while digits of the column are looked for, among tokens of `end.distance`
  Val listed;     ///< how many tokens this thread has listed: all of its own that are left
  Val isListed;   ///< 1: all threads have
  Val from;       ///< the digits found so far, and zeroes
  Val shift;      ///< of the digit that is looked for
  Val parity;     ///< which of the two places for totals is next
  Val isDone;     ///< 1: `end` is the place
  Place end;
  Val need; ///< i64: what has to be kept of the tokens from `from` on; below 0: see narrowed
  Val kept; ///< i64: counts and masses of the tokens before them; when done, of all that are kept

  Vals values() const {
    return {isFirst, isOfColumn, listed,       isListed,   from, shift,
            parity,  isDone,     end.distance, end.column, need, kept};
  }
  static Search of(Val isOfMass, ArrayRef<Val> v) {
    return {isOfMass, v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], {v[8], v[9]}, v[10], v[11]};
  }
};

int64_t KeptTokens::sharedBytes(const RowSharing &sharing) {
  return sumsBytes(sharing) + totalsBytes(sharing) + sharing.threads * kMostListed * kListedBytes;
}

KeptTokens::KeptTokens(const ClusterRow &row, const RowChoice &how, const LargestLogit &most,
                       Val shared)
    : row(row), e(row.e), how(how), most(most), ownSums(e.at(shared, e.threadId(), kSumBytes)),
      firstSums(e.at(shared, e.lane(), kSumBytes)),
      totals(e.offset(shared, sumsBytes(row.sharing))),
      list(e.at(e.offset(totals, totalsBytes(row.sharing)), e.threadId(), kListedBytes)),
      last{e.i32(-1), e.i32(std::numeric_limits<int32_t>::max())} {}

Val KeptTokens::distanceOf(const ClusterRow::Element &element) const {
  return most.key - orderKey(element.value);
}

Val KeptTokens::isUpTo(const Place &place, const ClusterRow::Element &element) const {
  Val distance = distanceOf(element);
  Val isLast = e.logicalAnd(distance == place.distance, element.column <= place.column);
  return e.logicalOr(isBelow(distance, place.distance), isLast);
}

KeptTokens::Place KeptTokens::earlier(const Place &a, const Place &b) const {
  Val isEarlier = e.logicalOr(isBelow(a.distance, b.distance),
                              e.logicalAnd(a.distance == b.distance, a.column < b.column));
  return {e.select(isEarlier, a.distance, b.distance), e.select(isEarlier, a.column, b.column)};
}

void KeptTokens::find() {
  // Counts first, then masses of what top-k has left. One body of code does both.
  const Vals found = e.forLoop(
      e.i32(0), e.i32(2), e.i32(1), {last.distance, last.column, e.i32(0), e.i64(-1)},
      [&](Val stage, ArrayRef<Val> carried) {
        last = {carried[0], carried[1]};
        Val isOfMass = stage == 1;
        Val isWanted = e.select(isOfMass, how.topP != 0, how.topK != 0);
        auto search = [&] {
          Search begin;
          begin.isOfMass = isOfMass;
          begin.isFirst = e.i32(1);
          begin.isOfColumn = begin.listed = begin.isListed = begin.isDone = e.i32(0);
          begin.from = begin.shift = e.i32(0);
          begin.parity = carried[2];
          begin.end = last;
          Val count = e.minimum(how.topK, e.i32(row.columns));
          Val mass = e.select(carried[3] < 0, carried[3], keptMass(carried[3], how.topP));
          begin.need = e.select(isOfMass, mass, e.toI64(count));
          begin.kept = e.i64(0);
          Vals end = e.whileLoop(
              begin.values(),
              [&](ArrayRef<Val> values) { return Search::of(isOfMass, values).isDone == 0; },
              [&](ArrayRef<Val> values) {
                const Search now = Search::of(isOfMass, values);
                const Counted counted = countDigits(now);
                Search next = narrowed(now, counted.sums);
                next.listed = counted.listed;
                next.isListed = counted.isListed;
                return next.values();
              });
          const Search done = Search::of(isOfMass, end);
          const Place place = earlier(done.end, last);
          return Vals{place.distance, place.column, done.parity, massOf(done.kept)};
        };
        return e.ifValues(isWanted, search, [&] { return Vals(carried); });
      });
  last = {found[0], found[1]};
}

/// The digit that is looked for, of `element`; `isLeft`: whether it is one of the tokens left.
Val KeptTokens::digitOf(const Search &search, const ClusterRow::Element &element, Val &isLeft) {
  Val distance = distanceOf(element);
  Val isOfColumn = search.isOfColumn != 0;
  Val number = e.select(isOfColumn, element.column, distance);
  Val ofNumber = shiftedRight(number - search.from, search.shift);
  Val ofBits = e.maximum(bitsOf(distance) - kNearBits, e.i32(0));
  Val digit = e.select(search.isFirst != 0, ofBits, ofNumber);
  Val isSought = e.logicalOr(e.logicalNot(isOfColumn), distance == search.end.distance);
  isLeft = e.logicalAnd(e.logicalAnd(element.exists, isSought),
                        e.logicalAnd(isBelow(digit, e.i32(kDigits)), keeps(element)));
  return digit;
}

/// Adds up the thread's tokens that are left by their digits; returns how many there are of them,
/// which it lists as far as there is room.
Val KeptTokens::addTokens(const Search &search) {
  const int64_t stride = row.sharing.threads * kSumBytes;
  for (int64_t index = 0; index < kSums; ++index)
    e.store(e.i64(0), e.offset(ownSums, index * stride));
  const auto add = [&](const ClusterRow::Element &element, Val digit) {
    Val mass = samplingMass((element.value - most.value) * how.scale);
    Val sum = e.at(ownSums, digit, stride);
    e.store(e.load(e.i64(), sum) + e.toI64(mass) + e.i64(kOneToken), sum);
  };
  const auto placeInList = [&](Val index) {
    return e.at(list, index, row.sharing.threads * kListedBytes);
  };
  const auto ofList = [&] {
    e.forEach(e.i32(0), search.listed, e.i32(1), [&](Val index) {
      Val both = e.load(e.vector(e.i32(), 2), placeInList(index));
      const ClusterRow::Element element{e.bitcast(e.f32(), e.element(both, 0)), e.element(both, 1),
                                        e.boolean(true)};
      Val isLeft, digit = digitOf(search, element, isLeft);
      e.ifThen(isLeft, [&] { add(element, digit); });
    });
    return Vals{search.listed};
  };
  const auto ofRow = [&] {
    return row.fold({e.i32(0)}, [&](const ClusterRow::Element &element, ArrayRef<Val> carried) {
      Val count = carried[0], isLeft, digit = digitOf(search, element, isLeft);
      e.ifThen(isLeft, [&] {
        add(element, digit);
        e.ifThen(count < kMostListed, [&] {
          e.store(e.pack({e.bitcast(e.i32(), element.value), element.column}), placeInList(count));
        });
      });
      return Vals{count + e.toI32(isLeft)};
    });
  };
  Val count = e.ifValues(search.isListed != 0, ofList, ofRow)[0];
  e.ifThen(count > kMostListed, [&] { e.store(e.i64(1), e.offset(ownSums, kDigits * stride)); });
  return count;
}

/// One pass over the tokens that are left.
KeptTokens::Counted KeptTokens::countDigits(const Search &search) {
  const RowSharing &sharing = row.sharing;
  Val listed = addTokens(search);
  e.syncThreads();

  // A warp adds up the sums of a digit, and gives the result to all blocks.
  Val ofParity = e.at(totals, search.parity, sharing.blocks * kSums * kSumBytes);
  e.forEach(e.warp(), e.i32(kSums), e.i32(sharing.warps()), [&](Val index) {
    Val first = e.at(firstSums, index, sharing.threads * kSumBytes);
    Val sum = e.i64(0);
    for (int64_t warp = 0; warp < sharing.warps(); ++warp)
      sum = sum + e.load(e.i64(), e.offset(first, warp * kLanes * kSumBytes));
    sum = sumOfWarp(sum);
    Val place = e.at(ofParity, row.rank * kSums + index, kSumBytes);
    e.ifThen(e.lane() < sharing.blocks, [&] { e.store(sum, row.inBlock(place, e.lane())); });
  });
  row.meet();
  Val index = e.minimum(e.lane(), e.i32(kSums - 1));
  Val sum = e.i64(0);
  for (int64_t block = 0; block < sharing.blocks; ++block)
    sum = sum +
          e.load(e.i64(), e.offset(e.at(ofParity, index, kSumBytes), block * kSums * kSumBytes));
  Val isListed = e.toI32(ofLane(sum, e.i32(kDigits)) == e.i64(0));
  return {e.select(e.lane() < kDigits, sum, e.i64(0)), listed, isListed};
}

/// The search after a digit, of whose values the lanes have the sums.
KeptTokens::Search KeptTokens::narrowed(const Search &search, Val sums) {
  const auto quantity = [&](Val of) { return e.select(search.isOfMass, massOf(of), countOf(of)); };
  Val upTo = sumsUpToLane(sums);
  // Where top-k has not told the mass of all that it keeps, the first digit does.
  Val total = ofLane(massOf(upTo), e.i32(kLanes - 1));
  Val need = e.select(search.need < 0, keptMass(total, how.topP), search.need);
  Val digit = lowestBit(e.ballot(quantity(upTo) >= need));
  Val withDigit = ofLane(upTo, digit), ofDigit = ofLane(sums, digit);
  Val before = withDigit - ofDigit;

  Val isDone = e.logicalOr(countOf(ofDigit) == 1, quantity(withDigit) == need);
  Val isFirst = search.isFirst != 0, isOfColumn = search.isOfColumn != 0;
  // Of the first digit, each value but the lowest stands for distances of one number of bits.
  Val isNear = digit == 0;
  Val bits = e.select(isNear, e.i32(kNearBits), digit + (kNearBits - 1));
  Val ofBits = e.select(isNear, e.i32(0), shiftedLeft(e.i32(1), bits));
  Val first = e.select(isFirst, ofBits, search.from + shiftedLeft(digit, search.shift));
  Val lastOfDigit = first + shiftedLeft(e.i32(1), e.select(isFirst, bits, search.shift)) - 1;
  // Past the last digit of the distance come those of the column.
  Val isLowest = e.logicalAnd(e.logicalNot(isFirst), search.shift == 0);
  Val turnsToColumn = e.logicalAnd(e.logicalNot(isDone), isLowest);
  Val nextShift = e.select(isFirst, bits, search.shift) - kDigitBits;
  Search next;
  next.isOfMass = search.isOfMass;
  next.isFirst = e.i32(0);
  next.isOfColumn = e.select(turnsToColumn, e.i32(1), search.isOfColumn);
  next.from = e.select(turnsToColumn, e.i32(0), first);
  next.shift = e.select(turnsToColumn, e.i32((kColumnBits - 1) / kDigitBits * kDigitBits),
                        e.maximum(nextShift, e.i32(0)));
  next.parity = search.parity ^ 1;
  next.isDone = e.toI32(isDone);
  next.end.distance =
      e.select(isOfColumn, search.end.distance,
               e.select(isDone, lastOfDigit, e.select(turnsToColumn, first, search.end.distance)));
  next.end.column = e.select(e.logicalAnd(isDone, isOfColumn), lastOfDigit,
                             e.i32(std::numeric_limits<int32_t>::max()));
  next.need = need - quantity(before);
  next.kept = search.kept + e.select(isDone, withDigit, before);
  return next;
}

} // namespace epigraph::cuda
