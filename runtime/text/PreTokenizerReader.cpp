// "pre_tokenizer": one object, or a Sequence of them, that ends in ByteLevel. Everything but its
// prefix space is a split by a regular expression.
#include "runtime/base/Status.h"
#include "runtime/text/TokenizerData.h"

namespace epigraph {
namespace {

/// The pattern that ByteLevel splits by when "use_regex" is set: GPT-2's.
constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
/// Punctuation is ASCII's (which Unicode partly calls symbols) and Unicode's.
constexpr std::string_view kPunctuation = R"([!-/:-@\[-`{-~\p{P}])";
constexpr std::string_view kNumeric = R"(\p{N})";

class PreTokenizerReader {
public:
  /// Reads one pre-tokenizer of any kind.
  void readOne(JsonObject object) {
    std::string type;
    object.read("type", type);
    if (!object.ok())
      return;
    if (sawByteLevel_)
      return object.fail("type", absl::StrCat(type, " after ByteLevel is not supported"),
                         absl::StatusCode::kUnimplemented);
    if (type == "Sequence")
      readSequence(object);
    else if (type == "Split")
      readSplit(object);
    else if (type == "Digits")
      readDigits(object);
    else if (type == "Punctuation")
      readPunctuation(object);
    else if (type == "ByteLevel")
      readByteLevel(object);
    else
      object.fail("type",
                  absl::StrCat("\"", type,
                               "\" is not supported; expected Sequence, Split, Digits, "
                               "Punctuation or ByteLevel"),
                  absl::StatusCode::kUnimplemented);
    object.refuseUnknownKeys();
  }

  bool sawByteLevel() const { return sawByteLevel_; }
  PreTokenizer take() { return std::move(result_); }

private:
  void readSequence(JsonObject &object) {
    object.forEachObject("pretokenizers", [this](JsonObject element) { readOne(element); });
  }

  void readSplit(JsonObject &object) {
    SplitStep step;
    readBehavior(object, step.behavior);
    object.readOptional("invert", step.invert);
    JsonObject pattern = object.object("pattern");
    bool isLiteral = pattern.has("String");
    std::string text;
    pattern.read(isLiteral ? "String" : "Regex", text);
    pattern.refuseUnknownKeys();
    if (object.ok() && text.empty())
      object.fail("pattern", "expected a pattern that is not empty");
    addSplit(object, isLiteral ? Regex::literal(text) : Regex::compile(text), std::move(step));
  }

  void readDigits(JsonObject &object) {
    bool individual = false;
    object.readOptional("individual_digits", individual);
    SplitStep step;
    step.behavior = individual ? SplitBehavior::Isolated : SplitBehavior::Contiguous;
    addSplit(object, Regex::compile(kNumeric), std::move(step));
  }

  void readPunctuation(JsonObject &object) {
    SplitStep step;
    if (object.has("behavior"))
      readBehavior(object, step.behavior);
    addSplit(object, Regex::compile(kPunctuation), std::move(step));
  }

  void readByteLevel(JsonObject &object) {
    bool addPrefixSpace = true;
    bool useRegex = true;
    object.readOptional("add_prefix_space", addPrefixSpace);
    object.readOptional("use_regex", useRegex);
    object.ignore("trim_offsets"); // Of offsets into the text, which are not computed here.
    sawByteLevel_ = true;
    if (addPrefixSpace)
      result_.addPrefixSpace();
    if (useRegex)
      addSplit(object, Regex::compile(kGpt2Pattern), SplitStep());
  }

  void readBehavior(JsonObject &object, SplitBehavior &out) {
    constexpr std::pair<std::string_view, SplitBehavior> kBehaviors[] = {
        {"Removed", SplitBehavior::Removed},
        {"Isolated", SplitBehavior::Isolated},
        {"MergedWithPrevious", SplitBehavior::MergedWithPrevious},
        {"MergedWithNext", SplitBehavior::MergedWithNext},
        {"Contiguous", SplitBehavior::Contiguous},
    };
    std::string name;
    object.read("behavior", name);
    for (const auto &[known, behavior] : kBehaviors)
      if (name == known) {
        out = behavior;
        return;
      }
    object.fail("behavior", absl::StrCat("unknown behavior \"", name, "\""));
  }

  void addSplit(JsonObject &object, absl::StatusOr<Regex> regex, SplitStep step) {
    if (!object.ok())
      return;
    if (!regex.ok())
      return object.fail("pattern", std::string(regex.status().message()), regex.status().code());
    step.regex = std::move(*regex);
    result_.addSplit(std::move(step));
  }

  PreTokenizer result_;
  bool sawByteLevel_ = false;
};

} // namespace

PreTokenizer readPreTokenizer(JsonObject &parent) {
  PreTokenizerReader reader;
  if (parent.has("pre_tokenizer"))
    reader.readOne(parent.object("pre_tokenizer"));
  if (!reader.sawByteLevel())
    parent.fail("pre_tokenizer", "expected a ByteLevel step; only byte-level BPE is supported",
                absl::StatusCode::kUnimplemented);
  return reader.take();
}

} // namespace epigraph
