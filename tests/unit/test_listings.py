"""Trees without git: changed, and merged to what git says of them."""

import asyncio
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kimi_code.repo.listings import Item, parse, render
from kimi_code.repo.merge import merge
from kimi_code.repo.shadow import Shadow, ShadowError, build
from kimi_code.repo.trees import Entry, Trees, with_batches

_EMPTY = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"

# Long enough that git takes a file that keeps most of it for a renamed one.
_TEXTS = tuple(f"{name}\n" * 6 + "the same\n" * 6 for name in ("one", "two", "three"))
_PATHS = ("a", "b", "d/a", "d/b", "d/e/a", "d-x", "f/a")
files = st.dictionaries(st.sampled_from(_PATHS), st.sampled_from(_TEXTS), max_size=6)


def make_store(folder: Path) -> Trees:
    store = Shadow(folder, folder, None)
    build(store, ())
    return with_batches(store)


async def plant(trees: Trees, contents: Mapping[str, str]) -> str:
    return await trees.put(_EMPTY, {path: Entry("file", text.encode()) for path, text in contents.items()})


def without_clashes(contents: Mapping[str, str]) -> dict[str, str]:
    return {
        path: text for path, text in contents.items() if not any(other.startswith(f"{path}/") for other in contents)
    }


@settings(max_examples=settings().max_examples // 2)
@given(files, files, files, st.booleans())
def test_what_is_merged_without_git_is_what_git_makes_of_it(
    base: dict[str, str], ours: dict[str, str], theirs: dict[str, str], is_change: bool
) -> None:
    if is_change:  # else the sides would seldom have something in common
        ours, theirs = {**base, **ours}, {**base, **theirs}

    async def compare() -> None:
        with tempfile.TemporaryDirectory() as name:
            trees = make_store(Path(name))
            alone = Trees(trees.store)
            try:
                sides = [await plant(trees, without_clashes(each)) for each in (base, ours, theirs)]
                merged = await trees.merge(*sides)
                if merged is not None:
                    told = await merge(alone, *sides)
                    assert (told.tree, told.conflicts) == (merged, ())
            finally:
                assert trees.batches is not None
                await trees.batches.close()

    asyncio.run(compare())


def test_a_tree_that_is_edited_is_the_one_that_git_would_write(tmp_path: Path) -> None:
    async def edit() -> None:
        trees = make_store(tmp_path)
        assert trees.batches is not None
        start = await plant(trees, {"a": "1", "d/a": "2", "d/b/c": "3", "d.x": "4", "gone/a": "5", "gone/b": "6"})
        changes = {
            "d/b": Entry("executable", b"now a file"),
            "gone/b": Entry("file", b"7"),
            "n/e/w": Entry("file", b"8"),
        }
        edited = await trees.put(start, changes, ("a", "gone", "never/there", "d/a/below"))
        by_git = await trees.edit(start, {"a": None, "d/b/c": None, "gone/a": None, **changes})
        assert edited == by_git
        assert await trees.put(edited, {}, ("d", "gone", "n", "d.x")) == _EMPTY
        told = {(change.path, change.change) for change in await trees.changes(start, edited, renames=False)}
        assert told == {
            (change.path, change.change) for change in await Trees(trees.store).changes(start, edited, renames=False)
        }
        await trees.batches.close()

    asyncio.run(edit())


def test_git_that_stays_begins_anew_after_a_question_that_was_broken_off(tmp_path: Path) -> None:
    async def ask() -> None:
        trees = make_store(tmp_path)
        assert trees.batches is not None
        tree = await plant(trees, {"a": "1"})
        objects = trees.batches.objects
        asked = asyncio.Event()
        endless = asyncio.create_task(
            objects.ask(f"{tree}\n".encode(), lambda said: bool(said) and asked.set() is not None)
        )
        await asked.wait()
        endless.cancel()
        await asyncio.wait({endless})
        head = await objects.ask(f"{tree}\n".encode(), lambda said: said.endswith(b"\n"))
        assert head.startswith(f"{tree} tree".encode())
        await trees.batches.close()
        with pytest.raises(ShadowError):
            await objects.ask(f"{tree}\n".encode(), bool)

    asyncio.run(ask())


@given(st.dictionaries(st.binary(min_size=1).filter(lambda name: not {0, 47} & {*name}), st.booleans()))
def test_a_listing_that_was_written_is_read_as_it_was(names: dict[bytes, bool]) -> None:
    listing = {name: Item("40000" if is_folder else "100644", "ab" * 20) for name, is_folder in names.items()}
    assert parse(render(listing)) == listing
