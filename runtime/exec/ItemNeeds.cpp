#include "runtime/exec/ItemNeeds.h"

namespace epigraph {
namespace {

void addNeeds(const plan::Variant &variant, ItemNeeds::Lists &lists) {
  for (const plan::DeviceLaunch *launch : *variant.launches()) {
    lists.tokenItems |= launch->grid() == plan::DeviceGrid::TokenItems;
    lists.tileItems |= launch->grid() == plan::DeviceGrid::TileItems;
  }
}

/// The needs of the variants that steps of one kind may get: up to the first that fits any rows.
void addNeeds(const plan::Kernel &kernel, bool oneTokenEach, ItemNeeds::Lists &lists) {
  for (const plan::Variant *variant : *kernel.variants()) {
    if (variant->one_token_each() && !oneTokenEach)
      continue;
    addNeeds(*variant, lists);
    if (variant->most_rows() == 0)
      return;
  }
}

} // namespace

ItemNeeds itemNeeds(const plan::Plan &plan) {
  ItemNeeds needs;
  needs.wantedTokenItems = plan.token_items();
  for (const plan::Kernel *kernel : *plan.kernels())
    if (kernel->variants()) {
      addNeeds(*kernel, true, needs.oneEach);
      addNeeds(*kernel, false, needs.any);
    }
  return needs;
}

} // namespace epigraph
