from pathlib import Path

import pytest

from kimi_code.errors import PatchError, ToolError
from kimi_code.events import Diff
from kimi_code.llm.profiles import profile_for
from kimi_code.tools.apply_patch import ApplyPatch, ApplyPatchParams
from kimi_code.tools.files import FileMemory
from kimi_code.tools.read import Read
from kimi_code.tools.tool import ToolContext, ToolResult
from tests.unit.toolbox import UNINDEXED, context, use

CODE = """\
class A:
    def f(self):
        return 1

class B:
    def f(self):
        return 1
"""


class Bench:
    """A project, read as the model reads it before it patches."""

    def __init__(self, folder: Path) -> None:
        self.ctx: ToolContext = context(folder)
        self.root = self.ctx.workspace.root
        self._files = FileMemory()
        self.tool = ApplyPatch(self._files)

    async def put(self, name: str, content: str | bytes) -> Path:
        path = self.root / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        await use(Read(self._files, UNINDEXED), self.ctx, path=name)
        return path

    async def patch(self, text: str) -> ToolResult:
        return await use(self.tool, self.ctx, input=text)

    def targets(self, text: str) -> list[str]:
        return list(self.tool.targets(ApplyPatchParams(input=text)))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def begin(*lines: str) -> str:
    return "\n".join(("*** Begin Patch", *lines, "*** End Patch"))


async def test_a_patch_adds_updates_moves_and_deletes_at_once(bench: Bench) -> None:
    await bench.put("a.py", "x = 1\ny = 2\n")
    await bench.put("old.txt", "one\ntwo\n")
    await bench.put("gone.txt", "bye\n")
    text = begin(
        "*** Add File: new/b.py",
        "+z = 3",
        "*** Update File: a.py",
        "@@",
        " x = 1",
        "-y = 2",
        "+y = 4",
        "*** Update File: old.txt",
        "*** Move to: moved.txt",
        "@@",
        "-two",
        "+zwei",
        "*** Delete File: gone.txt",
    )
    assert bench.targets(text) == ["new/b.py", "a.py", "old.txt", "moved.txt", "gone.txt"]
    result = await bench.patch(text)
    assert result.text == "Created new/b.py.\nEdited a.py: line 2.\nMoved old.txt to moved.txt.\nDeleted gone.txt."
    assert [(diff.path, diff.change) for diff in result.blocks if isinstance(diff, Diff)] == [
        ("new/b.py", "created"),
        ("a.py", "modified"),
        ("moved.txt", "created"),
        ("old.txt", "deleted"),
        ("gone.txt", "deleted"),
    ]
    assert (bench.root / "new/b.py").read_text() == "z = 3\n"
    assert (bench.root / "a.py").read_text() == "x = 1\ny = 4\n"
    assert (bench.root / "moved.txt").read_text() == "one\nzwei\n"
    assert not (bench.root / "old.txt").exists()
    assert not (bench.root / "gone.txt").exists()


async def test_a_hunk_at_two_places_is_refused_unless_a_header_names_the_block(bench: Bench) -> None:
    path = await bench.put("a.py", CODE)
    with pytest.raises(PatchError, match="2 times, at lines 3, 7"):
        await bench.patch(begin("*** Update File: a.py", "@@", "-        return 1", "+        return 2"))
    with pytest.raises(PatchError, match=r"'@@ def f\(self\):' has to name one line, and it is at lines 2, 6"):
        await bench.patch(begin("*** Update File: a.py", "@@ def f(self):", "-        return 1", "+        return 2"))
    with pytest.raises(PatchError, match="not where the patch says: they are at line 3, 7"):
        await bench.patch(
            begin("*** Update File: a.py", "@@ class A:", "-        return 1", "+        return 2", "*** End of File")
        )
    assert path.read_text() == CODE
    await bench.patch(
        begin("*** Update File: a.py", "@@ class B:", "@@ def f(self):", "-        return 1", "+        return 2")
    )
    assert path.read_text() == CODE[:-2] + "2\n"


async def test_one_hunk_that_does_not_fit_leaves_every_file_alone(bench: Bench) -> None:
    first, second = await bench.put("a", "one\n"), await bench.put("b", "two\n")
    with pytest.raises(PatchError, match=r"b: .* is not in the file.*Nothing was done"):
        await bench.patch(begin("*** Update File: a", "-one", "+1", "*** Update File: b", "-three", "+3"))
    assert (first.read_text(), second.read_text()) == ("one\n", "two\n")


async def test_a_write_that_fails_takes_back_those_before_it(bench: Bench) -> None:
    first = await bench.put("a", "one\n")
    await bench.put("b", b"gr\xfcn\n")
    (bench.root / "file").write_text("")
    text = begin("*** Update File: a", "-one", "+1", "*** Add File: file/below", "+x")
    with pytest.raises(ToolError):
        await bench.patch(text)
    with pytest.raises(ToolError, match="cannot be written to b, which is Latin-1"):
        await bench.patch(begin("*** Update File: a", "-one", "+1", "*** Update File: b", "-grün", "+€"))
    assert first.read_text() == "one\n"


