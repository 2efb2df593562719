"""Checkpoints: what a turn did can be taken back and brought back, and nothing of the user's is ever lost."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kimi_code.errors import CheckpointError
from kimi_code.repo.checkpoint import Checkpoints, Report
from kimi_code.repo.checkpoints.surveyor import IGNORED_AT_MOST
from kimi_code.repo.snapshot import Limits, Snapshots
from tests.repository import commit_all, copy_tree, git
from tests.unit.trees import listing, run

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX file types and shell scripts")


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project to copy."""
    root = tmp_path_factory.mktemp("planted")
    (root / "a.txt").write_text("one\ntwo\nthree\nfour\nfive\n")
    (root / "b.txt").write_text("b\n")
    git(root, "init", "-q", "--template=")
    commit_all(root)
    return root


@pytest.fixture
def root(planted: Path, tmp_path: Path) -> Path:
    return copy_tree(planted, tmp_path / "project")


def checkpoints_of(root: Path, *, limits: Limits | None = None, wait: float = 20.0) -> Checkpoints:
    return Checkpoints(Snapshots(root, root.parent / "store", limits=limits), wait=wait)


async def turn(checkpoints: Checkpoints, number: int, *commands: str, session: str = "s", cwd: Path) -> None:
    """A whole turn in which shell commands run in `cwd`."""
    await checkpoints.begin_turn(session, number, f"prompt {number}")
    await checkpoints.take(session, number, f"before turn {number}")
    run(cwd, *commands)
    await checkpoints.end_turn(session, number)


def conflicts(report: Report) -> dict[str, str]:
    return {conflict.path: conflict.reason for conflict in report.conflicts}


def done(report: Report) -> set[tuple[str, str]]:
    return {(action.verb, action.path) for action in report.actions}


@posix
async def test_undo_takes_back_all_that_a_turn_did_and_redo_does_it_again(root: Path) -> None:
    checkpoints = checkpoints_of(root)
    (root / "dirty").write_text("the user's own\n")
    before = listing(root)
    await turn(
        checkpoints,
        1,
        "echo more >> a.txt; rm b.txt; mkdir -p new/deep; echo x > new/deep/file; ln -s a.txt link; chmod 600 dirty",
        cwd=root,
    )
    after = listing(root)
    report = await checkpoints.undo()
    assert report.applied and not report.conflicts
    assert done(report) == {
        ("overwrite", "a.txt"),
        ("create", "b.txt"),
        ("delete", "new/deep/file"),
        ("delete", "link"),
        ("chmod", "dirty"),
    }
    assert listing(root) == before
    assert [t.undone for t in await checkpoints.turns()] == ["both"]
    assert (await checkpoints.redo()).applied
    assert listing(root) == after
    assert [t.undone for t in await checkpoints.turns()] == [""]


def repository_bytes(root: Path) -> dict[str, bytes]:
    """The user's repository, all of it."""
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted((root / ".git").rglob("*")) if p.is_file()}


@posix
async def test_the_users_repository_stays_as_it_is_byte_for_byte(root: Path) -> None:
    (root / "staged").write_text("staged")
    git(root, "add", "staged")
    (root / "a.txt").write_text("stashed\n")
    git(root, "stash", "-q")
    (root / "a.txt").write_text("dirty\n")
    (root / ".git/index.lock").write_text("another git is at work")
    before = repository_bytes(root)
    checkpoints = checkpoints_of(root)
    await turn(checkpoints, 1, "echo more >> a.txt; echo > new; rm b.txt", cwd=root)
    assert (await checkpoints.undo()).applied
    assert (await checkpoints.redo()).applied
    first = (await checkpoints.list())[0]
    assert (await checkpoints.restore(first.id)).applied
    await checkpoints.prune(0, 0)
    assert repository_bytes(root) == before
    assert (root / "a.txt").read_text() == "dirty\n"


