"""Everything that the README tells a reader to run, run as it stands there."""

import os
import re
import subprocess
import sys

import pytest

from tools import BIN, BUILD, ROOT

README = (ROOT / "README.md").read_text()
COMMANDS = [
    line.removeprefix("$ ")
    for block in re.findall(r"```console\n(.*?)```", README, re.S)
    for line in block.splitlines()
    if line.startswith("$ ")
]
MAKE = [command for command in COMMANDS if command.startswith("make ")]
OTHERS = [command for command in COMMANDS if not command.startswith("make ")]


@pytest.fixture
def clone(tmp_path):
    """What a clone looks like from its root, except that new files land elsewhere."""
    for name in ("models", "test"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "build").mkdir()
    (tmp_path / "build/dev").symlink_to(BUILD)
    return tmp_path


def test_the_readme_has_commands():
    assert MAKE == ["make demo", "make test"]
    assert len(OTHERS) >= 7


def test_commands(clone):
    """In one shell, one after the other, stopping at the first that fails."""
    script = "set -eux -o pipefail\n" + "\n".join(OTHERS)
    result = subprocess.run(["bash", "-c", script], cwd=clone, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "perplexity" in result.stdout
    assert (clone / "tiny.epi/manifest.json").exists()
    assert "epi.head_linear" in (clone / "fused.mlir").read_text()


def test_demo(tmp_path):
    """`make demo` builds the tools and runs scripts/demo; the tools are built by now."""
    recipe = subprocess.run(["make", "--no-print-directory", "-n", "demo"], cwd=ROOT, capture_output=True, text=True,
                            check=True).stdout.splitlines()
    assert recipe[-1].startswith("scripts/demo ")
    result = subprocess.run([ROOT / "scripts/demo", BIN, tmp_path], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    for part in ("def fibonacci", "tokens/s", "operations", "fused", "2 ranks"):
        assert part in result.stdout


def test_python(clone):
    (block,) = re.findall(r"```python\n(.*?)```", README, re.S)
    script = block + "\nassert logits.shape == (session.vocab,)\n"
    result = subprocess.run([sys.executable, "-c", script], cwd=clone, capture_output=True,
                            text=True, env={**os.environ, "PYTHONPATH": str(BUILD / "python")})
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip()


def test_links():
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md")]:
        prose = re.sub(r"```.*?```", "", path.read_text(), flags=re.S)
        for target in re.findall(r"\]\(([^)#:]+)(?:#[\w-]*)?\)", prose):
            assert (path.parent / target).exists(), f"{path}: {target}"


def test_nothing_else_is_left_to_the_reader():
    """Shell commands stand in console blocks, where this test finds them."""
    assert not re.search(r"```(sh|bash|shell)", README)
