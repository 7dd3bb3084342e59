// A plan as text that a person can read, for `epigraph inspect`.
#ifndef EPIGRAPH_RUNTIME_ARTIFACT_PLANTEXT_H
#define EPIGRAPH_RUNTIME_ARTIFACT_PLANTEXT_H

#include <string>

#include "runtime/artifact/Plan.h"

namespace epigraph {

/// The plan, one line for each weight, cache, placement, buffer and step.
std::string printPlan(const Plan &plan);

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_ARTIFACT_PLANTEXT_H
