import os
from pathlib import Path

import pytest

from kimi_code.errors import PatchError, ToolError
from kimi_code.events import Diff, Hunk
from kimi_code.tools.edit import Edit
from kimi_code.tools.files import FileMemory
from kimi_code.tools.read import Read
from kimi_code.tools.tool import Tool, ToolContext
from kimi_code.tools.write import Write
from tests.unit.toolbox import UNINDEXED, context, use


@pytest.fixture
def ctx(tmp_path: Path) -> ToolContext:
    return context(tmp_path)


class Desktop:
    """The three tools with one memory."""

    def __init__(self) -> None:
        files = FileMemory()
        self.read: Tool = Read(files, UNINDEXED)
        self.write: Tool = Write(files)
        self.edit: Tool = Edit(files)


@pytest.fixture
def tools() -> Desktop:
    return Desktop()


def put(ctx: ToolContext, name: str, content: str | bytes) -> Path:
    path = ctx.workspace.root / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# --- Read ---


async def test_a_file_is_listed_with_line_numbers(ctx: ToolContext, tools: Desktop) -> None:
    put(ctx, "a b 日本.txt", "one\n\ttwo\r\nthree")
    result = await use(tools.read, ctx, path="a b 日本.txt")
    assert (result.text, result.summary) == ("1\tone\n2\t\ttwo\n3\tthree", "3 lines")


async def test_a_part_of_a_file_says_how_to_go_on(ctx: ToolContext, tools: Desktop) -> None:
    put(ctx, "a", "".join(f"{n}\n" for n in range(1, 11)))
    result = await use(tools.read, ctx, path="a", offset=3, limit=2)
    assert result.text == "3\t3\n4\t4\n[lines 3-4 of 10 (21 bytes); continue with offset=5]"
    assert (await use(tools.read, ctx, path="a", offset=10)).text == "10\t10\n[lines 10-10 of 10 (21 bytes)]"
    with pytest.raises(ToolError, match="only 10 lines"):
        await use(tools.read, ctx, path="a", offset=11)


async def test_a_long_file_ends_after_2000_lines_or_50_kilobytes(ctx: ToolContext, tools: Desktop) -> None:
    put(ctx, "lines", "x\n" * 5312)
    assert (await use(tools.read, ctx, path="lines")).text.endswith(
        "\n2000\tx\n[lines 1-2000 of 5312 (10.6 kB); continue with offset=2001]"
    )
    put(ctx, "wide", ("y" * 999 + "\n") * 100)
    result = await use(tools.read, ctx, path="wide")
    assert len(result.text) < 55_000
    assert "of 100 (100.0 kB); continue with offset=5" in result.text


async def test_a_long_line_is_cut_visibly(ctx: ToolContext, tools: Desktop) -> None:
    put(ctx, "min.js", "z" * 100_000 + "\nend\n")
    result = await use(tools.read, ctx, path="min.js")
    assert result.text == f"1\t{'z' * 2000} [cut: 100000 characters]\n2\tend"


async def test_a_file_too_big_for_memory_is_read_in_one_bounded_pass(ctx: ToolContext, tools: Desktop) -> None:
    path = put(ctx, "big.log", "")
    with path.open("wb") as file:
        for part in range(40):
            file.write(f"part {part} é\n".encode() + b"x" * 1_000_000 + b"\n")
    result = await use(tools.read, ctx, path="big.log", offset=77, limit=3)
    lines = result.text.split("\n")
    assert lines[0] == "77\tpart 38 é"
    assert lines[1].endswith("[cut: 1000000 characters]")
    assert lines[3] == "[lines 77-79 of 80 (40.0 MB); continue with offset=80]"
    with pytest.raises(ToolError, match=r"too large to edit \(40.0 MB\)"):
        await use(tools.edit, ctx, path="big.log", old_string="x", new_string="y")


async def test_a_sparse_gigabyte_is_refused_as_binary_at_once(ctx: ToolContext, tools: Desktop) -> None:
    with put(ctx, "disk.img", "").open("wb") as file:
        file.truncate(1_000_000_000)
    with pytest.raises(ToolError, match=r"a binary file \(1.0 GB\), not text"):
        await use(tools.read, ctx, path="disk.img")


async def test_binary_files_are_refused_with_their_kind(ctx: ToolContext, tools: Desktop) -> None:
    put(ctx, "a.png", b"\x89PNG\r\n\x1a\n\0\0")
    put(ctx, "b.txt", "text\0text")
    with pytest.raises(ToolError, match=r"a\.png is a PNG image \(10 bytes\), not text"):
        await use(tools.read, ctx, path="a.png")
    with pytest.raises(ToolError, match=r"b\.txt is a binary file"):
        await use(tools.read, ctx, path="b.txt")


