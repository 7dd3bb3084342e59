#include "compiler/driver/Report.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "nlohmann/json.hpp"

namespace epigraph {
namespace {

std::string bytesText(uint64_t bytes) {
  constexpr const char *kUnits[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  for (; value >= 1024 && unit + 1 < std::size(kUnits); ++unit)
    value /= 1024;
  return unit == 0 ? absl::StrFormat("%d bytes", bytes)
                   : absl::StrFormat("%.1f %s", value, kUnits[unit]);
}

/// "NAME      VALUE\n", with values in one column.
void line(std::string &text, const std::string &name, const std::string &value) {
  absl::StrAppendFormat(&text, "%-12s %s\n", name, value);
}

/// "TITLE: a, b, c", or nothing without names; a long list is cut, with a count.
void names(std::string &text, const char *title, const std::vector<std::string> &list) {
  constexpr size_t kMaxShown = 12;
  if (list.empty())
    return;
  size_t shown = std::min(list.size(), kMaxShown);
  absl::StrAppendFormat(&text, "  %s: %s", title,
                        absl::StrJoin(list.begin(), list.begin() + shown, ", "));
  if (shown < list.size())
    absl::StrAppendFormat(&text, ", and %d more", list.size() - shown);
  text += '\n';
}

void printImport(std::string &text, const ImportSummary &import) {
  line(text, "family", import.family);
  line(text, "settings",
       absl::StrFormat("%d read, %d left at their defaults", import.settings.size(),
                       import.defaults.size()));
  names(text, "not read, though they may matter", import.unread);
  line(text, "tensors",
       absl::StrFormat("%d used, %s", import.tensors, bytesText(import.tensorBytes)));
  names(text, "in several places", import.shared);
  names(text, "not needed", import.ignored);
}

nlohmann::json importJson(const ImportSummary &import) {
  nlohmann::json settings = nlohmann::json::object();
  for (const auto &[key, value] : import.settings)
    settings[key] = value;
  return {{"family", import.family},     {"settings", std::move(settings)},
          {"defaults", import.defaults}, {"unread", import.unread},
          {"tensors", import.tensors},   {"tensor_bytes", import.tensorBytes},
          {"shared", import.shared},     {"ignored", import.ignored}};
}

double totalSeconds(const Report &report) {
  double total = 0;
  for (const auto &[phase, seconds] : report.seconds)
    total += seconds;
  return total;
}

void printMemory(std::string &text, const Report &report) {
  uint64_t rankMost = 0;
  for (uint64_t bytes : report.rankWeightBytes)
    rankMost = std::max(rankMost, bytes);
  line(text, "weights",
       absl::StrFormat("%s shared by all ranks, at most %s of one rank alone; checkpoint %s",
                       bytesText(report.sharedWeightBytes), bytesText(rankMost),
                       bytesText(report.checkpointBytes)));
  line(text, "activations",
       absl::StrFormat("%s a rank; %s without reuse", bytesText(report.arenaBytes),
                       bytesText(report.arenaNaiveBytes)));
  line(text, "cache", bytesText(report.cacheBytesPerToken) + " a token");
}

/// A number of a unit, with its power of 1000: "1.25 G".
std::string metricText(double value) {
  constexpr const char *kPrefixes[] = {"", "k", "M", "G", "T", "P"};
  size_t power = 0;
  for (; value >= 1000 && power + 1 < std::size(kPrefixes); ++power)
    value /= 1000;
  return absl::StrFormat("%.4g %s", value, kPrefixes[power]);
}

void printWork(std::string &text, const Report &report) {
  for (const StepWork &work : report.work) {
    line(text, "step",
         absl::StrFormat("@%s of %d token(s) in %d sequence(s), context %d: %sflop, %sB of memory",
                         work.function, work.tokens, work.sequences, work.context,
                         metricText(work.flops), metricText(work.bytes())));
    absl::StrAppendFormat(&text, "  weights %sB, activations %sB, caches %sB\n",
                          metricText(work.weightBytes),
                          metricText(work.activationReadBytes + work.activationWrittenBytes),
                          metricText(work.cacheBytes));
    for (const auto &[name, collective] : work.collectives)
      absl::StrAppendFormat(&text, "  %d %s: each rank sends %sB in %.0f messages\n",
                            collective.count, name, metricText(collective.bytes),
                            collective.messages);
  }
}

nlohmann::json workJson(const StepWork &work) {
  nlohmann::json collectives = nlohmann::json::object();
  for (const auto &[name, collective] : work.collectives)
    collectives[name] = {{"count", collective.count},
                         {"messages", collective.messages},
                         {"bytes", collective.bytes}};
  return {{"function", work.function},
          {"tokens", work.tokens},
          {"sequences", work.sequences},
          {"context", work.context},
          {"flops", work.flops},
          {"weight_bytes", work.weightBytes},
          {"activation_read_bytes", work.activationReadBytes},
          {"activation_written_bytes", work.activationWrittenBytes},
          {"cache_bytes", work.cacheBytes},
          {"collectives", std::move(collectives)}};
}

} // namespace

std::string printReport(const Report &report) {
  std::string text;
  line(text, "model", report.model);
  if (!report.import.family.empty())
    printImport(text, report.import);
  line(text, "target",
       absl::StrFormat("%s, %s, %d rank(s), %s attention", report.target, report.compute,
                       report.ranks, report.attention));
  if (report.fusion.launches)
    line(text, "operations",
         absl::StrFormat("%d, %.0f %% of them fused, in %d launches of %d kernels",
                         report.fusion.ops, 100 * report.fusion.fusedShare(),
                         report.fusion.launches, report.fusion.kernels));
  if (!report.rankWeightBytes.empty())
    printMemory(text, report);
  printWork(text, report);
  for (const Report::PassEntry &entry : report.passes) {
    text += absl::StrFormat("  %-28s", entry.pass);
    for (const auto &[key, value] : entry.numbers)
      absl::StrAppendFormat(&text, " %s=%s", key, value);
    text += '\n';
  }
  for (const auto &[phase, seconds] : report.seconds)
    line(text, std::string(phaseName(phase)), absl::StrFormat("%.3f s", seconds));
  line(text, "total", absl::StrFormat("%.3f s", totalSeconds(report)));
  return text;
}

std::string printReportJson(const Report &report) {
  nlohmann::json json = {
      {"model", report.model},
      {"target", report.target},
      {"compute", report.compute},
      {"attention", report.attention},
      {"ranks", report.ranks},
      {"ops", report.fusion.ops},
      {"fused_ops", report.fusion.fusedOps},
      {"fused_share", report.fusion.fusedShare()},
      {"launches", report.fusion.launches},
      {"kernels", report.fusion.kernels},
      {"checkpoint_bytes", report.checkpointBytes},
      {"shared_weight_bytes", report.sharedWeightBytes},
      {"rank_weight_bytes", report.rankWeightBytes},
      {"arena_bytes", report.arenaBytes},
      {"arena_naive_bytes", report.arenaNaiveBytes},
      {"cache_bytes_per_token", report.cacheBytesPerToken},
      {"total_seconds", totalSeconds(report)},
  };
  if (!report.import.family.empty())
    json["import"] = importJson(report.import);
  json["work"] = nlohmann::json::array();
  for (const StepWork &work : report.work)
    json["work"].push_back(workJson(work));
  json["passes"] = nlohmann::json::array();
  for (const Report::PassEntry &entry : report.passes)
    json["passes"].push_back({{"pass", entry.pass}, {"numbers", entry.numbers}});
  json["seconds"] = nlohmann::json::object();
  for (const auto &[phase, seconds] : report.seconds)
    json["seconds"][std::string(phaseName(phase))] = seconds;
  return json.dump(2) + "\n";
}

} // namespace epigraph
