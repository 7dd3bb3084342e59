// Memory of the host that processes of one user share: an anonymous file, which ends with the last
// process that has it, however that one ends.
#ifndef EPIGRAPH_RUNTIME_DEVICE_SHAREDHOSTMEMORY_H
#define EPIGRAPH_RUNTIME_DEVICE_SHAREDHOSTMEMORY_H

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace epigraph {

class SharedHostMemory {
public:
  /// How another process finds it, as long as the one that made it has it.
  struct Name {
    int32_t process;
    int32_t file; ///< descriptor, in that process
    uint64_t bytes;
  };

  /// Zeroed memory for `purpose` (for the message), which is there: using it later cannot fail.
  /// Errors: ResourceExhausted when the host has no more.
  static absl::StatusOr<SharedHostMemory> create(uint64_t bytes, const std::string &purpose);
  /// Errors: Unavailable when there is no such memory, or not as much.
  static absl::StatusOr<SharedHostMemory> open(const Name &name);

  SharedHostMemory(SharedHostMemory &&other) noexcept;
  SharedHostMemory &operator=(SharedHostMemory &&) = delete;
  ~SharedHostMemory();

  uint8_t *data() const { return base; }
  uint64_t bytes() const { return size; }
  Name name() const;

private:
  SharedHostMemory(int file, uint8_t *base, uint64_t size) : file(file), base(base), size(size) {}

  int file;
  uint8_t *base;
  uint64_t size;
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_DEVICE_SHAREDHOSTMEMORY_H
