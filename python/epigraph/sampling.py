"""How the tokens of a text are chosen."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Optional, Union


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How the tokens of a text are chosen.

    With temperature 0 the most likely token is taken every time. Else logits are divided by the
    temperature (0.001 to 1000); of the tokens, the ``top_k`` most likely are left (0: all), of these
    the most likely that together have the share ``top_p`` of the probability (1: all), and of these
    those that are at least ``min_p`` times as likely as the most likely (0: all); and one of them is
    drawn with its probability.

    The draws follow from ``seed``, the position in the text and nothing else: equal seeds give equal
    texts, alone or in a batch. Without one, each prompt gets a new one.
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    seed: Optional[int] = None


SamplingArgument = Union[Sampling, Sequence[Sampling], None]


def sampling_of_each(sampling: SamplingArgument, prompts: int) -> list[Sampling]:
    """One for each of so many prompts."""
    if sampling is None or isinstance(sampling, Sampling):
        return [sampling or Sampling()] * prompts
    if len(sampling) != prompts:
        raise ValueError(f"{len(sampling)} samplings for {prompts} prompts; expected one for each, or one for all")
    return list(sampling)
