"""Git's raw differences between two trees, read as changes of files."""

import os
import posixpath
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from kimi_code.events import FileChange


def parse_diff(output: bytes, prefix: str) -> tuple[FileChange, ...]:
    """Reads `diff-tree -z --raw --numstat`: first `:modes ids STATUS\\0path[\\0new path]` for each, then counts."""
    fields = iter(os.fsdecode(output).split("\0"))
    changes: dict[str, FileChange] = {}
    for entry in fields:
        if entry.startswith(":"):
            letter = entry.rpartition(" ")[2][0]
            path = next(fields)
            path = next(fields) if letter == "R" else path
            changes[path] = FileChange(_relative(path, prefix), _CHANGES.get(letter, "modified"))
        elif entry:
            added, removed, path = entry.split("\t", 2)
            if not path:  # a rename: its old and new name follow
                next(fields)
                path = next(fields)
            changes[path] = replace(changes[path], added=_count(added), removed=_count(removed))
    return tuple(changes.values())


_CHANGES: Mapping[str, Literal["created", "deleted", "renamed"]] = {"A": "created", "D": "deleted", "R": "renamed"}


def _count(text: str) -> int:
    return 0 if text == "-" else int(text)


def _relative(path: str, prefix: str) -> str:
    return path if prefix == "." else posixpath.relpath(path, prefix)
