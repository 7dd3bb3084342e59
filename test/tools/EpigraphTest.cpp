// The program `epigraph` on a hand-built artifact: output, files, exit codes. (Compiled models, and
// the rest of the command line, are tested from Python.)
#include <sys/wait.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "runtime/artifact/Safetensors.h"
#include "runtime/exec/PlanExecutor.h"
#include "runtime/session/Session.h"
#include "test/runtime/base/TestFiles.h"
#include "test/runtime/exec/TestArtifact.h"

namespace epigraph {
namespace {

struct Outcome {
  int exitCode;
  std::string output;
  std::string errors;
};

class Epigraph : public testing::Test {
protected:
  Epigraph() {
    TestArtifactOptions options;
    options.ranks = 2;
    artifact.emplace(writeTestArtifact(folder.path(), options));
  }

  /// Runs `epigraph ARGUMENTS`, in the test's folder, where the artifact is test.epi.
  Outcome run(const std::string &arguments) const {
    const std::string command = absl::StrCat("cd ", folder.path().string(), " && ", EPIGRAPH_TOOL,
                                             " ", arguments, " >output 2>errors");
    const int status = std::system(command.c_str());
    return {WEXITSTATUS(status), contentOf(folder.path() / "output"),
            contentOf(folder.path() / "errors")};
  }

  /// What the model itself says to `ids`.
  std::vector<int32_t> continuation(const std::vector<int32_t> &ids, int32_t count) const {
    const auto executor = PlanExecutor::create(*artifact, {});
    Session session(**executor);
    return session.generate({GenerationRequest{ids, count, {}}})->results[0].ids;
  }

  const TestFolder folder;
  std::optional<Artifact> artifact;
};

TEST_F(Epigraph, PrintsIdsWhereThereIsNoTokenizer) {
  const Outcome outcome = run("run test.epi --ids 1,2,3 --max-tokens 4");
  EXPECT_EQ(outcome.exitCode, 0) << outcome.errors;
  std::string expected;
  for (const int32_t token : continuation({1, 2, 3}, 4))
    absl::StrAppend(&expected, token, " ");
  EXPECT_EQ(outcome.output, expected + "\n");
  EXPECT_EQ(outcome.errors, "") << "no terminal, no timings";
}

TEST_F(Epigraph, PrintsJson) {
  const Outcome outcome = run("run test.epi --ids 1,2,3 --max-tokens 4 --json --threads 3");
  EXPECT_EQ(outcome.exitCode, 0) << outcome.errors;
  const nlohmann::json json = nlohmann::json::parse(outcome.output);
  EXPECT_EQ(json["token_ids"], continuation({1, 2, 3}, 4));
  EXPECT_TRUE(json["text"].is_null());
  EXPECT_EQ(json["prompt_tokens"], 3);
  EXPECT_EQ(json["stopped_by"], "max_tokens");
  EXPECT_EQ(json["timings"]["prefill_tokens"], 3);
  EXPECT_EQ(json["timings"]["decode_tokens"], 3);
}

TEST_F(Epigraph, RunsAFileOfPrompts) {
  folder.write("prompts.jsonl", "{\"ids\": [1, 2, 3]}\n\n{\"ids\": [7], \"max_tokens\": 2}\n");
  const Outcome outcome = run("run test.epi --prompts prompts.jsonl --max-tokens 5 --json");
  EXPECT_EQ(outcome.exitCode, 0) << outcome.errors;
  const nlohmann::json results = nlohmann::json::parse(outcome.output)["results"];
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(results[0]["token_ids"], continuation({1, 2, 3}, 5));
  EXPECT_EQ(results[1]["token_ids"], continuation({7}, 2));
}

TEST_F(Epigraph, WritesLogits) {
  const Outcome outcome =
      run("run test.epi --ids 1,2,3,4 --max-tokens 0 --logits l --mtp-logits m");
  EXPECT_EQ(outcome.exitCode, 0) << outcome.errors;
  const auto executor = PlanExecutor::create(*artifact, {});
  Session session(**executor);
  const auto expect = [&](const char *file, const char *name, const std::vector<float> &expected) {
    const absl::StatusOr<SafetensorsFile> opened = SafetensorsFile::open(folder.path() / file);
    ASSERT_TRUE(opened.ok()) << opened.status();
    const StoredTensor *tensor = opened->find(name);
    ASSERT_NE(tensor, nullptr);
    EXPECT_EQ(tensor->dtype, DType::F32);
    EXPECT_EQ(tensor->shape, (std::vector<uint64_t>{expected.size() / 32, 32}));
    ASSERT_EQ(tensor->bytes.size(), expected.size() * sizeof(float));
    EXPECT_EQ(std::memcmp(tensor->bytes.data(), expected.data(), tensor->bytes.size()), 0);
  };
  expect("l", "logits", *session.logits({1, 2, 3, 4}));
  expect("m", "mtp_logits", *session.mtpLogits({1, 2, 3}, {2, 3, 4}));
}

TEST_F(Epigraph, Inspects) {
  const Outcome text = run("inspect test.epi --plan");
  EXPECT_EQ(text.exitCode, 0) << text.errors;
  for (const char *part :
       {"TestModel", "2, attention replicated", "weights/rank-1.safetensors", "test_embed"})
    EXPECT_THAT(text.output, testing::HasSubstr(part));
  const Outcome json = run("inspect test.epi --json");
  EXPECT_EQ(json.output, contentOf(folder.path() / "test.epi/manifest.json"));
}

TEST_F(Epigraph, ExitCodesSayWhoseTurnItIs) {
  const auto expect = [&](const std::string &arguments, int code, const char *message) {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.exitCode, code) << arguments << ": " << outcome.errors;
    EXPECT_EQ(outcome.output, "") << arguments;
    EXPECT_THAT(outcome.errors, testing::StartsWith("epigraph: error: "));
    EXPECT_THAT(outcome.errors, testing::HasSubstr(message));
  };
  expect("", 2, "subcommand");
  expect("walk", 2, "--help");
  expect("run test.epi", 2, "--help");
  expect("run test.epi --ids 1 --prompt x", 2, "--help");
  expect("run test.epi --ids 1 --memory-pool-size huge", 2, "not a size: 'huge'");
  expect("run none.epi --ids 1", 3, "none.epi");
  expect("run test.epi --ids 1,x", 3, "'x' is not a token id");
  expect("run test.epi --ids 1,32", 3, "outside the vocabulary of 32");
  expect("run test.epi --prompt hello", 3, "has no tokenizer.json");
  expect("run test.epi --ids 1 --mtp-logits m", 3, "at least two tokens");
  expect("run test.epi --ids 1 --memory-pool-size 100", 5, "raise --memory-pool-size");
  std::string longPrompt = "run test.epi --ids 1";
  for (int i = 0; i < 256; ++i)
    longPrompt += ",1";
  expect(longPrompt, 5, "has 257 tokens, and the artifact was compiled for a context of 256");
  folder.write("text", "some text");
  expect("eval test.epi --text text", 3, "begin-of-sequence");
  expect("eval test.epi --text none", 3, "none");
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "m")) << "nothing is left half-written";
}

