from pathlib import Path

import pytest

from kimi_code.errors import PatchError, ToolError
from kimi_code.tools.edit import Edit
from kimi_code.tools.files import FileMemory
from kimi_code.tools.read import Read
from kimi_code.tools.tool import ToolContext
from kimi_code.tools.write import Write
from tests.unit.toolbox import UNINDEXED, context, use


class Bench:
    """A project, and a file in it that the model has read."""

    def __init__(self, folder: Path) -> None:
        self.ctx: ToolContext = context(folder)
        self.root = self.ctx.workspace.root
        self.files = FileMemory()
        self.read, self.tool = Read(self.files, UNINDEXED), Edit(self.files)

    async def put(self, name: str, content: str | bytes, **window: int) -> Path:
        path = self.root / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        await use(self.read, self.ctx, path=name, **window)
        return path

    async def edit(self, name: str, old: str, new: str) -> str:
        return (await use(self.tool, self.ctx, path=name, old_string=old, new_string=new)).text


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_the_level_that_matched_is_named_unless_it_was_exact(bench: Bench) -> None:
    await bench.put("a.txt", "if x:  \n    “y”\n")
    assert await bench.edit("a.txt", 'if x:\n    "y"', 'if x:\n    "z"') == (
        "Edited a.txt: line 2. Matched by overlooking punctuation."
    )
    assert await bench.edit("a.txt", "z", "w") == "Edited a.txt: line 2."


async def test_of_several_edits_those_not_exact_are_named_by_number(bench: Bench) -> None:
    path = await bench.put("a.txt", "one \ntwo\nthree\n")
    edits = [
        {"old_string": "two", "new_string": "2"},
        {"old_string": "one\n2", "new_string": "1\n2"},
        {"old_string": "3\tthree", "new_string": "3\t3"},
    ]
    result = await use(bench.tool, bench.ctx, path="a.txt", edits=edits)
    assert result.text == (
        "Edited a.txt, 3 places: lines 1-3. Matched by overlooking trailing blanks (edit 2), line numbers (edit 3)."
    )
    assert path.read_text() == "1 \n2\n3\n"


async def test_a_partial_read_suffices(bench: Bench) -> None:
    path = await bench.put("a.txt", "1\n2\n3\n", offset=3, limit=1)
    await bench.edit("a.txt", "1\n", "one\n")
    assert path.read_text() == "one\n2\n3\n"


async def test_broken_syntax_is_warned_of_and_written_all_the_same(bench: Bench) -> None:
    path = await bench.put("a.py", "x = 1\ny = 2\n")
    text = await bench.edit("a.py", "y = 2", "y = (2")
    assert text.startswith("Edited a.py: line 2.\nWarning: the file does not parse, Python 3.")
    assert text.endswith("at line 2: y = (2")
    assert path.read_text() == "x = 1\ny = (2\n"
    assert "Warning" not in await bench.edit("a.py", "x = 1", "x = 3")


async def test_a_written_file_is_parsed_too(bench: Bench) -> None:
    write = Write(bench.files)
    written = await use(write, bench.ctx, path="a.json", content='{"a": }\n')
    assert written.text == (
        'Created a.json (1 line).\nWarning: the file does not parse, JSON: Expecting value at line 1: {"a": }'
    )
    assert "Warning" not in (await use(write, bench.ctx, path="a.json", content='{"b": }\n')).text
    assert "Warning" in (await use(write, bench.ctx, path="new/a.py", content="def f(:\n")).text


ERRORS = {
    "not found": ("a.txt", "three", "x", "a.txt: old_string is not in the file, and nothing like it is."),
    "nearest lines": ("a.txt", "onf\ntwo", "x", "> 1\tone"),
    "found several times": ("a.txt", "two", "x", "a.txt: old_string is there 2 times, at lines 2, 3."),
    "already applied": (
        "a.txt",
        "uno",
        "one",
        "a.txt: Already applied: old_string is not in the file, and new_string is",
    ),
    "identical": ("a.txt", "one", "one", "a.txt: old_string and new_string are the same"),
    "empty": ("a.txt", "", "one", "a.txt: old_string is empty, which only creates a file or fills an empty one."),
    "changed": ("changed.txt", "one", "x", "changed.txt has changed since it was read. Read it again"),
    "not read": ("unread.txt", "one", "x", "unread.txt exists and has not been read in this session. Read it first."),
    "binary": ("binary", "one", "x", "binary is a binary file, not text."),
    "missing": ("a.tyt", "one", "x", "a.tyt does not exist. In its folder are: a.txt"),
    "too large": ("large", "one", "x", "large is too large to edit (16.8 MB). Change it with a command."),
    "folder": ("folder", "one", "x", "folder is a folder. Give the path of a file."),
}


@pytest.mark.parametrize(("name", "old", "new", "said"), ERRORS.values(), ids=ERRORS)
async def test_every_refusal_says_what_is_wrong_and_changes_nothing(
    bench: Bench, name: str, old: str, new: str, said: str
) -> None:
    await bench.put("a.txt", "one\ntwo\ntwo\n")
    (await bench.put("changed.txt", "one\n")).write_text("one\nmore\n")
    (bench.root / "unread.txt").write_text("one\n")
    (bench.root / "binary").write_bytes(bytes(range(256)))
    (bench.root / "folder").mkdir()
    with (bench.root / "large").open("wb") as large:
        large.truncate((16 << 20) + 1)
    before = {path.name: path.read_bytes() for path in bench.root.iterdir() if path.is_file()}
    with pytest.raises(ToolError) as refused:
        await bench.edit(name, old, new)
    assert said in str(refused.value)
    assert {path.name: path.read_bytes() for path in bench.root.iterdir() if path.is_file()} == before


async def test_a_file_that_does_not_exist_is_told_with_similar_names(bench: Bench) -> None:
    await bench.put("settings.py", "x")
    with pytest.raises(ToolError, match=r"In its folder are: settings\.py\. Use Write to create it"):
        await bench.edit("setings.py", "x", "y")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
async def test_all_bytes_around_a_loose_match_stay(bench: Bench, encoding: str) -> None:
    text = "é\r\nlone\n{}  \r\n\tx\rend é"
    path = await bench.put("a.txt", text.format("    old").encode(encoding))
    path.chmod(0o640)
    assert "trailing blanks" in await bench.edit("a.txt", "lone\n    old\n", "lone\n    new\n")
    assert path.read_bytes() == text.format("    new").encode(encoding)
    assert path.stat().st_mode & 0o777 == 0o640


async def test_an_edit_of_a_long_file_that_nearly_fits_shows_where_it_differs(bench: Bench) -> None:
    await bench.put("a.txt", "".join(f"value_{n} = compute({n})\n" for n in range(10_000)))
    with pytest.raises(PatchError) as caught:
        await bench.edit("a.txt", "value_4999 = compute(4999)\nvalue_5000 = compute(5001)\n", "x")
    assert caught.value.message.endswith(
        "  5000\tvalue_4999 = compute(4999)\n"
        "> 5001\tvalue_5000 = compute(5000)\n"
        "      \t                        ^ here old_string has '1)'"
    )
