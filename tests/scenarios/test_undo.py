"""Undo as the user meets it: real turns with real tools, then the commands; all comes back as it was."""

import asyncio
import json
import os
import stat
import subprocess
import sys
import threading
import time
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from kimi_code.cli.app import main
from kimi_code.errors import CheckpointError, KimiError
from kimi_code.events import CheckpointCreated, Notice, PlanUpdated, Record, TodoItem, TurnUndone
from kimi_code.repo.checkpoint import Checkpoints
from kimi_code.repo.snapshot import Limits, Snapshots
from kimi_code.session.checkpoints import open_checkpoints, store_folder
from kimi_code.session.rewind import Wish
from kimi_code.session.session import Session
from tests.harness import Lab, Ran
from tests.program import Done
from tests.repository import commit_all, git
from tests.server import Received, Reply, call, calls, say

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes and shells")


@pytest.fixture(autouse=True)
def places(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands keep their data where the lab keeps its own, and work in its project."""
    monkeypatch.setenv("KIMI_CODE_DIR", str(lab.data.parent))
    monkeypatch.chdir(lab.project)
    lab.configure(permission_mode="yolo")


def turn(lab: Lab, *replies: Reply, prompt: str = "Do it.", **opening: Any) -> Ran:
    """A whole run that ends with an answer in words."""
    lab.server.script(*replies, say("Done."))
    ran = asyncio.run(lab.run(prompt, **opening))
    assert ran.exit_code == 0, ran.stdout
    return ran


def cli(*args: str) -> Done:
    """A command in this process."""
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(args)
    return Done(code, out.getvalue(), err.getvalue())


def as_json(*args: str) -> Any:
    return json.loads(cli(*args, "--json").stdout)


def write(path: str, content: str) -> Reply:
    return call("Write", {"path": path, "content": content})


def bash(command: str) -> Reply:
    return call("Bash", {"command": command})


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file and folder: mode and content."""
    return {
        path.relative_to(folder).as_posix(): (
            stat.S_IMODE(path.lstat().st_mode),
            b"" if path.is_dir() else path.read_bytes(),
        )
        for path in sorted(folder.rglob("*"))
    }


def prompts(lab: Lab) -> str:
    """All that the last request said."""
    return json.dumps(lab.server.requests[-1].messages)


@posix
def test_what_tools_and_commands_did_is_undone_and_redone_exactly(lab: Lab) -> None:
    for name in ("edited", "gone", "run.sh"):
        (lab.project / name).write_text(f"{name}\n")
    (lab.project / "secret").write_text("x")
    (lab.project / "secret").chmod(0o600)
    before = tree(lab.project)
    turn(
        lab,
        call("Read", {"path": "edited"}),
        call("Edit", {"path": "edited", "old_string": "edited", "new_string": "changed"}),
        write("new", "new\n"),
        bash("rm gone secret; mkdir -p sub/deep; echo made > sub/deep/file; chmod 755 run.sh"),
    )
    after = tree(lab.project)
    undone = cli("undo")
    assert (undone.code, tree(lab.project)) == (0, before)
    assert set(undone.stdout.splitlines()[1:]) >= {"  ~ edited", "  - new", "  + gone", "  - sub/deep/file"}
    assert cli("redo").code == 0
    assert tree(lab.project) == after


def test_the_model_no_longer_sees_an_undone_turn_and_is_told_of_it(lab: Lab) -> None:
    turn(lab, write("one", "1"), prompt="Make one, please.")
    turn(lab, write("two", "2"), prompt="Make two, please.", continue_last=True)
    assert cli("undo").code == 0
    turn(lab, prompt="What now?", continue_last=True)
    said = prompts(lab)
    assert "Make one" in said
    assert "Make two" not in said
    assert "The user took back turn 2 of this session: " in said
    assert "changes to two" in said
    turn(lab, prompt="And now?", continue_last=True)
    assert prompts(lab).count("took back turn 2") == 1


def test_a_redone_turn_is_seen_again_word_for_word(lab: Lab) -> None:
    turn(lab, write("one", "1"), prompt="Make one, please.")
    seen = lab.server.requests[-1].messages
    cli("undo")
    cli("redo")
    turn(lab, prompt="What now?", continue_last=True)
    assert lab.server.requests[-1].messages[1 : len(seen)] == seen[1:]
    assert "took back" not in prompts(lab)


def test_the_plan_goes_back_with_its_turn(lab: Lab) -> None:
    todo = call("Todo", {"items": [{"text": "think", "status": "in_progress"}]})
    turn(lab, todo)
    cli("undo")

    async def plans() -> tuple[TodoItem, ...]:
        opened = await lab.open(continue_last=True)
        try:
            return opened.session.plan
        finally:
            await opened.session.close()

    assert asyncio.run(plans()) == ()
    cli("redo")
    assert [item.text for item in asyncio.run(plans())] == ["think"]


def test_a_file_changed_since_is_never_overwritten_unasked(lab: Lab) -> None:
    (lab.project / "a").write_text("1\n2\n3\n4\n5\n")
    turn(lab, call("Read", {"path": "a"}), call("Edit", {"path": "a", "old_string": "1", "new_string": "one"}))
    turn(lab, write("b", "b"), continue_last=True)
    (lab.project / "a").write_text("one\n2\n3\n4\nfive\n")
    assert cli("undo").code == 0
    before = tree(lab.project)
    refused = cli("undo")
    assert (refused.code, tree(lab.project)) == (1, before)
    assert "\n  a: " in refused.stderr
    assert "--force" in refused.stderr
    assert [conflict["path"] for conflict in as_json("undo")["conflicts"]] == ["a"]
    assert cli("undo", "--merge").code == 0
    assert (lab.project / "a").read_text() == "1\n2\n3\n4\nfive\n"


def test_force_overwrites_and_what_was_there_can_be_had_back(lab: Lab) -> None:
    (lab.project / "a").write_text("1\n")
    turn(lab, bash("echo 2 > a"))
    (lab.project / "a").write_text("mine\n")
    done = as_json("undo", "--force")
    assert (lab.project / "a").read_text() == "1\n"
    assert cli("checkpoints", "restore", done["saved"], "a", "--force").code == 0
    assert (lab.project / "a").read_text() == "mine\n"


def test_a_dry_run_shows_and_changes_nothing(lab: Lab) -> None:
    turn(lab, write("a", "a"))
    before = tree(lab.project)
    shown = as_json("undo", "--dry-run")
    assert (shown["status"], shown["files"]) == ("planned", [{"path": "a", "action": "delete"}])
    assert cli("undo", "--dry-run").stdout.startswith("Would undo: turn 1 of session ")
    assert tree(lab.project) == before
    assert as_json("undo")["status"] == "done"


def test_the_newest_turn_of_the_folder_goes_first_whatever_session_it_is_of(lab: Lab) -> None:
    one = turn(lab, write("a", "a"), prompt="first session").result["session_id"]
    two = turn(lab, write("b", "b"), prompt="second session").result["session_id"]
    assert as_json("undo")["turns"][0]["session"] == two
    turn(lab, write("c", "c"), prompt="third session")
    assert as_json("undo", "-r", one[:6])["turns"][0]["session"] == one
    assert sorted(tree(lab.project)) == ["c"]


def test_several_turns_at_once_are_all_or_nothing(lab: Lab) -> None:
    turn(lab, write("a", "a"))
    turn(lab, write("b", "b"), continue_last=True)
    (lab.project / "a").write_text("mine")
    assert cli("undo", "2").code == 1
    assert sorted(tree(lab.project)) == ["a", "b"]
    (lab.project / "a").write_text("a")
    assert [state["turn"] for state in as_json("undo", "2")["turns"]] == [2, 1]
    assert tree(lab.project) == {}
    assert cli("redo", "2").code == 0
    assert sorted(tree(lab.project)) == ["a", "b"]
    turn(lab, prompt="go on", continue_last=True)
    assert "took back" not in prompts(lab)


def test_more_turns_than_there_are_is_an_error_that_says_how_many(lab: Lab) -> None:
    assert cli("undo").code == 1
    turn(lab, write("a", "a"))
    refused = cli("undo", "5", "--json")
    assert refused.code == 1
    assert json.loads(refused.stdout)["error"]
    assert (lab.project / "a").exists()


def test_only_files_or_only_the_conversation(lab: Lab) -> None:
    turn(lab, write("a", "a"), prompt="Make a, please.")
    assert cli("undo", "--code").code == 0
    assert tree(lab.project) == {}
    turn(lab, prompt="What now?", continue_last=True)
    assert "Make a, please." in prompts(lab)
    assert "changes to a" in prompts(lab)


def test_files_first_and_the_conversation_later_is_the_same_turn(lab: Lab) -> None:
    turn(lab, write("a", "a"), prompt="Make a, please.")
    turn(lab, write("b", "b"), prompt="Make b, please.", continue_last=True)
    assert as_json("undo", "--code")["turns"][0]["turn"] == 2
    assert as_json("undo", "--conversation")["turns"][0]["turn"] == 2
    assert sorted(tree(lab.project)) == ["a"]
    turn(lab, prompt="What now?", continue_last=True)
    assert "Make b, please." not in prompts(lab)


def test_paths_limit_what_is_taken_back_and_leave_the_conversation(lab: Lab) -> None:
    turn(lab, write("a", "a"), write("sub/b", "b"), prompt="Make two files.")
    assert cli("undo", "--paths", "sub").code == 0
    assert [path for path in tree(lab.project) if path != "sub"] == ["a"]
    turn(lab, prompt="What now?", continue_last=True)
    assert "Make two files." in prompts(lab)


def test_paths_in_which_a_turn_did_nothing_are_refused_and_leave_nothing_to_redo(lab: Lab) -> None:
    turn(lab, write("a", "a"))
    turn(lab, write("b", "b"))
    assert cli("undo").code == 0
    refused = cli("undo", "--paths", "elsewhere")
    assert (refused.code, refused.stdout) == (1, "")
    assert "Nothing that turn 1 changed is in elsewhere." in refused.stderr
    assert cli("redo").code == 0
    assert sorted(tree(lab.project)) == ["a", "b"]


def test_paths_that_were_taken_back_already_are_refused_and_leave_nothing_more_to_redo(lab: Lab) -> None:
    turn(lab, write("a", "a"), write("b", "b"))
    assert cli("undo", "--paths", "a").code == 0
    for words in (["undo", "--paths", "a", "--dry-run"], ["undo", "--paths", "a"]):
        again = cli(*words)
        assert (again.code, again.stdout) == (1, "")
        assert "Nothing is left to be taken back in a: all is as before turn 1." in again.stderr
    assert cli("redo").code == 0
    assert "There is nothing to redo." in cli("redo").stderr
    assert cli("undo").code == 0
    assert tree(lab.project) == {}


def test_undo_says_that_the_commit_of_the_turn_stays(lab: Lab) -> None:
    git(lab.project, "init", "-q", "--template=", "-b", "main")
    git(lab.project, "config", "user.name", "Ann")
    git(lab.project, "config", "user.email", "ann@example.org")
    (lab.project / "a").write_text("a\n")
    commit_all(lab.project)
    lab.configure(commit=True)
    lab.server.script(write("b", "b\n"), say("Done."), say("Add b"))
    made = asyncio.run(lab.run()).result["commit"]["id"][:10]
    assert f"commit {made} on main stays" in cli("undo", "--dry-run").stdout
    assert not [note for note in as_json("undo", "--conversation", "--dry-run")["notes"] if "commit" in note]
    (note,) = as_json("undo")["notes"]
    assert f"git reset {made}~1" in note
    assert f"git revert {made}" in note
    assert git(lab.project, "rev-parse", "HEAD").startswith(made)
    assert as_json("redo")["notes"] == []


def test_every_command_removes_what_a_kill_in_a_write_left(lab: Lab) -> None:
    turn(lab, write("a", "a"))
    known = as_json("checkpoints", "list")[0]["id"]
    litter = lab.project / ".0123456789ab.kimi-code.tmp"
    for command in (
        ("undo", "--dry-run"),
        ("undo", "--conversation"),
        ("redo",),
        ("checkpoints", "list"),
        ("checkpoints", "show", known),
        ("checkpoints", "diff", known, known, "--json"),
        ("checkpoints", "restore", known),
        ("checkpoints", "prune"),
    ):
        litter.write_text("half")
        assert cli(*command).code == 0, command
        assert not litter.exists(), command
    litter.write_text("half")
    turn(lab, write("b", "b"))
    assert not litter.exists()


def test_a_path_outside_is_refused_by_the_name_it_was_given(lab: Lab, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "--template="], cwd=lab.project, check=True)
    turn(lab, write("a", "a"), write("below/b", "b"))
    refused = cli("undo", "--paths", str(tmp_path / "elsewhere"))
    assert refused.code == 1
    assert f"{tmp_path / 'elsewhere'} is not in {lab.project}" in refused.stderr
    assert cli("undo", "-C", "below", "--paths", str(lab.project / "a")).code == 0
    assert not (lab.project / "a").exists() and (lab.project / "below/b").exists()


