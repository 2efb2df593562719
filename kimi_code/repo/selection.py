"""What differs between two trees as diffs to pick from, and the tree that a pick makes.

Text is picked hunk by hunk; binary files, symlinks and modes are items of their own, taken whole or not at all.
"""

from collections.abc import Collection, Mapping

from kimi_code.events import Diff
from kimi_code.repo.diff import Comparison, file_id
from kimi_code.repo.large_diff import compare_any
from kimi_code.repo.text import Encoding, decode, encode
from kimi_code.repo.trees import Entry, Trees
from kimi_code.values import frozen

_SHOWN_MOST = 4 << 20  # bytes of a text that is still shown by its lines
_MODE = "mode"


@frozen
class Item:
    """One path; None where a side has no file. `compared` and `encoding` are there where lines can be picked."""

    path: str
    old: Entry | None
    new: Entry | None
    compared: Comparison | None = None
    encoding: Encoding | None = None

    def diffs(self) -> tuple[Diff, ...]:
        """What is shown and picked: a change of mode is an item beside that of the lines."""
        if self.compared is None:
            change = "created" if self.old is None else "deleted" if self.new is None else "modified"
            return (Diff(self.path, change, 0, 0, detail=self._detail(), id=file_id(self.path)),)
        shown: list[Diff] = []
        if self._mode_changes:
            shown.append(Diff(self.path, "modified", 0, 0, detail=self._modes(), id=file_id(self.path, _MODE)))
        diff = self.compared.diff()
        if diff.hunks or self.compared.change != "modified":
            shown.append(diff)
        return tuple(shown)

    def pick(self, ids: Collection[str]) -> Entry | None:
        """The file when only what `ids` name is done."""
        if self.compared is None or self.encoding is None:
            return self.new if file_id(self.path) in ids else self.old
        text = self.compared.pick(ids)
        if text is None:
            return None
        if self.old is None or self.new is None:
            return self.new or self.old
        mode = self.new.mode if file_id(self.path, _MODE) in ids else self.old.mode
        return Entry(mode, encode(text, self.encoding))

    def edited(self, text: str) -> Entry | None:
        """The file with the user's own text; None where it has no text, or the text no place in its encoding."""
        if self.encoding is None:
            return None
        like = self.new or self.old
        assert like is not None
        try:
            return Entry(like.mode, encode(text, self.encoding))
        except UnicodeEncodeError:
            return None

    def text(self, entry: Entry | None) -> str | None:
        """The text of one of its sides or picks."""
        if entry is None or self.encoding is None:
            return None
        decoded = decode(entry.content)
        return decoded.text if decoded else None

    @property
    def _mode_changes(self) -> bool:
        return self.old is not None and self.new is not None and self.old.mode != self.new.mode

    def _modes(self) -> str:
        assert self.old is not None and self.new is not None
        return f"{self.old.mode} → {self.new.mode}"

    def _detail(self) -> str:
        return " → ".join(_kind(entry) for entry in (self.old, self.new) if entry is not None)


def _kind(entry: Entry) -> str:
    if entry.mode == "symlink":
        return f"symlink to {entry.content.decode(errors='replace')}"
    return f"{entry.mode}, {len(entry.content):,} bytes"


@frozen
class Selection:
    """All that differs between the trees `before` and `after`."""

    trees: Trees
    before: str
    after: str
    items: tuple[Item, ...]

    def diffs(self) -> tuple[Diff, ...]:
        return tuple(diff for item in self.items for diff in item.diffs())

    async def tree(self, picked: Mapping[str, Entry | None]) -> str:
        """`after`, but with these files in place of its own."""
        other = {item.path: picked[item.path] for item in self.items if picked.get(item.path, item.new) != item.new}
        return await self.trees.edit(self.after, other) if other else await self.trees.tree(self.after)


async def select(trees: Trees, before: str, after: str) -> Selection:
    """Compare two trees. Raises ShadowError."""
    paths = [change.path for change in await trees.changes(before, after, renames=False)]
    old, new = await trees.files(before, paths), await trees.files(after, paths)
    items = [await _item(path, old.get(path), new.get(path)) for path in paths if path in old or path in new]
    return Selection(trees, before, after, tuple(items))


async def _item(path: str, old: Entry | None, new: Entry | None) -> Item:
    sides = [entry for entry in (old, new) if entry is not None]
    if any(entry.mode == "symlink" or len(entry.content) > _SHOWN_MOST for entry in sides):
        return Item(path, old, new)
    decoded = [decode(entry.content) for entry in sides]
    encodings = {each.encoding if each else None for each in decoded}
    encoding = encodings.pop()
    if encodings or encoding is None:
        return Item(path, old, new)
    texts = iter([each.text for each in decoded if each])
    before = next(texts) if old is not None else None
    after = next(texts) if new is not None else None
    return Item(path, old, new, await compare_any(path, before, after), encoding)
