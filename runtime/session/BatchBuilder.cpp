#include "runtime/session/BatchBuilder.h"

#include <algorithm>

namespace epigraph {

void BatchBuilder::clear() {
  batch.ids.clear();
  batch.positions.clear();
  batch.sequence.clear();
  batch.pageTable.clear();
  batch.pageTableStride = 0;
  batch.outputRows.clear();
  batch.sampling.clear();
  batch.hidden.clear();
  pageRows.clear();
}

void BatchBuilder::add(const Chunk &chunk) {
  const int32_t firstRow = tokens();
  const int32_t count = static_cast<int32_t>(chunk.ids.size());
  const int32_t sequence = static_cast<int32_t>(pageRows.size());
  batch.ids.insert(batch.ids.end(), chunk.ids.begin(), chunk.ids.end());
  for (int32_t i = 0; i < count; ++i)
    batch.positions.push_back(chunk.firstPosition + i);
  batch.sequence.insert(batch.sequence.end(), chunk.ids.size(), sequence);
  pageRows.push_back(chunk.pages);

  int32_t firstOutput = count;
  if (chunk.outputs == ChunkOutputs::All)
    firstOutput = 0;
  else if (chunk.outputs == ChunkOutputs::Last)
    firstOutput = count - 1;
  for (int32_t i = firstOutput; i < count; ++i)
    batch.outputRows.push_back(firstRow + i);
  if (chunk.sampling)
    batch.sampling.push_back(*chunk.sampling);
}

const StepBatch &BatchBuilder::finish() {
  size_t stride = 0;
  for (const absl::Span<const int32_t> row : pageRows)
    stride = std::max(stride, row.size());
  batch.pageTableStride = static_cast<int32_t>(stride);
  // Entries beyond a sequence's pages are never looked at; -1 makes sure that they are noticed if
  // they are.
  batch.pageTable.assign(stride * pageRows.size(), -1);
  for (size_t i = 0; i < pageRows.size(); ++i)
    std::copy(pageRows[i].begin(), pageRows[i].end(), batch.pageTable.begin() + i * stride);
  return batch;
}

} // namespace epigraph
