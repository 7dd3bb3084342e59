// Ctrl-C: the first one stops the work after the step at hand, the second one ends the process.
#ifndef EPIGRAPH_TOOLS_EPIGRAPH_INTERRUPT_H
#define EPIGRAPH_TOOLS_EPIGRAPH_INTERRUPT_H

namespace epigraph::tool {

/// Call once, early.
void catchInterrupts();

/// Whether SIGINT or SIGTERM came.
bool interrupted();

} // namespace epigraph::tool

#endif // EPIGRAPH_TOOLS_EPIGRAPH_INTERRUPT_H
