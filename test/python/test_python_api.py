"""The Python package itself: arguments, errors, temporary artifacts, threads."""

import pathlib
import threading
import time

import numpy as np
import pytest
import tokenizers

import epigraph
from tools import BUILD, MODEL, ROOT


def test_version_is_the_project_version():
    cmake = (ROOT / "CMakeLists.txt").read_text()
    assert f"project(Epigraph VERSION {epigraph.__version__} " in cmake


def test_the_package_is_the_build_under_test():
    assert pathlib.Path(epigraph.__file__).is_relative_to(BUILD)


def test_compile_generate_and_clean_up(greedy):
    artifact = epigraph.compile(MODEL, ep=2, compute="float32")
    assert artifact.ranks == 2
    assert artifact.manifest["compute"] == "float32"
    path = artifact.path
    llm = epigraph.LLM(artifact)
    del artifact  # the model still needs the files
    (completion,) = llm.generate(greedy[0]["prompt"], max_tokens=4)
    assert completion.token_ids == greedy[0]["greedy_ids"][:4]
    assert path.exists()
    del llm
    assert not path.exists()


def test_compile_to_a_place(tmp_path):
    artifact = epigraph.compile(MODEL, tmp_path / "x.epi", dump_phases=tmp_path / "phases")
    assert artifact.path == tmp_path / "x.epi"
    assert (tmp_path / "phases/00-import.mlir").exists()
    assert epigraph.Artifact(tmp_path / "x.epi", verify=True).manifest == artifact.manifest


@pytest.mark.parametrize("options", [{"attention": "none"}, {"compute": "fp3"}])
def test_wrong_choices(options):
    (value,) = options.values()
    with pytest.raises(ValueError, match=f"'{value}'; expected"):
        epigraph.compile(MODEL, **options)


def test_prompts_as_text_and_as_ids(bf16_artifact, greedy):
    llm = epigraph.LLM(bf16_artifact)
    case = greedy[0]
    (by_text,) = llm.generate([case["prompt"]], max_tokens=6)
    (by_ids,) = llm.generate([np.array(case["input_ids"])], max_tokens=6)
    assert by_text == by_ids
    assert llm.generate([], max_tokens=6) == []


def test_errors_have_the_exit_codes_of_the_command_line():
    codes = {cls.__name__: cls.exit_code for cls in
             [epigraph.InternalError, epigraph.InvalidInputError, epigraph.UnsupportedError,
              epigraph.ResourceError, epigraph.InterruptedError]}
    assert codes == {"InternalError": 1, "InvalidInputError": 3, "UnsupportedError": 4,
                     "ResourceError": 5, "InterruptedError": 130}
    for name in codes:
        assert issubclass(getattr(epigraph, name), epigraph.Error)


def test_other_threads_run_meanwhile(bf16_artifact):
    """Generation releases the GIL."""
    session = epigraph.Session(bf16_artifact)
    ticks = 0
    worker = threading.Thread(target=session.generate, args=([[0] * 200] * 8,),
                              kwargs={"max_tokens": 64})
    worker.start()
    while worker.is_alive():
        ticks += 1
        time.sleep(0.001)
    assert ticks > 10


def test_one_session_from_many_threads(bf16_artifact, window):
    session = epigraph.Session(bf16_artifact)
    ids = window["input_ids"][:40]
    expected = session.logits(ids)
    found = [None] * 4
    def work(index):
        found[index] = session.logits(ids)
    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for logits in found:
        np.testing.assert_array_equal(logits, expected)


def test_tokenizer_agrees_with_the_tokenizers_library(eval_text):
    path = str(MODEL / "tokenizer.json")
    ours, theirs = epigraph.Tokenizer(path), tokenizers.Tokenizer.from_file(path)
    texts = [eval_text, "", "naïve café 你好 🙂🏽\r\n\t  x", "1234567 don't\n\n\n  y"]
    for text in texts:
        for special in (True, False):
            ids = ours.encode(text, add_special=special)
            assert ids == theirs.encode(text, add_special_tokens=special).ids
            assert ours.decode(ids) == theirs.decode(ids)
