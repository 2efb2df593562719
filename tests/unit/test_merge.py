"""Merging trees, and applying the result to the user's files: three-way, all or nothing."""

import asyncio
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kimi_code.repo.apply import Step, carry_out
from kimi_code.repo.merge import Applied, apply, merge
from kimi_code.repo.shadow import Shadow, build
from kimi_code.repo.trees import Entry, Trees

Files = Mapping[str, str | Entry]


def entry(content: "str | Entry") -> Entry:
    return content if isinstance(content, Entry) else Entry("file", content.encode())


def make_trees(folder: Path) -> Trees:
    shadow = Shadow(folder, folder, None)
    build(shadow, ())
    return Trees(shadow)


async def plant(trees: Trees, files: Files) -> str:
    empty = (await trees.ask("hash-object", "-t", "tree", "-w", "--stdin", input=b"")).decode().strip()
    return await trees.edit(empty, {path: entry(content) for path, content in files.items()})


def lay_out(top: Path, files: Files) -> None:
    for name, content in files.items():
        path, found = top / name, entry(content)
        path.parent.mkdir(parents=True, exist_ok=True)
        if found.mode == "symlink":
            path.symlink_to(os.fsdecode(found.content))
        else:
            path.write_bytes(found.content)
            path.chmod(0o755 if found.mode == "executable" else 0o644)


def look(top: Path) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for path in sorted(top.rglob("*")):
        name = path.relative_to(top).as_posix()
        if path.is_symlink():
            found[name] = Entry("symlink", os.fsencode(path.readlink()))
        elif path.is_file():
            found[name] = Entry("executable" if os.access(path, os.X_OK) else "file", path.read_bytes())
    return found


@dataclass(slots=True)
class Scene:
    trees: Trees
    top: Path

    async def apply(self, base: Files, result: Files, live: Files) -> Applied:
        lay_out(self.top, live)
        ids = [await plant(self.trees, files) for files in (base, result, live)]
        return await apply(self.trees, self.top, *ids)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    (tmp_path / "top").mkdir()
    return Scene(make_trees(tmp_path / "store"), tmp_path / "top")


TEN = "".join(f"line {n}\n" for n in range(10))


async def test_both_sides_changes_to_one_file_come_together(scene: Scene) -> None:
    ours, theirs = TEN.replace("line 1\n", "mine\n"), TEN.replace("line 8\n", "yours\n")
    applied = await scene.apply({"a": TEN}, {"a": theirs}, {"a": ours})
    assert applied == Applied("applied", ("a",))
    assert (scene.top / "a").read_text() == ours.replace("line 8\n", "yours\n")


async def test_a_conflict_names_the_path_and_both_sides_and_writes_nothing(scene: Scene) -> None:
    applied = await scene.apply({"a": "old\n", "b": "b"}, {"a": "theirs\n", "b": "new"}, {"a": "ours\n", "b": "b"})
    assert applied.status == "conflict"
    (conflict,) = applied.conflicts
    assert (conflict.path, conflict.kind) == ("a", "contents")
    assert [side and side.content for side in (conflict.base, conflict.ours, conflict.theirs)] == [
        b"old\n",
        b"ours\n",
        b"theirs\n",
    ]
    assert look(scene.top) == {"a": entry("ours\n"), "b": entry("b")}


async def test_a_file_changed_here_and_deleted_there_is_a_conflict(scene: Scene) -> None:
    applied = await scene.apply({"a": TEN, "b": ""}, {"b": ""}, {"a": TEN + "more\n", "b": ""})
    assert [(found.path, found.kind, found.theirs) for found in applied.conflicts] == [("a", "modify/delete", None)]


async def test_what_both_did_alike_is_no_conflict(scene: Scene) -> None:
    applied = await scene.apply({"a": "old\n"}, {"a": "new\n", "c": "c"}, {"a": "new\n"})
    assert applied == Applied("applied", ("c",))


async def test_names_with_newlines_and_blanks_are_merged_and_reported(scene: Scene) -> None:
    odd = 'b\n "ä'
    applied = await scene.apply({odd: "1\n", "x": "x"}, {odd: "2\n", "x": "x"}, {odd: "3\n", "x": "x"})
    assert [found.path for found in applied.conflicts] == [odd]
    applied = await merge(scene.trees, *[await plant(scene.trees, {odd: text}) for text in ("1\n", "1\n", "2\n")])
    assert await scene.trees.files(applied.tree, [odd]) == {odd: entry("2\n")}


async def test_files_become_folders_links_and_programs_and_back(scene: Scene) -> None:
    before: Files = {"a": "file", "b/c": "in a folder", "run": "#!", "link": Entry("symlink", b"a")}
    after: Files = {
        "a/new/deep": "now a folder",
        "b": "now a file",
        "run": Entry("executable", b"#!"),
        "link": "now a file",
    }
    assert (await scene.apply(before, after, before)).status == "applied"
    assert look(scene.top) == {path: entry(content) for path, content in after.items()}


