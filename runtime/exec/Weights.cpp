#include "runtime/exec/Weights.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "runtime/base/Status.h"
#include "runtime/exec/WeightMaker.h"

namespace epigraph {
namespace {

/// "BF16 [32, 64]".
std::string describe(std::string_view dtype, const std::vector<uint64_t> &shape) {
  return absl::StrCat(abslView(dtype), " [", absl::StrJoin(shape, ", "), "]");
}

std::vector<uint64_t> shapeOf(const plan::Weight &weight) {
  return {weight.shape()->begin(), weight.shape()->end()};
}

absl::Status checkWeight(const plan::Weight &weight, const StoredTensor *tensor,
                         const std::string &file) {
  const std::string where =
      absl::StrCat(file, ": weight '", abslView(weight.name()->string_view()), "'");
  const std::string remedy =
      "; the plan and the weights are not of one compilation: compile the model again";
  const std::vector<uint64_t> shape = shapeOf(weight);
  const DType dtype = storedType(weight.dtype());
  const std::string expected = describe(dtypeName(dtype), shape);
  if (!tensor)
    return absl::DataLossError(absl::StrCat(where, " is missing; expected ", expected, remedy));
  if (tensor->dtype != dtype || tensor->shape != shape)
    return absl::DataLossError(absl::StrCat(where, " is ",
                                            describe(dtypeName(tensor->dtype), tensor->shape),
                                            "; expected ", expected, remedy));
  if (reinterpret_cast<uintptr_t>(tensor->bytes.data()) % elementBytes(weight.dtype()) != 0)
    return absl::DataLossError(absl::StrCat(where, " is not aligned to its elements", remedy));
  return absl::OkStatus();
}

} // namespace

absl::StatusOr<Weights> Weights::load(const Artifact &artifact, Which which, Driver &driver,
                                      const std::function<void(uint64_t)> &loaded) {
  const auto &planned = *artifact.plan()->weights();
  const auto isHere = [&](const plan::Weight *weight) {
    return weight->shared() == !which.rank.has_value();
  };
  Weights result;
  result.weights.resize(planned.size());
  // A model without experts has no weights of a rank's own, and then no file of them.
  if (std::none_of(planned.begin(), planned.end(), isHere))
    return result;
  WeightMaker maker(artifact, driver);

  const std::string name =
      which.rank ? rankWeightsFile(*which.rank) : std::string(kSharedWeightsFile);
  EPIGRAPH_ASSIGN_OR_RETURN(const std::filesystem::path path, artifact.file(name));
  EPIGRAPH_ASSIGN_OR_RETURN(result.file, SafetensorsFile::open(path));
  for (uint32_t i = 0; i < planned.size(); ++i) {
    const plan::Weight &weight = *planned.Get(i);
    if (!isHere(&weight))
      continue;
    if (weight.random()) {
      EPIGRAPH_ASSIGN_OR_RETURN(result.weights[i], maker.make(weight, which.rank.value_or(0)));
      if (loaded)
        loaded(weightBytes(weight));
      continue;
    }
    const StoredTensor *tensor = result.file->find(weight.name()->string_view());
    EPIGRAPH_RETURN_IF_ERROR(checkWeight(weight, tensor, path.string()));
    EPIGRAPH_ASSIGN_OR_RETURN(
        result.weights[i],
        driver.mapConstants(tensor->bytes,
                            absl::StrCat("weight ", abslView(weight.name()->string_view()))));
    if (loaded)
      loaded(tensor->bytes.size());
  }
  EPIGRAPH_RETURN_IF_ERROR(maker.finish());
  return result;
}

} // namespace epigraph