async def test_a_unified_diff_is_applied_whatever_its_counts_say(bench: Bench) -> None:
    path = await bench.put("a.txt", "1\r\n2\r\n3\r\n4\r\nend")
    await bench.put("gone", "x\n")
    text = """diff --git a/a.txt b/a.txt
index 1..2 100644
--- a/a.txt
+++ b/a.txt
@@ -7,1 +9,9 @@ whatever
 1
-2
+two
 3
@@ -4 +4 @@
-end
\\ No newline at end of file
+END
\\ No newline at end of file
--- /dev/null
+++ b/new
@@ -0,0 +1 @@
+hello
--- a/gone
+++ /dev/null
@@ -1 +0,0 @@
-x
diff --git a/p b/q
rename from a.txt2
rename to q
"""
    text = text.split("diff --git a/p")[0]
    assert bench.targets(text) == ["a.txt", "new", "gone"]
    await bench.patch(text)
    assert path.read_bytes() == b"1\r\ntwo\r\n3\r\n4\r\nEND"
    assert (bench.root / "new").read_text() == "hello\n"
    assert not (bench.root / "gone").exists()


async def test_a_hunk_is_forgiven_what_an_edit_is_forgiven_and_says_so(bench: Bench) -> None:
    path = await bench.put("a.py", "if x:  \n    y = “1”\n")
    result = await bench.patch(begin("*** Update File: a.py", " if x:", '-    y = "1"', '+    y = "2"'))
    assert path.read_text() == "if x:  \n    y = “2”\n"
    assert result.text.startswith("Edited a.py: line 2. Matched by overlooking punctuation.")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hello", "There is no patch"),
        ("*** Begin Patch\n*** Update File: a", "cut off"),
        (begin("*** Update File: a"), "no hunk"),
        (begin("*** Rename File: a"), "is none of"),
        (begin("*** Update File: a", "@@", "+only new"), "nothing says where it belongs"),
        (begin("*** Update File: a", "@@", "-one", "!two"), "begins with none of"),
        (begin("*** Add File: n", "no plus"), r"begins with '\+'"),
        (begin("*** Delete File: a", "*** Update File: a", "-one", "+1"), "in the patch twice"),
        (begin("*** Delete File: a", "*** Update File: ./a", "-one", "+1"), "Two sections"),
        (begin("*** Add File: a", "+x"), "exists already"),
        (begin("*** Delete File: none"), "does not exist"),
        (begin("*** Delete File: unread"), "Read it first"),
        (begin("*** Update File: a", "*** Move to: b"), "exists"),
        ("@@ -1 +1 @@\n-one\n+1", "needs the lines"),
        ("diff --git a/a b/a\nold mode 100644\nnew mode 100755", "not supported"),
    ],
)
async def test_what_is_no_usable_patch_is_refused_in_words(bench: Bench, text: str, words: str) -> None:
    path = await bench.put("a", "one\n")
    await bench.put("b", "two\n")
    (bench.root / "unread").write_text("x")
    with pytest.raises(ToolError, match=words):
        await bench.patch(text)
    assert path.read_text() == "one\n"


def test_only_models_trained_on_patches_are_offered_the_tool() -> None:
    assert [profile_for(name).apply_patch for name in ("gpt-5-codex", "gpt-5.1", "openai/gpt-oss-120b", "gpt-4.1")] == (
        [True] * 4
    )
    assert not any(profile_for(name).apply_patch for name in ("kimi-k2.6", "glm-4.7", "unknown"))


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
async def test_the_bytes_of_a_new_file_are_those_behind_the_marks(bench: Bench, ending: str) -> None:
    lines = ("*** Begin Patch", "*** Add File: a", "+one\r\r", "+two\r", "+three", "*** End Patch", "")
    await bench.patch(ending.join(lines))
    assert (bench.root / "a").read_bytes() == b"one\r\r\ntwo\r\nthree\n"
    lines = ("--- /dev/null", "+++ b/b", "@@ -0,0 +1,3 @@", "+one\r\r", "+two\r", "+three", "")
    await bench.patch(ending.join(lines))
    assert (bench.root / "b").read_bytes() == b"one\r\r\ntwo\r\nthree\n"


async def test_lines_of_the_file_that_end_in_crlf_fit_it_between_marks_that_do_not(bench: Bench) -> None:
    path = await bench.put("a.txt", "1\r\n2\r\n\r\n3\r\n")
    await bench.patch("--- a/a.txt\n+++ b/a.txt\n@@ -1,4 +1,4 @@\n 1\r\n-2\r\n+two\r\n\r\n 3\r\n")
    assert path.read_bytes() == b"1\r\ntwo\r\n\r\n3\r\n"
    path = await bench.put("b.txt", "1\n2\n\n3\n")
    await bench.patch("*** Begin Patch\n*** Update File: b.txt\n 1\r\n-2\r\n+two\r\n\r\n 3\r\n*** End Patch")
    assert path.read_bytes() == b"1\ntwo\n\n3\n"
