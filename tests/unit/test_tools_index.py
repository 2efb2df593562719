"""The tools that ask the index: what they show, what they withhold, and that they follow changes from anywhere."""

import shutil
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from kimi_code.errors import ToolError
from kimi_code.events import Diff
from kimi_code.repo.indexing.indexes import Indexes
from kimi_code.repo.search import Search
from kimi_code.repo.workspace import LocalWorkspace
from kimi_code.tools.edit import Edit
from kimi_code.tools.files import FileMemory
from kimi_code.tools.grep import Grep
from kimi_code.tools.outline import Outline
from kimi_code.tools.read import Read
from kimi_code.tools.references import References
from kimi_code.tools.rename import Rename
from kimi_code.tools.symbols import Symbols
from kimi_code.tools.tool import Tool, ToolContext
from tests.unit.toolbox import context, use

pytestmark = pytest.mark.asyncio(loop_scope="module")

TREE: Mapping[str, str] = {
    "app/__init__.py": "",
    "app/store.py": (
        '"""Keeps things."""\n\n\nclass Store:\n    """A place."""\n\n    @property\n    def size(self):\n'
        "        return 1\n\n    def put(self, value):\n        return value\n\n\ndef open_store(path):\n"
        "    return Store()\n"
    ),
    "app/main.py": "from app.store import open_store\n\n\ndef main():\n    open_store('x').put(1)\n",
    "other.py": "def f(x):\n    x.put(2)\n\n\ndef main():\n    pass\n",
}
# TypeScript's queries take a tenth of a second in each parser that has one such file.
MORE: Mapping[str, str] = {
    "web/cart.ts": "export class Cart {\n  add(item: string): void {\n    this.total += 1;\n  }\n}\n",
    "cmd/run.go": "package main\n\nfunc Run() int { return 1 }\n",
    "notes.md": "# Plans\n\nput it off\n\n## Later\n",
}


def project_in(folder: Path) -> Path:
    return folder / "project"


def make_indexes(folder: Path) -> Indexes:
    return Indexes((project_in(folder),), folder / "cache")


def _is_elsewhere(name: str, path: Path) -> bool:
    return name not in path.parts


@dataclass
class Bench:
    """The tools over a tree in a temporary folder."""

    folder: Path
    indexes: Indexes
    files: FileMemory = field(default_factory=FileMemory)

    def __post_init__(self) -> None:
        self.project = project_in(self.folder)
        for name, text in TREE.items():
            self.write(name, text)
        workspace = LocalWorkspace(self.project, changed=self.indexes.note_changed)
        self.ctx: ToolContext = replace(context(self.folder), workspace=workspace)
        self.tools: dict[str, Tool] = {
            tool.name: tool
            for tool in (
                *(Outline(self.indexes), Symbols(self.indexes), References(self.indexes)),
                *(Read(self.files, self.indexes), Grep(Search(), self.indexes)),
                *(Edit(self.files), Rename(self.files, self.indexes)),
            )
        }

    def write(self, name: str, text: str) -> None:
        place = self.project / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def forbid(self, name: str) -> None:
        """Nothing of this name may be shown."""
        self.ctx = replace(self.ctx, may_read=partial(_is_elsewhere, name))

    async def __call__(self, tool: str, **arguments: object) -> str:
        return (await use(self.tools[tool], self.ctx, **arguments)).text

    async def refused(self, tool: str, **arguments: object) -> str:
        with pytest.raises(ToolError) as caught:
            await self(tool, **arguments)
        return str(caught.value)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def still(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    """A bench for questions alone: nothing in its project changes."""
    folder = tmp_path_factory.mktemp("still").resolve()
    made = Bench(folder, make_indexes(folder))
    for name, text in MORE.items():
        made.write(name, text)
    await made.indexes.at().wait(60)
    yield made
    await made.indexes.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def moving(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Path, Indexes]]:
    """A folder and the index of the project that each bench puts there anew: it follows."""
    folder = tmp_path_factory.mktemp("moving").resolve()
    indexes = make_indexes(folder)
    yield folder, indexes
    await indexes.close()


@pytest.fixture
def bench(moving: tuple[Path, Indexes]) -> Bench:
    """A bench of its own for a test that changes something."""
    folder, indexes = moving
    if project_in(folder).exists():
        shutil.rmtree(project_in(folder))
    return Bench(folder, indexes)