@posix
async def test_nothing_is_kept_when_nothing_changed(root: Path) -> None:
    checkpoints = checkpoints_of(root)
    await checkpoints.begin_turn("s", 1, "hi")
    assert await checkpoints.take("s", 1, "first") is not None
    assert await checkpoints.take("s", 1, "second") is None
    assert await checkpoints.end_turn("s", 1) == ()
    await checkpoints.begin_turn("s", 2, "again")
    assert await checkpoints_of(root).take("s", 2, "third") is None
    assert len(await checkpoints.list()) == 1


@posix
async def test_checkpoints_are_listed_with_what_changed_before_them(root: Path) -> None:
    checkpoints = checkpoints_of(root)
    await turn(checkpoints, 1, "echo more >> a.txt; echo > 'na\nme'", cwd=root)
    await turn(checkpoints, 2, "rm b.txt", cwd=root)
    listed = await checkpoints.list()
    assert [(c.label, [(f.path, f.change) for f in c.files]) for c in listed] == [
        ("before turn 1", []),
        ("end of turn 1", [("a.txt", "modified"), ("na\nme", "created")]),
        ("end of turn 2", [("b.txt", "deleted")]),
    ]
    shown = await checkpoints.show(listed[1].id[:6])
    assert [(f.path, f.added, f.removed) for f in shown.files] == [("a.txt", 1, 0), ("na\nme", 1, 0)]
    assert [f.path for f in await checkpoints.changes(listed[0].id, listed[2].id)] == ["a.txt", "b.txt", "na\nme"]
    run(root, "echo > now")
    assert "now" in [f.path for f in await checkpoints.changes(listed[2].id)]
    with pytest.raises(CheckpointError, match="no checkpoint 'zzz'"):
        await checkpoints.show("zzz")


@posix
async def test_a_patch_between_checkpoints_is_one_that_git_applies(root: Path) -> None:
    checkpoints = checkpoints_of(root)
    await turn(checkpoints, 1, "echo more >> a.txt; printf '\\000\\001' > image; chmod +x b.txt", cwd=root)
    after = listing(root)
    a, b = (c.id for c in await checkpoints.list())
    await checkpoints.undo()
    patch = root.parent / "p"
    patch.write_bytes(await checkpoints.patch(a, b))
    git(root, "apply", str(patch))
    assert {k: v[1] for k, v in listing(root).items()} == {k: v[1] for k, v in after.items()}
    assert b"image" not in await checkpoints.patch(a, b, ["a.txt"])


@posix
async def test_what_the_user_changed_since_is_refused_and_nothing_is_done(root: Path) -> None:
    checkpoints = checkpoints_of(root)
    await turn(checkpoints, 1, "echo agent >> a.txt; echo agent >> b.txt; echo > new; echo > gone", cwd=root)
    run(root, "echo user >> a.txt; echo user >> new; rm gone; chmod 600 b.txt")
    before = listing(root)
    report = await checkpoints.undo()
    assert not report.applied
    assert conflicts(report) == {
        "a.txt": "was changed since",
        "b.txt": "got another mode since",
        "new": "was changed since, and would be deleted",
    }
    assert listing(root) == before
    assert [t.undone for t in await checkpoints.turns()] == [""]


@posix
async def test_forcing_overwrites_it_and_what_was_there_can_be_had_back(root: Path) -> None:
    checkpoints = checkpoints_of(root)
    before = listing(root)
    await turn(checkpoints, 1, "echo agent >> a.txt; echo > new", cwd=root)
    run(root, "echo user >> a.txt; echo user >> new")
    mine = listing(root)
    dry = await checkpoints.undo(resolve="force", dry_run=True)
    assert done(dry) == {("overwrite", "a.txt"), ("delete", "new")}
    assert not dry.applied and listing(root) == mine
    report = await checkpoints.undo(resolve="force")
    assert report.applied and listing(root) == before
    assert (await checkpoints.restore(report.saved)).applied
    assert listing(root) == mine


