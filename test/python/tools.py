"""Running the tools, and reading what they write. The build's own programs, never installed ones.

CTest sets EPIGRAPH_BINARY_DIR and PYTHONPATH; by hand, `make build` and
    EPIGRAPH_BINARY_DIR=build/dev PYTHONPATH=build/dev/python .venv/bin/pytest test/python
"""

import json
import os
import pathlib
import subprocess

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("EPIGRAPH_BINARY_DIR", ROOT / "build/dev")).resolve()
BIN = BUILD / "bin"
MODEL = ROOT / "models/tiny-deepseek-v3"
GOLDENS = ROOT / "test/goldens"


def run_tool(tool, *arguments, check=False, timeout=300, **options):
    """Runs one of our programs; its output as text."""
    result = subprocess.run(
        [str(BIN / tool), *map(str, arguments)],
        capture_output=True, text=True, timeout=timeout, **options,
    )
    if check:
        assert result.returncode == 0, f"{tool} {arguments}\n{result.stderr}"
    return result


def run_json(tool, *arguments, **options):
    """The object that a program prints with --json."""
    return json.loads(run_tool(tool, *arguments, "--json", check=True, **options).stdout)


def relative_error(found, expected):
    """Relative Frobenius distance, in double precision."""
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    assert found.shape == expected.shape
    assert np.isfinite(found).all()
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)
