// The operations of the epi dialect that choose tokens. Reference: EpiSamplingOps.td.
#ifndef EPIGRAPH_DIALECTS_EPI_SAMPLING_H
#define EPIGRAPH_DIALECTS_EPI_SAMPLING_H

#include "dialects/epi/Epi.h"

#define GET_OP_CLASSES
#include "dialects/epi/EpiSamplingOps.h.inc"

#endif // EPIGRAPH_DIALECTS_EPI_SAMPLING_H
