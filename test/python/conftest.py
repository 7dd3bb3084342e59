"""What the tests share: artifacts, each compiled once, and goldens."""

import contextlib
import fcntl
import hashlib
import json
import shutil

import pytest
from safetensors.numpy import load_file

from tools import BIN, BUILD, GOLDENS, MODEL, run_tool

DEEPSEEK_V3 = GOLDENS / "deepseek_v3"


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def locked(path):
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class ArtifactStore:
    """Artifacts by their options, for all test programs of one build of the compiler.

    CTest runs test files side by side; whoever needs an artifact first compiles it, and the others
    wait. What an older compiler made is thrown away.
    """

    def __init__(self, folder):
        self.folder = folder
        self.compiler = digest(BIN / "epigraph-compile")
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / "lock"):
            stamp = folder / "compiler"
            if not stamp.exists() or stamp.read_text() != self.compiler:
                for old in folder.glob("*.made"):
                    shutil.rmtree(old)
                stamp.write_text(self.compiler)

    def get(self, model=MODEL, **options):
        """The artifact; its phases are dumped beside it, in `phases`. A tuple is a flag given for
        each of its values."""
        given = [(key, str(part)) for key, value in sorted(options.items())
                 for part in (value if isinstance(value, tuple) else (value,))]
        name = "-".join([model.name, *(f"{key}-{part}" for key, part in given)])
        name = name.replace(":", "-").replace("/", "-")
        made = self.folder / f"{name}.made"
        with locked(self.folder / f"{name}.lock"):
            if not (made / "done").exists():
                shutil.rmtree(made, ignore_errors=True)
                made.mkdir()
                flags = [text for key, part in given
                         for text in (f"--{key.replace('_', '-')}", part)]
                run_tool("epigraph", "compile", model, "-o", made / "model.epi", *flags,
                         "--dump-phases", made / "phases", check=True)
                (made / "done").touch()
        return made / "model.epi"


@pytest.fixture(scope="session")
def artifacts():
    return ArtifactStore(BUILD / "test-artifacts")


@pytest.fixture(scope="session")
def float32_artifact(artifacts):
    return artifacts.get(compute="float32")


@pytest.fixture(scope="session")
def bf16_artifact(artifacts):
    return artifacts.get(compute="bf16")


@pytest.fixture
def copied(bf16_artifact, tmp_path):
    """An artifact of one's own, to break."""
    copy = tmp_path / "copy.epi"
    shutil.copytree(bf16_artifact, copy)
    return copy


@pytest.fixture(scope="session")
def greedy():
    """Prompts with their ids and greedy continuations."""
    return json.loads((GOLDENS / "tiny-deepseek-v3/greedy.json").read_text())


@pytest.fixture(scope="session")
def window():
    """input_ids, next_ids, logits, mtp_logits of 192 positions."""
    return load_file(GOLDENS / "tiny-deepseek-v3/window.safetensors")


@pytest.fixture(scope="session")
def random_model_golden():
    """input_ids, logits, greedy_ids of the random model."""
    return load_file(DEEPSEEK_V3 / "golden.safetensors")


@pytest.fixture(scope="session")
def eval_text():
    return (GOLDENS / "tiny-deepseek-v3/eval.txt").read_text()


@pytest.fixture(scope="session")
def perplexity_golden():
    return json.loads((GOLDENS / "tiny-deepseek-v3/perplexity.json").read_text())