@posix
async def test_merging_keeps_both_changes_and_refuses_lines_that_clash(root: Path) -> None:
    checkpoints = checkpoints_of(root)
    await turn(checkpoints, 1, "sed -i s/one/ONE/ a.txt; echo agent >> b.txt", cwd=root)
    run(root, "sed -i s/five/FIVE/ a.txt")
    report = await checkpoints.undo(resolve="merge")
    assert report.applied and ("merge", "a.txt") in done(report)
    assert (root / "a.txt").read_text() == "one\ntwo\nthree\nfour\nFIVE\n"
    assert (root / "b.txt").read_text() == "b\n"
    assert (await checkpoints.redo()).applied
    assert (root / "a.txt").read_text() == "ONE\ntwo\nthree\nfour\nFIVE\n"
    run(root, "sed -i s/ONE/Uno/ a.txt")
    clash = await checkpoints.undo(resolve="merge")
    assert conflicts(clash) == {"a.txt": "was changed since, and the changes clash"}


@posix
async def test_several_turns_are_undone_at_once_and_redone_one_by_one(root: Path) -> None:
    checkpoints = checkpoints_of(root)
    states = [listing(root)]
    for number in (1, 2, 3):
        await turn(checkpoints, number, f"echo {number} >> a.txt; echo > f{number}", session=f"s{number % 2}", cwd=root)
        states.append(listing(root))
    report = await checkpoints.undo(3)
    assert [t.turn for t in report.turns] == [3, 2, 1]
    assert listing(root) == states[0]
    for state in states[1:]:
        assert (await checkpoints.redo()).applied
        assert listing(root) == state
    with pytest.raises(CheckpointError, match="nothing to redo"):
        await checkpoints.redo()
    with pytest.raises(CheckpointError, match="Only 3 turns"):
        await checkpoints.undo(4)


@posix
async def test_a_session_can_be_named_and_its_turn_undone_under_a_later_one(root: Path) -> None:
    checkpoints = checkpoints_of(root)
    await turn(checkpoints, 1, "echo one > one; echo >> b.txt", session="first", cwd=root)
    await turn(checkpoints, 1, "echo two > two", session="second", cwd=root)
    assert (await checkpoints.undo(session="first")).applied
    assert sorted(listing(root)) == ["a.txt", "b.txt", "two"]
    report = await checkpoints.undo()
    assert [t.session for t in report.turns] == ["second"]


@posix
async def test_only_some_paths_are_undone_and_the_turn_is_not(root: Path) -> None:
    checkpoints = checkpoints_of(root)
    await turn(checkpoints, 1, "mkdir d; echo > d/x; echo > d.x; echo more >> a.txt", cwd=root)
    report = await checkpoints.undo(paths=["d", str(root / "a.txt")])
    assert done(report) == {("delete", "d/x"), ("overwrite", "a.txt")}
    assert sorted(listing(root)) == ["a.txt", "b.txt", "d.x"]
    assert [t.undone for t in await checkpoints.turns()] == [""]
    assert done(await checkpoints.undo()) == {("delete", "d.x")}
    with pytest.raises(CheckpointError, match="is not in"):
        await checkpoints.undo(paths=["../elsewhere"])


@posix
async def test_redo_is_impossible_once_a_later_turn_changed_files(root: Path) -> None:
    checkpoints = checkpoints_of(root)
    await turn(checkpoints, 1, "echo > one", cwd=root)
    await checkpoints.undo(scope="code")
    await turn(checkpoints, 2, "true", cwd=root)
    assert (await checkpoints.redo(dry_run=True)).actions
    await turn(checkpoints, 3, "echo > three", cwd=root)
    with pytest.raises(CheckpointError, match="turn 3 of session s has come after"):
        await checkpoints.redo()