TEST_F(Epigraph, OutputThatCannotBeWritten) {
  const Outcome outcome = run(absl::StrCat("--version >/dev/null; (", EPIGRAPH_TOOL,
                                           " inspect test.epi --json >/dev/full)"));
  EXPECT_EQ(outcome.exitCode, 5);
  EXPECT_THAT(outcome.errors, testing::HasSubstr("cannot write all of standard output"));
}

TEST_F(Epigraph, BadPromptFiles) {
  for (const auto &[line, message] : std::vector<std::pair<std::string, std::string>>{
           {"{", "not a JSON object"},
           {"[1]", "not a JSON object"},
           {"{}", "either \"prompt\" or \"ids\""},
           {"{\"ids\": [1], \"prompt\": \"x\"}", "either"},
           {"{\"ids\": [1], \"tokens\": 3}", "\"tokens\" is not known"},
           {"{\"ids\": 1}", "expected a list"},
           {"{\"ids\": [1.5]}", "expected an integer"},
           {"{\"ids\": [4294967296]}", "out of range"},
           {"{\"ids\": [-1]}", "-1 is out of range"},
           {"{\"ids\": [1], \"max_tokens\": \"x\"}", "max_tokens"},
           {"{\"prompt\": 5}", "expected a string"}}) {
    folder.write("prompts.jsonl", "{\"ids\": [1]}\n" + line + "\n");
    const Outcome outcome = run("run test.epi --prompts prompts.jsonl");
    EXPECT_EQ(outcome.exitCode, 3) << line;
    EXPECT_THAT(outcome.errors, testing::HasSubstr("prompts.jsonl, line 2: "));
    EXPECT_THAT(outcome.errors, testing::HasSubstr(message));
  }
}

TEST_F(Epigraph, TunesOnlyProjections) {
  const auto errorsOf = [&](const std::string &kernels) {
    std::filesystem::create_directories(folder.path() / "kernels");
    folder.write("kernels/kernels.json", kernels);
    const Outcome outcome = run("tune kernels -o times.csv");
    EXPECT_EQ(outcome.exitCode, 3) << outcome.errors;
    return outcome.errors;
  };
  EXPECT_THAT(errorsOf("{"), testing::HasSubstr("kernels.json"));
  EXPECT_THAT(errorsOf(R"({"workspace_bytes": 0, "kernels": [{"name": "k"}]})"),
              testing::HasSubstr("kernels[0].operands: missing"));
  const std::string head = R"({"workspace_bytes": 0, "kernels": [{"name": "k", "operands": [)";
  const std::string tail = R"(], "results": [], "form": null, "variants": []}]})";
  EXPECT_THAT(errorsOf(head + R"({"element": "i7", "shape": [-1, 8]})" + tail),
              testing::HasSubstr("unknown type 'i7'"));
  EXPECT_THAT(errorsOf(head + R"({"element": "bf16", "shape": [8, -1]})" + tail),
              testing::HasSubstr("-1 for rows only as the first"));
  EXPECT_THAT(errorsOf(head + R"({"element": "bf16", "shape": [-1, 8]})" + tail),
              testing::HasSubstr("kernel 'k' is no projection"));
}

TEST_F(Epigraph, HandsOverToTheCompiler) {
  // A stand-in beside a copy of the program: it must get the arguments as they are.
  std::filesystem::copy_file(EPIGRAPH_TOOL, folder.path() / "epigraph");
  const Outcome missing = run("--version >/dev/null; PATH=/nonexistent ./epigraph compile model");
  EXPECT_EQ(missing.exitCode, 3);
  const std::filesystem::path compiler =
      folder.write("epigraph-compile", "#!/bin/sh\necho \"$#:$1:$2:$3\"\nexit 4\n");
  std::filesystem::permissions(compiler, std::filesystem::perms::owner_all);
  const Outcome outcome = run("--version >/dev/null; ./epigraph compile 'a b' --ep -1 >output");
  EXPECT_EQ(outcome.exitCode, 4);
  EXPECT_EQ(outcome.output, "3:a b:--ep:-1\n");
}

} // namespace
} // namespace epigraph
