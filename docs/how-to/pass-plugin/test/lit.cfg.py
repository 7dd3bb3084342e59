# Every .mlir file here runs the commands of its RUN lines; %opt is epigraph-opt with the plugin.
import os

import lit.formats

config.name = "demo-passes"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(config.binary_dir, "test")
config.environment["PATH"] = os.pathsep.join(
    [config.epigraph_tools_dir, config.llvm_tools_dir, os.environ["PATH"]]
)
config.substitutions.append(("%opt", f"epigraph-opt --load-pass-plugin={config.plugin}"))
