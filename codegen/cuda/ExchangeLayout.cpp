#include "codegen/cuda/ExchangeLayout.h"

namespace epigraph::cuda {

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

Val ExchangeLayout::slotFlag(Val region, Val parity, Val source, Val token) const {
  Emitter &e = region.owner();
  return e.at(e.offset(region, slotFlagsOffset()), tokenIndex(parity, source, token), kFlagBytes);
}

Val ExchangeLayout::slot(Val region, Val parity, Val source, Val token) const {
  Emitter &e = region.owner();
  return e.at(e.offset(region, slotsOffset()), tokenIndex(parity, source, token), slotBytes());
}

Val ExchangeLayout::sumFlag(Val region, Val source, Val token) const {
  Emitter &e = region.owner();
  return e.at(e.offset(region, sumFlagsOffset()), source * capacity + token, kFlagBytes);
}

Val ExchangeLayout::sum(Val region, Val source, Val token) const {
  Emitter &e = region.owner();
  return e.at(e.offset(region, sumsOffset()), source * capacity + token, sumBytes());
}

} // namespace epigraph::cuda