async def test_other_encodings_are_read_and_said(ctx: ToolContext, tools: Desktop) -> None:
    put(ctx, "w.txt", "grün\r\n".encode("utf-16"))
    put(ctx, "l.txt", "grün\n".encode("latin-1"))
    assert (await use(tools.read, ctx, path="w.txt")).text == "1\tgrün\n[encoding UTF-16, kept by Edit and Write]"
    assert (await use(tools.read, ctx, path="l.txt")).text == "1\tgrün\n[encoding Latin-1, kept by Edit and Write]"


async def test_an_empty_file_says_so(ctx: ToolContext, tools: Desktop) -> None:
    put(ctx, "empty", "")
    assert (await use(tools.read, ctx, path="empty")).text == "empty is empty."


async def test_what_is_no_file_is_refused_without_opening_it(ctx: ToolContext, tools: Desktop) -> None:
    root = ctx.workspace.root
    os.mkfifo(root / "pipe")
    for name in ("pipe", "/dev/zero"):
        with pytest.raises(ToolError, match="pipe, socket or device"):
            await use(tools.read, ctx, path=name)
    with pytest.raises(ToolError, match=r"folder\. Use Glob"):
        await use(tools.read, ctx, path=".")
    (root / "loop").symlink_to("loop")
    with pytest.raises(ToolError, match="leads to itself"):
        await use(tools.read, ctx, path="loop")


async def test_a_missing_file_names_similar_ones(ctx: ToolContext, tools: Desktop) -> None:
    put(ctx, "settings.py", "")
    with pytest.raises(ToolError, match=r"setings\.py does not exist\. In its folder are: settings\.py\."):
        await use(tools.read, ctx, path="setings.py")
    with pytest.raises(ToolError, match="nor does its folder"):
        await use(tools.read, ctx, path="no/such.py")


# --- Write ---


async def test_a_new_file_is_created_with_its_folders(ctx: ToolContext, tools: Desktop) -> None:
    result = await use(tools.write, ctx, path="new/deep/a.txt", content="x\ny\n")
    assert (ctx.workspace.root / "new/deep/a.txt").read_text() == "x\ny\n"
    assert (result.text, result.summary) == ("Created new/deep/a.txt (2 lines).", "+2 −0")
    assert result.blocks == (Diff("new/deep/a.txt", "created", 2, 0, (Hunk(1, 1, ("+x", "+y")),)),)


async def test_a_file_is_overwritten_only_as_it_was_last_seen(ctx: ToolContext, tools: Desktop) -> None:
    path = put(ctx, "a", "old\n")
    path.chmod(0o755)
    with pytest.raises(ToolError, match=r"has not been read in this session\. Read it first"):
        await use(tools.write, ctx, path="a", content="new\n")
    await use(tools.read, ctx, path="a")
    path.write_text("theirs\n")
    with pytest.raises(ToolError, match="changed since it was read"):
        await use(tools.write, ctx, path="a", content="new\n")
    assert path.read_text() == "theirs\n"
    await use(tools.read, ctx, path="a")
    await use(tools.write, ctx, path="a", content="new\n")
    assert (await use(tools.write, ctx, path="a", content="newer\n")).summary == "+1 −1"
    assert path.stat().st_mode & 0o777 == 0o755


async def test_a_rewritten_file_keeps_its_encoding_and_line_endings(ctx: ToolContext, tools: Desktop) -> None:
    path = put(ctx, "a", "grün\r\n".encode("utf-16"))
    await use(tools.read, ctx, path="a")
    await use(tools.write, ctx, path="a", content="blau\nrot\n")
    assert path.read_bytes() == "blau\r\nrot\r\n".encode("utf-16")


async def test_a_character_the_encoding_lacks_changes_nothing(ctx: ToolContext, tools: Desktop) -> None:
    path = put(ctx, "a", "grün\n".encode("latin-1"))
    await use(tools.read, ctx, path="a")
    with pytest.raises(ToolError, match=r"'€' \(line 2 of the new text\) cannot be written to a, which is Latin-1"):
        await use(tools.write, ctx, path="a", content="x\n€\n")
    assert path.read_bytes() == "grün\n".encode("latin-1")


async def test_a_symlink_is_written_through(ctx: ToolContext, tools: Desktop) -> None:
    put(ctx, "target", "old\n")
    link = ctx.workspace.root / "link"
    link.symlink_to("target")
    await use(tools.read, ctx, path="link")
    await use(tools.write, ctx, path="link", content="new\n")
    assert link.is_symlink()
    assert (ctx.workspace.root / "target").read_text() == "new\n"


async def test_folders_pipes_and_binary_files_are_not_overwritten(ctx: ToolContext, tools: Desktop) -> None:
    os.mkfifo(ctx.workspace.root / "pipe")
    put(ctx, "a.gz", b"\x1f\x8b\0")
    for path, words in ((".", "folder"), ("pipe", "pipe"), ("a.gz", "gzip archive, not text")):
        with pytest.raises(ToolError, match=words):
            await use(tools.write, ctx, path=path, content="x")


