"""The index of isolated copies: right about each copy, shared by all of them, and blind to what lies outside."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from kimi_code.errors import ToolError
from kimi_code.repo.checkout import Checkout, Checkouts, Options, freeze
from kimi_code.repo.index import Index
from kimi_code.repo.indexing.catalog import Catalog
from kimi_code.repo.indexing.catalog_layer import LayeredCatalog
from kimi_code.repo.indexing.copy_index import CopiedTree, FrozenIndex, index_copy
from kimi_code.repo.indexing.facts import Facts
from kimi_code.repo.indexing.indexes import Indexes
from kimi_code.repo.indexing.lookups import fitting, rank
from kimi_code.repo.search import Search
from kimi_code.repo.snapshot import Snapshots
from kimi_code.repo.workspace import LocalWorkspace
from kimi_code.tools.grep import Grep
from kimi_code.tools.symbols import Symbols
from tests.unit.test_checkout import WAYS, Scene, git, outside
from tests.unit.toolbox import context, use

in_one_loop = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def places() -> Iterator[Path]:
    """Where each world has a folder."""
    with TemporaryDirectory(prefix="kimi-code-test-", dir=outside()) as name:
        yield Path(name).resolve()


TREE = {
    "app/__init__.py": "",
    "app/store.py": "class Store:\n    def put(self, it):\n        pass\n\n\ndef open_store():\n    return Store()\n",
    "app/main.py": "from app.store import open_store\n\n\ndef main():\n    open_store().put(1)\n",
    "app/old.py": "def old_way():\n    pass\n",
    "notes.md": "# Plans\n",
    ".gitignore": "build/\nnode_modules/\n",
}


class World:
    """A user's project, and copies of it as it was when it was frozen; the user may go on at once."""

    def __init__(self, places: Path, way: str, *, goes_on: bool = False) -> None:
        self._goes_on = goes_on
        place = Path(mkdtemp(dir=places))
        self._checkouts: Checkouts | None = None
        self._copies = 0
        self.scene = Scene(place, WAYS[way])
        for folder in ("home", "data", "config", "project/app"):
            (place / folder).mkdir(parents=True)
        for name, text in TREE.items():
            (self.top / name).write_text(text)
            os.utime(self.top / name, (1_700_000_000, 1_700_000_000.5))  # long ago, so that it is believed
        git(place, "init", "-q", "-b", "trunk", "project")
        git(self.top, "add", ".")
        git(self.top, "commit", "-qm", "first")

    @property
    def top(self) -> Path:
        return self.scene.top

    async def freeze(self) -> Checkouts:
        """The project frozen, once and for all."""
        if self._checkouts is None:
            self._checkouts = await self._freeze()
            if self._goes_on:
                (self.top / "app/store.py").write_text("def another_one():\n    pass\n")
                (self.top / "app/new.py").write_text("def one_more():\n    pass\n")
        return self._checkouts

    async def _freeze(self) -> Checkouts:
        snapshots = Snapshots(self.top, self.scene.data / "snapshots")
        options = Options(files=self.scene.way.files, caches=self.scene.data / "index")
        made = await freeze(snapshots, self.scene.data / "checkouts", self.scene.confinement(), options)
        self.scene.opened.append(made)
        return made

    async def copies(self, count: int) -> list[Checkout]:
        checkouts = await self.freeze()
        first, self._copies = self._copies, self._copies + count
        return [await checkouts.create(f"agent-{number}") for number in range(first, self._copies)]

    async def close(self) -> None:
        for made in self.scene.opened:
            await made.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def worlds(places: Path) -> AsyncIterator[Callable[[str], World]]:
    """A world of each layout, that tests share: each has copies of its own."""
    made: dict[str, World] = {}

    def get(way: str) -> World:
        return made[way] if way in made else made.setdefault(way, World(places, way, goes_on=True))

    yield get
    for each in made.values():
        await each.close()


@pytest.fixture(params=["overlay", "mounted-copy", "unconfined"])
def world(request: pytest.FixtureRequest, worlds: Callable[[str], World]) -> World:
    """In every layout; what confines commands is nothing to the index."""
    return worlds(request.param)


@pytest.fixture(params=["overlay", "unconfined"])
def either(request: pytest.FixtureRequest, worlds: Callable[[str], World]) -> World:
    """At the user's own path, and in a folder."""
    return worlds(request.param)


@pytest_asyncio.fixture(loop_scope="module")
async def plain(places: Path) -> AsyncIterator[World]:
    """One of its own, in which nothing is frozen yet."""
    made = World(places, "unconfined")
    yield made
    await made.close()


