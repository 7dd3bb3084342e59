// Writes the test model as an artifact, in the variants that tests need.
#ifndef EPIGRAPH_TEST_RUNTIME_EXEC_TESTARTIFACT_H
#define EPIGRAPH_TEST_RUNTIME_EXEC_TESTARTIFACT_H

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "runtime/artifact/Artifact.h"

namespace epigraph {

struct TestArtifactOptions {
  uint32_t ranks = 1;
  bool dataParallel = false;
  /// Collectives start, and are waited for later; rank 1 is late, if it is, in between.
  bool underWay = false;
  /// For one rank: the plan is a device's, and its rank exchanges nothing.
  bool onDevice = false;
  bool givesChosen = true; ///< on a device: it chooses tokens, too
  uint32_t batchTokens = 16;
  uint32_t sequences = 4;
  uint32_t context = 256;
  uint32_t receivedRows = 0; ///< room for rows of the exchange; 0: enough for any routing
  std::string target = "cpu";
  std::vector<std::string> features;
  /// Changes the plan before it is written.
  std::function<void(plan::PlanT &)> changePlan;
  /// Weight whose shape, or else name, in its file is not the plan's.
  std::string misshapenWeight;
  std::string renamedWeight;
};

/// Writes NAME.epi under `folder` and opens it.
Artifact writeTestArtifact(const std::filesystem::path &folder, const TestArtifactOptions &options);

} // namespace epigraph

#endif // EPIGRAPH_TEST_RUNTIME_EXEC_TESTARTIFACT_H
