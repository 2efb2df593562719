"""The index that commands ask: the one that sessions in the same folder use."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from kimi_code.cli.output import warn
from kimi_code.config import find_places
from kimi_code.counting import counted

if TYPE_CHECKING:
    from kimi_code.repo.index import Index


def cache_folder(cwd: Path) -> Path:
    """Where the indexes of all projects are kept."""
    return find_places(os.environ, cwd).data_dir / "index"


@asynccontextmanager
async def index_at(folder: Path) -> "AsyncGenerator[Index]":
    """The index of the repository that `folder` (absolute) is in, or of the folder alone."""
    from kimi_code.repo.git import find_project
    from kimi_code.repo.index import Index

    index = Index(find_project(folder), cache_folder(folder))
    try:
        yield index
    finally:
        await index.close()


def warn_if_partial(index: "Index") -> None:
    """Say on standard error what an answer may lack."""
    status = index.status
    for note in status.notes:
        warn(note)
    if status.partial:
        left = (
            f"still to be read: {counted(status.pending, 'file')}" if status.pending else "files are still being listed"
        )
        warn(f"the index is not complete: {left}")
