"""Text in, text out."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Optional, Union

from epigraph import _runtime
from epigraph.artifact import Artifact, PathLike
from epigraph.errors import InvalidInputError
from epigraph.sampling import SamplingArgument
from epigraph.session import Perplexity, Session


@dataclasses.dataclass(frozen=True)
class Completion:
    """What a model made of one prompt."""

    text: str
    token_ids: list[int]  # generated; an end-of-sequence token included
    prompt_token_ids: list[int]
    seed: int  # that the tokens follow from, where they were sampled; else 0


class LLM:
    """A language model with its tokenizer, loaded from an artifact."""

    def __init__(
        self,
        artifact: Union[Artifact, PathLike],
        *,
        threads: Optional[int] = None,
        memory_pool: Optional[int] = None,
    ) -> None:
        self.artifact = artifact if isinstance(artifact, Artifact) else Artifact(artifact)
        tokenizer = self.artifact.path / "tokenizer.json"
        if not tokenizer.exists():
            raise InvalidInputError(
                f"{self.artifact.path} has no tokenizer.json: the checkpoint had none; add one to"
                " it and compile again, or use Session with token ids"
            )
        self.tokenizer = _runtime.Tokenizer(str(tokenizer))
        self.session = Session(self.artifact, threads=threads, memory_pool=memory_pool)

    def generate(
        self,
        prompts: Union[str, Sequence[str], Sequence[Iterable[int]]],
        *,
        max_tokens: int = 64,
        sampling: SamplingArgument = None,
    ) -> list[Completion]:
        """Continuations, in the order of the prompts.

        A prompt is a text, which is encoded as the tokenizer says (with its begin-of-sequence
        token), or token ids, which are taken as they are. All prompts run together; each gets the
        tokens that it would get alone. ``sampling`` says how tokens are chosen, for all prompts or
        for each; by default the most likely one is taken. What the model's generation_config.json
        proposes for that is not applied.
        """
        if isinstance(prompts, str):
            prompts = [prompts]
        ids = [
            self.tokenizer.encode(prompt) if isinstance(prompt, str) else [int(i) for i in prompt]
            for prompt in prompts
        ]
        eos = self.artifact.manifest.get("tokens", {}).get("eos", [])
        generated = self.session._generate(ids, max_tokens, eos, sampling)
        return [
            Completion(self.tokenizer.decode(tokens), tokens, prompt, seed)
            for (tokens, seed), prompt in zip(generated, ids)
        ]

    def perplexity(self, text: str, *, window: int = 1024) -> Perplexity:
        """Perplexity of a text; see ``Session.perplexity``."""
        bos = self.artifact.manifest.get("tokens", {}).get("bos")
        if bos is None:
            raise InvalidInputError(
                "the model names no begin-of-sequence token, which each window starts with; use"
                " Session.perplexity and choose one"
            )
        ids = self.tokenizer.encode(text, add_special=False)
        return self.session.perplexity(ids, bos=bos, window=window)
