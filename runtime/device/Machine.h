// What a machine has, as a file that users write (docs/targets.md) and `epigraph doctor` prints.
// The compiler reads it for `--target FILE.json`; nothing in it is trusted.
#ifndef EPIGRAPH_RUNTIME_DEVICE_MACHINE_H
#define EPIGRAPH_RUNTIME_DEVICE_MACHINE_H

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace epigraph {

/// A machine, field by field as in the file. A number that is 0 and a text that is empty have not
/// been given; whoever needs them takes nominal ones.
struct Machine {
  std::string name; ///< letters, digits and ".-_"; names the target: "cpu:NAME"

  std::string base;                  ///< an x86-64 level or processor that LLVM knows, or "sm_90a"
  std::vector<std::string> features; ///< what it has beyond that, by LLVM's names
  std::string tune;                  ///< the processor to schedule for; else `base`
  uint32_t vectorBits = 0;           ///< the widest vectors that kernels may use
  uint32_t vectorRegisters = 0;      ///< of that width

  uint32_t cores = 0;
  uint64_t l1Bytes = 0, l2Bytes = 0; ///< data cache of one core
  uint64_t l3Bytes = 0;              ///< shared by all cores
  uint64_t memoryBytes = 0;
  double memoryGbps = 0;                ///< 10^9 bytes a second, all cores reading
  double f32Gflops = 0, bf16Gflops = 0; ///< 10^9 operations a second, all cores
  uint32_t launchNs = 0;                ///< from one kernel to the next, all cores
  double linkGbps = 0;                  ///< 10^9 bytes a second from one rank to another
  uint32_t linkLatencyNs = 0;           ///< of a message between ranks
  double hostGbps = 0;                  ///< 10^9 bytes a second from the host to a device

  std::vector<std::string> libraries; ///< "cuda", "nccl", "mpi": present; for the reader alone

  friend bool operator==(const Machine &, const Machine &) = default;
};

/// Reads a description. `source` names it in errors, which name the key, what was found and what is
/// expected: InvalidArgument for text that is not JSON, a missing "name" or "isa.base", an unknown
/// key (with those that are known), a number out of range.
absl::StatusOr<Machine> parseMachine(std::string_view json, std::string_view source);

/// The text of such a file: what has been given, two spaces of indentation, a final newline.
std::string printMachine(const Machine &machine);

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_DEVICE_MACHINE_H
