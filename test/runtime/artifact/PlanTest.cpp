// Each refusal is the valid sample plan with one thing wrong.
#include "runtime/artifact/Plan.h"

#include <functional>

#include "runtime/artifact/PlanText.h"
#include "test/runtime/artifact/SamplePlan.h"
#include "test/runtime/base/TestFiles.h"

namespace epigraph {
namespace {

using plan::CollectiveKind;
using plan::DType;
using plan::Ref;
using plan::RefKind;
using plan::RowKind;
using plan::Rows;

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

TEST(PlanTest, AcceptsTheSample) {
  absl::StatusOr<Plan> parsed = Plan::parse(packPlan(samplePlan()), "f");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  Plan moved = std::move(*parsed);
  EXPECT_EQ(moved->ranks(), 2u);
  ASSERT_NE(moved.function("main"), nullptr);
  EXPECT_EQ(moved.function("main")->steps()->size(), 7u);
  EXPECT_EQ(moved.function("mtp"), nullptr);
  EXPECT_EQ(weightBytes(*moved->weights()->Get(0)), 32u * 16 * 2);
}

TEST(PlanTest, KnowsTheMostRows) {
  plan::PlanT sample = samplePlan();
  auto most = [&sample](RowKind kind, uint32_t factor) {
    std::vector<uint8_t> bytes = packPlan(sample);
    return maxRows(Rows(kind, 0, factor), *plan::GetPlan(bytes.data()));
  };
  EXPECT_EQ(most(RowKind::Static, 5), 5u);
  EXPECT_EQ(most(RowKind::Tokens, 2), 14u);
  EXPECT_EQ(most(RowKind::Outputs, 2), 6u);
  EXPECT_EQ(most(RowKind::LocalTokens, 2), 8u); // The larger share of 7 tokens on 2 ranks, twice.
  EXPECT_EQ(most(RowKind::FirstHalf, 2), 8u);
  EXPECT_EQ(most(RowKind::SecondHalf, 2), 6u);
  EXPECT_EQ(most(RowKind::LocalFirstHalf, 1), 2u);
  EXPECT_EQ(most(RowKind::LocalSecondHalf, 3), 6u);
  EXPECT_EQ(most(RowKind::Received, 1), std::nullopt);
  sample.attention = plan::Attention::Data;
  EXPECT_EQ(most(RowKind::LocalTokens, 2), 14u);
}

TEST(PlanTest, ReadsAFile) {
  TestFolder folder;
  std::vector<uint8_t> bytes = packPlan(samplePlan());
  std::filesystem::path path =
      folder.write("plan.fb", {reinterpret_cast<const char *>(bytes.data()), bytes.size()});
  EXPECT_TRUE(Plan::open(path).ok());
  expectError(Plan::open(folder.path() / "missing"), absl::StatusCode::kNotFound, "missing");
}

/// A stale corpus would make the fuzz target test nothing but the identifier. After a change of
/// plan.fbs, write it again from here.
TEST(PlanTest, IsTheSeedOfTheFuzzCorpus) {
  const std::pair<const char *, plan::PlanT (*)()> seeds[] = {{"sample", samplePlan},
                                                              {"device", sampleDevicePlan}};
  const std::filesystem::path corpus = EPIGRAPH_SOURCE_DIR "/test/fuzz/corpus/plan";
  for (const auto &[name, make] : seeds) {
    const std::vector<uint8_t> bytes = packPlan(make());
    if (const char *folder = std::getenv("EPIGRAPH_WRITE_PLAN_SEEDS"))
      std::ofstream(std::filesystem::path(folder) / name, std::ios::binary)
          << std::string(bytes.begin(), bytes.end());
    EXPECT_TRUE(contentOf(corpus / name) == std::string(bytes.begin(), bytes.end()))
        << "run with EPIGRAPH_WRITE_PLAN_SEEDS=test/fuzz/corpus/plan";
  }
}

TEST(PlanTest, RefusesOtherFiles) {
  std::vector<uint8_t> bytes = packPlan(samplePlan());
  expectError(Plan::parse({}, "f"), kInvalid, "f: not a plan");
  std::vector<uint8_t> other = bytes;
  other[4] = 'X';
  expectError(Plan::parse(other, "f"), kInvalid, "expected the FlatBuffer identifier \"EPGP\"");
}

TEST(PlanTest, RefusesEveryTruncation) {
  std::vector<uint8_t> bytes = packPlan(samplePlan());
  for (size_t size = 0; size < bytes.size(); size += 4)
    EXPECT_FALSE(Plan::parse(absl::MakeConstSpan(bytes).subspan(0, size), "f").ok()) << size;
}

TEST(PlanTest, RefusesAnotherVersion) {
  plan::PlanT sample = samplePlan();
  sample.version = 2;
  expectError(Plan::parse(packPlan(sample), "f"), absl::StatusCode::kFailedPrecondition,
              "reads version 1, found 2");
}

TEST(PlanTest, PrintsEverything) {
  std::string text = printPlan(Plan::parse(packPlan(samplePlan()), "f").value());
  for (const char *line : {
           "plan version 1: 2 ranks, replicated attention, arena 4096 bytes\n",
           "weight \"model.embed_tokens.weight\": 32x16xbf16, 1024 bytes, shared\n",
           "cache \"model.layers.0\": 8xf32 a token\n",
           "placement 0: owner of each expert 0 0 1 1\n",
           "  input ids: tokens x 1 x i32\n",
           "  %4: local_tokens*2 x 16 x f32 at ",
           "  cpu_bf16_linear_0(ids, \"model.embed_tokens.weight\", cache \"model.layers.0\", %0) "
           "rows tokens, tiles rows/4 x 2  // model.embed_tokens\n",
           "  %1 = ShardRows(%0)  // mlp\n",
           "  %3, %7 = ScatterExperts(%1, counts %2, placement 0, exchange 0)  // mlp\n",
           "  cpu_bf16_linear_0(%3, %3) rows received(0), tiles 1  // mlp.experts\n",
           "  %4 = GatherExperts(%3, counts %2, placement 0, exchange 0)  // mlp\n",
           "  output logits = %8\n",
       })
    EXPECT_THAT(text, testing::HasSubstr(line));
}

struct Refusal {
  std::function<void(plan::PlanT &)> change;
  std::string message;
};

void expectRefusals(const std::vector<Refusal> &refusals) {
  for (const Refusal &refusal : refusals) {
    SCOPED_TRACE(refusal.message);
    plan::PlanT sample = samplePlan();
    refusal.change(sample);
    expectError(Plan::parse(packPlan(sample), "f"), kInvalid, refusal.message);
  }
}

plan::FunctionT &mainOf(plan::PlanT &plan) { return *plan.functions[0]; }
plan::BufferT &buffer(plan::PlanT &plan, size_t index) { return *mainOf(plan).buffers[index]; }
template <typename T> T &op(plan::PlanT &plan, size_t step) {
  return *static_cast<T *>(mainOf(plan).steps[step]->op.value);
}
plan::LaunchT &launch(plan::PlanT &plan) { return op<plan::LaunchT>(plan, 0); }
plan::CollectiveT &shard(plan::PlanT &plan) { return op<plan::CollectiveT>(plan, 1); }
plan::ScatterExpertsT &scatter(plan::PlanT &plan) { return op<plan::ScatterExpertsT>(plan, 2); }
plan::GatherExpertsT &gather(plan::PlanT &plan) { return op<plan::GatherExpertsT>(plan, 4); }
plan::CollectiveT &reduce(plan::PlanT &plan) { return op<plan::CollectiveT>(plan, 6); }
std::unique_ptr<Ref> ref(RefKind kind, uint32_t index) {
  return std::make_unique<Ref>(kind, index);
}
std::unique_ptr<Rows> rows(RowKind kind, uint16_t id, uint32_t factor) {
  return std::make_unique<Rows>(kind, id, factor);
}

TEST(PlanRefusalTest, Head) {
  expectRefusals({
      {[](auto &p) { p.ranks = 0; }, "ranks: expected 1 to 65535, found 0"},
      {[](auto &p) { p.ranks = 65536; }, "ranks: expected 1 to 65535"},
      {[](auto &p) { p.tensor = 0; }, "tensor: expected a divisor of the 2 ranks, found 0"},
      {[](auto &p) { p.tensor = 4; }, "tensor: expected a divisor of the 2 ranks, found 4"},
      {[](auto &p) { p.attention = plan::Attention(9); }, "attention: unknown value 9"},
      {[](auto &p) { p.limits->batch_tokens = 0; }, "limits.batch_tokens"},
      {[](auto &p) { p.limits->sequences = 0; }, "limits.sequences"},
      {[](auto &p) { p.limits->context = 1u << 31; }, "limits.context"},
      {[](auto &p) { p.limits->page_tokens = 32; }, "limits.page_tokens"},
      {[](auto &p) { mainOf(p).name = "start"; }, "no function \"main\""},
  });
}

TEST(PlanRefusalTest, Tables) {
  expectRefusals({
      {[](auto &p) { p.kernels[0]->symbol = ""; }, "kernels[0].symbol: expected a C identifier"},
      {[](auto &p) { p.kernels[0]->symbol = "1a"; }, "expected a C identifier"},
      {[](auto &p) { p.kernels[0]->symbol = "a-b"; }, "expected a C identifier"},
      {[](auto &p) { p.kernels.push_back(std::make_unique<plan::KernelT>(*p.kernels[0])); },
       "kernels[1].symbol: \"cpu_bf16_linear_0\" is there twice"},
      {[](auto &p) { p.weights.push_back(std::make_unique<plan::WeightT>(*p.weights[0])); },
       "weights[1].name: \"model.embed_tokens.weight\" is there twice"},
      {[](auto &p) { p.weights[0]->name = "a\n"; }, "weights[0].name"},
      {[](auto &p) { p.weights[0]->dtype = DType(4); }, "weights[0].dtype: unknown value 4"},
      {[](auto &p) { p.weights[0]->shape = {uint64_t{1} << 40, uint64_t{1} << 40}; },
       "weights[0] (model.embed_tokens.weight).shape"},
      {[](auto &p) { p.weights[0]->shape = {0}; }, ".shape: expected sizes of at least 1"},
      {[](auto &p) { p.caches.push_back(std::make_unique<plan::CacheT>(*p.caches[0])); },
       "caches[1].name"},
      {[](auto &p) { p.caches[0]->dtype = DType(7); }, "caches[0].dtype"},
      {[](auto &p) { p.caches[0]->entry_elements = 0; }, "caches[0].entry_elements"},
      {[](auto &p) { p.placements[0]->owner[2] = 2; }, "placements[0].owner[2]: rank 2"},
      {[](auto &p) { p.placements[0]->owner.clear(); }, "placements[0].owner: no experts"},
      {[](auto &p) {
         p.functions.push_back(std::make_unique<plan::FunctionT>());
         p.functions[1]->name = "main";
       },
       "functions[1].name: \"main\" is there twice"},
  });
}

TEST(PlanRefusalTest, MisalignedShapes) {
  std::vector<uint8_t> bytes = packPlan(samplePlan());
  const plan::Weight *weight = plan::GetPlan(bytes.data())->weights()->Get(0);
  auto *table = reinterpret_cast<flatbuffers::Table *>(const_cast<plan::Weight *>(weight));
  uint8_t *offset = table->GetAddressOf(plan::Weight::VT_SHAPE);
  flatbuffers::WriteScalar(offset, flatbuffers::ReadScalar<flatbuffers::uoffset_t>(offset) + 4);
  expectError(Plan::parse(bytes, "f"), kInvalid, "weights[0].shape: not aligned");
}

TEST(PlanRefusalTest, InputsAndOutputs) {
  expectRefusals({
      {[](auto &p) { mainOf(p).inputs[0]->name = ""; }, "functions[0] (main).inputs[0].name"},
      {[](auto &p) { mainOf(p).inputs[0]->dtype = DType(4); }, "inputs[0].dtype"},
      {[](auto &p) { mainOf(p).inputs[0]->row_elements = 0; }, "inputs[0].row_elements"},
      {[](auto &p) {
         mainOf(p).inputs.push_back(std::make_unique<plan::InputT>(*mainOf(p).inputs[0]));
       },
       "inputs[1].name: \"ids\" is there twice"},
      {[](auto &p) { mainOf(p).outputs[0]->source.reset(); }, "outputs[0].source: missing"},
      {[](auto &p) { mainOf(p).outputs[0]->source = ref(RefKind::Input, 0); },
       "outputs[0].source: expected a Buffer, found Input"},
      {[](auto &p) { mainOf(p).outputs[0]->source = ref(RefKind::Buffer, 9); },
       "Buffer 9 does not exist; there are 9"},
      {[](auto &p) { mainOf(p).outputs[0]->name = ""; }, "outputs[0].name"},
  });
}

TEST(PlanRefusalTest, Buffers) {
  expectRefusals({
      {[](auto &p) { buffer(p, 1).offset += 32; }, "buffers[1].offset"},
      {[](auto &p) { p.arena_bytes = buffer(p, 8).offset; }, "is outside the arena"},
      {[](auto &p) { buffer(p, 8).offset = ~uint64_t{63}; }, "is outside the arena"},
      {[](auto &p) { buffer(p, 0).bytes -= 1; }, "buffers[0].bytes: 447 cannot hold 7 rows of 64"},
      {[](auto &p) { buffer(p, 1).bytes = 3 * 64; }, "cannot hold 4 rows"},
      {[](auto &p) { buffer(p, 3).bytes = 63; }, "buffers[3].bytes: 63 cannot hold 1 rows"},
      {[](auto &p) { buffer(p, 8).bytes = 2 * 64; }, "buffers[8].bytes: 128 cannot hold 3 rows"},
      {[](auto &p) { p.attention = plan::Attention::Data; }, "cannot hold 7 rows of 64"},
      {[](auto &p) {
         buffer(p, 0).rows = rows(RowKind::Tokens, 0, ~0u);
         buffer(p, 0).row_elements = ~0u;
       },
       "buffers[0].bytes"},
      {[](auto &p) { buffer(p, 0).dtype = DType(4); }, "buffers[0].dtype"},
      {[](auto &p) { buffer(p, 0).row_elements = 0; }, "buffers[0].row_elements"},
      {[](auto &p) { buffer(p, 0).rows.reset(); }, "buffers[0].rows: missing"},
      {[](auto &p) { buffer(p, 0).rows = rows(RowKind(9), 0, 1); }, "rows.kind: unknown value 9"},
      {[](auto &p) { buffer(p, 0).rows = rows(RowKind::Tokens, 0, 0); }, "rows.factor"},
      {[](auto &p) { buffer(p, 0).rows = rows(RowKind::Received, 1, 1); },
       "no step scatters exchange 1"},
  });
}

TEST(PlanRefusalTest, Launches) {
  expectRefusals({
      {[](auto &p) { mainOf(p).steps[1]->location = "a\nb"; }, "steps[1].location: expected text"},
      {[](auto &p) { launch(p).kernel = 1; },
       "functions[0] (main).steps[0] (model.embed_tokens).kernel: 1 does not exist"},
      {[](auto &p) { launch(p).args[1] = Ref(RefKind::Weight, 1); }, "args[1]: Weight 1"},
      {[](auto &p) { launch(p).args[2] = Ref(RefKind::Cache, 1); }, "args[2]: Cache 1"},
      {[](auto &p) { launch(p).args[0] = Ref(RefKind::Input, 1); }, "args[0]: Input 1"},
      {[](auto &p) { launch(p).args[0] = Ref(RefKind(4), 0); }, "args[0].kind: unknown value 4"},
      {[](auto &p) { launch(p).args[0] = Ref(RefKind::Buffer, 3); },
       "args[0]: uses rows of exchange 0 before it is scattered"},
      {[](auto &p) { launch(p).rows = rows(RowKind::Received, 0, 1); },
       "rows: uses rows of exchange 0 before it is scattered"},
      {[](auto &p) { launch(p).rows.reset(); }, ".rows: missing"},
      {[](auto &p) { launch(p).column_tiles = 0; }, "column_tiles: expected at least 1"},
      {[](auto &p) {
         launch(p).rows = rows(RowKind::Tokens, 0, ~0u);
         launch(p).row_tile = 1;
         launch(p).column_tiles = ~0u;
       },
       "tiles overflow"},
  });
}

TEST(PlanRefusalTest, UnknownSteps) {
  // The builder cannot write one, so that the byte that names the kind is changed afterwards.
  for (uint8_t kind : {0, 9}) {
    std::vector<uint8_t> bytes = packPlan(samplePlan());
    const plan::Step *step = plan::GetPlan(bytes.data())->functions()->Get(0)->steps()->Get(0);
    auto *table = reinterpret_cast<flatbuffers::Table *>(const_cast<plan::Step *>(step));
    ASSERT_TRUE(table->SetField<uint8_t>(plan::Step::VT_OP_TYPE, kind, 0xff));
    expectError(Plan::parse(bytes, "f"), kInvalid, "unknown kind of step " + std::to_string(kind));
  }
}

TEST(PlanRefusalTest, Collectives) {
  expectRefusals({
      {[](auto &p) { shard(p).kind = CollectiveKind(6); }, "kind: unknown value 6"},
      {[](auto &p) { shard(p).source.reset(); }, "steps[1] (mlp).source: missing"},
      {[](auto &p) { shard(p).result.reset(); }, "steps[1] (mlp).result: missing"},
      {[](auto &p) { shard(p).result = ref(RefKind::Cache, 0); }, "expected a Buffer, found Cache"},
      {[](auto &p) { shard(p).source = ref(RefKind::Weight, 0); },
       "source: expected a Buffer, found Weight"},
      {[](auto &p) { shard(p).result = ref(RefKind::Buffer, 8); },
       "rows of 16 elements gives rows of 16, found 32"},
      {[](auto &p) { shard(p).source = ref(RefKind::Input, 0); },
       "rows of 1 elements gives rows of 1, found 16"},
      {[](auto &p) { shard(p).result = ref(RefKind::Buffer, 4); }, "differ in dtype or factor"},
      {[](auto &p) { shard(p).axis = plan::Axis(2); }, ".axis: unknown value 2"},
      {[](auto &p) { shard(p).axis = plan::Axis::Tensor; },
       "along Tensor, but the shares of rows are along axis 0"},
      {[](auto &p) { reduce(p).kind = plan::CollectiveKind::GatherColumns; },
       "GatherColumns over 2 ranks of rows of 16 elements gives rows of 32, found 16"},
      {[](auto &p) { reduce(p).kind = plan::CollectiveKind::ShardColumns; },
       "ShardColumns over 2 ranks of rows of 16 elements gives rows of 8, found 16"},
      {[](auto &p) { p.tensor = 2; }, "placements[0].owner[2]: rank 1 does not exist"},
      {[](auto &p) { shard(p).kind = CollectiveKind::AllGatherRows; },
       "AllGatherRows of rows Tokens to LocalTokens; expected LocalTokens to Tokens"},
      {[](auto &p) { shard(p).result = ref(RefKind::Buffer, 6); },
       "ShardRows of rows Tokens to Tokens; expected Tokens to LocalTokens"},
      {[](auto &p) { reduce(p).result = ref(RefKind::Buffer, 1); },
       "AllReduce of rows Tokens to LocalTokens"},
      {[](auto &p) {
         reduce(p).source = ref(RefKind::Buffer, 3);
         reduce(p).result = ref(RefKind::Buffer, 3);
       },
       "different numbers of rows"},
      {[](auto &p) {
         p.attention = plan::Attention::Data;
         for (auto &b : mainOf(p).buffers)
           b = std::make_unique<plan::BufferT>(*b), b->bytes *= 2;
         p.arena_bytes *= 4;
       },
       "needs replicated attention"},
  });
}

TEST(PlanRefusalTest, Exchanges) {
  expectRefusals({
      {[](auto &p) { scatter(p).placement = 1; }, "placement: 1 does not exist"},
      {[](auto &p) { scatter(p).counts.reset(); }, "counts: missing"},
      {[](auto &p) { scatter(p).counts = ref(RefKind::Buffer, 7); },
       "counts: has 2 elements; expected 4"},
      {[](auto &p) { scatter(p).counts = ref(RefKind::Buffer, 0); }, "expected Static rows of I32"},
      {[](auto &p) { p.placements[0]->owner = {0, 0, 0, 1}; },
       "result_counts: has 2 elements; expected at least 3"},
      {[](auto &p) { scatter(p).rows = ref(RefKind::Buffer, 8); }, "differ in dtype"},
      {[](auto &p) { scatter(p).result = ref(RefKind::Buffer, 4); },
       "result: expected rows Received(0)"},
      {[](auto &p) { scatter(p).exchange = 1; }, "no step scatters exchange 0"},
      {[](auto &p) {
         mainOf(p).steps.push_back(std::make_unique<plan::StepT>(*mainOf(p).steps[2]));
       },
       "exchange 0 is scattered twice"},
      {[](auto &p) { gather(p).exchange = 3; }, "3 is gathered before it is scattered"},
      {[](auto &p) {
         p.placements.push_back(std::make_unique<plan::PlacementT>(*p.placements[0]));
         gather(p).placement = 1;
       },
       "scattered by placement 0, found 1"},
      {[](auto &p) { gather(p).rows = ref(RefKind::Buffer, 4); },
       "rows: expected rows Received(0)"},
      {[](auto &p) { gather(p).result = ref(RefKind::Buffer, 8); }, "differ in dtype"},
      {[](auto &p) { gather(p).counts = ref(RefKind::Buffer, 7); }, "counts: has 2 elements"},
      {[](auto &p) { std::swap(mainOf(p).steps[2], mainOf(p).steps[4]); },
       "gathered before it is scattered"},
  });
}

/// Makes steps `first` and `second` only start, and waits for them before step `wait`.
void startAndWait(plan::PlanT &plan, std::initializer_list<size_t> started, size_t wait,
                  uint32_t until) {
  for (size_t step : started)
    if (mainOf(plan).steps[step]->op.type == plan::Op::Collective)
      op<plan::CollectiveT>(plan, step).starts = true;
    else if (step == 2)
      scatter(plan).starts = true;
    else
      gather(plan).starts = true;
  auto added = std::make_unique<plan::StepT>();
  plan::WaitT what;
  what.until = until;
  added->op.Set(what);
  added->location = "mlp";
  auto &steps = mainOf(plan).steps;
  steps.insert(steps.begin() + static_cast<ptrdiff_t>(wait), std::move(added));
}

TEST(PlanTest, AcceptsWaits) {
  plan::PlanT sample = samplePlan();
  startAndWait(sample, {4, 5}, 6, 5); // buffers 4 and 6
  startAndWait(sample, {2}, 3, 2);
  mainOf(sample).steps[7]->op.AsWait()->until = 6; // counted before the wait in front of it
  const absl::StatusOr<Plan> parsed = Plan::parse(packPlan(sample), "f");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  const std::string text = printPlan(*parsed);
  for (const char *line :
       {"  step 2: start %3, %7 = ScatterExperts(", "  Wait(until step 2)  // mlp",
        "  step 5: start %4 = GatherExperts(", "  Wait(until step 6)  // mlp"})
    EXPECT_THAT(text, testing::HasSubstr(line));
}

TEST(PlanRefusalTest, Waits) {
  expectRefusals({
      {[](auto &p) { shard(p).starts = true; }, "steps[1] (mlp).starts: ShardRows moves nothing"},
      {[](auto &p) { reduce(p).starts = true; }, "ends before a Wait for steps[6]"},
      {[](auto &p) { startAndWait(p, {}, 3, 2); }, "until: steps[2] is not under way here"},
      {[](auto &p) { startAndWait(p, {2}, 3, 7); }, "until: steps[7] is not under way here"},
      {[](auto &p) {
         startAndWait(p, {2}, 3, 2);
         startAndWait(p, {}, 4, 2);
       },
       "steps[4] (mlp).until: steps[2] is not under way here"},
      {[](auto &p) {
         mainOf(p).steps[3]->op.AsLaunch()->args = {Ref(RefKind::Buffer, 0)};
         startAndWait(p, {2}, 4, 2);
       },
       "needs the number of rows of exchange 0, which is under way"},
      {[](auto &p) { startAndWait(p, {2}, 4, 2); },
       "reads buffer 3 of steps[2], which is under way: a Wait is missing"},
      {[](auto &p) {
         startAndWait(p, {5}, 6, 5);
         auto late = std::move(mainOf(p).steps[6]);
         mainOf(p).steps.erase(mainOf(p).steps.begin() + 6);
         mainOf(p).steps.push_back(std::move(late));
       },
       "reads buffer 6 of steps[5], which is under way"},
      {[](auto &p) {
         buffer(p, 6).offset = buffer(p, 4).offset; // of the gather
         startAndWait(p, {4}, 7, 4);
       },
       "steps[5] (mlp): overwrites buffer 4 of steps[4], which is under way"},
      {[](auto &p) {
         buffer(p, 6).offset = buffer(p, 3).offset; // what the gather reads
         startAndWait(p, {4}, 7, 4);
       },
       "steps[5] (mlp): overwrites buffer 3 of steps[4], which is under way"},
  });
}

} // namespace
} // namespace epigraph
