#include "tools/epigraph-compile/CompileFlags.h"

#include <charconv>
#include <optional>

#include "CLI/CLI.hpp"

namespace epigraph {

namespace {

/// SEED of "random:SEED".
std::optional<uint64_t> randomSeedOf(std::string_view text) {
  constexpr std::string_view kPrefix = "random:";
  uint64_t seed = 0;
  if (!text.starts_with(kPrefix))
    return std::nullopt;
  text.remove_prefix(kPrefix.size());
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seed);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(seed)
                                                                  : std::nullopt;
}

} // namespace

void declareModelFlags(CLI::App &app, CompileOptions &options) {
  app.add_option("MODEL_DIR", options.model, "checkpoint folder")->required();
  app.add_option_function<std::string>(
         "--weights",
         [&options](const std::string &text) { options.randomWeights = *randomSeedOf(text); },
         "random:SEED: random weights in place of the checkpoint's, which are made when the "
         "artifact is loaded; MODEL_DIR then needs no weights, and may be a config.json")
      ->check(CLI::Validator(
          [](const std::string &text) {
            return randomSeedOf(text)
                       ? std::string()
                       : "'" + text + "' is not random:SEED, with a number of 64 bits";
          },
          "random:SEED"));
  app.add_option(
         "--target", options.target,
         "machine to compile for: cpu (this one), cpu:x86-64-v3, cpu:x86-64-v4, cuda:sm_90a, or a "
         "description, FILE.json (docs/targets.md)")
      ->capture_default_str();
  app.add_option("--ep", options.ranks, "ranks that share the experts; must divide their number")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--tp", options.tensor,
                 "ranks of each group that share heads, projections and experts; the artifact has "
                 "--ep times --tp ranks")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--tp-mode", options.tensorMode,
                 "how projections are shared: auto, or each by its outputs (column), its inputs "
                 "(row) or both (2d)")
      ->transform(CLI::CheckedTransformer(
                      std::map<std::string, TensorMode>{{"auto", TensorMode::Auto},
                                                        {"column", TensorMode::Column},
                                                        {"row", TensorMode::Row},
                                                        {"2d", TensorMode::TwoDimensional}})
                      .description("auto|column|row|2d"))
      ->default_str("auto");
  app.add_option("--batches", options.batches,
                 "2: the experts of each layer work on two halves of a batch, so that ranks "
                 "exchange the rows of one during the other; auto: where the target's costs say "
                 "that it is faster, if its links work beside its devices")
      ->transform(
          CLI::CheckedTransformer(std::map<std::string, BatchSplit>{{"auto", BatchSplit::Auto},
                                                                    {"1", BatchSplit::One},
                                                                    {"2", BatchSplit::Two}})
              .description("auto|1|2"))
      ->default_str("1");
  CLI::Option *load =
      app.add_option("--expert-load", options.expertLoad,
                     "measured loads of experts (docs/how-to/place-experts.md), by which they are "
                     "placed");
  app.add_option("--redundant-experts", options.redundantExperts,
                 "with --expert-load: replicas of busy experts in each layer, over all ranks")
      ->check(CLI::Range(0, 65535))
      ->needs(load);
  app.add_option("--attention", options.attention,
                 "replicated: every rank runs attention on all tokens; data: each on sequences of "
                 "its own")
      ->transform(CLI::CheckedTransformer(std::map<std::string, AttentionSharing>{
                                              {"replicated", AttentionSharing::Replicated},
                                              {"data", AttentionSharing::Data}})
                      .description("replicated|data"))
      ->default_str("replicated");
  app.add_option("--compute", options.compute,
                 "type of activations and weights; sums are in float32")
      ->transform(CLI::CheckedTransformer(
                      std::map<std::string, ComputeType>{{"bf16", ComputeType::BFloat16},
                                                         {"float32", ComputeType::Float32}})
                      .description("bf16|float32"))
      ->default_str("bf16");
}

std::vector<CLI::Option *> declareLimitFlags(CLI::App &app, ImportLimits &limits) {
  CLI::Option *tokens = app.add_option("--max-batch-tokens", limits.batchTokens,
                                       "most tokens of one rank in one step")
                            ->check(CLI::Range(1, 1 << 20))
                            ->capture_default_str();
  CLI::Option *sequences =
      app.add_option("--max-seqs", limits.sequences, "most sequences of one rank in one step")
          ->check(CLI::Range(1, 1 << 16))
          ->capture_default_str();
  CLI::Option *context =
      app.add_option("--max-context", limits.maxContext,
                     "longest sequence, in tokens; default: the model's, at most " +
                         std::to_string(kDefaultMaxContext))
          ->check(CLI::Range(1, 1 << 26));
  return {tokens, sequences, context};
}

void declarePassFlags(CLI::App &app, CompileOptions &options) {
  app.add_option("--fusion-level", options.fusionLevel,
                 "how far operations are put together into kernels: 0 not at all, 1 known "
                 "patterns, 2 also groups that the cost model finds worth it, 3 whatever it does "
                 "not find harmful")
      ->check(CLI::Range(0, 3))
      ->capture_default_str()
      ->group(kPassGroup);
  app.add_option("--optimize", options.optimize, "none: leaves out every pass that may be")
      ->transform(
          CLI::CheckedTransformer(std::map<std::string, bool>{{"all", true}, {"none", false}})
              .description("all|none"))
      ->default_str("all")
      ->group(kPassGroup);
  // One value each: a list would swallow MODEL_DIR.
  auto repeatable = [&](const char *name, auto &value, const char *help, const char *type) {
    app.add_option(name, value, help)
        ->type_name(type)
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->group(kPassGroup);
  };
  repeatable("--disable-pass", options.disabledPasses,
             "optimisation to leave out wherever it would run; may be given several times", "PASS");
  repeatable("--load-pass-plugin", options.passPlugins,
             "shared object with passes to insert; may be given several times", "FILE");
  repeatable("--insert-pass", options.insertedPasses,
             "pass to run after a phase's own: NAME@PHASE or 'NAME{option=value}@PHASE'; may be "
             "given several times",
             "PASS@PHASE");
}

} // namespace epigraph
