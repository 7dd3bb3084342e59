// This machine as a Machine: what it has, and how fast that is.
#ifndef EPIGRAPH_RUNTIME_DEVICE_PROBEMACHINE_H
#define EPIGRAPH_RUNTIME_DEVICE_PROBEMACHINE_H

#include "runtime/device/Machine.h"

namespace epigraph {

/// Instruction set, cores, caches, memory and libraries. What the system does not tell is left out.
Machine probeMachine();

/// Measures memory bandwidth, peak rates, the cost of a launch and links between ranks (threads
/// that exchange through memory) on all cores that this process may use, each as the best of a few
/// short runs; other load makes the machine look slower. Takes less than two seconds. Rates of
/// instructions that the machine lacks are left out.
void measureMachine(Machine &machine);

/// `text` with '-' in place of what a target's name may not hold: "nvidia-h200".
std::string targetName(const std::string &text);

/// The processor's own name, "AMD EPYC 7763 64-Core Processor"; empty where the system has none.
std::string processorName();

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_DEVICE_PROBEMACHINE_H
