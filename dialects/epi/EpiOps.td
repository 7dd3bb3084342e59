// All operations of the epi dialect, by family.
include "dialects/epi/EpiStructureOps.td"
include "dialects/epi/EpiDenseOps.td"
include "dialects/epi/EpiAttentionOps.td"
include "dialects/epi/EpiExpertOps.td"
include "dialects/epi/EpiQuantOps.td"