@posix
async def test_a_conversation_is_undone_without_a_look_at_files(root: Path) -> None:
    checkpoints = checkpoints_of(root)
    await checkpoints.begin_turn("s", 1, "just talk")
    await checkpoints.end_turn("s", 1)
    await turn(checkpoints, 2, "echo > two", cwd=root)
    report = await checkpoints.undo(2, scope="conversation")
    assert report.applied and not report.actions and (root / "two").exists()
    assert [t.undone for t in await checkpoints.turns()] == ["conversation"] * 2
    assert (await checkpoints.redo(2)).scopes == ("conversation",) * 2
    assert (await checkpoints.undo(2)).applied
    assert not (root / "two").exists()


@posix
async def test_a_killed_turn_is_undone_like_another(root: Path) -> None:
    before = listing(root)
    killed = checkpoints_of(root)
    await killed.begin_turn("s", 1, "prompt")
    await killed.take("s", 1, "before turn 1")
    run(root, "echo > new; rm a.txt")
    report = await checkpoints_of(root).undo()
    assert listing(root) == before
    assert any("was cut off" in note for note in report.notes)


@posix
async def test_while_a_turn_runs_nobody_undoes(root: Path) -> None:
    running = checkpoints_of(root)
    with running.hold("busy"):
        await turn(running, 1, "echo > one", session="busy", cwd=root)
        assert (await checkpoints_of(root).undo(dry_run=True)).actions
        await running.begin_turn("busy", 2, "prompt")
        with pytest.raises(CheckpointError, match="Session busy is in the midst of turn 2"):
            await checkpoints_of(root).undo()
    assert (await checkpoints_of(root).undo(2)).applied


@posix
async def test_full_modes_and_empty_folders_come_back(root: Path) -> None:
    run(root, "mkdir -p empty/inner private; chmod 700 private; echo > private/key; chmod 600 private/key b.txt")
    checkpoints = checkpoints_of(root)
    before = listing(root)
    await turn(
        checkpoints,
        1,
        "rm -r empty private; chmod 644 b.txt; chmod +x a.txt; mkdir -p more/less; mkdir x; echo > x/y",
        cwd=root,
    )
    after = listing(root)
    assert (await checkpoints.undo()).applied
    assert listing(root) == before
    assert (await checkpoints.redo()).applied
    assert listing(root) == after


@posix
async def test_files_folders_and_links_may_change_places_and_back(root: Path) -> None:
    run(root, "mkdir -p tree/deep; echo leaf > tree/deep/leaf; ln -s tree way; printf x > 'na\nme'; echo > 新")
    checkpoints = checkpoints_of(root)
    before = listing(root)
    await turn(
        checkpoints,
        1,
        "rm a.txt; mkdir -p a.txt/b; echo inner > a.txt/b/c",
        "rm -r tree; echo now a file > tree",
        "rm way; mkdir way; echo > way/x",
        "rm 'na\nme'; ln -s nowhere 'na\nme'; rm b.txt; ln -s a.txt b.txt; echo more >> 新",
        cwd=root,
    )
    after = listing(root)
    for _ in range(2):
        assert (await checkpoints.undo()).applied
        assert listing(root) == before
        assert (await checkpoints.redo()).applied
        assert listing(root) == after


@posix
async def test_a_name_that_is_no_unicode_comes_back(root: Path) -> None:
    name = os.fsencode(root) + b"/\xff\xfe"
    try:
        Path(os.fsdecode(name)).write_text("x")
    except OSError:
        pytest.skip("this file system wants Unicode")
    checkpoints = checkpoints_of(root)
    await turn(checkpoints, 1, "rm ./*; echo > $(printf '\\377')", cwd=root)
    report = await checkpoints_of(root).undo()
    assert report.applied, report
    assert Path(os.fsdecode(name)).read_text() == "x"
    assert len(listing(root)) == 3


@posix
async def test_only_folders_that_the_turn_made_are_removed(root: Path) -> None:
    run(root, "mkdir -p old")
    checkpoints = checkpoints_of(root)
    await turn(checkpoints, 1, "echo > old/x; mkdir -p new/deep mixed; echo > new/deep/x; echo > mixed/x", cwd=root)
    run(root, "echo mine > mixed/mine")
    assert (await checkpoints.undo()).applied
    assert sorted(listing(root)) == ["a.txt", "b.txt", "mixed", "mixed/mine", "old"]


