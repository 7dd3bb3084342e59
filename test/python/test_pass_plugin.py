"""The template of docs/how-to/pass-plugin, built against an installed Epigraph, and used."""

import json
import os
import shutil
import subprocess

import pytest

import epigraph
from tools import BUILD, MODEL, ROOT

TEMPLATE = ROOT / "docs/how-to/pass-plugin"
INSERT = "demo-order-addends@fuse"


def run(*command, **options):
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    path = tmp_path_factory.mktemp("prefix")
    for component in ("tools", "development"):
        run("cmake", "--install", BUILD, "--component", component, "--prefix", path)
    return path


@pytest.fixture(scope="module")
def project(prefix, tmp_path_factory):
    """A copy of the template, built with nothing but what is installed."""
    path = tmp_path_factory.mktemp("project") / "my-passes"
    shutil.copytree(TEMPLATE, path)
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith(("LD_", "CMAKE_", "EPIGRAPH"))}
    run("cmake", "-G", "Ninja", "-S", path, "-B", path / "build", f"-DCMAKE_PREFIX_PATH={prefix}",
        "-DCMAKE_CXX_COMPILER=clang++-22", "-DCMAKE_C_COMPILER=clang-22",
        "-DCMAKE_BUILD_TYPE=Release", env=environment)
    run("cmake", "--build", path / "build", env=environment)
    return path


@pytest.fixture(scope="module")
def plugin(project):
    return project / "build/DemoPasses.so"


def test_its_lit_test_passes(project):
    run("ctest", "--test-dir", project / "build", "--output-on-failure")


def test_compile_with_it(prefix, plugin, tmp_path):
    """The pass runs, its statistics are reported, and the numbers stay: greedy tokens are equal."""
    compiled = run(prefix / "bin/epigraph", "compile", MODEL, "-o", tmp_path / "with.epi", "--json",
                   f"--load-pass-plugin={plugin}", f"--insert-pass={INSERT}")
    (entry,) = [entry for entry in json.loads(compiled.stdout)["passes"]
                if entry["pass"] == "demo-order-addends"]
    assert int(dict(entry["numbers"])["swapped"]) > 0
    run(prefix / "bin/epigraph", "compile", MODEL, "-o", tmp_path / "without.epi")
    tokens = [run(prefix / "bin/epigraph", "run", tmp_path / name, "--ids", "0,328,286,1769",
                  "--max-tokens", "24", "--json").stdout for name in ("with.epi", "without.epi")]
    assert json.loads(tokens[0])["token_ids"] == json.loads(tokens[1])["token_ids"]


def test_compile_with_it_from_python(plugin, tmp_path):
    dumps = tmp_path / "phases"
    epigraph.compile(MODEL, tmp_path / "x.epi", pass_plugins=[plugin],
                     insert_passes=["demo-order-addends{limit=1}@fuse"], dump_phases=dumps)
    plain = tmp_path / "plain"
    epigraph.compile(MODEL, tmp_path / "y.epi", dump_phases=plain)
    changed = [a != b for a, b in zip((dumps / "02-fuse.mlir").read_text().splitlines(),
                                      (plain / "02-fuse.mlir").read_text().splitlines())]
    assert sum(changed) == 1


def test_the_host_is_named_that_a_plugin_needs(plugin, tmp_path):
    """What is no plugin is refused with the reason."""
    broken = tmp_path / "Broken.so"
    broken.write_text("no shared object")
    with pytest.raises(epigraph.InvalidInputError, match="build it against this version") as caught:
        epigraph.compile(MODEL, tmp_path / "x.epi", pass_plugins=[broken])
    assert caught.value.code == "E0106" and caught.value.exit_code == 2
