# Tests on text: every .mlir file under test/ runs the commands of its RUN lines.
import os

import lit.formats

config.name = "epigraph"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir"]
config.excludes = ["Inputs", "goldens", "python"]
config.test_source_root = os.path.join(config.epigraph_source_dir, "test")
config.test_exec_root = os.path.join(config.epigraph_binary_dir, "test")
config.environment["PATH"] = os.pathsep.join(
    [os.path.join(config.epigraph_binary_dir, "bin"), config.llvm_tools_dir, os.environ["PATH"]]
)
# The small trained model that the repository carries.
config.substitutions.append(
    ("%model", os.path.join(config.epigraph_source_dir, "models", "tiny-deepseek-v3"))
)
