import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from kimi_code.errors import ToolError
from kimi_code.repo.search import Search, find_ripgrep
from kimi_code.repo.walk import compile_glob
from kimi_code.tools.glob import Glob, GlobParams
from kimi_code.tools.grep import Grep
from kimi_code.tools.tool import ToolContext
from tests.unit.toolbox import UNINDEXED, context, use

FILES = {
    "src/app.py": "import os\n\ndef main():\n    return os\n",
    "src/deep/b.ts": "const main = 1;\n",
    "src/deep/c.tsx": "main()\n",
    "a b.txt": "main with space\n",
    "日本\n語.txt": "main 日本\n",
    ".hidden/x.py": "main = 2\n",
    ".git/config": "main\n",
    ".gitignore": "*.log\nbuild/\n!keep.log\n/only_top.txt\n",
    "debug.log": "main\n",
    "keep.log": "main\n",
    "build/out.py": "main\n",
    "sub/only_top.txt": "main\n",
    "only_top.txt": "main\n",
    "sub/.gitignore": "local.py\n",
    "sub/local.py": "main\n",
    "bin.dat": "main\0main\n",
}


@pytest.fixture
def ctx(tmp_path: Path) -> ToolContext:
    ctx = context(tmp_path)
    for name, text in FILES.items():
        path = ctx.workspace.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, newline="")
    return ctx


@pytest.fixture(params=["ripgrep", "our own walk"])
def search(request: pytest.FixtureRequest) -> Search:
    """Both engines answer alike."""
    if request.param == "ripgrep":
        assert find_ripgrep(), "the test extras bring ripgrep"
        return Search()
    return Search(ripgrep="")


def test_the_ripgrep_of_the_path_goes_before_the_one_beside_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = shutil.which("rg", path=str(Path(sys.executable).parent))
    assert beside, "the test extras bring ripgrep"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_ripgrep() == beside
    own = shutil.copy(beside, tmp_path)
    assert find_ripgrep() == own


async def test_matches_stand_under_their_file_in_a_stable_order(ctx: ToolContext, search: Search) -> None:
    result = await use(Grep(search, UNINDEXED), ctx, pattern=r"\bmain\b")
    assert result.text == (
        ".hidden/x.py\n1: main = 2\na b.txt\n1: main with space\nkeep.log\n1: main\nsrc/app.py\n3: def main():\n"
        "src/deep/b.ts\n1: const main = 1;\nsrc/deep/c.tsx\n1: main()\nsub/only_top.txt\n1: main\n"
        "'\\u65e5\\u672c\\n\\u8a9e.txt'\n1: main 日本"
    )
    assert result.summary == "8 matches"


async def test_files_are_chosen_by_glob_and_type_and_ignored_ones_stay_out(ctx: ToolContext, search: Search) -> None:
    grep = Grep(search, UNINDEXED)
    cases: list[tuple[dict[str, object], list[str]]] = [
        ({"glob": "*.py"}, [".hidden/x.py", "src/app.py"]),
        ({"glob": "src/**/*.{ts,tsx}"}, ["src/deep/b.ts", "src/deep/c.tsx"]),
        ({"glob": "src/*.py"}, ["src/app.py"]),
        ({"type": "py"}, [".hidden/x.py", "src/app.py"]),
        ({"type": "ts", "glob": "*.tsx"}, ["src/deep/c.tsx"]),
        ({"glob": "*.log"}, ["keep.log"]),
        ({"path": "src", "glob": "!*.py"}, ["src/deep/b.ts", "src/deep/c.tsx"]),
        ({"path": "src/app.py"}, ["src/app.py"]),
        ({"path": "debug.log"}, ["debug.log"]),
    ]
    for arguments, paths in cases:
        result = await use(grep, ctx, pattern="main", mode="files", **arguments)
        assert result.text.split("\n") == paths, arguments


async def test_context_paging_and_counting(ctx: ToolContext, search: Search) -> None:
    grep = Grep(search, UNINDEXED)
    (ctx.workspace.root / "many.c").write_text("".join(f"hit {n}\nmiss\nmiss\nmiss\n" for n in range(250)))
    page = await use(grep, ctx, pattern="^hit", glob="*.c", offset=100, limit=2, context=1)
    assert page.text == (
        "many.c\n400- miss\n401: hit 100\n402- miss\n--\n404- miss\n405: hit 101\n406- miss\n"
        "[matches 101-102 of 250; continue with offset=102]"
    )
    assert (await use(grep, ctx, pattern="hit", glob="*.c")).text.endswith(
        "[matches 1-100 of 250; continue with offset=100]"
    )
    assert (await use(grep, ctx, pattern="hit", mode="count")).text == "many.c: 250"
    with pytest.raises(ToolError, match="only 250 matches"):
        await use(grep, ctx, pattern="hit", glob="*.c", offset=250)


async def test_awkward_patterns_work(ctx: ToolContext, search: Search) -> None:
    grep = Grep(search, UNINDEXED)
    (ctx.workspace.root / "x.c").write_text("--flag\r\nMiXeD\r\nend\r\n")
    assert (await use(grep, ctx, pattern="--flag")).text == "x.c\n1: --flag"
    assert (await use(grep, ctx, pattern="mixed$", ignore_case=True)).text == "x.c\n2: MiXeD"
    assert (await use(grep, ctx, pattern=r"MiXeD\r?\nend")).text == "x.c\n2: MiXeD\n3: end"
    assert (await use(grep, ctx, pattern="no such thing")).text == "No matches."
    with pytest.raises(ToolError, match="regex parse error"):
        await use(grep, ctx, pattern="fo(o")
    with pytest.raises(ToolError, match="Unknown type"):
        await use(grep, ctx, pattern="x", type="klingon")
    with pytest.raises(ToolError, match="NUL"):
        await use(grep, ctx, pattern="a\0b")


