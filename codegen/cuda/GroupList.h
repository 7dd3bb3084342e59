// Groups of rows whose sizes are known on the device alone, as a list in shared memory that each
// block makes for itself: groups without rows are left out, and tiles are numbered through all
// groups, so that blocks can take every so many-th.
#ifndef EPIGRAPH_CODEGEN_CUDA_GROUPLIST_H
#define EPIGRAPH_CODEGEN_CUDA_GROUPLIST_H

#include "codegen/cuda/Emitter.h"

namespace epigraph::cuda {

class GroupList {
public:
  /// A group is cut into tiles of `rowTile` rows, each of which counts `tilesAcross` times.
  GroupList(Emitter &e, Val memory, int64_t groups, int64_t rowTile, int64_t tilesAcross)
      : e(e), memory(memory), groups(groups), rowTile(rowTile), tilesAcross(tilesAcross) {}

  /// Shared memory of a list; aligned to 16.
  static int64_t bytes(int64_t groups);

  /// Makes the list from `counts`, i32 [groups] in global memory, read past the first-level cache,
  /// which may be older than they are. All `threads` of the block take part, and meet before they
  /// use it.
  void make(Val counts, int64_t threads) const;

  /// Tiles of all groups.
  Val tiles() const;
  /// The place in the list of the group that tile `index` is in, which is `from` or a later one.
  Val find(Val index, Val from) const;
  /// The same from the start of the list, by all lanes of a warp: for a tile far down the list.
  Val search(Val index) const;

  /// All of i32.
  struct Group {
    Val firstTile;
    Val index; ///< among all groups
    Val firstRow, rowEnd;
  };
  Group at(Val place) const;

private:
  Val field(Val place, int64_t offset) const;

  Emitter &e;
  Val memory;
  int64_t groups, rowTile, tilesAcross;
};

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_GROUPLIST_H
