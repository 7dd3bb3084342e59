// The plan of the test model.
#ifndef EPIGRAPH_TEST_RUNTIME_EXEC_TESTPLAN_H
#define EPIGRAPH_TEST_RUNTIME_EXEC_TESTPLAN_H

#include "test/runtime/exec/TestArtifact.h"

namespace epigraph {

plan::PlanT testPlan(const TestArtifactOptions &options);

} // namespace epigraph

#endif // EPIGRAPH_TEST_RUNTIME_EXEC_TESTPLAN_H
