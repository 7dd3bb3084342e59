"""Compiled models on disk."""

from __future__ import annotations

import json
import os
import pathlib
from typing import Any, Optional, Union

from epigraph import _runtime

PathLike = Union[str, "os.PathLike[str]"]


class Artifact:
    """A compiled model: a directory NAME.epi.

    Opening checks the manifest, the sizes of all files, the digests of the small ones and the plan;
    with ``verify``, the digests of all files.
    """

    def __init__(
        self,
        path: PathLike,
        *,
        verify: bool = False,
        _owner: Optional[object] = None,
    ) -> None:
        self.path = pathlib.Path(path)
        # What keeps a temporary directory in being: it goes away with this object.
        self._owner = _owner
        self.manifest: dict[str, Any] = json.loads(_runtime.read_manifest(str(self.path), verify))
        """The content of manifest.json."""

    @property
    def ranks(self) -> int:
        """Ranks that the model is sharded over."""
        return self.manifest["ranks"]

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"Artifact({str(self.path)!r})"
