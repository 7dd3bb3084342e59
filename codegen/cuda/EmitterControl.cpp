// Loops, branches, threads and warps of Emitter.
#include "codegen/cuda/Emitter.h"

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

/// All lanes of a warp.
constexpr int64_t kAllLanes = -1;

SmallVector<Value> valuesOf(ArrayRef<Val> vals) { return {vals.begin(), vals.end()}; }

Val shuffle(Emitter &e, Val x, Val by, NVVM::ShflKind kind, int64_t clamp) {
  return e.wrap(NVVM::ShflOp::create(e.builder(), x.type(), e.i32(kAllLanes), x, by, e.i32(clamp),
                                     kind, UnitAttr()));
}

} // namespace

template <typename Body> auto Emitter::within(OpBuilder &builder, Location loc, Body body) {
  ImplicitLocOpBuilder inner(loc, builder);
  ImplicitLocOpBuilder *outer = std::exchange(b, &inner);
  if constexpr (std::is_void_v<decltype(body())>) {
    body();
    b = outer;
  } else {
    auto result = body();
    b = outer;
    return result;
  }
}

Vals Emitter::forLoop(Val lower, Val upper, Val step, ArrayRef<Val> initial,
                      llvm::function_ref<Vals(Val, ArrayRef<Val>)> body) {
  auto loop =
      scf::ForOp::create(*b, lower, upper, step, valuesOf(initial),
                         [&](OpBuilder &builder, Location loc, Value index, ValueRange carried) {
                           within(builder, loc, [&] {
                             Vals arguments =
                                 llvm::map_to_vector(carried, [&](Value v) { return wrap(v); });
                             scf::YieldOp::create(*b, valuesOf(body(wrap(index), arguments)));
                           });
                         });
  return llvm::map_to_vector(loop.getResults(), [&](Value v) { return wrap(v); });
}

void Emitter::forEach(Val lower, Val upper, Val step, llvm::function_ref<void(Val)> body) {
  forLoop(lower, upper, step, {}, [&](Val index, ArrayRef<Val>) {
    body(index);
    return Vals();
  });
}

Vals Emitter::whileLoop(ArrayRef<Val> initial, llvm::function_ref<Val(ArrayRef<Val>)> condition,
                        llvm::function_ref<Vals(ArrayRef<Val>)> body) {
  SmallVector<Value> values = valuesOf(initial);
  auto wrapAll = [&](ValueRange carried) {
    return llvm::map_to_vector(carried, [&](Value v) { return wrap(v); });
  };
  auto loop = scf::WhileOp::create(
      *b, TypeRange(ValueRange(values)), values,
      [&](OpBuilder &builder, Location loc, ValueRange carried) {
        within(builder, loc,
               [&] { scf::ConditionOp::create(*b, condition(Vals(wrapAll(carried))), carried); });
      },
      [&](OpBuilder &builder, Location loc, ValueRange carried) {
        within(builder, loc,
               [&] { scf::YieldOp::create(*b, valuesOf(body(Vals(wrapAll(carried))))); });
      });
  return wrapAll(loop.getResults());
}

void Emitter::ifThen(Val condition, llvm::function_ref<void()> then) {
  scf::IfOp::create(*b, condition, [&](OpBuilder &builder, Location loc) {
    within(builder, loc, [&] {
      then();
      scf::YieldOp::create(*b);
    });
  });
}

void Emitter::ifElse(Val condition, llvm::function_ref<void()> then,
                     llvm::function_ref<void()> otherwise) {
  ifValues(
      condition,
      [&] {
        then();
        return Vals();
      },
      [&] {
        otherwise();
        return Vals();
      });
}

Vals Emitter::ifValues(Val condition, llvm::function_ref<Vals()> then,
                       llvm::function_ref<Vals()> otherwise) {
  auto branch = [&](llvm::function_ref<Vals()> body) {
    return [this, body](OpBuilder &builder, Location loc) {
      within(builder, loc, [&] { scf::YieldOp::create(*b, valuesOf(body())); });
    };
  };
  auto op = scf::IfOp::create(*b, condition, branch(then), branch(otherwise));
  return llvm::map_to_vector(op.getResults(), [&](Value v) { return wrap(v); });
}

