"""The index over real trees, with real parser processes: right at every question, whatever happens to the files."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from kimi_code.repo.index import Index
from kimi_code.repo.outline import Focus
from tests.repository import git

STORE = '''"""Keeps things."""

class Store:
    """A place for values."""

    def put_value(self, value):
        return value

    def get_value(self, name):
        return self.put_value(name)


def open_store(path):
    return Store()
'''
MAIN = """from app.store import open_store


def main():
    store = open_store("x")
    store.put_value(1)
"""


def count(text: str) -> int:
    return len(text) // 4


def make_project(root: Path) -> Path:
    (root / "app").mkdir(parents=True)
    (root / "app" / "__init__.py").touch()
    (root / "app" / "store.py").write_text(STORE)
    (root / "app" / "main.py").write_text(MAIN)
    (root / "notes.md").write_text("# Plans\n\n## Later\n")
    (root / ".gitignore").write_text("build/\n")
    (root / "build").mkdir()
    (root / "build" / "made.py").write_text("def made(): pass\n")
    git(root, "init", "-q")
    return root


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project")


@asynccontextmanager
async def opened(project: Path, *, watch: bool = False) -> AsyncGenerator[Index]:
    index = Index(project, project.parent / "cache", watch=watch)
    try:
        yield index
    finally:
        await index.close()


async def names(index: Index, query: str) -> list[str]:
    assert await index.wait(60)
    return [each.qualified for each in (await index.symbols(query)).items]


# --- Answers ---

asks_only = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def still(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Index]:
    """The index of a project that does not change."""
    project = make_project(tmp_path_factory.mktemp("still") / "project")
    (project / "other.py").write_text("def f(x):\n    x.put_value(2)\n")
    (project / "a.py").write_text(
        "class Ledger:\n    def settle(self): ...\n\ndef settle_all(): ...\n\ndef unsettled(): ...\n"
    )
    (project / "b.py").write_text("class Other:\n    def settle(self): ...\n")
    async with opened(project) as index:
        yield index


@asks_only
async def test_definitions_are_found_by_parts_of_their_names_and_by_what_they_stand_in(still: Index) -> None:
    assert await names(still, "putv") == ["Store.put_value"]
    found = (await still.symbols("Store.val")).items
    assert {each.qualified for each in found} == {"Store.put_value", "Store.get_value"}
    first = (await still.symbols("store")).items[0]
    assert (first.qualified, first.kind, first.path, first.line) == ("Store", "class", "app/store.py", 3)
    assert [each.name for each in (await still.symbols("store", kind="function")).items] == ["open_store"]
    assert (await still.symbols("store", path="app/main.py")).items == ()
    assert (await still.symbols("store", path="**/st*.py", limit=1)).items == (first,)
    assert (await still.symbols("made")).items == ()


@asks_only
async def test_a_definition_is_found_by_its_exact_name(still: Index) -> None:
    await still.wait(60)
    (method,) = (await still.definitions_of("Store.put_value")).items
    assert STORE.encode()[method.start_byte : method.end_byte].startswith(b"def put_value")
    assert (await still.definitions_of("Other.put_value")).items == ()
    assert (await still.definitions_of("put_val")).items == ()


@asks_only
async def test_uses_are_given_by_file_with_what_they_stand_in(still: Index) -> None:
    await still.wait(60)
    found = {file.path: file for file in (await still.references_to("put_value")).items}
    assert [(use.line, use.enclosing) for use in found["app/store.py"].uses] == [(10, "Store.get_value")]
    assert [(use.line, use.enclosing) for use in found["app/main.py"].uses] == [(6, "main")]
    assert found["app/store.py"].resolved and not found["other.py"].resolved


@asks_only
async def test_a_file_is_outlined_and_a_line_knows_its_definition(still: Index) -> None:
    outline = await still.outline("app/store.py")
    assert outline and [each.name for each in outline.definitions] == [
        "Store",
        "put_value",
        "get_value",
        "open_store",
    ]
    around = await still.enclosing(still.root / "app" / "store.py", 10)
    assert around and around.qualified == "Store.get_value"
    assert await still.enclosing("app/store.py", 1) is None
    assert await still.outline("../project/../secret") is None
    assert await still.outline("missing.py") is None


@asks_only
async def test_files_that_are_not_code_have_an_outline_but_no_symbols(still: Index) -> None:
    outline = await still.outline("notes.md")
    assert outline and [each.name for each in outline.definitions] == ["Plans", "Later"]
    assert await names(still, "Plans") == []


@asks_only
async def test_paths_are_completed_from_all_files(still: Index) -> None:
    assert (await still.paths("nts")).items == ("notes.md",)
    assert (await still.paths("main")).items[0] == "app/main.py"


@asks_only
async def test_completions_are_the_closest_names_of_what_is_known(still: Index) -> None:
    await still.wait(60)
    names = [found.qualified for found in await still.completions("settle", 10)]
    assert set(names[:2]) == {"Ledger.settle", "Other.settle"}
    assert names[2:] == ["settle_all", "unsettled"]
    assert [found.qualified for found in await still.completions("Ledger.set", 10)] == ["Ledger.settle"]


async def test_the_map_fits_its_budget_and_the_same_tree_gives_the_same_bytes(project: Path) -> None:
    async with opened(project) as index:
        await index.wait(60)
        drawn = await index.map(500, count, Focus(("store",)))
        assert not drawn.partial and drawn.tokens <= 500
        assert drawn.files[0].path == "app/store.py"
        assert "class Store" in drawn.text and "made" not in drawn.text
    async with opened(project) as again:
        assert await again.map(500, count, Focus(("store",))) == drawn
        assert (await again.map(500, count, folder="build")).text == ""


# --- Freshness ---


async def test_an_edit_a_new_file_a_removed_and_an_ignored_one_are_known_at_the_next_question(project: Path) -> None:
    async with opened(project) as index:
        # Of the same size, within a tick of the clock.
        for n in range(10):
            (project / "app" / "main.py").write_text(f"def version_{n}(): pass\n")
            assert await names(index, "version") == [f"version_{n}"]
        assert await names(index, "fresh") == []
        (project / "app" / "main.py").write_text("def fresh_main(): pass\n")
        (project / "sub" / "deep").mkdir(parents=True)
        (project / "sub" / "deep" / "new.py").write_text("def fresh_new(): pass\n")
        assert await names(index, "fresh") == ["fresh_new", "fresh_main"]
        (project / "app" / "main.py").unlink()
        assert await names(index, "fresh") == ["fresh_new"]
        # What our own tools wrote is told.
        (project / "app" / "main.py").write_text("def written(): pass\n")
        (project / "added.py").write_text("def added(): pass\n")
        index.note_changed([project / "app" / "main.py", "added.py", "/elsewhere/x.py"])
        assert await names(index, "written") == ["written"]
        assert await names(index, "added") == ["added"]
        # A new rule takes files out.
        assert await names(index, "open_store") == ["open_store"]
        (project / ".gitignore").write_text("app/\n")
        assert await names(index, "open_store") == []


async def test_asked_at_once_it_answers_with_what_it_has_and_says_so(project: Path) -> None:
    for n in range(1200):
        (project / f"m{n}.py").write_text(f"def function_{n}(): return Store{n}\n" * 30)
    async with opened(project) as index:
        drawn = await index.map(500, count, Focus(("function_1118",)))
        assert drawn.partial and index.status.partial
        while not drawn.files:  # on a machine so busy that the parser has not started
            drawn = await index.map(500, count, Focus(("function_1118",)))
        assert drawn.files[0].path == "m1118.py"  # what the question is about was read first


# --- Trees ---


async def test_a_folder_without_git_is_indexed_by_its_ignore_files_and_common_sense(tmp_path: Path) -> None:
    root = tmp_path / "plain"
    for folder in ("src", "node_modules/x", "venv"):
        (root / folder).mkdir(parents=True)
        (root / folder / "a.py").write_text(f"def in_{folder[:3]}(): pass\n")
    (root / "src" / "loop").symlink_to(root, target_is_directory=True)
    (root / "src" / "gone.py").symlink_to(root / "nowhere")
    (root / "src" / "linked.py").symlink_to(root / "src" / "a.py")
    async with opened(root) as index:
        assert await names(index, "in_") == ["in_src"]
        assert index.status.files == 1


async def test_names_that_are_not_utf8_and_odd_contents_do_no_harm(project: Path) -> None:
    try:
        Path(os.fsdecode(os.fsencode(project) + b"/caf\xe9.py")).write_text("def odd_name(): pass\n")
    except OSError:
        pytest.skip("this file system wants UTF-8")
    (project / "nul.py").write_bytes(b"\0\1\2def hidden(): pass\n")
    (project / "deep.py").write_text("x = " + "(" * 20_000 + ")" * 20_000 + "\n")
    (project / "half.py").write_text("def half_written(:\n    class Unfinished(\n")
    (project / "big.py").write_text("x = 1\n" * 200_000)
    (project / "app.min.js").write_text("function minified(){}")
    os.mkfifo(project / "pipe.py")
    async with opened(project) as index:
        assert await names(index, "odd_name") == ["odd_name"]
        reasons = {each.path: each.reason for each in index.skipped}
        assert reasons["big.py"] == "too large" and reasons["nul.py"] == "binary"
        assert reasons["app.min.js"] == "vendored"
        drawn = await index.map(2000, count)
        assert "minified" not in drawn.text and "big.py" not in drawn.text


# --- The cache ---


async def test_a_second_start_parses_nothing(project: Path) -> None:
    async with opened(project) as index:
        assert await names(index, "putv") == ["Store.put_value"]
    for path in (project / "app").iterdir():
        os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns - 10**9))
    async with opened(project) as touched:
        await touched.wait(60)
    async with opened(project) as warm:
        assert await names(warm, "putv") == ["Store.put_value"]
        assert warm.parser_pids == ()


async def test_a_broken_cache_is_made_anew(project: Path) -> None:
    async with opened(project) as index:
        await index.wait(60)
    for path in (project.parent / "cache").rglob("*.db*"):
        path.write_bytes(b"this is no database" * 500)
    async with opened(project) as index:
        assert await names(index, "putv") == ["Store.put_value"]
        assert index.status.notes == ()
    (cache,) = (project.parent / "cache").rglob("*.db")
    content = bytearray(cache.read_bytes())
    content[5000:] = bytes(len(content) - 5000)
    cache.write_bytes(content)
    async with opened(project) as index:
        assert await names(index, "putv") == ["Store.put_value"]


async def test_without_a_place_for_the_cache_everything_works_and_a_note_says_so(project: Path) -> None:
    (project.parent / "cache").write_text("a file")
    async with opened(project) as index:
        assert await names(index, "putv") == ["Store.put_value"]
        (note,) = index.status.notes
        assert "not kept on disk" in note


async def test_two_indexes_share_a_cache_while_another_process_writes(project: Path) -> None:
    async with opened(project) as one, opened(project) as other:
        async with asyncio.TaskGroup() as group:
            group.create_task(one.wait(60))
            group.create_task(other.wait(60))
        (project / "app" / "main.py").write_text("def shared_name(): pass\n")
        assert await names(one, "shared") == await names(other, "shared") == ["shared_name"]
        program = (
            "import asyncio, sys; from pathlib import Path; from kimi_code.repo.index import Index\n"
            "async def main():\n"
            "    index = Index(Path(sys.argv[1]), Path(sys.argv[2]))\n"
            "    await index.wait(60)\n"
            "    print([d.name for d in (await index.symbols('shared')).items])\n"
            "    await index.close()\n"
            "asyncio.run(main())"
        )
        command = [sys.executable, "-c", program, str(project), str(project.parent / "cache")]
        root = Path(__file__).parents[2]
        process = await asyncio.create_subprocess_exec(*command, cwd=root, stdout=asyncio.subprocess.PIPE)
        (project / "more.py").write_text("def shared_more(): pass\n")
        assert set(await names(one, "shared")) == {"shared_name", "shared_more"}
        out, _ = await process.communicate()
        assert b"shared_name" in out


# --- Parsers that die ---


@pytest.fixture
def slow_project(project: Path) -> Iterator[Path]:
    for n in range(24):
        (project / f"many{n}.py").write_text(f"def many_{n}(a, b): return a\n" * 300)
    yield project


async def kill_parsers(index: Index, times: int) -> int:
    """Kill each parser that comes up, as it comes up."""
    killed: set[int] = set()
    while len(killed) < times and index.status.partial:
        for pid in set(index.parser_pids) - killed:
            os.kill(pid, signal.SIGKILL)
            killed.add(pid)
        await asyncio.sleep(0)
    return len(killed)


@pytest.mark.skipif(sys.platform == "win32", reason="kills by signal")
async def test_a_parser_that_is_killed_at_work_is_replaced_and_no_file_is_lost(slow_project: Path) -> None:
    async with opened(slow_project) as index:
        waiting = asyncio.create_task(index.wait(60))
        assert await kill_parsers(index, 1) == 1
        assert await waiting
        assert len((await index.symbols("many_", limit=100_000)).items) == 24 * 300
        assert [each for each in index.skipped if "crash" in each.reason] == []


async def test_maps_are_laid_out_beside_the_event_loop_and_no_process_is_left_behind(project: Path) -> None:
    threads: set[int] = set()

    def counted(text: str) -> int:
        threads.add(threading.get_ident())
        return count(text)

    async with opened(project) as index:
        assert await index.wait(60)
        assert (await index.map(200, counted)).files
        (pid,) = index.parser_pids
    assert threads and threading.get_ident() not in threads
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(RuntimeError):
        await index.symbols("x")
