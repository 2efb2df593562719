"""Git's tree objects without git: read, written, changed, and merged where no file was changed on both sides. Pure but
for `Objects`, which fetches and keeps them.
"""

import os
from collections.abc import Mapping
from typing import NamedTuple, Protocol

FOLDER = "40000"
SUBMODULE = "160000"
_ID_BYTES = 20  # of SHA-1


class Item(NamedTuple):
    """What a name stands for: a mode as git writes it (`FOLDER` for a tree), and an object's id."""

    mode: str
    id: str


Listing = Mapping[bytes, Item]
_NOTHING: Listing = {}


class Objects(Protocol):
    """Where trees are."""

    async def listing(self, tree: str) -> Listing: ...
    def keep(self, listing: Listing) -> str:
        """Keep a tree; returns its id."""
        ...


def parse(content: bytes) -> dict[bytes, Item]:
    """The content of a tree object."""
    items: dict[bytes, Item] = {}
    at = 0
    while at < len(content):
        space, end = content.index(b" ", at), content.index(b"\0", at)
        id = content[end + 1 : end + 1 + _ID_BYTES].hex()
        items[content[space + 1 : end]] = Item(content[at:space].decode("ascii"), id)
        at = end + 1 + _ID_BYTES
    return items


def render(items: Listing) -> bytes:
    """As `parse` reads it; folders are sorted as if their names ended in a slash."""
    order = sorted(items.items(), key=lambda pair: pair[0] + (b"/" if pair[1].mode == FOLDER else b""))
    return b"".join(b"%b %b\0%b" % (item.mode.encode("ascii"), name, bytes.fromhex(item.id)) for name, item in order)


async def find(objects: Objects, tree: str, path: str) -> Item | None:
    """What `path` (from the top, forward slashes) is in a tree; the submodule that it lies in, where it does."""
    item: Item | None = Item(FOLDER, tree)
    for name in path.split("/"):
        if item is None or item.mode != FOLDER:
            return item if item and item.mode == SUBMODULE else None
        item = (await objects.listing(item.id)).get(os.fsencode(name))
    return item


async def edit(objects: Objects, tree: str, changes: Mapping[str, Item | None]) -> str:
    """The tree with these files (None: without what is there, a folder with all in it).

    A path and one below it: what was at the first goes, the second comes.
    """
    return objects.keep(await _edit(objects, await objects.listing(tree), changes))


async def _edit(objects: Objects, listing: Listing, changes: Mapping[str, Item | None]) -> Listing:
    edited = dict(listing)
    below: dict[bytes, dict[str, Item | None]] = {}
    for path, item in changes.items():
        first, slash, rest = path.partition("/")
        name = os.fsencode(first)
        if slash:
            below.setdefault(name, {})[rest] = item
        elif item is None:
            edited.pop(name, None)
        else:
            edited[name] = item
    for name, inner in below.items():
        old = edited.get(name)
        is_folder = old is not None and old.mode == FOLDER
        if not is_folder and all(item is None for item in inner.values()):
            continue  # what is to go is not there
        filled = await _edit(objects, await objects.listing(old.id) if old and is_folder else _NOTHING, inner)
        if filled:
            edited[name] = Item(FOLDER, objects.keep(filled))
        else:
            edited.pop(name, None)
    return edited


async def merge(objects: Objects, base: str, ours: str, theirs: str) -> str | None:
    """The tree of both sides' changes; None where they met in one place, which is for git to judge.

    Git says the same of what is merged here. Renames would make a difference only where both sides did something to
    the old name: that is such a place, even when both did the same (deleted it, and named it differently).
    """
    sides = [await objects.listing(tree) for tree in (base, ours, theirs)]
    merged = await _merge(objects, *sides)
    return None if merged is None else objects.keep(merged)


async def _merge(objects: Objects, base: Listing, ours: Listing, theirs: Listing) -> Listing | None:
    merged: dict[bytes, Item] = dict(ours)
    for name in {*base, *theirs}:
        was, mine, other = base.get(name), ours.get(name), theirs.get(name)
        if other == was or (other == mine and was is None):
            continue
        if mine == was:
            item = other
        elif _may_be_folder(was) and _is_folder(mine) and _is_folder(other) and mine != other:
            inner = [await objects.listing(side.id) if side else _NOTHING for side in (was, mine, other)]
            both = await _merge(objects, *inner)
            if both is None:
                return None
            item = Item(FOLDER, objects.keep(both)) if both else None
        else:
            return None
        if item is None:
            merged.pop(name, None)
        else:
            merged[name] = item
    return merged


def _is_folder(item: Item | None) -> bool:
    return item is not None and item.mode == FOLDER


def _may_be_folder(item: Item | None) -> bool:
    return item is None or item.mode == FOLDER
