#include "runtime/comm/LocalMesh.h"

namespace epigraph {

LocalMesh::LocalMesh(int expert, int tensor, const LocalGroupOptions &options)
    : expert(expert), tensor(tensor) {
  // `count` ranks from `first` on, `stride` apart.
  const auto makeGroup = [&](int first, int stride, int count) {
    std::vector<int> names;
    for (int i = 0; i < count; ++i)
      names.push_back(first + i * stride);
    return std::make_unique<LocalGroup>(count, options, std::move(names));
  };
  for (int member = 0; member < tensor; ++member)
    alongExpert.push_back(makeGroup(member, tensor, expert));
  for (int group = 0; group < expert; ++group)
    alongTensor.push_back(makeGroup(group * tensor, 1, tensor));
}

LocalGroup &LocalMesh::group(MeshAxis axis, int rank) {
  return axis == MeshAxis::Expert ? *alongExpert[static_cast<size_t>(rank % tensor)]
                                  : *alongTensor[static_cast<size_t>(rank / tensor)];
}

void LocalMesh::abort(int rank, const absl::Status &cause) {
  for (const auto *groups : {&alongExpert, &alongTensor})
    for (const std::unique_ptr<LocalGroup> &group : *groups)
      group->abort(rank, cause);
}

void LocalMesh::reset() {
  for (const auto *groups : {&alongExpert, &alongTensor})
    for (const std::unique_ptr<LocalGroup> &group : *groups)
      group->reset();
}

} // namespace epigraph