async def run(checkout: Checkout, command: str) -> None:
    process = await checkout.workspace.start(command, cwd=checkout.workspace.root)
    assert (await process.wait()).code == 0


def index_of(checkout: Checkout) -> Index:
    return checkout.indexes.at()


async def defined(index: Index) -> list[str]:
    """Every definition of the tree, by its place."""
    assert await index.wait(60)
    found = (await index.symbols("o", limit=1000)).items
    return sorted(f"{each.path}:{each.line} {each.qualified}" for each in found)


@in_one_loop
async def test_answers_are_about_the_copy_whoever_changed_it(world: World) -> None:
    one, two = await world.copies(2)
    index = index_of(one)
    assert await defined(index) == ["app/old.py:1 old_way", "app/store.py:1 Store", "app/store.py:6 open_store"]
    root = one.workspace.root
    await one.workspace.write(root / "app/main.py", b"\n\ndef other_main():\n    pass\n")
    await one.workspace.write(root / "app/more.py", b"from app.store import Store\n\n\ndef more():\n    Store()\n")
    await run(one, "rm app/old.py && mkdir -p build && echo 'def no(): pass' > build/no.py")
    assert await defined(index) == [
        *("app/main.py:3 other_main", "app/more.py:4 more", "app/store.py:1 Store", "app/store.py:6 open_store"),
    ]
    uses = (await index.references_to("Store")).items
    assert [(file.path, file.resolved) for file in uses] == [("app/more.py", True), ("app/store.py", True)]
    assert (await index.outline("app/old.py")) is None
    drawn = [file.path for file in (await index.map(1000, len)).files]
    assert sorted(drawn) == ["app/main.py", "app/more.py", "app/store.py"]
    # Neither the sibling nor the user sees any of it.
    assert await defined(index_of(two)) == ["app/old.py:1 old_way", "app/store.py:1 Store", "app/store.py:6 open_store"]
    assert (world.top / "app/old.py").exists()


@in_one_loop
async def test_what_the_user_changes_meanwhile_is_not_in_the_copy(either: World) -> None:
    (one,) = await either.copies(1)
    assert "another_one" in (either.top / "app/store.py").read_text()
    assert (either.top / "app/new.py").exists()
    assert await defined(index_of(one)) == ["app/old.py:1 old_way", "app/store.py:1 Store", "app/store.py:6 open_store"]


@in_one_loop
async def test_a_file_that_is_changed_back_is_the_frozen_one_again(worlds: Callable[[str], World]) -> None:
    (one,) = await worlds("unconfined").copies(1)
    before = await defined(index_of(one))
    path = one.workspace.root / "app/store.py"
    await one.workspace.write(path, b"def changed_to():\n    pass\n")
    assert "app/store.py:1 changed_to" in await defined(index_of(one))
    await one.workspace.write(path, TREE["app/store.py"].encode())
    assert await defined(index_of(one)) == before
    assert len((await index_of(one).symbols("put")).items) == 1


@in_one_loop
async def test_a_copy_that_begins_with_merged_results_has_them(either: World) -> None:
    checkouts = await either.freeze()
    first = await checkouts.create("first")
    await first.workspace.write(first.workspace.root / "app/made.py", b"def made_before():\n    pass\n")
    start = await first.commit("made")
    second = await checkouts.create("second", start=start)
    assert "app/made.py:1 made_before" in await defined(index_of(second))
    await second.take()  # brings the private index up to date, which must not hide what differs
    assert "app/made.py:1 made_before" in await defined(index_of(second))


@in_one_loop
async def test_twenty_copies_share_the_frozen_index_one_parser_and_what_they_write_alike(plain: World) -> None:
    copies = await plain.copies(20)
    text = "".join(f"def shared_{n}():\n    pass\n" for n in range(50)).encode()
    for each in copies:
        await each.workspace.write(each.workspace.root / "app/shared.py", text)
    answers = await asyncio.gather(*(index_of(each).symbols("shared_7", whole=True) for each in copies))
    assert {answer.items[0].path for answer in answers} == {"app/shared.py"}
    pids = {pid for each in copies for pid in index_of(each).parser_pids}
    assert len(pids) <= 2  # one for the frozen tree, where its cache does not say all; one for what copies wrote
    details = {id(index_of(each)._indexer._known["app/shared.py"]) for each in copies}  # pyright: ignore  (only their identity tells)
    assert len(details) == 1


