"""`epigraph inspect --graph`: a page of its own that a browser opens."""

import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest

from tools import MODEL, run_tool

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
               None)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    path = tmp_path_factory.mktemp("graph") / "x.epi"
    run_tool("epigraph", "compile", MODEL, "-o", path, "--ep", "2", "--keep-ir", check=True)
    return path


@pytest.fixture(scope="module")
def page(artifact):
    path = artifact.parent / "page.html"
    run_tool("epigraph", "inspect", artifact, "--graph", path, check=True)
    return path


def parse(page):
    """As XML, which is stricter than any browser."""
    text = page.read_text()
    assert text.startswith("<!DOCTYPE html>")
    return ElementTree.fromstring(text.removeprefix("<!DOCTYPE html>"))


def test_every_launch_once(artifact, page):
    root = parse(page)
    ir = (artifact / "ir/codegen.mlir").read_text()
    launches = [e for e in root.iter("details") if e.get("data-node") == "launch"]
    assert len(launches) == len(re.findall(r"exec\.launch @", ir)) > 20
    collectives = [e for e in root.iter("details") if e.get("data-node") == "collective"]
    assert len(collectives) >= 2
    text = page.read_text()
    for part in ("model.layers.1", "flop", "bytes at", "communication"):
        assert part in text


def test_needs_nothing_else(page):
    root = parse(page)
    assert "http" not in page.read_text()
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    for link in root.iter("a"):
        assert link.get("href")[0] == "#" and link.get("href")[1:] in ids


def test_of_ir(tmp_path):
    """Of any phase: here a graph without launches."""
    run_tool("epigraph", "compile", MODEL, "--stop-after", "fuse", "-o", tmp_path / "fuse.mlir",
             check=True)
    run_tool("epigraph", "inspect", tmp_path / "fuse.mlir", "--graph", tmp_path / "p.html",
             check=True)
    nodes = [e for e in parse(tmp_path / "p.html").iter("details") if e.get("data-node") == "op"]
    assert len(nodes) > 20


def test_an_artifact_without_ir(bf16_artifact, tmp_path):
    result = run_tool("epigraph", "inspect", bf16_artifact, "--graph", tmp_path / "p.html")
    assert result.returncode == 3
    assert "--keep-ir" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(BROWSER is None, reason="no Chromium in PATH: the page is checked as XML only")
def test_in_a_browser(page):
    result = subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", page.as_uri()],
        capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.count('data-node="launch"') == page.read_text().count(
        'data-node="launch"')