def test_flags_that_contradict_each_other_are_usage_errors() -> None:
    for flags in (["--code", "--both"], ["--force", "--merge"], ["--paths", "x", "--conversation"]):
        assert cli("undo", *flags).code == 2


def test_without_a_session_the_files_come_back_and_the_conversation_is_said_to_be_gone(lab: Lab) -> None:
    turn(lab, write("a", "a"), keep=False)
    undone = cli("undo")
    assert (undone.code, tree(lab.project)) == (0, {})
    assert "its conversation is not kept any more" in undone.stdout


def test_a_turn_that_only_read_can_be_taken_back_too(lab: Lab) -> None:
    (lab.project / "a").write_text("a\n")
    turn(lab, call("Read", {"path": "a"}), prompt="Read a, please.")
    assert cli("undo").code == 0
    turn(lab, prompt="What now?", continue_last=True)
    assert "Read a, please." not in prompts(lab)


def test_a_session_that_is_open_elsewhere_is_refused_but_its_files_are_not(lab: Lab) -> None:
    turn(lab, write("a", "a"))

    async def scenario() -> tuple[Done, Done]:
        opened = await lab.open(continue_last=True)
        try:
            return await asyncio.to_thread(cli, "undo"), await asyncio.to_thread(cli, "undo", "--code")
        finally:
            await opened.session.close()

    refused, done = asyncio.run(scenario())
    assert refused.code == 1
    assert "open in another process" in refused.stderr
    assert "--code" in refused.stderr
    assert (done.code, tree(lab.project)) == (0, {})


