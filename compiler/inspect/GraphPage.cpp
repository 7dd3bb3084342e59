// Plain HTML, so that it opens at once and can be searched; a few lines of script mark the line of
// the IR that was asked for. Folding is <details>.
#include "compiler/inspect/GraphPage.h"

#include "absl/strings/str_format.h"
#include "mlir/IR/AsmState.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/raw_ostream.h"

#include "compiler/driver/Diagnostics.h"
#include "compiler/inspect/GraphNodes.h"
#include "runtime/base/Status.h"

using namespace mlir;

namespace epigraph {
namespace {

using namespace inspection;

constexpr char kHead[] = R"(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<title>%s</title>
<style>
body { margin: 0; font: 14px/1.4 system-ui, sans-serif; display: grid; grid-template-columns: 1fr 1fr; height: 100vh; }
main, aside { overflow: auto; padding: 0 1em 4em; }
aside { border-left: 1px solid #ccc; background: #fafafa; }
pre { font: 12px/1.35 ui-monospace, monospace; }
pre span:target, pre span.here { background: #ffe58a; }
details { margin: 2px 0 2px 1em; }
summary { cursor: pointer; }
.node > summary { border-left: 10px solid var(--kind); padding-left: 6px; }
.node:target > summary { outline: 2px solid #333; }
.place, .cost { color: #666; }
.key { display: inline-block; border-left: 10px solid var(--kind); padding: 0 1em 0 4px; }
.attention { --kind: #d1495b; } .linear { --kind: #2e86ab; } .experts { --kind: #6a4c93; }
.rows { --kind: #8ab17d; } .route { --kind: #e9c46a; } .move { --kind: #adb5bd; }
.collective { --kind: #f77f00; } .other { --kind: #495057; }
dl { margin: 2px 0 6px 2em; display: grid; grid-template-columns: max-content 1fr; gap: 0 1em; }
dt { color: #666; } dd { margin: 0; overflow-wrap: anywhere; }
</style>
</head>
<body>
<main>
)";

constexpr char kScript[] = R"(<script>
addEventListener('hashchange', function () {
  var to = document.getElementById(location.hash.slice(1));
  if (!to) return;
  for (var e = to.parentElement; e; e = e.parentElement) if (e.tagName == 'DETAILS') e.open = true;
  to.scrollIntoView({block: 'center'});
});
</script>
)";

std::string escaped(StringRef text) {
  std::string result;
  for (char c : text) {
    switch (c) {
    case '&':
      result += "&amp;";
      break;
    case '<':
      result += "&lt;";
      break;
    case '>':
      result += "&gt;";
      break;
    case '"':
      result += "&quot;";
      break;
    default:
      result += c;
    }
  }
  return result;
}

/// "1.25 G".
std::string metric(double value) {
  constexpr const char *kPrefixes[] = {"", "k", "M", "G", "T", "P"};
  size_t power = 0;
  for (; value >= 1000 && power + 1 < std::size(kPrefixes); ++power)
    value /= 1000;
  return absl::StrFormat("%.3g %s", value, kPrefixes[power]);
}

using Nodes = llvm::ArrayRef<GraphNode>;

class Page {
public:
  explicit Page(ModuleOp module) : module_(module), symbols_(module) {}

  absl::StatusOr<std::string> write() {
    printIr();
    const std::string title = escaped(module_.getName().value_or("module"));
    absl::StrAppendFormat(&html_, kHead, title);
    absl::StrAppendFormat(&html_, "<h1>%s</h1>\n", title);
    writeLegend();
    size_t next = 0;
    for (auto function : module_.getOps<func::FuncOp>()) {
      if (function.isExternal())
        continue;
      FailureOr<std::vector<GraphNode>> nodes = collectNodes(function, next);
      if (failed(nodes))
        return absl::InvalidArgumentError("the schedule cannot be read");
      next += nodes->size();
      writeFunction(function, *nodes);
    }
    html_ += "</main>\n<aside>\n<h2>IR</h2>\n<pre>\n";
    writeIr();
    html_ += "</pre>\n</aside>\n";
    html_ += kScript;
    html_ += "</body>\n</html>\n";
    return std::move(html_);
  }

private:
  /// Also remembers the line of every operation.
  void printIr() {
    AsmState state(module_, OpPrintingFlags(), &lines_);
    llvm::raw_string_ostream stream(ir_);
    module_->print(stream, state);
  }

  void writeIr() {
    size_t number = 1;
    llvm::SmallVector<StringRef> lines;
    StringRef(ir_).split(lines, '\n');
    for (StringRef line : lines)
      absl::StrAppendFormat(&html_, "<span id=\"L%d\">%s</span>\n", number++, escaped(line));
  }

  void writeLegend() {
    html_ += "<p>";
    const std::pair<const char *, const char *> kKinds[] = {
        {"attention", "attention"},      {"linear", "projection"},
        {"experts", "experts"},          {"route", "routing"},
        {"rows", "row by row"},          {"move", "rows looked up or moved"},
        {"collective", "communication"}, {"other", "other"}};
    for (const auto &[kind, text] : kKinds)
      absl::StrAppendFormat(&html_, "<span class=\"key %s\">%s</span>", kind, text);
    html_ += "</p>\n";
  }

  void writeFunction(func::FuncOp function, Nodes nodes) {
    absl::StrAppendFormat(&html_, "<section>\n<h2>@%s</h2>\n", escaped(function.getName()));
    std::vector<Nodes> groups; // Neighbours of one layer.
    for (size_t begin = 0, end; begin < nodes.size(); begin = end) {
      for (end = begin + 1; end < nodes.size() && nodes[end].layer == nodes[begin].layer; ++end)
        ;
      groups.push_back(nodes.slice(begin, end - begin));
    }
    for (size_t begin = 0, end; begin < groups.size(); begin = end) {
      for (end = begin + 1; end < groups.size() && areAlike(groups[begin], groups[end]); ++end)
        ;
      const bool folded = end - begin > 1;
      if (folded)
        absl::StrAppendFormat(&html_,
                              "<details class=\"alike\"><summary>%s to %s: %d equal layers%s"
                              "</summary>\n",
                              escaped(groups[begin].front().layer),
                              escaped(groups[end - 1].front().layer), end - begin,
                              cost(groups, begin, end));
      for (size_t i = begin; i < end; ++i)
        writeGroup(groups[i]);
      if (folded)
        html_ += "</details>\n";
    }
    html_ += "</section>\n";
  }

  /// Layers that run the same kernels on the same types.
  static bool areAlike(Nodes a, Nodes b) {
    return !a.front().layer.empty() && !b.front().layer.empty() &&
           std::equal(
               a.begin(), a.end(), b.begin(), b.end(), [](const GraphNode &x, const GraphNode &y) {
                 return x.label == y.label && x.op->getResultTypes() == y.op->getResultTypes();
               });
  }

  /// ", 3 Gflop and 40 MB a token" of groups [begin, end), if it is known.
  static std::string cost(const std::vector<Nodes> &groups, size_t begin, size_t end) {
    double flops = 0, bytes = 0;
    for (size_t i = begin; i < end; ++i)
      for (const GraphNode &node : groups[i]) {
        flops += node.flops;
        bytes += node.bytes;
      }
    return bytes == 0 ? ""
                      : absl::StrCat("<span class=\"cost\">, ", metric(flops), "flop and ",
                                     metric(bytes), "B a token</span>");
  }

  void writeGroup(Nodes nodes) {
    const bool isLayer = !nodes.front().layer.empty();
    if (isLayer)
      absl::StrAppendFormat(&html_,
                            "<details class=\"layer\"><summary>%s: %d operations%s</summary>\n",
                            escaped(nodes.front().layer), nodes.size(), cost({nodes}, 0, 1));
    for (const GraphNode &node : nodes)
      writeNode(node);
    if (isLayer)
      html_ += "</details>\n";
  }

  static const char *typeOf(const GraphNode &node) {
    return isa<exec::LaunchOp>(node.op) ? "launch"
           : node.kind == "collective"  ? "collective"
                                        : "op";
  }

  void writeNode(const GraphNode &node) {
    absl::StrAppendFormat(&html_,
                          "<details class=\"node %s\" id=\"n%d\" data-node=\"%s\"><summary>%s "
                          "<span class=\"place\">%s</span></summary>\n<dl>",
                          node.kind, node.id, typeOf(node), escaped(node.label),
                          escaped(node.place));
    absl::StrAppendFormat(&html_, "<dt>IR</dt><dd>%s", lineLink(node.op, "line"));
    if (auto launch = dyn_cast<exec::LaunchOp>(node.op))
      if (Operation *kernel = symbols_.lookup(launch.getKernel()))
        absl::StrAppendFormat(&html_, ", %s", lineLink(kernel, "kernel, line"));
    html_ += "</dd>";
    if (!node.inputs.empty()) {
      html_ += "<dt>after</dt><dd>";
      for (size_t input : node.inputs)
        absl::StrAppendFormat(&html_, "<a href=\"#n%d\">%d</a> ", input, input);
      html_ += "</dd>";
    }
    for (const auto &[key, value] : node.facts)
      if (!value.empty())
        absl::StrAppendFormat(&html_, "<dt>%s</dt><dd>%s</dd>", escaped(key), escaped(value));
    html_ += "</dl></details>\n";
  }

  std::string lineLink(Operation *op, const char *text) const {
    const unsigned line = lines_.lookup(op).first;
    return absl::StrFormat("<a href=\"#L%d\">%s %d</a>", line, text, line);
  }

  ModuleOp module_;
  SymbolTable symbols_;
  std::string ir_;
  AsmState::LocationMap lines_;
  std::string html_;
};

} // namespace

absl::StatusOr<std::string> graphPage(ModuleOp module) { return Page(module).write(); }

absl::StatusOr<std::string> graphPageOfText(const std::string &ir, const std::string &name) {
  MLIRContext context(MLIRContext::Threading::DISABLED);
  context.printOpOnDiagnostic(false);
  DiagnosticCollector diagnostics(&context, nullptr);
  context.loadDialect<epi::EpiDialect, ep::EpDialect, exec::ExecDialect, func::FuncDialect>();
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(ir, ParserConfig(&context), name);
  if (!module)
    return diagnostics.takeErrors(absl::StatusCode::kInvalidArgument, "cannot read " + name);
  absl::StatusOr<std::string> page = graphPage(*module);
  return page.ok() ? page : absl::StatusOr<std::string>(diagnostics.withErrors(page.status()));
}

} // namespace epigraph