@posix
async def test_restoring_never_takes_what_the_user_did_between_turns(root: Path) -> None:
    checkpoints = checkpoints_of(root)
    await turn(checkpoints, 1, "echo agent >> b.txt; echo > made", cwd=root)
    first = (await checkpoints.list())[0].id
    run(root, "echo mine >> a.txt; echo mine > mine; echo mine > own")
    await turn(checkpoints, 2, "echo agent > more; rm own", cwd=root)
    before = listing(root)
    report = await checkpoints.restore(first)
    assert conflicts(report) == {"a.txt": "was changed by hand between turns"}
    assert listing(root) == before
    report = await checkpoints.restore(first, ["b.txt", "made", "more", "mine"])
    assert report.applied and any(note.startswith("mine stays") for note in report.notes)
    assert sorted(listing(root)) == ["a.txt", "b.txt", "mine"]
    report = await checkpoints.restore(first, resolve="force")
    assert report.applied and (root / "mine").exists()
    assert (root / "a.txt").read_text().endswith("five\n")


@posix
async def test_restoring_refuses_what_was_changed_after_the_last_turn(root: Path) -> None:
    checkpoints = checkpoints_of(root)
    await turn(checkpoints, 1, "echo agent >> b.txt", cwd=root)
    first, last = (c.id for c in await checkpoints.list())
    run(root, "echo mine >> a.txt; echo mine > mine")
    assert conflicts(await checkpoints.restore(first)) == {"a.txt": "was changed since"}
    assert (await checkpoints.restore(first, resolve="merge")).applied
    assert (root / "a.txt").read_text().endswith("mine\n") and (root / "b.txt").read_text() == "b\n"
    assert (await checkpoints.restore(last, resolve="force")).applied
    assert (root / "a.txt").read_text().endswith("five\n") and (root / "mine").exists()


@posix
async def test_ignored_files_that_changed_are_named(root: Path) -> None:
    (root / ".gitignore").write_text("*.db\n.env\ncache/\n__pycache__/\n")
    run(root, "echo 1 > my.db; echo 1 > .env; mkdir cache __pycache__; echo > cache/x; echo > __pycache__/y")
    checkpoints = checkpoints_of(root)
    await turn(
        checkpoints, 1, "echo 22 > my.db; rm .env; echo 22 > cache/x; echo 22 > __pycache__/y; echo > new", cwd=root
    )
    report = await checkpoints.undo()
    (note,) = report.notes
    assert note.startswith(".env (deleted), cache/x (changed), my.db (changed) is ignored")
    assert (root / "my.db").read_text() == "22\n"


@posix
async def test_it_is_said_when_there_are_more_ignored_files_than_are_looked_at(root: Path) -> None:
    (root / ".gitignore").write_text("data/\n")
    (root / "data").mkdir()
    for number in range(IGNORED_AT_MOST + 1):
        (root / f"data/{number}").touch()
    checkpoints = checkpoints_of(root)
    await turn(checkpoints, 1, "echo > new", cwd=root)
    assert (await checkpoints.undo()).notes == (
        "of the ignored files only 2,000 were looked at; others may have changed, and stay so",
    )