async def test_writing_the_same_content_changes_nothing(ctx: ToolContext, tools: Desktop) -> None:
    await use(tools.write, ctx, path="a", content="x\n")
    before = (ctx.workspace.root / "a").stat().st_ino
    assert (await use(tools.write, ctx, path="a", content="x\n")).summary == "unchanged"
    assert (ctx.workspace.root / "a").stat().st_ino == before


async def test_a_preview_shows_the_diff_and_changes_nothing(ctx: ToolContext, tools: Desktop) -> None:
    path = put(ctx, "a", "old\n")
    await use(tools.read, ctx, path="a")
    wanted = (Diff("a", "modified", 1, 1, (Hunk(1, 1, ("-old", "+new")),)),)
    write = tools.write.params.model_validate({"path": "a", "content": "new\n"})
    edit = tools.edit.params.model_validate({"path": "a", "old_string": "old", "new_string": "new"})
    assert await tools.write.preview(write, ctx) == wanted
    assert await tools.edit.preview(edit, ctx) == wanted
    assert path.read_text() == "old\n"


# --- Edit ---


async def test_an_edit_tells_the_lines_it_changed(ctx: ToolContext, tools: Desktop) -> None:
    path = put(ctx, "a.py", "".join(f"line {n}\n" for n in range(1, 31)))
    await use(tools.read, ctx, path="a.py")
    edits = [
        {"old_string": "line 3\n", "new_string": "three\nand more\n"},
        {"old_string": "line 20\n", "new_string": ""},
    ]
    result = await use(tools.edit, ctx, path="a.py", edits=edits)
    assert (result.text, result.summary) == ("Edited a.py, 2 places: lines 3-4, 21.", "+2 −2")
    assert path.read_text().startswith("line 1\nline 2\nthree\nand more\nline 4\n")
    result = await use(tools.edit, ctx, path="a.py", old_string="three", new_string="THREE")
    assert result.text == "Edited a.py: line 3."


async def test_an_edit_needs_the_file_as_it_was_read(ctx: ToolContext, tools: Desktop) -> None:
    path = put(ctx, "a", "x\n")
    with pytest.raises(ToolError, match="Read it first"):
        await use(tools.edit, ctx, path="a", old_string="x", new_string="y")
    await use(tools.read, ctx, path="a")
    path.write_text("x\nz\n")
    with pytest.raises(ToolError, match="changed since"):
        await use(tools.edit, ctx, path="a", old_string="x", new_string="y")


async def test_edits_that_do_not_all_fit_leave_the_file_alone(ctx: ToolContext, tools: Desktop) -> None:
    path = put(ctx, "a", "x\n")
    await use(tools.read, ctx, path="a")
    edits = [{"old_string": "x", "new_string": "y"}, {"old_string": "gone", "new_string": "z"}]
    with pytest.raises(PatchError, match=r"^a: Edit 2 of 2"):
        await use(tools.edit, ctx, path="a", edits=edits)
    assert path.read_text() == "x\n"


async def test_an_empty_old_string_creates_a_file_or_fills_an_empty_one(ctx: ToolContext, tools: Desktop) -> None:
    assert (await use(tools.edit, ctx, path="d/new", old_string="", new_string="x\n")).text == "Created d/new."
    put(ctx, "empty", "")
    await use(tools.edit, ctx, path="empty", old_string="", new_string="x\n")
    assert (ctx.workspace.root / "empty").read_text() == "x\n"
    with pytest.raises(ToolError, match="old_string is empty"):
        await use(tools.edit, ctx, path="empty", old_string="", new_string="y\n")
    with pytest.raises(ToolError, match=r"does not exist\. Use Write"):
        await use(tools.edit, ctx, path="gone", old_string="x", new_string="y")


async def test_an_edit_takes_one_replacement_or_a_list(ctx: ToolContext, tools: Desktop) -> None:
    put(ctx, "a", "x\n")
    await use(tools.read, ctx, path="a")
    for arguments in (
        {},
        {"old_string": "x"},
        {"old_string": "x", "new_string": "y", "edits": [{"old_string": "x", "new_string": "y"}]},
    ):
        with pytest.raises(ToolError, match=r"^Give "):
            await use(tools.edit, ctx, path="a", **arguments)


async def test_an_edited_file_keeps_its_encoding_and_all_other_bytes(ctx: ToolContext, tools: Desktop) -> None:
    path = put(ctx, "a", b"\xef\xbb\xbf" + "é\r\nold\r\nlone\nend".encode())
    await use(tools.read, ctx, path="a")
    await use(tools.edit, ctx, path="a", old_string="old\n", new_string="new\nnewer\n")
    assert path.read_bytes() == b"\xef\xbb\xbf" + "é\r\nnew\r\nnewer\r\nlone\nend".encode()
