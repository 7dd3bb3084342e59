#include "codegen/cuda/Hopper.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

/// "$4,$5,$6" for first 4 and count 3.
std::string operandNames(int64_t first, int64_t count) {
  std::string names;
  for (int64_t i = 0; i < count; ++i)
    names += (i ? ",$" : "$") + std::to_string(first + i);
  return names;
}

std::string repeat(llvm::StringRef text, int64_t count) {
  std::string all;
  for (int64_t i = 0; i < count; ++i)
    all += text;
  return all;
}

/// "0,1,2,": operands that share the registers of the first results.
std::string tiedConstraints(int64_t count) {
  std::string all;
  for (int64_t i = 0; i < count; ++i)
    all += std::to_string(i) + ",";
  return all;
}

SmallVector<Type> repeated(Type type, size_t count) { return SmallVector<Type>(count, type); }

/// The last operands of wgmma after the scale of D: scales of A and B, and, of bf16, whether each
/// operand in shared memory is transposed.
enum class OperandA { Shared, Registers };

std::string wgmmaCode(int64_t columns, MatrixType type, OperandA a, const std::string &operands,
                      const std::string &scaleD, bool transposedB) {
  const bool isBf16 = type == MatrixType::BF16;
  std::string code = "wgmma.mma_async.sync.aligned.m64n" + std::to_string(columns) +
                     (isBf16 ? "k16.f32.bf16.bf16 {" : "k32.f32.e4m3.e4m3 {") +
                     operandNames(0, columns / 2) + "}, " + operands + ", " + scaleD + ", 1, 1";
  if (isBf16 && a == OperandA::Shared)
    code += ", 0";
  if (isBf16)
    code += transposedB ? ", 1" : ", 0";
  return code + ";";
}

/// Runs `code` with the accumulator's registers as tied operands 0..n-1 and n..2n-1, then `more`.
void runProduct(Accumulator &acc, const std::string &code, const std::string &moreConstraints,
                ArrayRef<Val> more) {
  Emitter &e = acc.registers[0].owner();
  const auto count = static_cast<int64_t>(acc.registers.size());
  Vals operands = acc.registers;
  operands.append(more.begin(), more.end());
  acc.registers = e.ptx(repeated(e.f32(), acc.registers.size()), code,
                        repeat("=f,", count) + tiedConstraints(count) + moreConstraints, operands);
}

Val clusterPointer(Val pointer) {
  Emitter &e = pointer.owner();
  return e.wrap(LLVM::AddrSpaceCastOp::create(e.builder(), e.pointer(kSharedCluster), pointer));
}

} // namespace

void initBarrier(Val barrier, int64_t arrivals) {
  Emitter &e = barrier.owner();
  e.ptx({}, "mbarrier.init.shared::cta.b64 [$0], $1;", "r,r,~{memory}",
        {e.sharedAddress(barrier), e.i32(arrivals)});
}

void fenceBarrierInit(Emitter &e) {
  e.ptx({}, "fence.mbarrier_init.release.cluster;", "~{memory}", {});
}

void expectBytes(Val barrier, Val bytes) {
  Emitter &e = barrier.owner();
  e.ptx({}, "mbarrier.arrive.expect_tx.shared::cta.b64 _, [$0], $1;", "r,r,~{memory}",
        {e.sharedAddress(barrier), bytes});
}

void arrive(Val barrier) {
  Emitter &e = barrier.owner();
  e.ptx({}, "mbarrier.arrive.shared::cta.b64 _, [$0];", "r,~{memory}", e.sharedAddress(barrier));
}

void arriveAtCluster(Val barrier, Val rank) {
  Emitter &e = barrier.owner();
  e.ptx({},
        "{ .reg .b32 remote; mapa.shared::cluster.u32 remote, $0, $1; "
        "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [remote]; }",
        "r,r,~{memory}", {e.sharedAddress(barrier), rank});
}

void wait(Val barrier, Val parity) {
  Emitter &e = barrier.owner();
  // Labels are local to the braces.
  e.ptx({},
        "{ .reg .pred done; retry: "
        "mbarrier.try_wait.parity.shared::cta.b64 done, [$0], $1, 0x989680; "
        "@!done bra retry; }",
        "r,r,~{memory}", {e.sharedAddress(barrier), parity});
}

RingPlace nextPlace(RingPlace place, int64_t stages) {
  Emitter &e = place.stage.owner();
  Val next = place.stage + 1;
  Val wraps = next == stages;
  return {e.select(wraps, e.i32(0), next), e.select(wraps, place.parity ^ 1, place.parity)};
}

