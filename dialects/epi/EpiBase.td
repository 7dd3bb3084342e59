// The epi dialect: what a model computes. Types, attributes and the base class of its operations.
#ifndef EPIGRAPH_DIALECTS_EPI_EPIBASE_TD
#define EPIGRAPH_DIALECTS_EPI_EPIBASE_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpAsmInterface.td"
include "mlir/IR/OpBase.td"

def Epi_Dialect : Dialect {
  let name = "epi";
  let cppNamespace = "::epigraph::epi";
  let summary = "What a mixture-of-experts language model computes";
  let description = [{
    Value semantics over tensors. The first dimension of an activation is dynamic: it counts rows (tokens of a
    ragged batch of many sequences, output rows, or rows routed to experts); every other dimension is static, so
    nothing is recompiled for another batch or length.

    Weights are values too: `epi.weight` names a tensor of the checkpoint and never holds data. Attention caches are
    named state: `epi.kv_cache` yields a handle and `epi.kv_append` returns the handle with this step's tokens in it.
  }];
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
}

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

class Epi_Type<string name, string typeMnemonic> : TypeDef<Epi_Dialect, name> {
  let mnemonic = typeMnemonic;
}

def Epi_StepType : Epi_Type<"Step", "step"> {
  let summary = "the ragged batch of one step";
  let description = [{
    What operations need to know of the batch besides its tokens: the position of each token in its sequence, the
    sequence it belongs to, the page table of each sequence, and the rows whose logits are asked for.
  }];
}

def Epi_KvCacheType : Epi_Type<"KvCache", "kv_cache"> {
  let summary = "a paged cache of keys and values (multi-head or grouped-query attention)";
  let description = [{
    One entry a token: `heads` keys of `key` elements, then `heads` values of `value` elements.

    Example: `!epi.kv_cache<heads = 2, key = 64, value = 64, bf16>`
  }];
  let parameters = (ins "int64_t":$heads, "int64_t":$key, "int64_t":$value, "::mlir::Type":$elementType);
  let assemblyFormat = "`<` `heads` `=` $heads `,` `key` `=` $key `,` `value` `=` $value `,` $elementType `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// Elements of the entry of one token.
    int64_t getEntryElements() const { return getHeads() * (getKey() + getValue()); }
  }];
}

def Epi_MlaCacheType : Epi_Type<"MlaCache", "mla_cache"> {
  let summary = "a paged cache of latent vectors (multi-head latent attention)";
  let description = [{
    One entry a token, shared by all heads: the normalised latent vector of `latent` elements, then the rotated
    key of `rope` elements.

    Example: `!epi.mla_cache<latent = 512, rope = 64, bf16>`
  }];
  let parameters = (ins "int64_t":$latent, "int64_t":$rope, "::mlir::Type":$elementType);
  let assemblyFormat = "`<` `latent` `=` $latent `,` `rope` `=` $rope `,` $elementType `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// Elements of the entry of one token.
    int64_t getEntryElements() const { return getLatent() + getRope(); }
  }];
}

def Epi_AnyCache : AnyTypeOf<[Epi_KvCacheType, Epi_MlaCacheType], "a cache handle">;

// Activations and weights. Activations are bf16 or f32; ids and counts are i32. f8E4M3FN holds quantized values, which
// mean something only together with their scales: `epi.quantize`, `epi.dequantize`, and the products that take scales.
def Epi_Float : AnyTypeOf<[F32, BF16], "f32 or bf16">;
def Epi_Tensor : RankedTensorOf<[F32, BF16, F8E4M3FN, I32]>;
def Epi_FloatTensor : RankedTensorOf<[F32, BF16]>;
def Epi_AnyFloatTensor : RankedTensorOf<[F32, BF16, F8E4M3FN]>; // quantized ones included
def Epi_IntTensor : RankedTensorOf<[I32]>;
class Epi_FloatOfRank<list<int> ranks> : TensorRankOf<[F32, BF16], ranks>;
class Epi_IntOfRank<list<int> ranks> : TensorRankOf<[I32], ranks>;
class Epi_F32OfRank<list<int> ranks> : TensorRankOf<[F32], ranks>;
class Epi_F8OfRank<list<int> ranks> : TensorRankOf<[F8E4M3FN], ranks>;
class Epi_AnyFloatOfRank<list<int> ranks> : TensorRankOf<[F32, BF16, F8E4M3FN], ranks>;

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

def Epi_ScoreFunction : I32EnumAttr<"ScoreFunction", "how router logits become scores", [
  I32EnumAttrCase<"Sigmoid", 0, "sigmoid">,
  I32EnumAttrCase<"Softmax", 1, "softmax">,
  I32EnumAttrCase<"Identity", 2, "identity">
]> {
  let cppNamespace = "::epigraph::epi";
  let genSpecializedAttr = 0;
}
def Epi_ScoreFunctionAttr : EnumAttr<Epi_Dialect, Epi_ScoreFunction, "score"> {
  let assemblyFormat = "`<` $value `>`";
}

