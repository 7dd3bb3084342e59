// A valid manifest for the sample plan.
#ifndef EPIGRAPH_TEST_RUNTIME_ARTIFACT_SAMPLEMANIFEST_H
#define EPIGRAPH_TEST_RUNTIME_ARTIFACT_SAMPLEMANIFEST_H

#include "runtime/artifact/Manifest.h"

namespace epigraph {

inline Manifest sampleManifest() {
  Manifest manifest;
  manifest.generator = "epigraph 0.1.0";
  manifest.model = {"DeepseekV3ForCausalLM", 32, 16, 1, 128, false};
  manifest.target = {"cpu:x86-64-v4", {"avx2", "avx512f"}};
  manifest.compute = "bf16";
  manifest.ranks = 2;
  manifest.attention = "replicated";
  manifest.limits = {7, 3, 128, 64};
  manifest.memory = {4096, 9000, {10, 20}, 1024, 32};
  manifest.tokens.bos = 0;
  manifest.tokens.eos = {1};
  manifest.summary = {40, 30, 1};
  return manifest;
}

} // namespace epigraph

#endif // EPIGRAPH_TEST_RUNTIME_ARTIFACT_SAMPLEMANIFEST_H
