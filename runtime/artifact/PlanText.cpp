#include "runtime/artifact/PlanText.h"

#include "absl/strings/str_join.h"

#include "runtime/base/Status.h"

namespace epigraph {
namespace {

std::string text(const flatbuffers::String *string) {
  return string ? string->str() : std::string();
}

std::string shareText(const plan::Rows &rows) {
  return rows.id() == static_cast<uint16_t>(plan::Axis::Tensor) ? "tensor_tokens" : "local_tokens";
}

std::string rowsText(const plan::Rows &rows) {
  std::string factor = rows.factor() == 1 ? "" : absl::StrCat("*", rows.factor());
  switch (rows.kind()) {
  case plan::RowKind::Static:
    return absl::StrCat(rows.factor());
  case plan::RowKind::Tokens:
    return "tokens" + factor;
  case plan::RowKind::FirstHalf:
    return "first_half(tokens)" + factor;
  case plan::RowKind::SecondHalf:
    return "second_half(tokens)" + factor;
  case plan::RowKind::Outputs:
    return "outputs" + factor;
  case plan::RowKind::LocalTokens:
    return shareText(rows) + factor;
  case plan::RowKind::LocalFirstHalf:
    return absl::StrCat("first_half(", shareText(rows), ")", factor);
  case plan::RowKind::LocalSecondHalf:
    return absl::StrCat("second_half(", shareText(rows), ")", factor);
  case plan::RowKind::Received:
    return absl::StrCat("received(", rows.id(), ")", factor);
  }
  return "?";
}

/// "f32", "bf16", "i32", "f8e4m3".
std::string_view dtypeText(plan::DType dtype) {
  constexpr std::string_view kNames[] = {"f32", "bf16", "i32", "f8e4m3"};
  return kNames[static_cast<size_t>(dtype)];
}

/// What `value` says, where 0 stands for the rows of the operand.
std::string orRowsText(uint64_t value) { return value ? absl::StrCat(value) : "rows"; }

std::string mapText(const plan::TensorMap &map) {
  const auto append = [](std::string *out, uint64_t value) {
    absl::StrAppend(out, orRowsText(value));
  };
  return absl::StrCat("argument ", map.operand(), " as ", abslView(dtypeText(map.element())), " [",
                      absl::StrJoin(*map.sizes(), ", ", append), "] strides [",
                      absl::StrJoin(*map.strides(), ", ", append), "] box [",
                      absl::StrJoin(*map.box(), ", "), "] swizzle ", map.swizzle_bytes());
}

std::string gridText(const plan::DeviceLaunch &launch) {
  const std::string columns = absl::StrCat(" x ", launch.column_tiles());
  switch (launch.grid()) {
  case plan::DeviceGrid::Rows:
    return launch.row_tile() == 0 ? absl::StrCat(launch.column_tiles())
                                  : absl::StrCat("rows/", launch.row_tile(), columns);
  case plan::DeviceGrid::TokenItems:
    return "token items" + columns;
  case plan::DeviceGrid::TileItems:
    return "tile items" + columns;
  }
  return "?";
}

std::string deviceLaunchText(const plan::DeviceLaunch &launch) {
  std::string result =
      absl::StrCat(text(launch.symbol()), ": blocks ", gridText(launch), " of ", launch.threads(),
                   " threads, ", launch.shared_bytes(), " bytes shared");
  if (launch.cluster() != 1)
    absl::StrAppend(&result, ", clusters of ", launch.cluster());
  if (launch.blocks_per_core() != 0)
    absl::StrAppend(&result, ", at most ", launch.blocks_per_core(), " a core");
  if (launch.early())
    absl::StrAppend(&result, ", early");
  return result;
}

std::string randomText(const plan::RandomWeight &random) {
  std::vector<std::string> parts;
  for (const plan::RandomPart *part : *random.parts())
    parts.push_back(absl::StrCat(part->rows(), "x", part->columns(), " of ",
                                 text(part->values()->tensor()), " (", part->values()->center(),
                                 " +- ", part->values()->spread(), ")"));
  return absl::StrJoin(parts, " and ");
}

class PlanPrinter {
public:
  explicit PlanPrinter(const plan::Plan &plan) : plan_(plan) {}

  std::string print() {
    printHead();
    printTables();
    printKernels();
    for (const plan::Function *function : *plan_.functions())
      printFunction(*function);
    return std::move(out_);
  }

private:
  template <typename... Parts> void line(const Parts &...parts) {
    absl::StrAppend(&out_, parts..., "\n");
  }

  void printHead() {
    const plan::Limits &limits = *plan_.limits();
    line("plan version ", plan_.version(), ": ", plan_.ranks(), " ranks",
         plan_.tensor() == 1 ? "" : absl::StrCat(" in groups of ", plan_.tensor()), ", ",
         plan_.attention() == plan::Attention::Data ? "data-parallel" : "replicated",
         " attention, arena ", plan_.arena_bytes(), " bytes",
         plan_.workspace_bytes() == 0 ? "" : absl::StrCat(", workspace ", plan_.workspace_bytes()),
         plan_.token_items() == 0 ? "" : absl::StrCat(", token items ", plan_.token_items()),
         plan_.region_bytes() == 0 ? "" : absl::StrCat(", region ", plan_.region_bytes()));
    if (plan_.random())
      line("random weights of seed ", plan_.random()->seed());
    line("limits: ", limits.batch_tokens(), " batch tokens, ", limits.sequences(), " sequences, ",
         limits.context(), " context, ", limits.page_tokens(), " tokens a page");
  }