def test_a_running_session_undoes_its_own_turns_and_forgets_what_it_read(lab: Lab) -> None:
    (lab.project / "a").write_text("one\n")

    async def scenario() -> list[Record]:
        opened = await lab.open()
        session, records = opened.session, list[Record]()
        session.subscribe(records.append)
        session.open(opened.opened)
        try:
            lab.server.script(
                call("Read", {"path": "a"}),
                call("Edit", {"path": "a", "old_string": "one", "new_string": "two"}),
                call("Todo", {"items": [{"text": "x", "status": "pending"}]}),
                say("done"),
            )
            await session.prompt("Change a, please.")
            rewound = await session.undo(Wish())
            assert [turn.conversation for turn in rewound.turns] == ["rewound"]
            assert session.plan == ()
            lab.server.script(write("a", "three\n"), say("no"))
            await session.prompt("Write a.")
        finally:
            await session.close()
        return records

    records = asyncio.run(scenario())
    assert (lab.project / "a").read_text() == "one\n"
    assert "has not been read" in lab.server.requests[-1].last["content"]
    assert "Change a, please." not in prompts(lab)
    assert "<environment>" in prompts(lab)
    undone = [record.event for record in records if isinstance(record.event, TurnUndone)]
    assert [(event.turn, [change.path for change in event.files]) for event in undone] == [(1, ["a"])]
    assert any(isinstance(record.event, PlanUpdated) for record in records)


