// Makes a run of random weights (runtime/artifact/RandomWeights.h). A block makes a chunk of
// elements, neighbouring threads neighbouring elements; the arithmetic is 64-bit and a few times
// the time of the stores, tenths of a second for the weights that a GPU holds.
#include "codegen/cuda/RandomWeightsKernel.h"

#include "codegen/cuda/KernelAssembly.h"
#include "codegen/cuda/SamplingMath.h"
#include "runtime/artifact/DType.h"
#include "runtime/artifact/RandomWeights.h"

#include <cstddef>

using namespace mlir;

namespace epigraph::cuda {
namespace {

constexpr int64_t kThreads = 256;
static_assert(RandomRun::kChunkElements % kThreads == 0);

int64_t numberOf(DType type) { return static_cast<int64_t>(type); }

/// Emits the values of one run.
class RunEmitter {
public:
  RunEmitter(Emitter &e, Val run, Val result) : e(e), run(run), result(result) {}

  Val elements() { return wide(offsetof(RandomRun, elements)); }

  /// Makes element `index`.
  void make(Val index) {
    Val columns = wide(offsetof(RandomRun, columns));
    Val row = index / columns;
    Val place = wide(offsetof(RandomRun, first)) + row * wide(offsetof(RandomRun, rowStride)) +
                (index - row * columns) * wide(offsetof(RandomRun, columnStride));
    Val value = rounded(draw(offsetof(RandomRun, values), place),
                        word(offsetof(RandomRun, values) + offsetof(RandomTensor, drawn)));
    store(scaled(value, place), index);
  }

private:
  Val wide(int64_t offset) { return e.load(e.i64(), e.offset(run, offset)); }
  Val word(int64_t offset) { return e.load(e.i32(), e.offset(run, offset)); }
  Val real(int64_t offset) { return e.load(e.f32(), e.offset(run, offset)); }

  /// Value `index` of the tensor at `offset` of the run: as randomValue.
  Val draw(int64_t offset, Val index) {
    const int64_t range = offset + offsetof(RandomTensor, range);
    Val bits = randomBits(wide(offset + offsetof(RandomTensor, key)), index);
    Val uniform = e.fma(e.toF32(e.toI32(bits >> kRandomUnusedBits)), e.f32(0x1p-23), e.f32(-1.0));
    return e.fma(real(range + offsetof(RandomRange, spread)), uniform,
                 real(range + offsetof(RandomRange, center)));
  }

  Val rounded(Val value, Val type) {
    Val asBf16 = e.toF32(e.fromF32(value, e.bf16()));
    Val asE4m3 = e.unpackE4m3(e.packE4m3(value, e.f32(0))).first;
    return e.select(type == numberOf(DType::BF16), asBf16,
                    e.select(type == numberOf(DType::F8_E4M3), asE4m3, value));
  }

  /// `value` times the scale of its block, if there are any.
  Val scaled(Val value, Val place) {
    Val columns = wide(offsetof(RandomRun, tensorColumns));
    auto times = [&] {
      Val row = place / columns, column = place - row * columns;
      Val blocks = (columns + (kRandomScaleBlock - 1)) / kRandomScaleBlock;
      Val block = row / kRandomScaleBlock * blocks + column / kRandomScaleBlock;
      return Vals{value * draw(offsetof(RandomRun, scales), block)};
    };
    return e.ifValues(columns != 0, times, [&] { return Vals{value}; })[0];
  }

  void store(Val value, Val index) {
    Val type = word(offsetof(RandomRun, stored));
    e.ifThen(type == numberOf(DType::F32), [&] { e.store(value, e.at(result, index, 4)); });
    e.ifThen(type == numberOf(DType::BF16),
             [&] { e.store(e.fromF32(value, e.bf16()), e.at(result, index, 2)); });
    e.ifThen(type == numberOf(DType::F8_E4M3), [&] {
      Val pair = e.packE4m3(value, e.f32(0));
      e.store(e.element(e.bitcast(e.vector(e.i8(), 2), pair), 0), e.at(result, index, 1));
    });
  }

  Emitter &e;
  Val run, result;
};

void emitChunk(KernelFrame &frame) {
  Emitter &e = frame.e;
  RunEmitter run(e, frame.address(frame.kernel.getBody().getArgument(0)), frame.result(0));
  Val first = e.toI64(e.blockId()) * RandomRun::kChunkElements + e.toI64(e.threadId());
  e.forEach(e.i32(0), e.i32(RandomRun::kChunkElements), e.i32(kThreads), [&](Val step) {
    Val index = first + e.toI64(step);
    e.ifThen(index < run.elements(), [&] { run.make(index); });
  });
}

} // namespace

DeviceKernel buildRandomWeights(ModuleOp functions, const CudaTarget &target) {
  MLIRContext *context = functions.getContext();
  OpBuilder builder(context);
  Type bytes = RankedTensorType::get({ShapedType::kDynamic}, builder.getI8Type());
  // The function of no operation: of its kernel, only name and pointers matter.
  OwningOpRef<exec::KernelOp> kernel = exec::KernelOp::create(
      builder, functions.getLoc(), "random_weights", builder.getFunctionType({bytes}, {bytes}));
  kernel->getBody().emplaceBlock().addArgument(bytes, functions.getLoc());
  KernelAssembly assembly(*kernel, functions, target);
  FunctionSpec spec;
  spec.threads = kThreads;
  spec.early = false;
  assembly.beginVariant();
  assembly.addFunction(spec, emitChunk);
  return assembly.take();
}

} // namespace epigraph::cuda
