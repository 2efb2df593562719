"""Hunks as something to pick from: ids that hold, texts that are exact to the byte, and what the model is told."""

import subprocess
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_code.errors import ToolError
from kimi_code.events import AllowEdited, AllowHunks, Diff, Hunk
from kimi_code.repo.diff import compare, file_id, make_diff, parts
from kimi_code.repo.indexing.indexes import Indexes
from kimi_code.repo.large_diff import compare_any
from kimi_code.tools.apply_patch import ApplyPatch
from kimi_code.tools.edit import Edit
from kimi_code.tools.files import FileMemory
from kimi_code.tools.read import Read
from kimi_code.tools.rename import Rename
from kimi_code.tools.tool import ToolContext
from kimi_code.tools.write import Write
from tests.costly import costly
from tests.unit.toolbox import UNINDEXED, context, use


def joined(lines: list[str], last: str) -> str:
    return "".join(lines) + last


def without_returns(text: str) -> str:
    return text.replace("\r", "")


LINE = st.sampled_from(["a\n", "b\r\n", "c\n", "ümläut 漢字\n", "\n", "d\r\n", "e\f\n"])
TEXT = st.builds(joined, st.lists(LINE, max_size=60), st.sampled_from(["", "no line feed", "\r"]))
LONG = st.builds(joined, st.lists(LINE, min_size=20, max_size=80), st.sampled_from(["", "end"]))
SPARSE = st.lists(st.tuples(st.integers(0, 80), st.sampled_from(["", "new\n", "x\r\ny\n"])), max_size=6)


def changed(old: str, edits: Sequence[tuple[int, str]]) -> str:
    """`old` with some lines replaced."""
    lines = old.splitlines(keepends=True)
    for at, text in edits:
        if at < len(lines):
            lines[at] = text
    return "".join(lines)


@given(TEXT, TEXT)
def test_all_hunks_make_the_new_text_and_none_the_old(old: str, new: str) -> None:
    compared = compare("a", old, new)
    hunks = compared.diff().hunks
    assert compared.pick([hunk.id for hunk in hunks]) == new
    assert compared.pick([file_id("a")]) == new
    assert compared.pick([]) == old
    assert len({hunk.id for hunk in hunks}) == len(hunks)


@costly
@given(LONG, SPARSE, st.integers(0, 2**20))
def test_the_parts_of_hunks_pick_what_they_show_and_together_make_the_hunk(
    old: str, edits: Sequence[tuple[int, str]], chosen: int
) -> None:
    compared = compare("a", old, changed(old, edits))
    units = [unit for hunk in compared.diff().hunks for unit in (parts(hunk) or (hunk,))]
    assert len({unit.id for unit in units}) == len(units)
    assert compared.pick([unit.id for unit in units]) == compared.new
    # What is left out can be picked on top of what was taken: both together are all of it.
    taken = [unit for index, unit in enumerate(units) if chosen >> index & 1]
    text = compared.pick([unit.id for unit in taken])
    changes = sum(line[0] != " " for unit in units for line in unit.lines)
    assert changes == sum(line[0] != " " for hunk in compared.diff().hunks for line in hunk.lines)
    assert (text == old) == (not taken)


@costly
@given(LONG, SPARSE)
def test_a_part_stands_where_its_hunk_says(old: str, edits: Sequence[tuple[int, str]]) -> None:
    before = old.split("\n")
    for hunk in compare("a", old, changed(old, edits)).diff().hunks:
        for part in parts(hunk):
            for number, line in enumerate((line for line in part.lines if line[0] != "+"), part.old_start - 1):
                assert before[number].rstrip("\r") == line[1:]


def numbered(text: str) -> str:
    return "".join(f"{number} {line}" for number, line in enumerate(text.splitlines(keepends=True)))