  void printTables() {
    for (const plan::Weight *weight : *plan_.weights())
      line("weight \"", text(weight->name()), "\": ", absl::StrJoin(*weight->shape(), "x"),
           weight->shape()->size() ? "x" : "", abslView(dtypeText(weight->dtype())), ", ",
           weightBytes(*weight), " bytes", weight->shared() ? ", shared" : "",
           weight->random() ? ", random: " + randomText(*weight->random()) : "");
    for (const plan::Cache *cache : *plan_.caches())
      line("cache \"", text(cache->name()), "\": ", cache->entry_elements(), "x",
           abslView(dtypeText(cache->dtype())), " a token");
    for (uint32_t i = 0; i < plan_.placements()->size(); ++i)
      line("placement ", i, ": owner of each expert ",
           absl::StrJoin(*plan_.placements()->Get(i)->owner(), " "));
  }

  void printKernels() {
    for (const plan::Kernel *kernel : *plan_.kernels()) {
      if (!kernel->variants())
        continue; // The launches say all there is.
      line("kernel ", text(kernel->symbol()));
      for (const plan::Variant *variant : *kernel->variants()) {
        line("  ",
             variant->most_rows() ? absl::StrCat("up to ", variant->most_rows(), " rows")
                                  : "any rows",
             variant->one_token_each() ? ", one token of each sequence" : "");
        for (const plan::DeviceLaunch *launch : *variant->launches())
          printDeviceLaunch(*launch);
      }
    }
  }

  void printDeviceLaunch(const plan::DeviceLaunch &launch) {
    line("    ", deviceLaunchText(launch));
    if (launch.maps())
      for (const plan::TensorMap *map : *launch.maps())
        line("      ", mapText(*map));
  }

  void printFunction(const plan::Function &function) {
    function_ = &function;
    line("\nfunction ", text(function.name()));
    for (const plan::Input *input : *function.inputs())
      line("  input ", text(input->name()), ": tokens x ", input->row_elements(), " x ",
           abslView(dtypeText(input->dtype())));
    for (uint32_t i = 0; i < function.buffers()->size(); ++i) {
      const plan::Buffer &buffer = *function.buffers()->Get(i);
      line("  %", i, ": ", rowsText(*buffer.rows()), " x ", buffer.row_elements(), " x ",
           abslView(dtypeText(buffer.dtype())), " at ", buffer.offset(), ", ", buffer.bytes(),
           " bytes");
    }
    for (uint32_t i = 0; i < function.steps()->size(); ++i) {
      const plan::Step &step = *function.steps()->Get(i);
      line("  ", startsOnly(step) ? absl::StrCat("step ", i, ": ") : "", stepText(step),
           step.location() ? "  // " : "", text(step.location()));
    }
    for (uint32_t id = 0; function.exchanges() && id < function.exchanges()->size(); ++id)
      line("  received(", id, ") in ", refText(*function.exchanges()->Get(id)));
    for (const plan::Output *output : *function.outputs())
      line("  output ", text(output->name()), " = ", refText(*output->source()));
  }

  std::string refText(const plan::Ref &ref) const {
    switch (ref.kind()) {
    case plan::RefKind::Input:
      return text(function_->inputs()->Get(ref.index())->name());
    case plan::RefKind::Buffer:
      return absl::StrCat("%", ref.index());
    case plan::RefKind::Weight:
      return absl::StrCat("\"", text(plan_.weights()->Get(ref.index())->name()), "\"");
    case plan::RefKind::Cache:
      return absl::StrCat("cache \"", text(plan_.caches()->Get(ref.index())->name()), "\"");
    }
    return "?";
  }

  std::string stepText(const plan::Step &step) const {
    if (const plan::Wait *wait = step.op_as_Wait())
      return absl::StrCat("Wait(until step ", wait->until(), ")");
    return absl::StrCat(startsOnly(step) ? "start " : "", workText(step));
  }

  std::string workText(const plan::Step &step) const {
    if (const plan::Launch *launch = step.op_as_Launch())
      return launchText(*launch);
    if (const plan::Collective *collective = step.op_as_Collective())
      return absl::StrCat(refText(*collective->result()), " = ",
                          plan::EnumNameCollectiveKind(collective->kind()),
                          collective->axis() == plan::Axis::Tensor ? " along tensor (" : "(",
                          refText(*collective->source()), ")");
    if (const plan::ScatterExperts *scatter = step.op_as_ScatterExperts())
      return absl::StrCat(refText(*scatter->result()), ", ", refText(*scatter->result_counts()),
                          " = ScatterExperts(", refText(*scatter->rows()), ", counts ",
                          refText(*scatter->counts()), ", placement ", scatter->placement(),
                          ", exchange ", scatter->exchange(), ")");
    const plan::GatherExperts &gather = *step.op_as_GatherExperts();
    return absl::StrCat(refText(*gather.result()), " = GatherExperts(", refText(*gather.rows()),
                        ", counts ", refText(*gather.counts()), ", placement ", gather.placement(),
                        ", exchange ", gather.exchange(), ")");
  }

  std::string launchText(const plan::Launch &launch) const {
    std::vector<std::string> args;
    for (const plan::Ref *ref : *launch.args())
      args.push_back(refText(*ref));
    std::string tiles = launch.row_tile() == 0 ? absl::StrCat(launch.column_tiles())
                                               : absl::StrCat("rows/", launch.row_tile(), " x ",
                                                              launch.column_tiles());
    return absl::StrCat(text(plan_.kernels()->Get(launch.kernel())->symbol()), "(",
                        absl::StrJoin(args, ", "), ") rows ", rowsText(*launch.rows()), ", tiles ",
                        tiles);
  }

  const plan::Plan &plan_;
  const plan::Function *function_ = nullptr;
  std::string out_;
};

} // namespace

std::string printPlan(const Plan &plan) { return PlanPrinter(*plan).print(); }

} // namespace epigraph