def test_nothing_is_undone_while_a_turn_runs(lab: Lab) -> None:
    refusals: list[str] = []

    async def scenario() -> None:
        opened = await lab.open()
        session = opened.session

        def attempt(record: Record) -> None:
            if isinstance(record.event, CheckpointCreated) and not refusals:
                task = asyncio.ensure_future(session.undo(Wish()))
                task.add_done_callback(lambda done: refusals.append(str(done.exception())))

        session.subscribe(attempt)
        session.open(opened.opened)
        lab.server.script(write("a", "a"), say("done"))
        await session.prompt("Go.")
        await session.close()

    (lab.project / "b").write_text("b")
    asyncio.run(scenario())
    assert [refusal.splitlines()[0] for refusal in refusals] == ["A turn is running."]
    assert issubclass(KimiError, Exception)


def test_what_a_kill_left_between_files_and_journal_is_mended_by_the_next_run(lab: Lab) -> None:
    turn(lab, write("a", "a"), prompt="Make a, please.")
    # As an undo that was killed after the files and before the journal.
    checkpoints = open_checkpoints(lab.project, lab.settings.data_dir, lab.data / "config", file_mb=50)
    asyncio.run(checkpoints.undo())
    turn(lab, prompt="What now?", continue_last=True)
    assert "Make a, please." not in prompts(lab)
    assert "The user took back turn 1" in prompts(lab)


