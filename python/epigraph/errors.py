"""Exceptions of the package: one class for each way in which the command line can fail.

``str(error)`` is the message that the command line prints after ``epigraph: error:``,
``error.code`` the code before it (``"E0302"``, which ``epigraph explain`` knows, or ``None``), and
``error.exit_code`` the exit code that it ends with.
"""

from typing import Optional


class Error(Exception):
    """Whatever Epigraph refuses or fails to do."""

    exit_code = 1
    code: Optional[str] = None


class InternalError(Error):
    """A bug of Epigraph; please report it."""


class InvalidInputError(Error):
    """A checkpoint, artifact, tokenizer, IR text or argument that is missing, broken or wrong."""

    exit_code = 3


class UnsupportedError(Error):
    """An architecture, target feature or combination of options that Epigraph does not have."""

    exit_code = 4


class ResourceError(Error):
    """Memory, a limit that the artifact was compiled for, or a deadline."""

    exit_code = 5


class InterruptedError(Error):
    """Work that was stopped from outside. Ctrl-C itself raises KeyboardInterrupt."""

    exit_code = 130
