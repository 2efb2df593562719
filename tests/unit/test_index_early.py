"""The index asked before it is complete: while its parser is held, so that no machine is too fast for the question."""

import asyncio
from collections.abc import Callable
from itertools import count
from pathlib import Path

from kimi_code.repo.index import Index
from kimi_code.repo.indexing.connections import Connections
from kimi_code.repo.indexing.indexer import Indexer
from kimi_code.repo.indexing.parser_process import Job, Outcome, ParserProcess
from kimi_code.repo.outline import Focus
from kimi_code.repo.search import Search

FILES, FEW = 40, 5


class HeldParser(ParserProcess):
    """Reads a few files, and the others once it is let go."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.held, self.go = asyncio.Event(), asyncio.Event()

    async def run(self, take: Callable[[], Job | None], deliver: Callable[[Outcome], None]) -> None:
        if not self.held.is_set():
            taken = count()
            await super().run(lambda: take() if next(taken) < FEW else None, deliver)
            self.held.set()
        await self.go.wait()
        await super().run(take, deliver)


async def test_what_is_read_is_answered_while_the_rest_is_not_and_said_to_be_partial(tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    for n in range(FILES):
        (root / f"m{n}.py").write_text(f"def function_{n}(): pass\n")
    parser = HeldParser(root)
    indexer = Indexer(root, tmp_path / "cache", [parser])
    index = Index.over(indexer, Connections(indexer), Search())
    try:
        assert not await index.wait(0)
        await parser.held.wait()
        found = await index.symbols("function")
        drawn = await index.map(2000, lambda text: len(text) // 4, Focus(("function",)))
        assert found.partial and drawn.partial and index.status.pending == FILES - FEW
        assert {each.path for each in found.items} == {file.path for file in drawn.files} and len(found.items) == FEW
        parser.go.set()
        assert await index.wait(60)
        found = await index.symbols("function")
        assert not found.partial and len(found.items) == FILES
    finally:
        await index.close()
