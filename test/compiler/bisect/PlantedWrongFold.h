// A pass that is wrong on purpose, to be found.
#ifndef EPIGRAPH_TEST_COMPILER_BISECT_PLANTEDWRONGFOLD_H
#define EPIGRAPH_TEST_COMPILER_BISECT_PLANTEDWRONGFOLD_H

namespace epigraph {

/// Registers --test-wrong-fold.
void registerPlantedWrongFold();

} // namespace epigraph

#endif // EPIGRAPH_TEST_COMPILER_BISECT_PLANTEDWRONGFOLD_H