# Of equal lines any may be taken for the one that went: a comparison of other texts may choose another.
@costly
@given(LONG.map(numbered), SPARSE, st.sets(st.integers(0, 5)))
def test_what_is_left_out_leaves_the_other_hunks_and_their_ids_as_they_were(
    old: str, edits: list[tuple[int, str]], chosen: set[int]
) -> None:
    compared = compare("a", old, changed(old, edits))
    hunks = [hunk for number, hunk in enumerate(compared.diff().hunks) if number in chosen]
    picked = compared.pick([hunk.id for hunk in hunks])
    again = compare("a", old, picked).diff().hunks
    assert [hunk.id for hunk in again] == [hunk.id for hunk in hunks]
    assert [hunk.lines for hunk in again] == [hunk.lines for hunk in hunks]


@costly
@given(LONG.map(without_returns), SPARSE, st.sets(st.integers(0, 5)))
def test_any_pick_is_what_git_makes_of_a_patch_of_those_hunks(
    tmp_path_factory: pytest.TempPathFactory, old: str, edits: list[tuple[int, str]], chosen: set[int]
) -> None:
    new = changed(old, edits).replace("\r", "")
    compared = compare("a", old, new)
    hunks = [hunk for number, hunk in enumerate(compared.diff().hunks) if number in chosen]
    picked = compared.pick([hunk.id for hunk in hunks])
    assert picked is not None
    folder = tmp_path_factory.mktemp("git")
    (folder / "a").write_bytes(old.encode())
    if hunks:
        patch = "--- a/a\n+++ b/a\n" + "".join(rendered(hunks, number, old, new) for number in range(len(hunks)))
        apply = ("git", "apply", "--whitespace=nowarn", "--unidiff-zero")
        subprocess.run(apply, cwd=folder, input=patch.encode(), check=True)
    assert (folder / "a").read_bytes() == picked.encode()


def rendered(hunks: Sequence[Hunk], number: int, old: str, new: str) -> str:
    """One of the hunks as a patch of them all has it; what the last line lacks is said below it."""
    hunk = hunks[number]
    # Git looks for a hunk where the ones before it in the patch have moved its lines to.
    moved = sum({"+": 1, "-": -1}.get(line[0], 0) for before in hunks[:number] for line in before.lines)
    counts = [sum(line[0] in marks for line in hunk.lines) for marks in (" -", " +")]
    starts = [hunk.old_start - (counts[0] == 0), hunk.old_start + moved - (counts[1] == 0)]
    text = f"@@ -{starts[0]},{counts[0]} +{starts[1]},{counts[1]} @@\n"
    at = [hunk.old_start - 1, hunk.new_start - 1]
    for line in hunk.lines:
        at = [at[0] + (line[0] in " -"), at[1] + (line[0] in " +")]
        ends = [side.count("\n") < at[n] for n, side in enumerate((old, new))]
        text += line + "\n"
        if (line[0] in " -" and ends[0]) or (line[0] in " +" and ends[1]):
            text += "\\ No newline at end of file\n"
    return text


def test_equal_changes_at_different_places_have_ids_of_their_own() -> None:
    old = "x\n" + "same\n" * 20 + "x\n"
    compared = compare("a", old, old.replace("x\n", "y\n"))
    first, second = compared.diff().hunks
    assert first.id != second.id
    assert compared.pick([second.id]) == "x\n" + "same\n" * 20 + "y\n"
    assert make_diff("b", old, old.replace("x\n", "y\n")).hunks[0].id != first.id


def test_a_new_file_comes_whole_or_not_and_so_it_goes() -> None:
    created = compare("a", None, "x\ny\n")
    assert (created.pick([]), created.pick([created.diff().hunks[0].id])) == (None, "x\ny\n")
    empty = compare("a", None, "")
    assert (empty.pick([]), empty.pick([empty.diff().id])) == (None, "")
    deleted = compare("a", "x\n", None)
    assert (deleted.pick([]), deleted.pick([deleted.diff().hunks[0].id])) == ("x\n", None)


