// Registration of the epi dialect; its types and attributes.
#include "dialects/epi/Epi.h"
#include "dialects/epi/FloatAssembly.h"
#include "dialects/epi/Sampling.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace epigraph::epi;

#include "dialects/epi/EpiDialect.cpp.inc"
#include "dialects/epi/EpiEnums.cpp.inc"

#define GET_TYPEDEF_CLASSES
#include "dialects/epi/EpiTypes.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/epi/EpiAttrs.cpp.inc"

void EpiDialect::initialize() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/epi/EpiTypes.cpp.inc"
      >();
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/epi/EpiAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/epi/EpiOps.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/epi/EpiSamplingOps.cpp.inc"
      >();
}

static LogicalResult verifyCacheElement(function_ref<InFlightDiagnostic()> emitError, Type type) {
  if (type.isF32() || type.isBF16())
    return success();
  return emitError() << "cache elements must be f32 or bf16, got " << type;
}

LogicalResult KvCacheType::verify(function_ref<InFlightDiagnostic()> emitError, int64_t heads,
                                  int64_t key, int64_t value, Type elementType) {
  if (heads <= 0 || key <= 0 || value <= 0)
    return emitError() << "heads, key and value must be positive";
  return verifyCacheElement(emitError, elementType);
}

LogicalResult ClampedSwigluAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                        FloatAttr alpha, FloatAttr limit) {
  if (!(alpha.getValueAsDouble() > 0) || !(limit.getValueAsDouble() > 0))
    return emitError() << "alpha and limit must be positive";
  return success();
}

LogicalResult YarnAttr::verify(function_ref<InFlightDiagnostic()> emitError, FloatAttr factor,
                               int64_t original, FloatAttr betaFast, FloatAttr betaSlow,
                               bool /*truncate*/) {
  if (!(factor.getValueAsDouble() > 0) || original <= 0 || !(betaFast.getValueAsDouble() > 0) ||
      !(betaSlow.getValueAsDouble() > 0))
    return emitError() << "factor, original, beta_fast and beta_slow must be positive";
  return success();
}

LogicalResult Llama3RopeAttr::verify(function_ref<InFlightDiagnostic()> emitError, FloatAttr factor,
                                     int64_t original, FloatAttr lowFreqFactor,
                                     FloatAttr highFreqFactor) {
  double low = lowFreqFactor.getValueAsDouble(), high = highFreqFactor.getValueAsDouble();
  if (!(factor.getValueAsDouble() > 0) || original <= 0 || !(low > 0) || !(high > low))
    return emitError() << "factor, original and low_freq_factor must be positive, and "
                          "high_freq_factor larger than low_freq_factor";
  return success();
}

LogicalResult MlaCacheType::verify(function_ref<InFlightDiagnostic()> emitError, int64_t latent,
                                   int64_t rope, Type elementType) {
  if (latent <= 0 || rope <= 0)
    return emitError() << "latent and rope must be positive";
  return verifyCacheElement(emitError, elementType);
}