async def test_long_lines_are_cut_and_control_sequences_removed(ctx: ToolContext, search: Search) -> None:
    (ctx.workspace.root / "x.js").write_text("needle \x1b[31m" + "x" * 10_000 + "\n")
    result = await use(Grep(search, UNINDEXED), ctx, pattern="needle")
    assert "\x1b" not in result.text
    assert len(result.text) < 700


async def test_what_cannot_be_searched_says_so(ctx: ToolContext, search: Search) -> None:
    os.mkfifo(ctx.workspace.root / "pipe")
    with pytest.raises(ToolError, match="gone does not exist"):
        await use(Grep(search, UNINDEXED), ctx, pattern="x", path="gone")
    with pytest.raises(ToolError, match="pipe, socket or device"):
        await use(Grep(search, UNINDEXED), ctx, pattern="x", path="pipe")
    with pytest.raises(ToolError, match="is a file"):
        await use(Glob(search), ctx, pattern="*", path="src/app.py")


async def test_a_search_that_takes_too_long_is_stopped(ctx: ToolContext) -> None:
    (ctx.workspace.root / "evil.txt").write_text("a" * 60 + "!\n")
    with pytest.raises(ToolError, match="took longer than"):
        await use(Grep(Search(ripgrep="", timeout=0.3), UNINDEXED), ctx, pattern="(a+)+$")


async def test_files_that_may_not_be_read_are_left_out_and_counted(ctx: ToolContext, search: Search) -> None:
    def is_no_python(path: Path) -> bool:
        return path.suffix != ".py"

    guarded = replace(ctx, may_read=is_no_python)
    result = await use(Grep(search, UNINDEXED), guarded, pattern="main", path="src", mode="files")
    assert result.text == "src/deep/b.ts\nsrc/deep/c.tsx\n[1 more files match, but may not be read without asking]"
    assert (
        await use(Grep(search, UNINDEXED), guarded, pattern="def", path="src/app.py", mode="files")
    ).text == "src/app.py"
    assert (await use(Glob(search), guarded, pattern="*.py")).text == "No files match."


async def test_files_are_found_newest_first_and_ignored_ones_are_not(ctx: ToolContext, search: Search) -> None:
    glob = Glob(search)
    for age, name in enumerate(("src/deep/c.tsx", "src/app.py", "src/deep/b.ts")):
        os.utime(ctx.workspace.root / name, (1e9 - age, 1e9 - age))
    assert (await use(glob, ctx, pattern="src/**/*.{ts,tsx,py}")).text == "src/deep/c.tsx\nsrc/app.py\nsrc/deep/b.ts"
    assert (await use(glob, ctx, pattern="*.ts", path="src")).text == "src/deep/b.ts"
    assert (await use(glob, ctx, pattern="*.log")).text == "keep.log"
    assert (await use(glob, ctx, pattern="**/*.rs")).text == "No files match."
    absolute = f"{ctx.workspace.root}/src/*.py"
    assert (await use(glob, ctx, pattern=absolute)).text == "src/app.py"
    assert list(glob.targets(GlobParams(pattern="/etc/*.conf"))) == [str(Path("/etc"))]


async def test_only_a_hundred_files_are_listed_and_the_rest_counted(ctx: ToolContext, search: Search) -> None:
    for n in range(120):
        (ctx.workspace.root / f"{n}.rs").touch()
    result = await use(Glob(search), ctx, pattern="*.rs")
    assert result.text.endswith("[20 more; narrow the pattern to see them]")
    assert result.text.count("\n") == 100


async def test_our_own_walk_ignores_what_git_ignores(tmp_path: Path) -> None:
    ctx = context(tmp_path)
    root = ctx.workspace.root
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    rules = ["*.o", "!main.o", "/top", "deep/**/x", "**/any", "dir/", "a?c", "[xy].z", r"\#odd", "trail  ", "q/*/r"]
    names = ["a.o", "main.o", "top", "s/top", "deep/x", "deep/1/2/x", "any", "s/any", "dir", "s/dir/f", "abc", "ac"]
    names += ["x.z", "w.z", "#odd", "trail", "q/1/r", "q/1/2/r", "plain"]
    (root / ".gitignore").write_text("\n".join(rules) + "\n")
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    listed = subprocess.run(
        ["git", "-C", str(root), "ls-files", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
    )
    found = await Search(ripgrep="").files(root, "*")
    assert sorted(found.paths) == sorted(listed.stdout.split())


def test_globs_mean_what_people_expect() -> None:
    assert compile_glob("*.py")("a/b/c.py")
    assert not compile_glob("src/*.py")("src/a/c.py")
    assert compile_glob("src/**/*.py")("src/c.py")
    assert compile_glob("./src/**")("src/a/b")
    assert compile_glob("{a,b}/[!x]?.{c,d}")("b/yz.d")
    assert not compile_glob("[a-c].txt")("d.txt")
    assert compile_glob("src/{app,lib}/**")("src/lib/x/y")
