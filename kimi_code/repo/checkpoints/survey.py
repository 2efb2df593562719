"""What git does not keep of a working tree: full modes, empty folders, and how ignored files look from outside."""

import json
from collections.abc import Mapping
from dataclasses import field
from typing import Any, cast

from kimi_code.values import frozen


@frozen
class Survey:
    """Paths are relative to the working tree, folders end with `/`.

    `plain`, `executable` and `folder` are the modes most files and folders have, `modes` those of the others; zeros
    where the system has none. `empty` are folders with nothing in them. `ignored` maps to (size, modified in ns).
    `outside` is all that is ignored; a folder that a rule names stands for all that is in it.
    """

    plain: int = 0
    executable: int = 0
    folder: int = 0
    modes: Mapping[str, int] = field(default_factory=dict[str, int])
    empty: frozenset[str] = frozenset()
    ignored: Mapping[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    outside: frozenset[str] = frozenset()

    def was_ignored(self, path: str) -> bool:
        """Whether a path was ignored, by itself or with a folder around it."""
        parts = path.split("/")
        return any("/".join(parts[: n + 1]) in self.outside for n in range(len(parts)))

    def mode(self, path: str, *, executable: bool = False) -> int:
        """The mode of a file or folder; `executable` is what git knows of it."""
        usual = self.folder if path.endswith("/") else self.executable if executable else self.plain
        return self.modes.get(path, usual)

    def same_usual_modes(self, other: "Survey") -> bool:
        return (self.plain, self.executable, self.folder) == (other.plain, other.executable, other.folder)


def encode_kept(survey: Survey) -> bytes:
    """What makes two states of a tree different, as JSON with its keys in order."""
    usual = [survey.plain, survey.executable, survey.folder]
    wire = {"usual": usual, "modes": dict(sorted(survey.modes.items())), "empty": sorted(survey.empty)}
    return json.dumps(wire, separators=(",", ":")).encode()


def encode_ignored(survey: Survey) -> bytes:
    wire = {"looks": survey.ignored, "outside": sorted(survey.outside)}
    return json.dumps(wire, separators=(",", ":"), sort_keys=True).encode()


def decode(kept: bytes, ignored: bytes) -> Survey:
    """The inverse of both. Raises ValueError when they are damaged."""
    try:
        wire = cast("dict[str, Any]", json.loads(kept))
        plain, executable, folder = wire["usual"]
        seen = cast("dict[str, Any]", json.loads(ignored))
        looks = {path: (size, at) for path, (size, at) in seen["looks"].items()}
        outside = frozenset(cast("list[str]", seen["outside"]))
        return Survey(plain, executable, folder, wire["modes"], frozenset(wire["empty"]), looks, outside)
    except (KeyError, TypeError) as error:
        raise ValueError(f"damaged: {error}") from error