void copyBoxIn(Val target, Val map, ArrayRef<Val> coordinates, Val barrier, Val blocks,
               Val policy) {
  Emitter &e = target.owner();
  SmallVector<Value> at(coordinates.begin(), coordinates.end());
  NVVM::CpAsyncBulkTensorGlobalToSharedClusterOp::create(
      e.builder(), clusterPointer(target), map, at, barrier, /*im2colOffsets=*/ValueRange{}, blocks,
      policy, NVVM::TMALoadMode::TILE, /*isCTAOnly=*/false, NVVM::CTAGroupKindAttr(),
      /*predicate=*/Value());
}

Val evictFirst(Emitter &e) {
  return e.ptx({e.i64()}, "createpolicy.fractional.L2::evict_first.b64 $0;", "=l", {})[0];
}

void prefetchBox(Val map, ArrayRef<Val> coordinates) {
  const auto rank = static_cast<int64_t>(coordinates.size());
  Vals operands{map};
  operands.append(coordinates.begin(), coordinates.end());
  map.owner().ptx({},
                  "cp.async.bulk.prefetch.tensor." + std::to_string(rank) +
                      "d.L2.global.tile [$0, {" + operandNames(1, rank) + "}];",
                  "l" + repeat(",r", rank) + ",~{memory}", operands);
}

void copyBoxOut(Val map, Val source, ArrayRef<Val> coordinates) {
  Emitter &e = source.owner();
  SmallVector<Value> at(coordinates.begin(), coordinates.end());
  NVVM::CpAsyncBulkTensorSharedCTAToGlobalOp::create(e.builder(), map, source, at,
                                                     /*l2CacheHint=*/Value(),
                                                     NVVM::TMAStoreMode::TILE,
                                                     /*predicate=*/Value());
}

void commitCopies(Emitter &e) { e.ptx({}, "cp.async.bulk.commit_group;", "~{memory}", {}); }

void waitForCopies(Emitter &e, int64_t pending, bool readOnly) {
  std::string code = std::string("cp.async.bulk.wait_group") + (readOnly ? ".read " : " ") +
                     std::to_string(pending) + ";";
  e.ptx({}, code, "~{memory}", {});
}

void prefetchMap(Val map) { map.owner().ptx({}, "prefetch.tensormap [$0];", "l,~{memory}", map); }

void fenceAsyncShared(Emitter &e) { e.ptx({}, "fence.proxy.async.shared::cta;", "~{memory}", {}); }

Val clusterRank(Emitter &e) { return e.wrap(NVVM::ClusterId::create(e.builder(), e.i32())); }

void clusterSync(Emitter &e) {
  e.ptx({}, "barrier.cluster.arrive.aligned; barrier.cluster.wait.aligned;", "~{memory}", {});
}

void clusterMeet(Emitter &e) {
  e.ptx({}, "barrier.cluster.arrive.relaxed.aligned; barrier.cluster.wait.aligned;", "~{memory}",
        {});
}

Val inCluster(Val pointer, Val rank) {
  Emitter &e = pointer.owner();
  return e.wrap(NVVM::MapaOp::create(e.builder(), e.pointer(kSharedCluster), pointer, rank));
}

Val descriptor(Val address) {
  Emitter &e = address.owner();
  constexpr int64_t kLayout = (1LL << 16) | (64LL << 32) | (1LL << 62);
  return e.toI64((address & 0x3FFFF) >> 4) | kLayout;
}

Val descriptorTransposed(Val address, int64_t stride) {
  Emitter &e = address.owner();
  const int64_t layout = ((stride / 16) << 16) | (64LL << 32) | (1LL << 62);
  return e.toI64((address & 0x3FFFF) >> 4) | layout;
}

Accumulator undefinedAccumulator(Emitter &e, int64_t columns) {
  Accumulator acc;
  for (int64_t i = 0; i < columns / 2; ++i)
    acc.registers.push_back(e.undefined(e.f32()));
  return acc;
}

void multiply(Accumulator &acc, Val a, Val b, MatrixType type, bool accumulate) {
  const int64_t n = acc.columns();
  runProduct(acc,
             wgmmaCode(n, type, OperandA::Shared, operandNames(n, 2), accumulate ? "1" : "0",
                       /*transposedB=*/false),
             "l,l", {a, b});
}

void multiply(Accumulator &acc, Val a, Val b, MatrixType type, Val accumulate) {
  const int64_t n = acc.columns();
  std::string code = "{ .reg .pred add; setp.ne.b32 add, " + operandNames(n + 2, 1) + ", 0; " +
                     wgmmaCode(n, type, OperandA::Shared, operandNames(n, 2), "add",
                               /*transposedB=*/false) +
                     " }";
  runProduct(acc, code, "l,l,r", {a, b, accumulate});
}