@posix
async def test_pointers_and_files_of_lfs_come_back_as_they_were_and_no_filter_runs(root: Path, tmp_path: Path) -> None:
    trap = f"sh -c 'touch {tmp_path}/ran; cat'"
    for name in ("clean", "smudge", "process"):
        git(root, "config", f"filter.lfs.{name}", trap)
    (root / ".gitattributes").write_text("*.bin filter=lfs diff=lfs merge=lfs -text\n")
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 5\n"
    blob = subprocess.run(
        ["git", "hash-object", "-w", "--stdin"], cwd=root, input=pointer, capture_output=True, text=True, check=True
    ).stdout.strip()
    git(root, "add", ".gitattributes")
    for name in ("pointer.bin", "fetched.bin"):
        git(root, "update-index", "--add", "--cacheinfo", f"100644,{blob},{name}")
    git(root, "commit", "-qm", "large files")
    (root / "pointer.bin").write_text(pointer)  # not fetched
    (root / "fetched.bin").write_bytes(b"\0real")
    before, own = listing(root), repository_bytes(root)
    checkpoints = checkpoints_of(root)
    await turn(checkpoints, 1, "echo > pointer.bin; echo more >> fetched.bin", cwd=root)
    assert (await checkpoints.undo()).applied
    assert (listing(root), repository_bytes(root)) == (before, own)
    await turn(checkpoints, 2, "rm *.bin", cwd=root)
    assert (await checkpoints.undo()).applied
    assert (listing(root), repository_bytes(root)) == (before, own)
    assert not (tmp_path / "ran").exists()


@posix
async def test_large_files_and_pipes_are_left_alone_and_named(root: Path) -> None:
    checkpoints = checkpoints_of(root, limits=Limits(file=1000))
    (root / "log").write_text("small\n")
    await turn(
        checkpoints, 1, "head -c 2000 /dev/zero > log; head -c 2000 /dev/zero > big; echo > x; mkfifo pipe", cwd=root
    )
    kept = (await checkpoints.list())[-1]
    assert sorted(note.split()[0] for note in kept.notes) == ["big", "log"]
    report = await checkpoints.undo()
    assert report.applied and done(report) == {("delete", "x")}
    assert (root / "log").stat().st_size == 2000 and (root / "pipe").exists()


@posix
async def test_something_unknown_in_the_way_is_a_conflict_even_when_forced(root: Path) -> None:
    checkpoints = checkpoints_of(root)
    await turn(checkpoints, 1, "rm a.txt b.txt", cwd=root)
    run(root, "mkfifo a.txt; mkdir b.txt; mkfifo b.txt/pipe")
    report = await checkpoints.undo(resolve="force")
    assert set(conflicts(report)) == {"a.txt", "b.txt"}


@posix
async def test_a_folder_that_the_user_filled_since_is_not_replaced_by_a_file(root: Path) -> None:
    checkpoints = checkpoints_of(root)
    await turn(checkpoints, 1, "rm a.txt b.txt; mkdir a.txt; echo > a.txt/x", cwd=root)
    run(root, "echo > a.txt/mine")
    before = listing(root)
    report = await checkpoints.undo()
    assert conflicts(report) == {"a.txt": "a folder with other files is in its place"}
    assert listing(root) == before


@posix
async def test_nested_repositories_come_back_and_submodules_are_left_alone(root: Path, tmp_path: Path) -> None:
    lender = tmp_path / "lender"
    lender.mkdir()
    git(lender, "init", "-q")
    (lender / "x").write_text("x\n")
    commit_all(lender)
    git(root, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(lender), "sub")
    commit_all(root)
    (root / "nested").mkdir()
    git(root / "nested", "init", "-q")
    (root / "nested/file").write_text("1\n")
    commit_all(root / "nested")
    checkpoints = checkpoints_of(root)
    nested = repository_bytes(root / "nested")
    await turn(checkpoints, 1, "echo 2 > nested/file; echo > nested/new; echo 2 > sub/x", cwd=root)
    assert any(note.startswith("sub/ is a submodule") for note in (await checkpoints.list())[0].notes)
    report = await checkpoints.undo()
    assert (report.applied, report.notes) == (True, ("sub/ is a repository of its own; what changed in it stays",))
    assert (root / "nested/file").read_text() == "1\n" and not (root / "nested/new").exists()
    assert (root / "sub/x").read_text() == "2\n"
    assert repository_bytes(root / "nested") == nested


