"""What `make install` and `pip install` put elsewhere runs there."""

import os
import shutil
import subprocess
import sys

from tools import BUILD, MODEL, ROOT


def install(component, prefix):
    subprocess.run(["cmake", "--install", BUILD, "--component", component, "--prefix", prefix],
                   check=True, capture_output=True)


def clean_environment(**extra):
    """Without what might point into the build."""
    kept = {name: value for name, value in os.environ.items()
            if not name.startswith(("LD_", "PYTHON", "EPIGRAPH"))}
    return {**kept, **extra}


def test_tools(tmp_path):
    install("tools", tmp_path)
    environment = clean_environment(PATH=f"{tmp_path}/bin:/usr/bin:/bin")
    script = (f"epigraph compile {MODEL} -o x.epi && epigraph run x.epi --ids 0,328 --max-tokens 4"
              f" && epigraph compile {MODEL} --stop-after import | epigraph-opt - --canonicalize"
              f" | epigraph-reference - --model {MODEL} --ids 0,328 --max-tokens 4")
    result = subprocess.run(["bash", "-eo", "pipefail", "-c", script], cwd=tmp_path, env=environment,
                            capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    found = {path.name for path in (tmp_path / "bin").iterdir()}
    assert found == {"epigraph", "epigraph-bisect", "epigraph-compile",
                     "epigraph-compile-kernels", "epigraph-graph",
                     "epigraph-lsp-server", "epigraph-opt", "epigraph-reduce", "epigraph-reference"}


def test_python_modules(tmp_path):
    """A wheel is the package's .py files and this component."""
    install("python", tmp_path)
    for path in (ROOT / "python/epigraph").glob("*.py"):
        shutil.copy(path, tmp_path / "epigraph")
    script = (f"import epigraph; assert epigraph.__file__.startswith({str(tmp_path)!r})\n"
              f"artifact = epigraph.compile({str(MODEL)!r})\n"
              "assert len(epigraph.Session(artifact).generate([[0]], max_tokens=2)[0]) == 2")
    result = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True,
                            text=True, env=clean_environment(PYTHONPATH=str(tmp_path)))
    assert result.returncode == 0, result.stderr