void multiplyRegisters(Accumulator &acc, ArrayRef<Val> a, Val b, bool accumulate,
                       bool transposedB) {
  const int64_t n = acc.columns();
  std::string operands = "{" + operandNames(n, 4) + "}, " + operandNames(n + 4, 1);
  Vals more(a.begin(), a.end());
  more.push_back(b);
  runProduct(acc,
             wgmmaCode(n, MatrixType::BF16, OperandA::Registers, operands, accumulate ? "1" : "0",
                       transposedB),
             "r,r,r,r,l", more);
}

void fenceProducts(Emitter &e) { e.ptx({}, "wgmma.fence.sync.aligned;", "~{memory}", {}); }
void commitProducts(Emitter &e) { e.ptx({}, "wgmma.commit_group.sync.aligned;", "~{memory}", {}); }

void waitForProducts(Emitter &e, int64_t pending) {
  e.ptx({}, "wgmma.wait_group.sync.aligned " + std::to_string(pending) + ";", "~{memory}", {});
}

void pin(Accumulator &acc) {
  Emitter &e = acc.registers[0].owner();
  const auto count = static_cast<int64_t>(acc.registers.size());
  std::string constraints = repeat("=f,", count) + tiedConstraints(count);
  constraints.pop_back();
  acc.registers = e.ptx(repeated(e.f32(), acc.registers.size()), "", constraints, acc.registers);
}

void raiseRegisters(Emitter &e, int64_t count) {
  e.ptx({}, "setmaxnreg.inc.sync.aligned.u32 " + std::to_string(count) + ";", "", {});
}

void lowerRegisters(Emitter &e, int64_t count) {
  e.ptx({}, "setmaxnreg.dec.sync.aligned.u32 " + std::to_string(count) + ";", "", {});
}

static Vals warpProduct(ArrayRef<Val> acc, ArrayRef<Val> a, ArrayRef<Val> b, StringRef shape) {
  Emitter &e = acc[0].owner();
  Vals operands(acc.begin(), acc.end());
  operands.append(a.begin(), a.end());
  operands.append(b.begin(), b.end());
  std::string code = ("mma.sync.aligned." + shape +
                      " {$0,$1,$2,$3}, {$8,$9,$10,$11}, {$12,$13}, "
                      "{$0,$1,$2,$3};")
                         .str();
  return e.ptx(repeated(e.f32(), 4), code, "=f,=f,=f,=f,0,1,2,3,r,r,r,r,r,r", operands,
               /*effects=*/false);
}

Vals multiplyWarp(ArrayRef<Val> acc, ArrayRef<Val> a, ArrayRef<Val> b) {
  return warpProduct(acc, a, b, "m16n8k16.row.col.f32.bf16.bf16.f32");
}

Vals multiplyWarpE4m3(ArrayRef<Val> acc, ArrayRef<Val> a, ArrayRef<Val> b) {
  return warpProduct(acc, a, b, "m16n8k32.row.col.f32.e4m3.e4m3.f32");
}

Vals loadMatrices(Val address, bool transposed) {
  Emitter &e = address.owner();
  std::string code = std::string("ldmatrix.sync.aligned.m8n8.x4") + (transposed ? ".trans" : "") +
                     ".shared.b16 {$0,$1,$2,$3}, [$4];";
  return e.ptx(repeated(e.i32(), 4), code, "=r,=r,=r,=r,r,~{memory}", e.sharedAddress(address));
}

void storeMatrices(Val address, ArrayRef<Val> registers, bool transposed) {
  Emitter &e = address.owner();
  Vals operands{e.sharedAddress(address)};
  operands.append(registers.begin(), registers.end());
  std::string code = std::string("stmatrix.sync.aligned.m8n8.x4") + (transposed ? ".trans" : "") +
                     ".shared.b16 [$0], {$1,$2,$3,$4};";
  e.ptx({}, code, "r,r,r,r,r,~{memory}", operands);
}

void copyAsync16(Val target, Val source, Val valid) {
  Emitter &e = target.owner();
  Val bytes = e.select(valid, e.i32(16), e.i32(0));
  e.ptx({}, "cp.async.cg.shared.global [$0], [$1], 16, $2;", "r,l,r,~{memory}",
        {e.sharedAddress(target), source, bytes});
}

void commitAsync(Emitter &e) { e.ptx({}, "cp.async.commit_group;", "~{memory}", {}); }

void waitForAsync(Emitter &e, int64_t pending) {
  e.ptx({}, "cp.async.wait_group " + std::to_string(pending) + ";", "~{memory}", {});
}

} // namespace epigraph::cuda