@posix
async def test_it_works_wherever_a_repository_stands_and_without_one(root: Path, tmp_path: Path) -> None:
    plain, unborn, linked = tmp_path / "plain", tmp_path / "unborn", tmp_path / "linked"
    for folder in (plain, unborn):
        folder.mkdir()
    git(unborn, "init", "-q")
    git(root, "worktree", "add", "-q", "--detach", str(linked))
    git(root, "checkout", "-qb", "other")
    run(root, "echo other > a.txt")
    git(root, "commit", "-qam", "other")
    git(root, "checkout", "-q", "main")
    run(root, "echo main > a.txt")
    git(root, "commit", "-qam", "main")
    with pytest.raises(subprocess.CalledProcessError):
        git(root, "merge", "other")
    for folder in (plain, unborn, linked, root):
        before = listing(folder)
        checkpoints = checkpoints_of(folder)
        await turn(checkpoints, 1, "echo > new; mkdir d; echo > d/x; rm -f b.txt; echo >> a.txt", cwd=folder)
        assert (await checkpoints.undo()).applied
        assert listing(folder) == before


@posix
async def test_bytes_are_exact_whatever_attributes_say(root: Path) -> None:
    (root / ".gitattributes").write_text("* text=auto eol=crlf ident\n*.bin filter=lfs\n")
    (root / "pointer.bin").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    (root / "mixed").write_bytes(b"a\r\nb\n$Id$\r\n")
    checkpoints = checkpoints_of(root)
    before = listing(root)
    await turn(checkpoints, 1, "rm mixed pointer.bin a.txt", cwd=root)
    assert (await checkpoints.undo()).applied
    assert listing(root) == before


@posix
async def test_a_sparse_checkout_stays_sparse(root: Path) -> None:
    run(root, "mkdir in out; echo > in/x; echo > out/x")
    commit_all(root)
    git(root, "sparse-checkout", "set", "in")
    checkpoints = checkpoints_of(root)
    before = listing(root)
    await turn(checkpoints, 1, "echo more >> in/x", cwd=root)
    assert (await checkpoints_of(root).undo()).applied
    assert listing(root) == before


@posix
async def test_paths_are_those_of_the_folder_that_was_asked_from(root: Path) -> None:
    (root / "deep").mkdir()
    checkpoints = Checkpoints(Snapshots(root / "deep", root.parent / "store"))
    await turn(checkpoints, 1, "echo > here; echo >> ../a.txt", cwd=root / "deep")
    assert done(await checkpoints.undo(dry_run=True)) == {("delete", "here"), ("overwrite", "../a.txt")}
    assert done(await checkpoints.undo(paths=["../a.txt"])) == {("overwrite", "../a.txt")}


@posix
async def test_one_object_gone_from_the_users_store_is_noticed_and_kept_anew(root: Path) -> None:
    (root / "staged").write_text("only in the index\n")
    git(root, "add", "staged")
    blob = git(root, "rev-parse", ":staged")
    folder = root / ".git" / "objects" / blob[:2]
    (folder / "another").write_text("of many: the folder stays")
    checkpoints = checkpoints_of(root)
    await turn(checkpoints, 1, "echo 1 > x", cwd=root)
    (folder / blob[2:]).unlink()
    await turn(checkpoints, 2, "echo 2 > x", cwd=root)
    await turn(checkpoints, 3, "rm staged", cwd=root)
    assert (await checkpoints.undo()).applied
    assert (root / "staged").read_text() == "only in the index\n"


@posix
async def test_what_the_user_prunes_is_not_lost_where_a_turn_changed_it(root: Path) -> None:
    run(root, "mkdir src; seq 100 > src/x; seq 200 > src/y")
    commit_all(root)
    checkpoints = checkpoints_of(root)
    before = listing(root)
    await turn(checkpoints, 1, "rm src/x; echo more >> a.txt", cwd=root)
    git(root, "update-ref", "-d", "HEAD")
    git(root, "rm", "-rqf", "--cached", ".")
    git(root, "reflog", "expire", "--expire=now", "--all")
    git(root, "gc", "-q", "--prune=now")
    assert (await checkpoints_of(root).undo()).applied
    assert listing(root) == before
    await turn(checkpoints, 2, "rm src/y", cwd=root)
    assert (await checkpoints_of(root).undo()).applied
    assert listing(root) == before


