"""The project's own checks find what they are for."""

import importlib.machinery
import importlib.util
import re

import pytest

from tools import ROOT


def script(name):
    """A program of scripts/, as a module."""
    path = str(ROOT / "scripts" / name)
    loader = importlib.machinery.SourceFileLoader(name.replace("-", "_"), path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


check_includes = script("check-includes")
lint = script("lint")


def test_every_include_goes_the_right_way():
    assert check_includes.main() == 0


@pytest.mark.parametrize("path,line", [
    ("runtime/exec/X.cpp", '#include "mlir/IR/Builders.h"'),
    ("runtime/session/X.cpp", '#include "compiler/driver/Compile.h"'),
    ("runtime/base/X.h", '#include "runtime/artifact/Plan.h"'),
    ("runtime/session/X.cpp", "#  include <llvm/ADT/StringRef.h>"),
    ("tools/epigraph/X.cpp", '#include "compiler/driver/Compile.h"'),
    ("passes/graph/X.cpp", '#include "codegen/cpu/KernelLibrary.h"'),
    ("dialects/epi/X.h", '#include "dialects/ep/Ep.h"'),
    ("dialects/epi/X.td", 'include "dialects/exec/ExecOps.td"'),
    ("compiler/driver/X.cpp", '#include "runtime/session/Session.h"'),
    ("python/bindings/RuntimeModule.cpp", '#include "compiler/driver/Compile.h"'),
])
def test_a_wrong_include_is_found(path, line):
    (complaint,) = check_includes.check_file(path, f"// text\n{line}\n")
    assert f"{path}:2" in complaint and "rule:" in complaint


@pytest.mark.parametrize("path,line", [
    ("runtime/exec/X.cpp", '#include "runtime/comm/Communicator.h"'),
    ("runtime/exec/X.cpp", "#include <nlohmann/json.hpp>"),
    ("tools/epigraph-compile/X.cpp", '#include "compiler/driver/Compile.h"'),
    ("dialects/ep/X.td", 'include "dialects/epi/EpiBase.td"'),
])
def test_a_right_include_is_not(path, line):
    assert list(check_includes.check_file(path, line)) == []


def test_every_source_folder_has_a_rule():
    for folder in check_includes.OWN_FOLDERS:
        for path in (ROOT / folder).rglob("*.cpp"):
            assert check_includes.rule_of(str(path.relative_to(ROOT))), path


@pytest.mark.parametrize("rule,text", [
    ("unfinished", "int x; // TODO: later"),
    ("unfinished", "# FIXME"),
    ("absolute_paths", 'open("/home/me/file")'),
    ("silent_failures", "if (bad)\n  return signalPassFailure();"),
    ("long_files", "\n" * 701),
])
def test_lint_finds(rule, text):
    assert list(getattr(lint, rule)("passes/graph/X.cpp", text))


@pytest.mark.parametrize("rule,text", [
    ("unfinished", "// TODO(needs MLIR 23): later"),
    ("silent_failures", 'op->emitError("x");\nreturn signalPassFailure();'),
    ("long_files", "\n" * 700),
])
def test_lint_accepts(rule, text):
    assert not list(getattr(lint, rule)("passes/graph/X.cpp", text))


@pytest.mark.parametrize("line", [
    "// CHECK_NEXT: epi.add", "// CHECK-NXT: epi.add", "// CHEK: epi.add", "// CHECK-NEXT epi.add",
    "// CHECK-COUNT: epi.add", "// OTHER-NOTT: epi.add",
])
def test_lint_finds_misspelt_checks(line):
    run = "// RUN: FileCheck %s --check-prefixes=CHECK,OTHER\n"
    assert list(lint.misspelt_checks("test/x.mlir", run + line))


@pytest.mark.parametrize("line", [
    "// CHECK: a", "// CHECK-NEXT: a", "  // CHECK-COUNT-3: a", "// OTHER-NOT: a", "// A word", "// CHECK-DAG: a",
])
def test_lint_accepts_checks(line):
    run = "// RUN: FileCheck %s --check-prefix=OTHER\n"
    assert not list(lint.misspelt_checks("test/x.mlir", run + line))


def test_the_tree_keeps_the_rules():
    names = lint.changed_files(everything=True)
    assert [complaint for name in names for complaint in lint.complaints_about(name)] == []


def test_generated_pages_are_up_to_date():
    for name, text in script("generate-docs").pages().items():
        assert text == (ROOT / "docs" / name).read_text(), f"docs/{name}: run scripts/generate-docs"


def test_every_operation_has_what_it_needs():
    """A verifier or types that say it all, a meaning, and a CPU kernel or a reason for none."""
    page = (ROOT / "docs/status.md").read_text()
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) > 50
    assert [row[0] for row in rows if row[2] != "yes" or row[3] == "no"] == []


def test_every_folder_of_passes_is_in_the_page():
    folders = {str(path.parent.relative_to(ROOT)) for path in ROOT.glob("*/*/Passes.td")}
    assert folders <= set(script("generate-docs").PASS_FOLDERS)


def sources_of(*folders, endings=(".cpp",)):
    return {str(path.relative_to(ROOT)): path.read_text()
            for folder in folders for path in (ROOT / folder).rglob("*")
            if path.suffix in endings}


def test_documented_messages_exist():
    """What the catalogue of refusals quotes is what the sources say."""
    files = sources_of("runtime", "compiler", "codegen", "passes", "tools")
    del files["runtime/base/ErrorCatalog.cpp"]
    # Adjacent literals are one message.
    said = re.sub(r'"\s*\n?\s*"', "", "".join(files.values())).replace('\\"', '"')
    quoted = 0
    for entry in script("generate-docs").error_catalog():
        for message in entry["message"].split("\n"):
            for piece in message.split("…"):
                assert piece.strip(" ;:,'") in said, (entry["code"], message, piece)
                quoted += 1
    assert quoted > 60


def test_every_error_code_is_raised_and_known():
    """The codes of the catalogue, of the enumeration and of the sources are the same."""
    catalog = [entry["code"] for entry in script("generate-docs").error_catalog()]
    assert catalog == sorted(set(catalog))
    header = (ROOT / "runtime/base/ErrorCode.h").read_text()
    names = dict(re.findall(r"^  (\w+) = (\d+),", header, flags=re.M))
    assert [f"E{int(number):04}" for number in names.values()] == catalog
    files = sources_of("runtime", "compiler", "codegen", "passes", "tools", endings=(".cpp", ".h"))
    del files["runtime/base/ErrorCatalog.cpp"]
    text = "".join(files.values())
    raised = {f"E{int(names[name]):04}" for name in re.findall(r"\bErrorCode::([A-Z]\w+)", text)}
    raised |= set(re.findall(r'refusal\(.*?"(E\d{4})"', text, flags=re.S))
    assert raised == set(catalog)


def test_errors_have_all_they_need():
    for entry in script("generate-docs").error_catalog():
        for key in ("cause", "remedy", "example"):
            assert entry[key], (entry["code"], key)
        assert 1 <= entry["exit_code"] <= 5
