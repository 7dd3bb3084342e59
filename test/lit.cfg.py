# Tests on text: every .mlir and .test file under test/ runs the commands of its RUN lines.
import os

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
