// `epigraph explain`: the cause and the remedy of a refusal, by the code in its message.
#include <CLI/App.hpp>
#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "nlohmann/json.hpp"

#include "runtime/base/Status.h"
#include "tools/epigraph/Commands.h"

namespace epigraph::tool {
namespace {

constexpr char kFooter[] = R"(Examples:
  epigraph explain E0302
  epigraph explain --list)";

struct ExplainFlags {
  std::string code;
  bool list = false;
  bool json = false;
};

nlohmann::ordered_json jsonOf(const ErrorInfo &info) {
  return {{"code", errorCodeText(info.code)},     {"exit_code", static_cast<int>(info.exit)},
          {"message", std::string(info.message)}, {"cause", std::string(info.cause)},
          {"remedy", std::string(info.remedy)},   {"example", std::string(info.example)}};
}

void printRow(const ErrorInfo &info) {
  absl::PrintF("%s  %s\n", errorCodeText(info.code), std::string(info.cause));
}

void printAll(const ErrorInfo &info) {
  absl::PrintF("%s (exit code %d)\n", errorCodeText(info.code), static_cast<int>(info.exit));
  if (!info.message.empty())
    absl::PrintF("\nmessage  %s\n",
                 absl::StrReplaceAll(std::string(info.message), {{"\n", "\n         "}}));
  absl::PrintF("\ncause    %s\nremedy   %s\nexample  %s\n", std::string(info.cause),
               std::string(info.remedy), std::string(info.example));
}

absl::Status explainAll(bool json) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const ErrorInfo &info : errorCatalog()) {
    if (json)
      rows.push_back(jsonOf(info));
    else
      printRow(info);
  }
  if (json)
    std::printf("%s\n", rows.dump(2).c_str());
  return absl::OkStatus();
}

absl::Status explain(const ExplainFlags &flags) {
  if (flags.list)
    return explainAll(flags.json);
  std::optional<ErrorCode> code = errorCodeFromText(flags.code);
  if (!code)
    return withCode(ErrorCode::UnknownErrorCode, absl::InvalidArgumentError(absl::StrCat(
                                                     "there is no error '", flags.code,
                                                     "'; `epigraph explain --list` prints all")));
  if (flags.json)
    std::printf("%s\n", jsonOf(errorInfo(*code)).dump(2).c_str());
  else
    printAll(errorInfo(*code));
  return absl::OkStatus();
}

} // namespace

Command addExplainCommand(CLI::App &app) {
  auto flags = std::make_shared<ExplainFlags>();
  CLI::App *command =
      app.add_subcommand("explain", "Say what an error's code means, and what to do");
  auto *what = command->add_option_group("what", "Exactly one of");
  what->add_option("CODE", flags->code, "As in the message: E0302")->option_text(" ");
  what->add_flag("--list", flags->list, "All codes");
  what->require_option(1);
  command->add_flag("--json", flags->json, "Print JSON");
  command->footer(kFooter);
  return {command, [flags] { return explain(*flags); }};
}

} // namespace epigraph::tool
