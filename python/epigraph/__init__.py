"""Epigraph: compile mixture-of-experts language models, and run them.

    import epigraph

    artifact = epigraph.compile("models/tiny-deepseek-v3", ep=2)
    llm = epigraph.LLM(artifact)
    for completion in llm.generate(["def fibonacci(n):"], max_tokens=32):
        print(completion.text)

Running an artifact loads no part of the compiler: LLVM comes in with the first call of `compile` or
`reference`.
"""

from epigraph._runtime import Tokenizer, __version__
from epigraph.artifact import Artifact
from epigraph.compiler import compile, reference
from epigraph.errors import (
    Error,
    InternalError,
    InterruptedError,
    InvalidInputError,
    ResourceError,
    UnsupportedError,
)
from epigraph.llm import LLM, Completion
from epigraph.sampling import Sampling
from epigraph.session import Perplexity, Session

__all__ = [
    "LLM",
    "Artifact",
    "Completion",
    "Error",
    "InternalError",
    "InterruptedError",
    "InvalidInputError",
    "Perplexity",
    "ResourceError",
    "Sampling",
    "Session",
    "Tokenizer",
    "UnsupportedError",
    "__version__",
    "compile",
    "reference",
]