@in_one_loop
async def test_the_cache_of_the_users_tree_serves_its_copies(plain: World) -> None:
    index = Index(plain.top, plain.scene.data / "index")
    await index.wait()
    await index.close()
    (one,) = await plain.copies(1)
    assert [each.path for each in (await index_of(one).symbols("Store.put", whole=True)).items] == ["app/store.py"]
    assert index_of(one).parser_pids == ()


@in_one_loop
async def test_a_folder_replaced_by_a_link_leads_nowhere(either: World) -> None:
    secret = either.scene.place / "home" / "secret"
    secret.mkdir()
    (secret / "store.py").write_text("def the_secret():\n    pass\n")
    (one,) = await either.copies(1)
    await defined(index_of(one))
    (secret / "main.py").write_text("def another_secret():\n    pass\n")
    await run(one, f"mv app gone && ln -s {secret} app")
    assert (await index_of(one).symbols("the_secret", whole=True)).items == ()
    assert (await index_of(one).outline("app/store.py")) is None
    assert "gone/old.py:1 old_way" in await defined(index_of(one))


async def test_a_copy_that_cannot_be_indexed_says_so_and_is_searched_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("def found():\n    pass\n")

    async def freeze() -> FrozenIndex:
        raise OSError("no space left")

    async def differing() -> list[str]:
        return []

    async def read(path: Path) -> bytes:
        return path.read_bytes()

    def make(_: Path) -> Index:
        return index_copy(CopiedTree(tmp_path, tmp_path, freeze, differing, read, Search()))

    indexes = Indexes((tmp_path,), tmp_path, make=make)
    ctx = replace(context(tmp_path), workspace=LocalWorkspace(tmp_path))
    with pytest.raises(ToolError, match=r"cannot be indexed now: no space left\. Use Grep and Read\."):
        await use(Symbols(indexes), ctx, query="found")
    found = await use(Grep(Search(), indexes), ctx, pattern="found", context="definition")
    assert found.text == "a.py\n1: def found():"
    await indexes.close()


# --- The catalog that is shared ---

NAMES = ("alpha", "beta", "gamma", "delta", "call_alpha", "Beta")
PATHS = ("a.py", "b.py", "c/d.py", "c/e.py")


def facts(path: str, defines: Sequence[str], uses: Sequence[str]) -> Facts:
    return Facts(
        *(path, 1, 1, "digest"),
        language="python",
        defined="\n".join(defines),
        kinds="A" * len(defines),
        referenced="\n".join(uses),
        counts=bytes([1] * len(uses)),
    )


FILE = st.builds(
    facts,
    st.sampled_from(PATHS),
    st.lists(st.sampled_from(NAMES), max_size=4),
    st.lists(st.sampled_from(NAMES), max_size=4, unique=True),
)
STEPS = st.lists(st.one_of(FILE, st.tuples(st.sampled_from(["drop", "restore"]), st.sampled_from(PATHS))), max_size=8)


def answers(catalog: Catalog) -> object:
    """All that an index asks of a catalog, free of numbers and order."""
    named = {
        (query, int(fit), catalog.names[number])
        for query in ("alpha", "a", "be")
        for fit, number in fitting(catalog, query)
        if catalog.definers().get(number)
    }
    ranked = [
        [(entry.path, place) for entry, place in rank(catalog, fitting(catalog, query), "", lambda _: True)]
        for query in ("alpha", "beta")
    ]
    users = {
        name: sorted(entry.path for entry in users)
        for name in NAMES
        if (number := catalog.number(name)) is not None and (users := catalog.users(number))
    }
    return named, ranked, users, sorted(entry.path for entry in catalog), len(catalog)


@given(below=st.lists(FILE, max_size=4), steps=STEPS, later=st.lists(FILE, max_size=2))
def test_a_layered_catalog_answers_as_one_that_holds_all_files(
    below: list[Facts], steps: list[Facts | tuple[str, str]], later: list[Facts]
) -> None:
    base = Catalog()
    for each in below:
        base.put(each)
    frozen = {each.path: each for each in below}
    layered, own = LayeredCatalog(base), dict[str, Facts | None]()
    for turn, step in enumerate(steps):
        if isinstance(step, Facts):
            layered.put(step)
            own[step.path] = step
        elif step[0] == "drop":
            layered.drop(step[1])
            own[step[1]] = None
        else:
            layered.restore(step[1])
            own.pop(step[1], None)
        if turn == 2:  # the frozen tree is still being read
            for each in later:
                base.put(each)
                frozen[each.path] = each
    whole = Catalog()
    for each in {**frozen, **own}.values():
        if each is not None:
            whole.put(each)
    assert answers(layered) == answers(whole)
