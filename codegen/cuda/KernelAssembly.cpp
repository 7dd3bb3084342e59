#include "codegen/cuda/KernelAssembly.h"

#include <cstddef>

#include "codegen/cuda/KernelLibrary.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "runtime/artifact/KernelAbi.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

constexpr int64_t kMapBytes = 128;

SmallVector<Type> parameterTypes(MLIRContext *context, size_t pointers, size_t maps) {
  Type global = LLVM::LLVMPointerType::get(context, kGlobal);
  Type i32 = IntegerType::get(context, 32);
  SmallVector<Type> types(maps, LLVM::LLVMPointerType::get(context, kGeneric));
  types.append(pointers, global);
  types.append({global, global, i32, i32, global});
  return types;
}

LLVM::LLVMFuncOp declare(ImplicitLocOpBuilder &b, size_t pointers, StringRef symbol,
                         const FunctionSpec &spec) {
  Type type =
      LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(b.getContext()),
                                  parameterTypes(b.getContext(), pointers, spec.maps.size()));
  auto function = LLVM::LLVMFuncOp::create(b, symbol, cast<LLVM::LLVMFunctionType>(type));
  auto i32 = [&](int64_t value) { return b.getI32IntegerAttr(static_cast<int32_t>(value)); };
  function->setAttr("nvvm.kernel", b.getUnitAttr());
  function->setAttr("nvvm.maxntid", b.getDenseI32ArrayAttr({static_cast<int32_t>(spec.threads)}));
  function->setAttr("nvvm.minctasm", i32(spec.blocksOfCore));
  if (spec.cluster > 1)
    function->setAttr("nvvm.cluster_dim",
                      b.getDenseI32ArrayAttr({static_cast<int32_t>(spec.cluster), 1, 1}));
  Type mapStorage = LLVM::LLVMArrayType::get(b.getI8Type(), kMapBytes);
  for (unsigned i = 0; i < spec.maps.size(); ++i) {
    function.setArgAttr(i, "llvm.byval", TypeAttr::get(mapStorage));
    function.setArgAttr(i, "llvm.align", i32(64));
    function.setArgAttr(i, "nvvm.grid_constant", b.getUnitAttr());
  }
  return function;
}

DeviceLaunch launchOf(const FunctionSpec &spec, std::string symbol) {
  DeviceLaunch launch;
  launch.symbol = std::move(symbol);
  launch.threads = static_cast<uint32_t>(spec.threads);
  launch.sharedBytes = static_cast<uint32_t>(spec.sharedBytes);
  launch.cluster = static_cast<uint32_t>(spec.cluster);
  launch.early = spec.early;
  launch.grid = spec.grid;
  launch.rowTile = spec.grid == DeviceGrid::Rows ? static_cast<uint32_t>(spec.rowTile) : 0;
  launch.columnTiles = static_cast<uint32_t>(spec.columnTiles);
  launch.blocksPerCore = static_cast<uint32_t>(spec.persistent);
  launch.maps = spec.maps;
  return launch;
}

} // namespace

KernelPointers::KernelPointers(exec::KernelOp kernel) : kernel(kernel) {
  launched = llvm::count_if(kernel.getArgumentTypes(),
                            [](Type type) { return !isa<epi::StepType>(type); }) +
             llvm::count_if(kernel.getResultTypes(), llvm::IsaPred<TensorType>);
  places = llvm::to_vector(llvm::seq(static_cast<uint32_t>(launched)));
}

KernelPointers::KernelPointers(exec::KernelOp part, const KernelPointers &whole,
                               ArrayRef<uint32_t> places)
    : kernel(part), launched(whole.count()), places(places) {}

uint32_t KernelPointers::ofArgument(unsigned index) const {
  exec::KernelOp op = kernel;
  return places[llvm::count_if(op.getArgumentTypes().take_front(index),
                               [](Type type) { return !isa<epi::StepType>(type); })];
}

uint32_t KernelPointers::ofResult(unsigned index) const {
  exec::KernelOp op = kernel;
  size_t place = places.size();
  for (Type type : op.getResultTypes().drop_front(index))
    place -= isa<TensorType>(type);
  return places[place];
}

KernelFrame::KernelFrame(exec::KernelOp kernel, const KernelPointers &pointers,
                         ImplicitLocOpBuilder &builder, ValueRange parameters, size_t maps)
    : e(builder), kernel(kernel), pointers(pointers), parameters(parameters), maps(maps) {}

Val KernelFrame::parameter(size_t index) { return e.wrap(parameters[maps + index]); }
Val KernelFrame::trailing(size_t index) { return parameter(pointers.count() + index); }

Val KernelFrame::map(size_t index) { return e.wrap(parameters[index]); }

Val KernelFrame::address(BlockArgument argument) {
  return parameter(pointers.ofArgument(argument.getArgNumber()));
}

Val KernelFrame::result(unsigned index) { return parameter(pointers.ofResult(index)); }