@posix
async def test_retention_drops_the_old_and_keeps_what_living_sessions_need(root: Path) -> None:
    checkpoints = checkpoints_of(root)
    for number in range(1, 4):
        await turn(checkpoints, number, f"head -c 20000 /dev/urandom > f{number}", session="dead", cwd=root)
    living = checkpoints_of(root)
    with living.hold("alive"):
        before = listing(root)
        await turn(living, 1, "echo > alive; rm f1", session="alive", cwd=root)
        pruned = await checkpoints.prune(0, 10**9)
        assert pruned.checkpoints == 3 and [t.session for t in await checkpoints.turns()] == ["alive"]
        assert (await checkpoints.prune(0, 0)).checkpoints == 0
        assert (await checkpoints.undo()).applied
        assert listing(root) == before
    (root / "f2").unlink()
    await turn(checkpoints, 5, "echo > five", cwd=root)
    pruned = await checkpoints.prune(10**6, 0)
    assert pruned.checkpoints and pruned.freed > 20_000
    assert len(await checkpoints.list()) == 1
    await turn(checkpoints, 6, "echo > six", cwd=root)
    assert (await checkpoints.undo()).applied


@posix
@pytest.mark.parametrize("ending", ["rm .gitignore", "echo b >> kept/secret; echo '*.o' > .gitignore"])
async def test_what_was_ignored_before_a_turn_brought_it_into_sight_is_never_deleted(root: Path, ending: str) -> None:
    run(
        root,
        "printf 'secret\\nout/\\n' > .gitignore; mkdir -p kept out/deep",
        "echo mine | tee secret kept/secret out/deep/x",
    )
    checkpoints = checkpoints_of(root)
    before = listing(root)
    await turn(checkpoints, 1, ending, "echo > made", cwd=root)
    changed = listing(root)["kept/secret"]
    report = await checkpoints_of(root).undo()
    assert report.applied
    assert listing(root) == before | {"kept/secret": changed}
    assert any(note.endswith("stays: no turn created it") and "out/deep/x" in note for note in report.notes)
    assert not any("(deleted)" in note for note in report.notes)
    assert (await checkpoints.redo()).applied
    first = (await checkpoints.list())[0].id
    assert (await checkpoints.restore(first, resolve="force")).applied
    assert listing(root) == before | {"kept/secret": changed}


@posix
async def test_a_change_of_modes_and_empty_folders_alone_is_listed_and_going_back_and_forth_adds_nothing(
    root: Path,
) -> None:
    checkpoints = checkpoints_of(root)
    await turn(checkpoints, 1, "chmod 600 b.txt; mkdir -m 700 private; mkdir empty; chmod 711 .", cwd=root)
    named = [("b.txt", "modified"), ("empty/", "created"), ("private/", "created")]
    listed = (await checkpoints.list())[-1]
    assert [(change.path, change.change) for change in listed.files] == named
    assert (await checkpoints.show(listed.id)).files == listed.files
    for _ in range(2):
        assert (await checkpoints.undo()).applied
        assert (await checkpoints.redo()).applied
    labels = [checkpoint.label for checkpoint in await checkpoints.list()]
    assert labels == ["before turn 1", "end of turn 1", *["undo of turn 1", "redo of turn 1"] * 2]


@posix
async def test_what_a_turn_creates_in_a_folder_of_ignored_files_alone_is_its_own(root: Path) -> None:
    run(root, "echo '*.log' > .gitignore; mkdir -p logs/deep; echo | tee logs/x.log logs/deep/y.log")
    checkpoints = checkpoints_of(root)
    before = listing(root)
    await turn(checkpoints, 1, "echo > logs/made; mkdir logs/new; echo | tee logs/deep/made logs/new/made", cwd=root)
    report = await checkpoints.undo()
    assert report.applied and not report.notes
    assert listing(root) == before
