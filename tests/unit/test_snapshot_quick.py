"""Quick snapshots: they see what thorough ones see, whatever happened in between, and write nothing else."""

import asyncio
import os
import shutil
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kimi_code.repo.checkpoints.surveyor import Surveyor
from kimi_code.repo.snapshot import Snapshot, Snapshots
from tests.costly import dear

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="quick ones are for POSIX")

_FOLDERS = ("", "a/", "a/b/", "logs/", "logs/deep/", "out/")
_NAMES = ("x.txt", "y.log", "z.txt", "big.bin")
_RULES = ("*.log\n", "out/\n", "*\n", "*.log\n!y.log\n", "", "logs/deep/\n")
_PLACES = st.builds(str.__add__, st.sampled_from(_FOLDERS), st.sampled_from(_NAMES))
_CHANGES = st.one_of(
    st.tuples(st.just("write"), _PLACES, st.sampled_from(("1", "2", "33"))),
    st.tuples(st.just("write"), st.sampled_from(_FOLDERS).map(lambda f: f + ".gitignore"), st.sampled_from(_RULES)),
    st.tuples(st.just("remove"), st.one_of(_PLACES, st.sampled_from(_FOLDERS[1:])), st.just("")),
    st.tuples(st.just("executable"), _PLACES, st.just("")),
    st.tuples(st.just("link"), _PLACES, st.just("")),
    st.tuples(st.just("folder"), st.sampled_from(("empty", "a/empty", "logs/empty", "a/x.txt")), st.just("")),
    st.tuples(st.just("nest"), st.sampled_from(("a/.git", "logs/.git")), st.just("")),
)


def later() -> int:
    """A clock by which everything happened long enough ago for the times of files to tell of each change."""
    return time.time_ns() + 10_000_000_000


def change(root: Path, what: str, name: str, content: str) -> None:
    path = root / name
    if what == "remove" or what in ("link", "folder", "nest"):
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
    if what == "remove" or (what == "executable" and not path.is_file()) or (what == "write" and path.is_dir()):
        return
    for parent in reversed(path.parents):
        if parent != root and parent.is_relative_to(root) and not parent.is_dir():
            parent.unlink(missing_ok=True)
            parent.mkdir()
    match what:
        case "write":
            path.write_text(content)
        case "executable":
            path.chmod(path.stat().st_mode ^ 0o111)
        case "link":
            path.symlink_to("elsewhere")
        case "folder":
            path.mkdir()
        case _:
            path.mkdir()
            (path / "HEAD").write_text("ref: refs/heads/main\n")


def told(snapshot: Snapshot | None) -> tuple[object, ...]:
    """All that two snapshots of the same files have in common; modes by file, for they can be told in two ways."""
    assert snapshot is not None
    assert snapshot.survey is not None
    survey = snapshot.survey
    usual = {survey.plain, survey.executable, survey.folder} - {0}
    assert usual <= {0o644, 0o755}
    odd = {path: mode for path, mode in survey.modes.items() if mode not in (0o644, 0o755)}
    looks = {path: size for path, (size, _) in survey.ignored.items()}
    return snapshot.tree, snapshot.notes, snapshot.skipped, survey.empty, survey.outside, looks, odd


@settings(dear, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(_CHANGES, max_size=3), min_size=1, max_size=5))
def test_a_quick_look_sees_what_a_thorough_one_sees(turns: list[list[tuple[str, str, str]]]) -> None:
    async def run(root: Path, store: Path) -> None:
        quick = Snapshots(root, store / "quick", clock=later)
        await quick.take(full=True)
        for turn in turns:
            for what, name, content in turn:
                change(root, what, name, content)
            seen = told(await quick.take(full=True, quick=True))
            # From our last index: whoever begins anew forgets what was followed before it was ignored.
            shutil.rmtree(store / "thorough", ignore_errors=True)
            shutil.copytree(store / "quick", store / "thorough")
            assert told(await Snapshots(root, store / "thorough").take(full=True)) == seen

    with TemporaryDirectory() as folder:
        root = Path(folder, "project")
        root.mkdir()
        for name in ("x.txt", "a/x.txt", "logs/y.log", "out/z.txt"):
            change(root, "write", name, "1")
        change(root, "write", ".gitignore", "*.log\nout/\n")
        asyncio.run(run(root, Path(folder, "store")))


def surveyor_of(root: Path, *rules: str) -> Surveyor:
    """One that has looked at everything, `out` being ignored by a rule, `logs` for what is in it."""
    for name in ("x.txt", "logs/deep/y.log", "out/z.txt"):
        change(root, "write", name, "1")
    change(root, "write", ".gitignore", "*.log\nout/\n")
    surveyor = Surveyor(str(root), rules, later)
    surveyor.survey(("logs", "logs/deep", "logs/deep/y.log", "out"), (), ())
    assert surveyor.is_familiar()
    return surveyor


@pytest.mark.parametrize("name", ["new", "a/new", "logs/deep/new", ".gitignore"])
def test_a_name_that_came_and_a_changed_rule_are_noticed(tmp_path: Path, name: str) -> None:
    (tmp_path / "a").mkdir()
    surveyor = surveyor_of(tmp_path)
    change(tmp_path, "write", name, "other\n")
    assert not surveyor.is_familiar()


def test_what_comes_into_an_ignored_folder_is_nothing_new(tmp_path: Path) -> None:
    surveyor = surveyor_of(tmp_path)
    change(tmp_path, "write", "out/deep/new", "1")
    assert surveyor.is_familiar()


def test_the_rules_outside_the_tree_count_too(tmp_path: Path) -> None:
    rules, root = tmp_path / "ignore", tmp_path / "project"
    root.mkdir()
    surveyor = surveyor_of(root, str(rules))
    rules.write_text("x.txt\n")
    assert not surveyor.is_familiar()


def test_a_rule_that_has_just_been_written_is_not_trusted_to_stay(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("*.log\n")
    surveyor = Surveyor(str(tmp_path))
    surveyor.survey((), (), ())
    assert not surveyor.is_familiar()


def test_a_name_that_came_while_git_was_looking_makes_the_next_look_thorough(tmp_path: Path) -> None:
    since = time.time_ns()
    (tmp_path / "new").write_text("")
    surveyor = Surveyor(str(tmp_path), clock=later)
    surveyor.survey((), (), (), since=since)
    assert not surveyor.is_familiar()


def test_modes_that_changed_are_told_without_a_walk(tmp_path: Path) -> None:
    surveyor = surveyor_of(tmp_path)
    (tmp_path / "x.txt").chmod(0o600)
    os.utime(tmp_path)  # as when the file was written anew and renamed
    assert surveyor.is_familiar()
    survey, _ = surveyor.renew(())
    assert survey.modes == {"x.txt": 0o600}
    (tmp_path / "x.txt").chmod(0o644)
    assert surveyor.renew(["x.txt"])[0].modes == {}


def looks_of(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.lstat().st_ino, path.lstat().st_mtime_ns) for path in folder.rglob("*")}


async def test_where_nothing_changed_nothing_is_written(tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    change(root, "write", "a/x.txt", "1")
    snapshots = Snapshots(root, tmp_path / "store", clock=later)
    first = await snapshots.take(full=True)
    (store,) = (tmp_path / "store").iterdir()
    before = looks_of(store)
    again = await snapshots.take(full=True, quick=True)
    assert first is not None
    assert again is not None
    assert (again, again.survey) == (first, first.survey)
    assert looks_of(store) == before