def test_a_new_turn_ends_what_could_be_redone(lab: Lab) -> None:
    turn(lab, write("a", "a"))
    cli("undo")
    turn(lab, write("b", "b"), continue_last=True)
    refused = cli("redo")
    assert refused.code == 1
    assert sorted(tree(lab.project)) == ["b"]


def test_what_the_user_edits_while_the_model_thinks_is_not_taken_back(lab: Lab) -> None:
    (lab.project / "mine").write_text("before\n")
    saved = threading.Event()

    def listen(session: Session) -> None:
        session.subscribe(lambda record: saved.set() if isinstance(record.event, CheckpointCreated) else None)

    def edit_meanwhile(_: Received) -> Reply:
        assert saved.wait(20)
        (lab.project / "mine").write_text("edited while it was thinking\n")
        return write("a", "a")

    lab.server.script(edit_meanwhile, say("Done."))
    assert asyncio.run(lab.run(meanwhile=listen)).exit_code == 0
    assert cli("undo").code == 0
    assert {path: content for path, (_, content) in tree(lab.project).items()} == {
        "mine": b"edited while it was thinking\n"
    }


def test_a_checkpoint_is_taken_before_the_turn_and_before_each_step_that_changes_something(lab: Lab) -> None:
    (lab.project / "a").write_text("a\n")
    ran = turn(
        lab,
        call("Read", {"path": "a"}),
        calls(("Write", {"path": "b", "content": "b"}), ("Write", {"path": "c", "content": "c"})),
        write("d", "d"),
        call("Read", {"path": "d"}),
        prompt="Make files.",
    )
    found = [(event.label, [change.path for change in event.files]) for event in ran.events(CheckpointCreated)]
    assert [label for label, _ in found] == ["before turn 1: Make files.", "before Write d"]
    assert found[1][1] == ["b", "c"]
    assert [entry["id"] for entry in as_json("checkpoints", "list")][:2] == [
        event.checkpoint_id for event in ran.events(CheckpointCreated)
    ]


