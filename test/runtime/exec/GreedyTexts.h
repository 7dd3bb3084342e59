// Texts that the test model generates, against its definition.
#ifndef EPIGRAPH_TEST_RUNTIME_EXEC_GREEDYTEXTS_H
#define EPIGRAPH_TEST_RUNTIME_EXEC_GREEDYTEXTS_H

#include <algorithm>
#include <gtest/gtest.h>
#include <vector>

#include "runtime/session/Session.h"
#include "test/runtime/exec/ExpectedNumbers.h"

namespace epigraph::testmodel {

/// Greedy texts of `requests` prompts at once: each is that of its prompt alone.
inline void expectGreedyTexts(PlanExecutor &executor, int32_t requests) {
  Session session(executor);
  std::vector<GenerationRequest> asked;
  for (int32_t i = 0; i < requests; ++i)
    asked.push_back({idsOf(1 + static_cast<size_t>(i) * 7, i), 5, {}});
  const absl::StatusOr<GenerationReport> report = session.generate(asked);
  // The toy may choose the tokens that make trouble; none of these does any harm here.
  ASSERT_TRUE(report.ok()) << report.status();
  for (size_t i = 0; i < asked.size(); ++i) {
    std::vector<int32_t> history = asked[i].ids;
    for (const int32_t token : report->results[i].ids) {
      const std::vector<float> logits = logitsAfter(history);
      EXPECT_EQ(token, std::max_element(logits.begin(), logits.end()) - logits.begin());
      history.push_back(token);
    }
  }
}

} // namespace epigraph::testmodel

#endif // EPIGRAPH_TEST_RUNTIME_EXEC_GREEDYTEXTS_H