async def test_symbols_are_listed_with_place_kind_and_signature(still: Bench) -> None:
    assert await still("Symbols", query="put") == "app/store.py:11 method Store.put: def put(self, value)"
    assert await still("Symbols", query="cart") == "web/cart.ts:1 class Cart: export class Cart"
    assert (await still("Symbols", query="main", path="app")).startswith("app/main.py:4 function main")
    assert "run.go:3 function Run" in await still("Symbols", query="run", kind="function")
    assert await still("Symbols", query="zzz") == "No definition fits 'zzz'."
    assert "The kinds are: class," in await still.refused("Symbols", query="put", kind="klass")
    assert "does not exist" in await still.refused("Symbols", query="put", path="gone")


async def test_a_file_is_outlined_with_lines_and_a_folder_by_what_matters(still: Bench) -> None:
    whole = await still("Outline", path="app/store.py")
    assert whole.splitlines() == [
        "app/store.py", "     4 class Store", "     8   def size(self)", "    11   def put(self, value)",
        "    15 def open_store(path)",
    ]  # fmt: skip
    assert "put" not in await still("Outline", path="app/store.py", depth=1)
    assert (await still("Outline", path="notes.md")).splitlines()[1:] == ["     1 # Plans", "     5   ## Later"]
    folder = await still("Outline", path="app")
    assert "app/store.py" in folder and "open_store" in folder and "cart" not in folder
    assert "app/store.py" in await still("Outline", path=".")
    assert "does not exist" in await still.refused("Outline", path="gone.py")


async def test_one_definition_is_read_and_its_file_can_be_edited_then(bench: Bench) -> None:
    text = await bench("Read", symbol="Store.put")
    assert text.startswith("11\t    def put(self, value):\n12\t        return value\n[app/store.py, lines 11-12 of 16")
    await bench("Edit", path="app/store.py", old_string="return value", new_string="return value + 1")
    assert "return value + 1" in await bench("Read", symbol="Store.put")
    assert "@property" in await bench("Read", symbol="Store.size")


async def test_a_name_that_several_definitions_have_gives_the_candidates(still: Bench) -> None:
    told = await still.refused("Read", symbol="main")
    assert "defined 2 times" in told and "app/main.py:4" in told and "other.py:5" in told
    assert "pass" in await still("Read", symbol="main", path="other.py")
    assert "Similar:\napp/store.py:15 function open_store" in await still.refused("Read", symbol="open_stor")
    assert "Grep" in await still.refused("Read", symbol="nothing_like_it")
    assert "either symbol or offset" in await still.refused("Read", symbol="main", offset=3)
    assert "a path, or a symbol" in await still.refused("Read")


async def test_uses_are_listed_by_file_and_guesses_are_told_from_knowledge(still: Bench) -> None:
    known = await still("References", symbol="open_store")
    assert known.splitlines() == [
        "defined app/store.py:15 function open_store: def open_store(path)",
        "app/main.py", "1: from app.store import open_store", "5: open_store('x').put(1)  [in main]",
    ]  # fmt: skip
    guessed = await still("References", symbol="Store.put")
    sure, _, unsure = guessed.partition("By name only")
    assert "app/main.py" in sure and "other.py\n2: x.put(2)  [in f]" in unsure
    assert "app/main.py" not in await still("References", symbol="put", path="other.py")
    assert "No use of Cart is known." in await still("References", symbol="Cart")


async def test_matches_say_which_definition_they_are_in(still: Bench) -> None:
    found = await still("Grep", pattern="return", context="definition", glob="*.py")
    assert "12: " in found and "[in Store.put]" in found and "[in open_store]" in found
    lines = await still("Grep", pattern="def put", context="1")
    assert "12-" in lines
    with pytest.raises(ValueError, match="negative"):
        await still("Grep", pattern="x", context=-1)


async def test_files_that_may_not_be_read_are_not_shown_by_any_tool(bench: Bench) -> None:
    bench.write("private/deep.py", "def hidden_thing():\n    open_store(1)\n\n\ndef put_hidden(): pass\n")
    bench.forbid("private")
    assert await bench("Symbols", query="hidden") == "No definition fits 'hidden'."
    assert "hidden" not in await bench("Outline", path=".")
    assert "private" not in await bench("References", symbol="open_store")
    assert "private" not in await bench.refused("Read", symbol="hidden_thing")
    assert "deep.py" not in await bench("Grep", pattern="open_store", context="definition")
    told = await bench.refused("Rename", symbol="open_store", new_name="make_store")
    assert "private/deep.py holds the name, but may not be read" in told
    assert "open_store" in (bench.project / "app/store.py").read_text()