def test_where_nothing_can_be_saved_a_turn_says_so_once_and_goes_on(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    ran = turn(lab, write("a", "a"), write("b", "b"))
    notices = [event.text for event in ran.events(Notice) if event.level == "warning"]
    assert len(notices) == 1
    assert notices[0].startswith("Changes in this folder cannot be undone: ")
    assert "git" in notices[0]
    assert [change["path"] for change in ran.result["files_changed"]] == ["a", "b"]


def test_a_run_that_only_reads_says_nothing_of_what_cannot_be_saved(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert turn(lab).events(Notice) == []


def test_a_subfolder_shows_and_undoes_the_turns_of_its_working_tree(lab: Lab) -> None:
    subprocess.run(["git", "init", "-q"], check=True)
    (lab.project / "sub").mkdir()
    turn(lab, write("a", "a"))
    listed = as_json("checkpoints", "list")
    assert [entry["id"] for entry in as_json("-C", "sub", "checkpoints", "list")] == [entry["id"] for entry in listed]
    assert as_json("undo", "-C", "sub", "--dry-run")["files"] == [{"path": "../a", "action": "delete"}]
    assert cli("undo", "-C", "sub").code == 0
    assert not (lab.project / "a").exists()


def test_checkpoints_are_listed_shown_compared_and_restored(lab: Lab) -> None:
    (lab.project / "a").write_text("1\n")
    session = turn(lab, bash("echo 2 > a; echo b > b")).result["session_id"]
    first, last = as_json("checkpoints", "list")
    assert set(first) == {"id", "at", "session", "turn", "label", "files"}
    assert (last["session"], last["turn"]) == (session, 1)
    changed = [{"path": "a", "change": "modified"}, {"path": "b", "change": "created"}]
    assert last["files"] == changed
    assert first["id"] in cli("checkpoints", "list").stdout
    assert as_json("checkpoints", "show", last["id"])["files"] == changed
    assert "a" in cli("checkpoints", "show", last["id"]).stdout
    assert [change["path"] for change in as_json("checkpoints", "diff", first["id"])] == ["a", "b"]
    assert as_json("checkpoints", "diff", last["id"]) == []
    assert as_json("checkpoints", "restore", first["id"], "a", "--dry-run")["status"] == "planned"
    assert cli("checkpoints", "restore", first["id"], "a").code == 0
    assert (lab.project / "a").read_text() == "1\n"
    assert (lab.project / "b").exists()
    assert cli("checkpoints", "show", "nosuch").code == 1


def test_prune_keeps_what_is_young_and_says_what_it_did(lab: Lab) -> None:
    turn(lab, write("a", "a"))
    assert as_json("checkpoints", "prune")["checkpoints"] == 0
    assert cli("checkpoints", "prune").stdout.startswith("Dropped 0 checkpoints")


def test_prune_reaches_folders_that_nobody_is_in(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    turn(lab, bash("echo 1 > a"), bash("echo 2 > a"))
    (lab.data.parent / "config.toml").write_text("[checkpoints]\nkeep_days = 0\n")
    monkeypatch.chdir(tmp_path)
    assert as_json("checkpoints", "prune")["checkpoints"] == 0
    assert as_json("checkpoints", "prune", "--all")["checkpoints"] > 0
    monkeypatch.chdir(lab.project)
    assert len(as_json("checkpoints", "list")) == 1


def test_prune_removes_the_files_of_isolated_copies_that_nobody_used_for_a_week(lab: Lab) -> None:
    turn(lab, write("a", "a"))
    for name, age in (("young", 6), ("old", 8)):
        place = lab.data / "checkouts" / name
        (place / "base").mkdir(parents=True)
        (place / "base/file").write_bytes(bytes(5000))
        (place / "base.lock").touch()
        at = time.time() - age * 86_400
        os.utime(place / "base.lock", (at, at))
    assert as_json("checkpoints", "prune")["freed"] >= 5000
    assert sorted(path.name for path in (lab.data / "checkouts").glob("*/base")) == ["base"]
    assert (lab.data / "checkouts/young/base/file").exists()


def test_checkpoints_of_a_folder_that_is_gone_go_when_they_are_old(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    stores = lab.data / "snapshots"
    turn(lab, bash("echo 1 > a"), keep=False)
    (store,) = (path for path in stores.iterdir() if path.is_dir())
    (store.parent / "gone.0123").mkdir()
    away = lab.project.with_name("away")
    monkeypatch.chdir(lab.project.parent)
    lab.project.rename(away)
    assert as_json("checkpoints", "prune", "--all")["checkpoints"] == 0
    assert store.is_dir() and not (store.parent / "gone.0123").exists()
    (lab.data.parent / "config.toml").write_text("[checkpoints]\nkeep_days = 0\n")
    pruned = as_json("checkpoints", "prune", "--all")
    assert pruned["checkpoints"] == 2 and pruned["freed"] > 0
    assert [path.name for path in stores.iterdir()] == ["tidied"]


def test_a_turn_that_left_more_than_a_run_looks_at_is_undone_all_the_same(lab: Lab) -> None:
    (lab.project / "mine").write_text("mine\n")
    before = tree(lab.project)
    # As a run has it, but that 200 MB are 2,000 bytes.
    exclude = (lab.data, lab.data.parent)
    limited = Checkpoints(Snapshots(lab.project, store_folder(lab.data), exclude=exclude, limits=Limits(total=2_000)))

    async def run() -> None:
        await limited.begin_turn("s", 1, "Do it.")
        await limited.take("s", 1, "before turn 1")
        (lab.project / "mine").write_text("theirs\n")
        (lab.project / "large").write_bytes(bytes(2_001))
        with pytest.raises(CheckpointError, match="too much"):
            await limited.end_turn("s", 1)

    asyncio.run(run())
    undone = cli("undo")
    assert (undone.code, tree(lab.project)) == (0, before), undone.stderr