def Epi_GroupScore : I32EnumAttr<"GroupScore", "how a group of experts is scored", [
  I32EnumAttrCase<"Top2Sum", 0, "top2_sum">,
  I32EnumAttrCase<"Max", 1, "max">
]> {
  let cppNamespace = "::epigraph::epi";
  let genSpecializedAttr = 0;
}
def Epi_GroupScoreAttr : EnumAttr<Epi_Dialect, Epi_GroupScore, "group_score"> {
  let assemblyFormat = "`<` $value `>`";
}

def Epi_ClampedSwigluAttr : AttrDef<Epi_Dialect, "ClampedSwiglu"> {
  let mnemonic = "clamp";
  let summary = "the clamped gate of gpt-oss: see `epi.clamped_swiglu`";
  let description = [{
    Example: `#epi.clamp<alpha = 1.702, limit = 7.0>`
  }];
  let parameters = (ins "::mlir::FloatAttr":$alpha, "::mlir::FloatAttr":$limit);
  let assemblyFormat = "`<` `alpha` `=` custom<F64>($alpha) `,` `limit` `=` custom<F64>($limit) `>`";
  let genVerifyDecl = 1;
}

def Epi_YarnAttr : AttrDef<Epi_Dialect, "Yarn"> {
  let mnemonic = "yarn";
  let summary = "YaRN: rope frequencies stretched for a longer context";
  let description = [{
    Frequencies whose wavelength exceeds `original / beta_slow` positions are divided by `factor`, those below
    `original / beta_fast` are kept, and a linear ramp joins them (Peng et al., 2023, section 3.2). The ends of the ramp
    are widened to whole pairs of dimensions, unless `truncate` is false.

    Example: `#epi.yarn<factor = 40.0, original = 4096, beta_fast = 32.0, beta_slow = 1.0>`

    Example: `#epi.yarn<factor = 32.0, original = 4096, beta_fast = 32.0, beta_slow = 1.0, truncate = false>`
  }];
  let parameters = (ins "::mlir::FloatAttr":$factor, "int64_t":$original, "::mlir::FloatAttr":$betaFast,
                        "::mlir::FloatAttr":$betaSlow, DefaultValuedParameter<"bool", "true">:$truncate);
  let assemblyFormat = [{
    `<` `factor` `=` custom<F64>($factor) `,` `original` `=` $original `,` `beta_fast` `=` custom<F64>($betaFast)
    `,` `beta_slow` `=` custom<F64>($betaSlow) `` custom<Truncate>($truncate) `` `>`
  }];
  let genVerifyDecl = 1;
}

def Epi_Llama3RopeAttr : AttrDef<Epi_Dialect, "Llama3Rope"> {
  let mnemonic = "llama3_rope";
  let summary = "Llama 3.1's rope frequencies, stretched for a longer context";
  let description = [{
    Frequencies whose wavelength exceeds `original / low_freq_factor` positions are divided by `factor`, those below
    `original / high_freq_factor` are kept, and between them the two are mixed, linearly in the number of turns that a
    frequency makes in `original` positions (Meta, Llama 3.1, 2024).

    Example: `#epi.llama3_rope<factor = 8.0, original = 8192, low_freq_factor = 1.0, high_freq_factor = 4.0>`
  }];
  let parameters = (ins "::mlir::FloatAttr":$factor, "int64_t":$original, "::mlir::FloatAttr":$lowFreqFactor,
                        "::mlir::FloatAttr":$highFreqFactor);
  let assemblyFormat = [{
    `<` `factor` `=` custom<F64>($factor) `,` `original` `=` $original `,` `low_freq_factor` `=`
    custom<F64>($lowFreqFactor) `,` `high_freq_factor` `=` custom<F64>($highFreqFactor) `>`
  }];
  let genVerifyDecl = 1;
}

def Epi_ModelAttr : AttrDef<Epi_Dialect, "Model"> {
  let mnemonic = "model";
  let summary = "what the module's model is";
  let description = [{
    Stands on the module as `epi.model`. `context` is the number of positions that the model was made for.

    Example: `#epi.model<architecture = "deepseek_v3", layers = 61, hidden = 7168, vocab = 129280, context = 163840>`
  }];
  let parameters = (ins "::mlir::StringAttr":$architecture, "int64_t":$layers, "int64_t":$hidden,
                        "int64_t":$vocab, "int64_t":$maxContext);
  let assemblyFormat = [{
    `<` `architecture` `=` $architecture `,` `layers` `=` $layers `,` `hidden` `=` $hidden `,` `vocab` `=` $vocab
    `,` `context` `=` $maxContext `>`
  }];
}

//===----------------------------------------------------------------------===//
// Operations
//===----------------------------------------------------------------------===//

// The results have names of their own in the text (`%q_a_proj`, `%ids`).
def Epi_NamedResults : DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmResultNames"]>;

class Epi_Op<string mnemonic, list<Trait> traits = []> : Op<Epi_Dialect, mnemonic, traits>;

#endif // EPIGRAPH_DIALECTS_EPI_EPIBASE_TD