async def test_what_others_change_between_two_calls_is_seen_but_not_what_is_elsewhere(bench: Bench) -> None:
    bench.write("lute.py", "def spring_lute():\n    pass\n")
    assert await bench("Symbols", query="put") == "app/store.py:11 method Store.put: def put(self, value)"
    assert "spring_lute" in await bench("Symbols", query="sprnlt")
    # A link leads nowhere else.
    secret = bench.folder / "secret.py"
    secret.write_text("def secret_thing(): pass\n")
    (bench.project / "link.py").symlink_to(secret)
    assert "is not indexed" in await bench.refused("Outline", path=str(secret))
    assert "is not indexed" in await bench.refused("Outline", path="link.py")
    assert "No definition fits" in await bench("Symbols", query="secret_thing")
    assert "is not indexed" in await bench.refused("Symbols", query="x", path="..")
    # Control characters of files do not reach the model.
    bench.write("odd.py", 'def odd(x="\x1b[31mred\x07"):\n    pass\n')
    for tool, arguments in (("Outline", {"path": "odd.py"}), ("Symbols", {"query": "odd"})):
        assert "\x1b" not in await bench(tool, **arguments)
    # It is new, moves and goes.
    assert "No definition fits" in await bench("Symbols", query="brand_new")
    bench.write("fresh.py", "def brand_new():\n    pass\n")
    assert await bench("Symbols", query="brand_new") == "fresh.py:1 function brand_new: def brand_new()"
    bench.write("fresh.py", "# moved\n\n\ndef brand_new(x):\n    pass\n")
    assert (await bench("Read", symbol="brand_new")).startswith("4\tdef brand_new(x):")
    (bench.project / "fresh.py").unlink()
    assert "No definition fits" in await bench("Symbols", query="brand_new")


# --- Rename ---


async def test_a_rename_changes_all_files_and_shows_their_diffs(bench: Bench) -> None:
    tool, arguments = bench.tools["Rename"], {"symbol": "open_store", "new_name": "make_store"}
    preview = await tool.preview(tool.params.model_validate(arguments), bench.ctx)
    assert "open_store" in (bench.project / "app/store.py").read_text()
    result = await use(tool, bench.ctx, **arguments)
    assert result.blocks == tuple(preview)
    assert [block.path for block in result.blocks if isinstance(block, Diff)] == ["app/main.py", "app/store.py"]
    assert result.summary == "3 lines in 2 files"
    assert "make_store('x').put(1)" in (bench.project / "app/main.py").read_text()
    assert (await bench("Symbols", query="make_store")).startswith("app/store.py:15")


async def test_a_rename_keeps_what_the_model_knows_and_teaches_it_nothing_it_has_not_seen(bench: Bench) -> None:
    await bench("Read", path="app/main.py")
    await bench("Rename", symbol="open_store", new_name="make_store")
    await bench("Edit", path="app/main.py", old_string="def main", new_string="def start")
    unseen = await bench.refused("Edit", path="app/store.py", old_string="return value", new_string="return 2")
    assert "has not been read" in unseen


async def test_a_rename_keeps_encoding_and_line_endings(bench: Bench) -> None:
    (bench.project / "app/store.py").write_bytes("\ufeffdef open_store():\r\n    return 'é'\r\n".encode())
    await bench("Rename", symbol="open_store", new_name="make_store")
    made = (bench.project / "app/store.py").read_bytes()
    assert made == "\ufeffdef make_store():\r\n    return 'é'\r\n".encode()


async def test_a_rename_that_cannot_write_one_file_changes_none(bench: Bench) -> None:
    before = {name: (bench.project / name).read_bytes() for name in TREE}

    class Failing(LocalWorkspace):
        async def write(self, path: Path, content: bytes) -> None:
            if path.name == "store.py" and b"make_store" in content:
                raise ToolError("Cannot write app/store.py: No space left on device.")
            await super().write(path, content)

    bench.ctx = replace(bench.ctx, workspace=Failing(bench.project))
    assert "No space" in await bench.refused("Rename", symbol="open_store", new_name="make_store")
    assert {name: (bench.project / name).read_bytes() for name in TREE} == before


async def test_a_rename_touches_only_what_was_decided_on(bench: Bench) -> None:
    bench.ctx = replace(bench.ctx, targets=(str(bench.project / "app/store.py"),))
    assert "changed meanwhile" in await bench.refused("Rename", symbol="open_store", new_name="make_store")
    assert "open_store" in (bench.project / "app/main.py").read_text()
