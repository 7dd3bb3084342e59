// What model families build graphs with: functions, scopes that name operations by their layer,
// weights that are checked against the checkpoint as they are named, and the blocks that many
// families share.
#ifndef EPIGRAPH_COMPILER_IMPORT_GRAPHBUILDER_H
#define EPIGRAPH_COMPILER_IMPORT_GRAPHBUILDER_H

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "compiler/import/ImportLimits.h"
#include "compiler/import/RopeConfig.h"
#include "compiler/import/WeightLedger.h"
#include "dialects/exec/Exec.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace epigraph {

/// What every model has.
struct ModelShape {
  int64_t layers;
  int64_t hidden;
  int64_t vocab;
  int64_t maxContext; ///< positions that the model was made for
};

/// In which types a checkpoint's floats are.
struct NumberFormats {
  DType activation = DType::BF16; ///< of activations, and of weights that are not quantized
  bool fp8Blocks = false;         ///< matrices may be in FP8, with scales of 128x128 blocks
};

/// Builds one module. A weight that is missing or wrong is recorded, and building goes on as if it
/// were there; finish() reports.
class GraphBuilder {
public:
  /// `checkpoint` must outlive this.
  GraphBuilder(mlir::MLIRContext &context, llvm::StringRef architecture,
               const Checkpoint &checkpoint, const ImportLimits &limits,
               const NumberFormats &formats);

  /// Says what the model is; before anything else. Errors: InvalidArgument for limits that the
  /// model cannot have.
  absl::Status declareModel(const ModelShape &shape);

  /// The finished, verified module, or what is wrong with the checkpoint.
  absl::StatusOr<mlir::OwningOpRef<mlir::ModuleOp>> finish();

  // Functions.

  struct Parameter {
    llvm::StringRef name; ///< "ids", "hidden", "step", "logits"
    mlir::Type type;
  };
  /// Starts `func.func @name`; operations go to its end.
  mlir::Block::BlockArgListType beginFunction(llvm::StringRef name,
                                              llvm::ArrayRef<Parameter> arguments,
                                              llvm::ArrayRef<Parameter> results);
  void endFunction(mlir::ValueRange results);

  // Scopes. The scope "model.layers.3.self_attn" is the location of operations and the prefix of
  // weights' names.

  class Scope {
  public:
    Scope(GraphBuilder &builder, llvm::StringRef name);
    ~Scope();
    Scope(const Scope &) = delete;
    Scope &operator=(const Scope &) = delete;

  private:
    GraphBuilder &builder_;
    std::string outer_;
  };
  /// `name` under the current scope.
  std::string qualify(llvm::StringRef name) const;

  // Types.

  mlir::Type activation() const { return activation_; }
  mlir::Type f32() { return builder_.getF32Type(); }
  /// One row for each token: tensor<?x`shape`>, of activations unless `element` is given.
  mlir::RankedTensorType rows(llvm::ArrayRef<int64_t> shape, mlir::Type element = {});
  mlir::Type idsType();
  mlir::Type stepType();
  mlir::Type mlaCacheType(int64_t latent, int64_t rope);
  mlir::Type kvCacheType(int64_t heads, int64_t key, int64_t value);
  int64_t maxContext() const { return maxContext_; }

  // Weights, by their name under the current scope.

  /// A tensor of `shape` with the activations' type; a matrix that the checkpoint has in FP8 is
  /// dequantized.
  mlir::Value weight(llvm::StringRef name, llvm::ArrayRef<int64_t> shape);
  /// The same in float32, whether the checkpoint has it in float32 or in the activations' type.
  mlir::Value weightF32(llvm::StringRef name, llvm::ArrayRef<int64_t> shape);
  /// `count` tensors of `shape`, all quantized or none; `pattern` has "{}" in place of their
  /// number.
  mlir::Value weightStack(llvm::StringRef pattern, int64_t count, llvm::ArrayRef<int64_t> shape);
  /// Whether the checkpoint has `name` under the current scope.
  bool hasWeight(llvm::StringRef name) const { return ledger_.has(qualify(name)); }
  WeightLedger &ledger() { return ledger_; }

  // Operations, at the current scope. Names are those of the weights' modules.

  /// x W^T with W = `name`.weight of `outputs` rows; plus `name`.bias, if there is to be one.
  mlir::Value linear(mlir::Value x, llvm::StringRef name, int64_t outputs, bool bias = false);
  /// The same with a float32 result; weight and bias may be in float32 too.
  mlir::Value linearF32(mlir::Value x, llvm::StringRef name, int64_t outputs, bool bias = false);
  mlir::Value rmsNorm(mlir::Value x, llvm::StringRef name, double eps);
  /// down(silu(gate(x)) * up(x)) under scope `name`; `bias`: of all three.
  mlir::Value swigluMlp(mlir::Value x, llvm::StringRef name, int64_t inner, bool bias = false);
  /// `b` has the shape of `a`, or is a vector for every row, or a value [rows, 1] for each.
  mlir::Value add(mlir::Value a, mlir::Value b);
  mlir::Value mul(mlir::Value a, mlir::Value b);
  mlir::Value sigmoid(mlir::Value x);
  /// Rows of `shape`.
  mlir::Value reshape(mlir::Value x, llvm::ArrayRef<int64_t> shape);
  /// All of a weight as `shape`.
  mlir::Value reshapeWeight(mlir::Value w, llvm::ArrayRef<int64_t> shape);
  /// Dimension i of the result is dimension `permutation[i]`.
  mlir::Value transpose(mlir::Value w, llvm::ArrayRef<int64_t> permutation);
  /// Parts of the given sizes along `dim`.
  llvm::SmallVector<mlir::Value> split(mlir::Value x, int64_t dim, llvm::ArrayRef<int64_t> sizes);
  /// Parts of the given sizes along the last dimension.
  llvm::SmallVector<mlir::Value> splitLast(mlir::Value x, llvm::ArrayRef<int64_t> sizes);
  mlir::Value concatLast(mlir::ValueRange parts);
  mlir::Value cast(mlir::Value x, mlir::Type element);
  /// Cosines and sines for all positions of the limits.
  mlir::Value ropeTable(const RopeConfig &rope, int64_t dims);

  mlir::OpBuilder &ops() { return builder_; }
  mlir::Location loc();

private:
  mlir::Value weightOf(llvm::StringRef name, llvm::ArrayRef<int64_t> shape,
                       llvm::ArrayRef<DType> dtypes);
  mlir::Type typeOf(DType dtype);
  /// Whether the checkpoint has the matrix `name` (qualified) in FP8.
  bool isQuantized(llvm::StringRef name) const;
  mlir::Value stackOf(llvm::StringRef pattern, int64_t count, llvm::ArrayRef<int64_t> shape,
                      DType dtype);
  /// A matrix, or stack of matrices, times its scales.
  mlir::Value dequantize(mlir::Value x, mlir::Value scales);

  mlir::OpBuilder builder_;
  mlir::OwningOpRef<mlir::ModuleOp> module_;
  WeightLedger ledger_;
  ImportLimits limits_;
  NumberFormats formats_;
  mlir::Type activation_;
  int64_t maxContext_ = 0;
  std::string scope_;
};

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_IMPORT_GRAPHBUILDER_H
