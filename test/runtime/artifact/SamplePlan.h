// A small valid plan that has one of everything: two ranks, four experts, every kind of step and of
// reference.
#ifndef EPIGRAPH_TEST_RUNTIME_ARTIFACT_SAMPLEPLAN_H
#define EPIGRAPH_TEST_RUNTIME_ARTIFACT_SAMPLEPLAN_H

#include <cstdint>
#include <vector>

#include "runtime/artifact/plan_generated.h"

namespace epigraph {

plan::PlanT samplePlan();

/// The same for a device: its kernel has a variant for few rows, and one of two launches for any.
plan::PlanT sampleDevicePlan();

/// The bytes of plan.fb.
std::vector<uint8_t> packPlan(const plan::PlanT &plan);

} // namespace epigraph

#endif // EPIGRAPH_TEST_RUNTIME_ARTIFACT_SAMPLEPLAN_H