async def test_hunks_of_large_files_can_be_picked_too() -> None:
    lines = [f"{n * n % 31}\n" for n in range(10_000)]
    changed_lines = [f"{n} new\n" if n % 25 == 0 else line for n, line in enumerate(lines)]
    compared = await compare_any("a", "".join(lines), "".join(changed_lines))
    hunks = compared.diff().hunks
    assert len(hunks) == 400
    wanted = [f"{n} new\n" if n % 50 == 0 else line for n, line in enumerate(lines)]
    assert compared.pick([hunk.id for hunk in hunks[::2]]) == "".join(wanted)


# --- The tools that write what was picked ---------------------------------------------------------------------------

TWENTY = "".join(f"{n}\n" for n in range(1, 21))


def approving(ctx: ToolContext, approved: AllowHunks | AllowEdited) -> ToolContext:
    return replace(ctx, approved=approved)


async def shown(tool: Edit | Write | ApplyPatch | Rename, ctx: ToolContext, **arguments: object) -> list[Diff]:
    """What an approval would show."""
    blocks = await tool.preview(tool.params.model_validate(arguments), ctx)  # pyright: ignore[reportArgumentType]  (its own)
    return [block for block in blocks if isinstance(block, Diff)]


async def opened(folder: Path, name: str, content: bytes) -> tuple[ToolContext, FileMemory]:
    ctx, files = context(folder), FileMemory()
    (folder / "project" / name).write_bytes(content)
    await use(Read(files, UNINDEXED), ctx, path=name)
    return ctx, files