Val KernelFrame::rowAddress(const TensorView &view, Val row) {
  const int64_t bytes = view.elementType.getIntOrFloatBitWidth() / 8;
  Val base = e.offset(address(view.argument), view.offset * bytes);
  return view.hasRows ? e.at(base, row, view.rowStride * bytes) : base;
}

Val KernelFrame::resultRow(unsigned index, Val row) {
  auto type = cast<RankedTensorType>(kernel.getResultTypes()[index]);
  int64_t bytes = type.getElementTypeBitWidth() / 8;
  for (int64_t size : staticShape(type))
    bytes *= size;
  return e.at(result(index), row, bytes);
}

Val KernelFrame::rows() {
  Val count = e.load(e.i32(), trailing(1));
  return count * trailing(2);
}

Val KernelFrame::capacity() { return trailing(3); }
Val KernelFrame::counters() { return trailing(4); }
Val KernelFrame::workspace() { return e.offset(counters(), kCounterBytes); }

Val KernelFrame::stepPointer(int64_t offset) {
  return e.load(e.pointer(kGlobal), e.offset(trailing(0), offset));
}

Val KernelFrame::stepInt(int64_t offset) { return e.load(e.i32(), e.offset(trailing(0), offset)); }

KernelAssembly::KernelAssembly(exec::KernelOp kernel, ModuleOp module, const CudaTarget &target)
    : kernel(kernel), target(target), module(module), pointers(kernel) {
  built.name = kernel.getSymName().str();
}

KernelAssembly::KernelAssembly(exec::KernelOp part, const KernelAssembly &whole,
                               ArrayRef<uint32_t> places)
    : kernel(part), target(whole.target), module(whole.module),
      pointers(part, whole.pointers, places) {
  built.name = part.getSymName().str();
}

void KernelAssembly::beginVariant(int64_t mostRows, bool oneTokenEach) {
  built.variants.push_back({static_cast<uint32_t>(mostRows), oneTokenEach, {}});
}

void KernelAssembly::addFunction(const FunctionSpec &spec,
                                 llvm::function_ref<void(KernelFrame &)> body) {
  std::string symbol = deviceSymbol(kernel.getSymName());
  if (!spec.suffix.empty())
    symbol += "_" + spec.suffix;
  // The same form may be the best for few rows and for many, and not between: variants share it.
  const bool isThere = llvm::any_of(built.variants, [&](const DeviceVariant &variant) {
    return llvm::any_of(variant.launches,
                        [&](const DeviceLaunch &launch) { return launch.symbol == symbol; });
  });
  if (!isThere) {
    ImplicitLocOpBuilder b(kernel.getLoc(), kernel.getContext());
    b.setInsertionPointToEnd(module.getBody());
    LLVM::LLVMFuncOp function = declare(b, pointers.count(), symbol, spec);
    b.setInsertionPointToStart(function.addEntryBlock(b));
    KernelFrame frame(kernel, pointers, b, function.getArguments(), spec.maps.size());
    body(frame);
    LLVM::ReturnOp::create(b, ValueRange());
  }
  if (built.variants.empty())
    beginVariant();
  built.variants.back().launches.push_back(launchOf(spec, std::move(symbol)));
}

void KernelAssembly::addLaunches(ArrayRef<DeviceLaunch> launches) {
  llvm::append_range(built.variants.back().launches, launches);
}

void KernelAssembly::needWorkspace(int64_t bytes) {
  workspace = std::max(workspace, kCounterBytes + bytes);
}

void KernelAssembly::needTokenItems(int64_t wanted) {
  items = std::max(items, static_cast<uint32_t>(wanted));
}

FailureOr<TensorView> KernelAssembly::view(Operation *op, Value operand, StringRef name) {
  if (std::optional<TensorView> view = resolveView(operand))
    return *view;
  InFlightDiagnostic diagnostic =
      op->emitError("CUDA kernel @")
      << kernel.getSymName() << " cannot read '" << name
      << "' in place: it must be an argument, or a split or reshape of one that keeps its elements "
         "where they are; outline the operation that computes it as a kernel of its own";
  if (Operation *producer = operand.getDefiningOp())
    diagnostic.attachNote(producer->getLoc()) << "computed here";
  return diagnostic;
}

FailureOr<unsigned> KernelAssembly::yieldedAs(Operation *op, Value value) {
  auto yield = cast<exec::YieldOp>(kernel.getBody().front().getTerminator());
  auto found = llvm::find(yield.getValues(), value);
  if (found == yield.getValues().end() || llvm::count(yield.getValues(), value) > 1)
    return op->emitError("CUDA kernel @")
           << kernel.getSymName()
           << " must yield this operation's result, once and as it is; outline what follows it as "
              "a kernel of its own";
  return static_cast<unsigned>(found - yield.getValues().begin());
}

uint32_t KernelAssembly::operandIndex(BlockArgument argument) const {
  return pointers.ofArgument(argument.getArgNumber());
}

uint32_t KernelAssembly::resultIndex(unsigned index) const { return pointers.ofResult(index); }

} // namespace epigraph::cuda
