#include "codegen/cuda/ExchangeLayout.h"

#include <numeric>

namespace epigraph::cuda {

int64_t ExchangeLayout::wordBytes(int64_t bytes) {
  const int64_t width = std::gcd(bytes, kAccess);
  return bytes / width * llvm::divideCeil(width, 4) * kWordBytes;
}

Val ExchangeLayout::tokenIndex(Val parity, Val source, Val token) const {
  return (parity * ranks + source) * capacity + token;
}

Val ExchangeLayout::header(Val region, Val parity, Val source) const {
  Emitter &e = region.owner();
  Val ofParity =
      e.at(e.offset(region, headersOffset()), parity, llvm::alignTo(ranks * kWordBytes, kLine));
  return e.at(ofParity, source, kWordBytes);
}

Val ExchangeLayout::idWord(Val region, Val parity, Val source, Val token, Val word) const {
  Emitter &e = region.owner();
  return e.at(e.offset(region, idsOffset()), tokenIndex(parity, source, token) * idWords() + word,
              kWordBytes);
}

Val ExchangeLayout::weightWord(Val region, Val parity, Val source, Val token, Val choice) const {
  Emitter &e = region.owner();
  return e.at(e.offset(region, weightsOffset()), tokenIndex(parity, source, token) * topK + choice,
              kWordBytes);
}

Val ExchangeLayout::slotFlag(Val region, Val parity, Val source, Val token) const {
  Emitter &e = region.owner();
  return e.at(e.offset(region, slotFlagsOffset()), tokenIndex(parity, source, token), kFlagBytes);
}

Val ExchangeLayout::slot(Val region, Val parity, Val source, Val token) const {
  Emitter &e = region.owner();
  return e.at(e.offset(region, slotsOffset()), tokenIndex(parity, source, token), slotBytes());
}

Val ExchangeLayout::slotWords(Val region, Val parity, Val source, Val token) const {
  Emitter &e = region.owner();
  return e.at(e.offset(region, slotWordsOffset()), (parity * ranks + source) * few() + token,
              slotWordsBytes());
}

Val ExchangeLayout::sumFlag(Val region, Val source, Val token, Val part) const {
  Emitter &e = region.owner();
  return e.at(e.offset(region, sumFlagsOffset()), (source * capacity + token) * sumFlags() + part,
              kFlagBytes);
}

Val ExchangeLayout::sum(Val region, Val source, Val token) const {
  Emitter &e = region.owner();
  return e.at(e.offset(region, sumsOffset()), source * capacity + token, sumBytes());
}

Val ExchangeLayout::sumWords(Val region, Val source, Val token) const {
  Emitter &e = region.owner();
  return e.at(e.offset(region, sumWordsOffset()), source * few() + token, sumWordsBytes());
}

} // namespace epigraph::cuda
