"""The compiler, loaded (with LLVM) when one of these functions is first called."""

from __future__ import annotations

import os
import pathlib
import tempfile
from typing import Optional, Sequence

from epigraph.artifact import Artifact, PathLike
from epigraph.session import Session


def compile(
    model_dir: PathLike,
    output: Optional[PathLike] = None,
    *,
    random_weights: Optional[int] = None,
    target: str = "cpu",
    ep: int = 1,
    tp: int = 1,
    tp_mode: str = "auto",
    expert_load: Optional[PathLike] = None,
    redundant_experts: int = 0,
    attention: str = "replicated",
    compute: str = "bf16",
    max_batch_tokens: int = 512,
    max_seqs: int = 32,
    max_context: Optional[int] = None,
    dump_phases: Optional[PathLike] = None,
    fusion_level: int = 2,
    optimize: str = "all",
    disable_passes: Sequence[str] = (),
    pass_plugins: Sequence[PathLike] = (),
    insert_passes: Sequence[str] = (),
    start_from: Optional[PathLike] = None,
    start_phase: Optional[str] = None,
    reproducer: Optional[PathLike] = None,
) -> Artifact:
    """Compiles a Hugging Face checkpoint directory.

    ``random_weights`` is a seed for weights in place of the checkpoint's; ``model_dir`` then needs
    none, and may be a ``config.json``.

    The other options are those of ``epigraph compile``: ``target`` is ``cpu`` (this machine) or
    ``cpu:NAME``; ``ep`` groups share the experts; the ``tp`` ranks of each group share heads,
    projections and experts, as ``tp_mode`` (``auto``, ``column``, ``row``, ``2d``) says;
    ``expert_load`` names a file of measured loads, by which experts are placed, with
    ``redundant_experts`` replicas of busy ones; ``attention`` is ``replicated`` or ``data``;
    ``compute`` is ``bf16`` or ``float32``; the limits bound one rank's batch (``max_context``: by
    default the model's own, at most 4096). ``dump_phases`` names a directory for the IR after each
    phase.

    ``fusion_level`` (0 to 3), ``optimize`` (``all`` or ``none``) and ``disable_passes`` (flags) say
    which optimisations run; ``insert_passes`` (``"NAME{options}@PHASE"``) adds passes, those of
    ``pass_plugins`` among them. ``start_from`` is the path of IR that an earlier compilation wrote,
    ``start_phase`` the first phase to run on it. ``reproducer`` names the file for what replays a
    failing pass.

    Without ``output`` the artifact lies in a temporary directory, which goes away with the object.
    """
    from epigraph import _compiler

    options = {
        "random_weights": random_weights,
        "target": target,
        "ep": ep,
        "tp": tp,
        "tp_mode": tp_mode,
        "expert_load": os.fspath(expert_load) if expert_load is not None else "",
        "redundant_experts": redundant_experts,
        "attention": attention,
        "compute": compute,
        "max_batch_tokens": max_batch_tokens,
        "max_seqs": max_seqs,
        "max_context": max_context,
        "dump_phases": _path(dump_phases),
        "fusion_level": fusion_level,
        "optimize": optimize,
        "disable_passes": list(disable_passes),
        "pass_plugins": [os.fspath(plugin) for plugin in pass_plugins],
        "insert_passes": list(insert_passes),
        "start_from": _path(start_from),
        "start_phase": start_phase or "",
        "reproducer": _path(reproducer),
    }
    if output is not None:
        _compiler.compile(os.fspath(model_dir), os.fspath(output), options)
        return Artifact(output)
    directory = tempfile.TemporaryDirectory(prefix="epigraph-")
    path = pathlib.Path(directory.name) / "model.epi"
    _compiler.compile(os.fspath(model_dir), str(path), options)
    return Artifact(path, _owner=directory)


def _path(path: Optional[PathLike]) -> str:
    return "" if path is None else os.fspath(path)


def reference(ir: PathLike, model_dir: PathLike, *, ranks: int = 1) -> Session:
    """A session on the reference interpreter: plain float32 C++, one function an operation.

    ``ir`` is IR text, or the path of a file of it, as of any phase up to ``codegen``
    (``compile(dump_phases=...)`` writes them); the weights come from the checkpoint. ``ranks`` is
    for IR without an ``ep.mesh``, which says it itself.
    """
    from epigraph import _compiler

    text, name = _read_ir(ir)
    return Session._of(_compiler.open_reference(text, name, os.fspath(model_dir), ranks))


def _read_ir(ir: PathLike) -> tuple[str, str]:
    """The IR and its name for messages: whatever has more than one line is IR itself."""
    path = os.fspath(ir)
    if "\n" in path:
        return path, "<ir>"
    return pathlib.Path(path).read_text(), path
