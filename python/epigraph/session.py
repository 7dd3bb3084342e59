"""Driving a model with token ids."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Optional, Union

import numpy as np

from epigraph import _runtime
from epigraph.artifact import Artifact, PathLike
from epigraph.sampling import SamplingArgument, sampling_of_each


@dataclasses.dataclass(frozen=True)
class Perplexity:
    """Perplexity of a text, in windows."""

    value: float
    nll: float  # mean negative log-likelihood of a token, in nats
    tokens: int  # scored
    window_nll: list[float]


class Session:
    """A loaded model, driven with token ids.

    ``logits``, ``mtp_logits``, ``generate`` and ``perplexity`` each start from empty caches. For
    full control, ``add_sequence`` opens a sequence, whose tokens stay in the caches, and ``step``
    extends any number of them at once::

        session = epigraph.Session("tiny.epi")
        a, b = session.add_sequence(), session.add_sequence()
        logits = session.step({a: [0, 328, 286], b: [0, 974]})
        logits = session.step({a: [int(logits[a].argmax())], b: [int(logits[b].argmax())]})

    Calls from several threads take turns; all of them release the GIL. ``memory_pool`` caps the
    memory in bytes, ``threads`` the processor cores used.
    """

    def __init__(
        self,
        artifact: Union[Artifact, PathLike],
        *,
        threads: Optional[int] = None,
        memory_pool: Optional[int] = None,
    ) -> None:
        # A temporary artifact must live as long as its files are mapped.
        self._artifact = artifact if isinstance(artifact, Artifact) else Artifact(artifact)
        self._native: Any = _runtime.open_session(
            str(self._artifact.path), threads or 0, memory_pool or 0
        )

    @classmethod
    def _of(cls, native: Any) -> Session:
        session = cls.__new__(cls)
        session._artifact = None
        session._native = native
        return session

    @property
    def architecture(self) -> str:
        """The model's class, as in its config.json."""
        return self._native.architecture

    @property
    def vocab(self) -> int:
        """Tokens of the vocabulary: the width of logits."""
        return self._native.vocab

    @property
    def ranks(self) -> int:
        """Ranks that the model runs on."""
        return self._native.ranks

    @property
    def max_context(self) -> int:
        """Positions that a sequence can have."""
        return self._native.max_context

    @property
    def has_mtp(self) -> bool:
        """Whether the model has a layer that predicts the token after the next."""
        return self._native.has_mtp

    def add_sequence(self) -> int:
        """Opens an empty sequence; returns the handle that ``step`` takes."""
        return self._native.add_sequence()

    def close_sequence(self, handle: int) -> None:
        """Frees the caches that a sequence holds."""
        self._native.close_sequence(handle)

    def sequence_length(self, handle: int) -> int:
        """Tokens of a sequence so far."""
        return self._native.sequence_length(handle)

    def step(
        self, ids: Mapping[int, Iterable[int]], *, outputs: str = "last"
    ) -> dict[int, np.ndarray]:
        """Appends tokens to sequences; all of them are computed together.

        Returns float32 logits by handle: of the token after the last one, shape ``[vocab]``
        (``outputs="last"``), or after each one, shape ``[len(ids), vocab]`` (``outputs="all"``).
        """
        if outputs not in ("last", "all"):
            raise ValueError(f'outputs is {outputs!r}; expected "last" or "all"')
        inputs = [(handle, _list(tokens)) for handle, tokens in ids.items()]
        rows = self._native.step(inputs, outputs == "all")
        if outputs == "last":
            rows = [row[0] for row in rows]
        return {handle: row for (handle, _), row in zip(inputs, rows)}

    def logits(self, ids: Iterable[int]) -> np.ndarray:
        """Float32 logits of every position, shape ``[len(ids), vocab]``."""
        return self._native.logits(_list(ids))

    def mtp_logits(self, ids: Iterable[int], next_ids: Iterable[int]) -> np.ndarray:
        """The same of the MTP layer, given each token and the one after it."""
        return self._native.mtp_logits(_list(ids), _list(next_ids))

    def generate(
        self,
        prompts: Sequence[Iterable[int]],
        *,
        max_tokens: int = 64,
        eos: Iterable[int] = (),
        sampling: SamplingArgument = None,
    ) -> list[list[int]]:
        """Continuations of prompts given as ids, all of them run together.

        A token of ``eos`` ends a continuation, and is its last one. ``sampling`` says how tokens
        are chosen, for all prompts or for each; by default the most likely one is taken.
        """
        return [ids for ids, _ in self._generate(prompts, max_tokens, eos, sampling)]

    def _generate(
        self,
        prompts: Sequence[Iterable[int]],
        max_tokens: int,
        eos: Iterable[int],
        sampling: SamplingArgument,
    ) -> list[tuple[list[int], int]]:
        """Of each prompt the tokens, and the seed that they follow from."""
        each = [dataclasses.astuple(one) for one in sampling_of_each(sampling, len(prompts))]
        return self._native.generate([_list(ids) for ids in prompts], max_tokens, _list(eos), each)

    def perplexity(self, ids: Iterable[int], *, bos: int, window: int = 1024) -> Perplexity:
        """Perplexity of a text given as ids, without special tokens.

        Each window is ``bos`` and the next ``window`` tokens, every one of which is scored; a last
        partial window is dropped.
        """
        nll, value, tokens, window_nll = self._native.perplexity(_list(ids), bos, window)
        return Perplexity(value, nll, tokens, window_nll)


def _list(ids: Iterable[int]) -> list[int]:
    return [int(token) for token in ids]
