// Enumerations of the ep dialect, apart so that TableGen writes each dialect's own once.
#ifndef EPIGRAPH_DIALECTS_EP_EPENUMS_TD
#define EPIGRAPH_DIALECTS_EP_EPENUMS_TD

include "mlir/IR/EnumAttr.td"

def Ep_AttentionMode : I32EnumAttr<"AttentionMode", "how attention is shared among ranks", [
  I32EnumAttrCase<"Replicated", 0, "replicated">,
  I32EnumAttrCase<"Data", 1, "data">
]> {
  let cppNamespace = "::epigraph::ep";
  let genSpecializedAttr = 0;
}

def Ep_Axis : I32EnumAttr<"Axis", "a dimension of the mesh", [
  I32EnumAttrCase<"Expert", 0, "expert">,
  I32EnumAttrCase<"Tensor", 1, "tensor">
]> {
  let cppNamespace = "::epigraph::ep";
  let genSpecializedAttr = 0;
}
#endif // EPIGRAPH_DIALECTS_EP_EPENUMS_TD
