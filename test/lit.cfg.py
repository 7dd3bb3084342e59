# Tests on text: every .mlir and .test file under test/ runs the commands of its RUN lines.
import os
import shutil

import lit.formats

config.name = "epigraph"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.excludes = ["Inputs", "goldens", "gpu", "python"]
config.test_source_root = os.path.join(config.epigraph_source_dir, "test")
config.test_exec_root = os.path.join(config.epigraph_binary_dir, "test")
config.environment["PATH"] = os.pathsep.join(
    [os.path.join(config.epigraph_binary_dir, "bin"), config.llvm_tools_dir, os.environ["PATH"]]
)
# The small trained model that the repository carries.
config.substitutions.append(
    ("%model", os.path.join(config.epigraph_source_dir, "models", "tiny-deepseek-v3"))
)
# Plugins: passes that go wrong, and a dialect (test/tools/plugin).
for substitution, plugin in (("%test_passes", "TestPasses"), ("%test_dialect", "TestDialect")):
    config.substitutions.append(
        (substitution, os.path.join(config.epigraph_binary_dir, "test", "tools", f"{plugin}.so"))
    )
# Kernels of the CUDA target are assembled by NVIDIA's ptxas, found as codegen/cuda/Cubin.h says.
cuda_folders = [os.path.join(os.environ.get("CUDA_HOME", "/usr/local/cuda"), "bin"), "/usr/local/cuda/bin"]
if os.environ.get("EPIGRAPH_PTXAS") or shutil.which("ptxas", path=os.pathsep.join([os.environ["PATH"], *cuda_folders])):
    config.available_features.add("ptxas")
for variable in ("EPIGRAPH_PTXAS", "CUDA_HOME"):
    if variable in os.environ:
        config.environment[variable] = os.environ[variable]