EDITS = {
    "path": "a.txt",
    "edits": [{"old_string": "2\n3", "new_string": "two\n3"}, {"old_string": "20", "new_string": "xx"}],
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16-le", "latin-1"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
async def test_an_edit_is_written_as_far_as_it_was_approved_and_no_other_byte_changes(
    tmp_path: Path, encoding: str, ending: str
) -> None:
    text = ("ä\n" + TWENTY).removesuffix("\n").replace("\n", ending)
    ctx, files = await opened(tmp_path, "a.txt", text.encode(encoding))
    edit = Edit(files)
    (diff,) = await shown(edit, ctx, **EDITS)
    assert len(diff.hunks) == 2
    result = await use(edit, approving(ctx, AllowHunks((diff.hunks[1].id,))), **EDITS)
    written = (tmp_path / "project" / "a.txt").read_bytes()
    assert written == text.replace("20", "xx").encode(encoding)
    assert "lines with '+' stand there" in result.text
    assert "-two\n+2" in result.text
    assert result.blocks == (make_diff("a.txt", text, text.replace("20", "xx")),)
    # What was written is what the model is taken to have seen: the next edit needs no new Read.
    await use(edit, ctx, path="a.txt", old_string="xx", new_string="20")
    assert (tmp_path / "project" / "a.txt").read_bytes() == text.encode(encoding)


async def test_the_users_own_text_is_written_in_the_files_style_and_shown_to_the_model(tmp_path: Path) -> None:
    ctx, files = await opened(tmp_path, "a.txt", b"one\r\ntwo\r\n")
    edited = AllowEdited("one\nthree\n", "a.txt")
    result = await use(Edit(files), approving(ctx, edited), path="a.txt", old_string="two", new_string="2")
    assert (tmp_path / "project" / "a.txt").read_bytes() == b"one\r\nthree\r\n"
    assert "put another text in place of yours" in result.text
    assert "-2\n+three" in result.text
    assert "do not send the same again" in result.text


async def test_a_whole_file_is_written_as_far_as_it_was_approved(tmp_path: Path) -> None:
    ctx, files = await opened(tmp_path, "a.txt", TWENTY.encode())
    write, content = Write(files), TWENTY.replace("2\n3\n", "two\n3\n", 1).replace("\n20\n", "\nlast")
    (diff,) = await shown(write, ctx, path="a.txt", content=content)
    result = await use(
        write, approving(ctx, AllowHunks((diff.hunks[0].id,), "Keep the end.")), path="a.txt", content=content
    )
    assert (tmp_path / "project" / "a.txt").read_text() == TWENTY.replace("2\n3\n", "two\n3\n", 1)
    assert "The user says: Keep the end." in result.text


async def test_hunks_of_several_files_are_picked_and_a_move_never_loses_its_content(tmp_path: Path) -> None:
    ctx, files = await opened(tmp_path, "a.txt", b"one\n")
    (tmp_path / "project" / "b.txt").write_bytes(b"move me\n")
    await use(Read(files, UNINDEXED), ctx, path="b.txt")
    patch = (
        "*** Begin Patch\n*** Update File: a.txt\n@@\n-one\n+1\n*** Add File: new.txt\n+new\n"
        "*** Update File: b.txt\n*** Move to: c.txt\n@@\n-move me\n+moved\n*** End Patch"
    )
    tool = ApplyPatch(files)
    a, new, c, b = await shown(tool, ctx, input=patch)
    assert [(d.path, d.change) for d in (a, new, c, b)] == [
        ("a.txt", "modified"),
        ("new.txt", "created"),
        ("c.txt", "created"),
        ("b.txt", "deleted"),
    ]
    # The deletion alone of a move: nothing goes, as nothing came.
    result = await use(tool, approving(ctx, AllowHunks((new.id, b.id))), input=patch)
    project = tmp_path / "project"
    assert (project / "new.txt").read_text() == "new\n"
    assert (project / "a.txt").read_text() == "one\n"
    assert (project / "b.txt").read_text() == "move me\n"
    assert not (project / "c.txt").exists()
    assert result.text.startswith("Created new.txt.")
    for words in ("-1\n+one", "c.txt was not created.", "b.txt was not removed"):
        assert words in result.text


async def test_an_approval_of_what_is_no_longer_proposed_does_nothing(tmp_path: Path) -> None:
    ctx, files = await opened(tmp_path, "a.txt", b"one\n")
    with pytest.raises(ToolError, match="no longer what this call would do"):
        await use(
            Edit(files), approving(ctx, AllowHunks(("0123456789ab",))), path="a.txt", old_string="one", new_string="1"
        )
    assert (tmp_path / "project" / "a.txt").read_bytes() == b"one\n"


async def test_of_a_rename_too_only_the_approved_hunks_are_written(tmp_path: Path) -> None:
    ctx, files = context(tmp_path), FileMemory()
    project = tmp_path / "project"
    (project / "a.py").write_text("def twice(n):\n    return 2 * n\n")
    (project / "b.py").write_text("from a import twice\n\nprint(twice(2))\n")
    indexes = Indexes((project,), tmp_path / "cache")
    try:
        rename = Rename(files, indexes)
        seen = await shown(rename, ctx, symbol="twice", new_name="double")
        assert [diff.path for diff in seen] == ["a.py", "b.py"]
        approved = approving(ctx, AllowHunks((seen[0].hunks[0].id,)))
        result = await use(rename, approved, symbol="twice", new_name="double")
    finally:
        await indexes.close()
    assert (project / "a.py").read_text() == "def double(n):\n    return 2 * n\n"
    assert (project / "b.py").read_text() == "from a import twice\n\nprint(twice(2))\n"
    assert "approved only part of this" in result.text
    assert "from a import twice" in result.text


def test_a_hunk_of_a_hundred_thousand_lines_is_split_at_once() -> None:
    whole = Hunk(1, 1, tuple(f"{mark}{n}" for n in range(50_000) for mark in "-+"), "h1")
    every_other = Hunk(1, 1, tuple(f"{' +'[n % 2]}{n}" for n in range(100_000)), "h2")
    started = time.process_time()
    assert parts(whole) == ()
    split = parts(every_other)
    # Hundredths of a second; it was five minutes once, each time the approval was drawn.
    assert time.process_time() - started < 5.0
    assert len(split) == 50_000
    assert (split[-1].old_start, split[-1].new_start) == (50_000, 99_999)