async def test_the_mode_of_a_replaced_file_is_kept(scene: Scene) -> None:
    lay_out(scene.top, {"secret": "old"})
    (scene.top / "secret").chmod(0o600)
    assert await carry_out(scene.top, [Step("secret", entry("old"), entry("new"))]) == ()
    assert (scene.top / "secret").stat().st_mode & 0o777 == 0o600


async def test_an_ignored_file_in_the_way_is_not_written_over(scene: Scene) -> None:
    lay_out(scene.top, {"build/out": "precious"})
    applied = await scene.apply({"a": "1"}, {"a": "2", "build/out": "generated"}, {"a": "1"})
    assert applied.status == "refused" and applied.reasons[0].startswith("build/out is to be created, but")
    assert look(scene.top) == {"a": entry("1"), "build/out": entry("precious")}


async def test_a_folder_with_an_ignored_file_in_it_is_not_replaced_by_a_file(scene: Scene) -> None:
    lay_out(scene.top, {"d/ignored": "precious"})
    applied = await scene.apply({"d/a": "1"}, {"d": "file"}, {"d/a": "1"})
    assert applied.status == "refused"
    assert look(scene.top) == {"d/a": entry("1"), "d/ignored": entry("precious")}


async def test_a_file_changed_since_the_snapshot_stops_everything(scene: Scene) -> None:
    lay_out(scene.top, {"a": "edited meanwhile", "b": "b"})
    steps = [Step("b", entry("b"), entry("B")), Step("a", entry("a"), None)]
    assert await carry_out(scene.top, steps) == ("a was changed just now.",)
    assert look(scene.top) == {"a": entry("edited meanwhile"), "b": entry("b")}


async def test_a_folder_that_became_a_link_is_not_followed(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a").write_text("a")
    (scene.top / "d").symlink_to(tmp_path / "elsewhere")
    steps = [Step("d/a", entry("a"), entry("new")), Step("d/b", None, entry("b"))]
    reasons = await carry_out(scene.top, steps)
    assert [reason.split(":")[1] for reason in reasons] == [" d is no folder any more."] * 2
    assert look(tmp_path / "elsewhere") == {"a": entry("a")}


@pytest.mark.parametrize("path", ["../out", ".git/config", "d/.GIT/hooks/x", "/etc/x", "", "a//b", "./a"])
async def test_paths_that_lead_out_or_into_a_repository_are_refused(scene: Scene, path: str) -> None:
    assert len(await carry_out(scene.top, [Step(path, None, entry("x"))])) == 1
    assert look(scene.top.parent / "top") == {}


async def test_a_failure_half_way_takes_everything_back(scene: Scene) -> None:
    files: Files = {"a": "1", "b/c": "2", "d": "3"}
    lay_out(scene.top, files)
    steps = [
        Step("a", entry("1"), entry("x")),
        Step("b/c", entry("2"), None),
        Step("e/f/g", None, entry("new")),
        Step("e/f/g/h", None, entry("below what is a file by now")),
    ]
    before = look(scene.top)
    reasons = await carry_out(scene.top, steps)
    assert len(reasons) == 1 and reasons[0].startswith("e/f/g/h cannot be written: Not a directory")
    assert look(scene.top) == before and sorted(p.name for p in scene.top.iterdir()) == ["a", "b", "d"]


async def test_a_pick_of_files_is_a_tree_and_its_patch_is_one_that_git_applies(scene: Scene, tmp_path: Path) -> None:
    files: Files = {"a": TEN, "bin": Entry("file", bytes(range(256))), "run": "#!", "old": "gone\n"}
    base = await plant(scene.trees, files)
    picked = await scene.trees.edit(
        base,
        {"a": entry(TEN + "end\n"), "bin": Entry("file", b"\0\1"), "run": Entry("executable", b"#!"), "old": None},
    )
    changes = {change.path: change.change for change in await scene.trees.changes(base, picked)}
    assert changes == {"a": "modified", "bin": "modified", "run": "modified", "old": "deleted"}
    lay_out(scene.top, files)
    patch = await scene.trees.patch(base, picked)
    done = subprocess.run(["git", "apply"], cwd=scene.top, input=patch, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert look(scene.top) == await scene.trees.files(picked, ["a", "bin", "run", "old"])


names = st.sampled_from(["a", "b", "d/a", "d/b", "d/e", "d/e/f"])
trees_of_files = st.dictionaries(names, st.sampled_from(["1", "2", "3"]).map(entry), max_size=6).filter(
    lambda files: not ("d/e" in files and "d/e/f" in files)
)


@settings(max_examples=60, deadline=None)
@given(trees_of_files, trees_of_files)
def test_any_tree_becomes_any_other(
    tmp_path_factory: pytest.TempPathFactory, before: dict[str, Entry], after: dict[str, Entry]
) -> None:
    top = tmp_path_factory.mktemp("any")
    lay_out(top, before)
    paths = sorted({*before, *after})
    steps = [Step(path, before.get(path), after.get(path)) for path in paths if before.get(path) != after.get(path)]
    assert asyncio.run(carry_out(top, steps)) == ()
    assert look(top) == after
    assert not [path for path in top.rglob("*") if path.is_dir() and not any(path.iterdir())]