Val Emitter::threadId() { return wrap(NVVM::ThreadIdXOp::create(*b, i32())); }
Val Emitter::blockId() { return wrap(NVVM::BlockIdXOp::create(*b, i32())); }
Val Emitter::blockCount() { return wrap(NVVM::GridDimXOp::create(*b, i32())); }

void Emitter::syncThreads() { ptx({}, "bar.sync 0;", "~{memory}", {}); }
void Emitter::syncWarp() { ptx({}, "bar.warp.sync 0xffffffff;", "~{memory}", {}); }

void Emitter::meet(Val id, int64_t threads) {
  ptx({}, "bar.sync $0, $1;", "r,n,~{memory}", {id, i32(threads)});
}

void Emitter::arriveAt(Val id, int64_t threads) {
  ptx({}, "bar.arrive $0, $1;", "r,n,~{memory}", {id, i32(threads)});
}

Val Emitter::shuffleXor(Val x, int64_t mask) {
  return cuda::shuffle(*this, x, i32(mask), NVVM::ShflKind::bfly, 31);
}

Val Emitter::shuffle(Val x, Val lane) {
  return cuda::shuffle(*this, x, lane, NVVM::ShflKind::idx, 31);
}

Val Emitter::shuffleUp(Val x, int64_t distance) {
  return cuda::shuffle(*this, x, i32(distance), NVVM::ShflKind::up, 0);
}

Val Emitter::any(Val condition) { return ballot(condition) != 0; }

Val Emitter::ballot(Val condition) {
  return ptx(i32(),
             "{ .reg .pred p; setp.ne.u32 p, $1, 0; vote.sync.ballot.b32 $0, p, 0xffffffff; }",
             "=r,r", toI32(condition))[0];
}

Val Emitter::popCount(Val x) { return ptx(i32(), "popc.b32 $0, $1;", "=r,r", x, false)[0]; }

Val Emitter::warpSum(Val x, int64_t lanes) {
  for (int64_t distance = lanes / 2; distance > 0; distance /= 2)
    x = x + shuffleXor(x, distance);
  return x;
}

Val Emitter::warpMax(Val x, int64_t lanes) {
  for (int64_t distance = lanes / 2; distance > 0; distance /= 2)
    x = maximum(x, shuffleXor(x, distance));
  return x;
}

/// Combines one value of each warp: `scratch` has room for one value a warp.
static Val overWarps(Emitter &e, Val x, Val scratch, int64_t threads,
                     llvm::function_ref<Val(Val, Val)> combine) {
  const int64_t warps = threads / 32;
  if (warps == 1)
    return x;
  e.syncThreads(); // Values of the last use have been read.
  e.ifThen(e.lane() == 0, [&] { e.store(x, e.at(scratch, e.warp(), 4)); });
  e.syncThreads();
  Val all = e.load(x.type(), scratch);
  for (int64_t warp = 1; warp < warps; ++warp)
    all = combine(all, e.load(x.type(), e.offset(scratch, 4 * warp)));
  return all;
}

Val Emitter::blockSum(Val x, Val scratch, int64_t threads) {
  return overWarps(*this, warpSum(x), scratch, threads, [](Val a, Val c) { return a + c; });
}

Val Emitter::blockMax(Val x, Val scratch, int64_t threads) {
  return overWarps(*this, warpMax(x), scratch, threads,
                   [this](Val a, Val c) { return maximum(a, c); });
}

void Emitter::waitForPrevious() { ptx({}, "griddepcontrol.wait;", "~{memory}", {}); }
void Emitter::allowNext() { ptx({}, "griddepcontrol.launch_dependents;", "~{memory}", {}); }

} // namespace epigraph::cuda
