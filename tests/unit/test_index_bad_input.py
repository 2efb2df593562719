"""What an index must bear beyond odd text: very many files, files that vanish, files that hold the parser up."""

import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Event

from kimi_code.errors import ToolError
from kimi_code.repo.index import Index
from kimi_code.repo.indexing.answers import Skipped
from kimi_code.repo.indexing.catalog import Catalog
from kimi_code.repo.indexing.content_parser import ContentParser
from kimi_code.repo.indexing.copy_index import CopiedTree, FrozenIndex, index_copy
from kimi_code.repo.indexing.facts import Facts
from kimi_code.repo.indexing.languages import NOT_CODE
from kimi_code.repo.indexing.listing import walk_files
from kimi_code.repo.indexing.lookups import fitting, rank
from kimi_code.repo.indexing.parser_child import fingerprint
from kimi_code.repo.search import Search
from kimi_code.repo.syntax import LANGUAGES
from tests.unit.test_symbols_golden import FOLDER

BLOB = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"  # of an empty file
SLOW = "(" * 100 + "\n"


@asynccontextmanager
async def opened(project: Path) -> AsyncGenerator[Index]:
    index = Index(project, project.parent / "cache")
    try:
        yield index
    finally:
        await index.close()


async def test_of_a_hundred_thousand_files_git_knows_those_that_are_there_are_read(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    subprocess.run(["git", "init", "-q"], cwd=project, check=True)
    paths = sorted(f"src/part{n % 500}/module{n}.py" for n in range(100_000))  # in another order git takes longer
    listed = "".join(f"100644 {BLOB}\t{path}\n" for path in paths)
    subprocess.run(["git", "update-index", "--index-info"], cwd=project, input=listed, text=True, check=True)
    (project / "here.py").write_text("def only_this(): pass\n")
    async with opened(project) as index:
        assert [each.path for each in (await index.symbols("only_this", whole=True)).items] == ["here.py"]
        assert (index.status.files, index.status.indexed) == (100_001, 1)
        assert (await index.paths("module99999", 1)).items == ("src/part499/module99999.py",)
        assert [file.path for file in (await index.map(500, len)).files] == ["here.py"]


def test_a_hundred_thousand_files_with_symbols_are_searched_as_one() -> None:
    catalog = Catalog()
    for n in range(100_000):
        catalog.put(Facts(f"src/module{n}.py", 1, 1, "", "python", defined=f"func_{n}\nhelper", kinds="HH"))
    found = rank(catalog, fitting(catalog, "func_7777"), "", lambda _: True)
    assert [entry.path for entry, _ in found[:2]] == ["src/module7777.py", "src/module77770.py"]
    assert len(rank(catalog, fitting(catalog, "helper"), "function", lambda _: True)) == 100_000


async def test_a_file_that_makes_a_grammar_slow_is_skipped_and_named(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "slow.py").write_text(SLOW * 1_000)
    (project / "quick.py").write_text("def quick(): pass\n")
    async with opened(project) as index:
        assert await index.wait(60)
        assert index.skipped == (Skipped("slow.py", "too slow"),)
        assert index.status.skipped == {"too slow": 1}
        outline = await index.outline("slow.py")
        assert outline is not None
        assert (outline.problem, outline.definitions) == ("too slow", ())
        assert [each.name for each in (await index.symbols("quick")).items] == ["quick"]


async def test_files_that_vanish_between_the_look_and_the_reading_are_not_there(tmp_path: Path) -> None:
    """Of a folder, and of an isolated copy, whose files are read by what its tools read them with."""
    project = tmp_path / "project"
    project.mkdir()
    for name in ("stays.py", "goes.py"):
        (project / name).write_text(f"def {name[:-3]}(): pass\n")
    async with opened(project) as index:
        index.note_changed(["goes.py", "never.py"])
        assert await index.wait(60)
        (project / "goes.py").unlink()
        index.note_changed(["goes.py"])
        assert (await index.outline("goes.py")) is None
        assert [each.name for each in (await index.symbols("o", whole=True)).items] == []
    frozen = FrozenIndex(project, ("stays.py",), tmp_path / "cache", project)

    async def freeze() -> FrozenIndex:
        return frozen

    async def differing() -> list[str]:
        return ["stays.py", "other.py"]

    async def read(path: Path) -> bytes:
        raise ToolError(f"{path} is gone by now")

    copy = index_copy(CopiedTree(project, project, freeze, differing, read, Search()))
    assert (await copy.symbols("stays", whole=True)).items == ()
    assert (await copy.outline("stays.py")) is None
    await copy.close()
    await frozen.close()


async def test_one_parser_reads_the_same_path_of_many_copies_each_as_it_is(tmp_path: Path) -> None:
    parser = ContentParser(tmp_path)
    contents = [f"def version_{n}(): pass\n".encode() for n in range(30)] + [(SLOW * 1_000).encode()]
    try:
        found = [await parser.parse("a.py", content, fingerprint(content)) for content in contents]
        assert [each.facts.defined for each in found] == [*(f"version_{n}" for n in range(30)), ""]
        assert found[-1].facts.problem == "too slow"
        again = await parser.parse("a.py", contents[3], fingerprint(contents[3]))
        assert again is found[3]
    finally:
        await parser.close()


async def test_a_walk_through_a_whole_disk_ends_when_nobody_waits_for_it(tmp_path: Path) -> None:
    for n in range(9):
        (tmp_path / f"a{n}.py").touch()
    asked: list[bool] = []

    class GivenUp(Event):
        def is_set(self) -> bool:
            asked.append(True)
            return len(asked) > 2

    assert len(walk_files(tmp_path, GivenUp()).paths) == 2
    assert len(walk_files(tmp_path, Event()).paths) == 9


def test_every_language_with_a_grammar_and_those_read_otherwise_have_a_listing() -> None:
    shown = {path.read_text("utf-8").split()[1].rstrip(",") for path in FOLDER.glob("*.symbols")}
    assert {*LANGUAGES, *NOT_CODE - {""}, "vue", "svelte", "jinja"} <= shown
