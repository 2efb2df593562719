"""Hostile models, hostile repositories, bad folders and disks: a clear end, nothing lost, nothing leaked."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kimi_code.config import load
from kimi_code.errors import ConfigError, UsageError
from kimi_code.events import Outcome, Record, StepEnded, ToolEnded, TurnEnded
from kimi_code.session.session import Session
from tests.harness import Lab, Ran
from tests.server import Received, Reply, answer, call, calls, delta, error, raw_sse, say

KEY = "sk-the-secret-key-0123456789"
posix = pytest.mark.skipif(sys.platform == "win32", reason="pipes and links of POSIX")


def results(lab: Lab) -> list[str]:
    """What the model was told of its calls."""
    return [message["content"] for message in lab.server.requests[-1].messages if message["role"] == "tool"]


def statuses(ran: Ran) -> list[str]:
    return [ended.status for ended in ran.events(ToolEnded)]


# --- A hostile or broken model ------------------------------------------------------------------------------------


async def test_control_sequences_of_the_model_reach_no_terminal_and_its_garbled_names_no_server(lab: Lab) -> None:
    garbled: list[tuple[str, str, dict[str, Any]]] = [
        ("i1", "Bash\x1b]0;owned\x07", {"command": "ls"}),
        ("i2", "", {}),
        ("i3", "工具" * 40_000, {}),
        ("i4", "Read", {"path": "\x1b[2Jx"}),
        ("i5", "Bash", {"command": "\x1b]0;owned\x07ls"}),
    ]
    lab.server.script(answer(garbled, text="\x1b[31mred\x07"), say("ok"))
    ran = await lab.run(output_format="text")
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", ran.stderr)
    assert all(len(line) < 500 for line in ran.stderr.splitlines())
    sent = lab.server.requests[1].messages[2]["tool_calls"]
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", called["function"]["name"]) for called in sent)
    assert len(results(lab)) == len(sent)
    assert max(map(len, results(lab))) < 1000


async def test_what_must_not_be_written_or_read_is_denied_whatever_the_path_looks_like(lab: Lab) -> None:
    (lab.project / ".git").mkdir()
    lab.configure(data_dir=lab.project / "own-data")
    written = [".git/hooks/pre-commit", ".GIT/hooks/pre-commit", "a/../.git/config", ".kimi-code/config.toml"]
    written += ["own-data/sessions/x", "../outside", str(lab.project.parent / "absolute"), "~/.ssh/authorized_keys"]
    read = ["../../etc/passwd", "/proc/self/environ", "/etc/shadow", ".env", "own-data/sessions"]
    lab.server.script(
        calls(*[("Write", {"path": path, "content": "x"}) for path in written], *[("Read", {"path": p}) for p in read]),
        say("ok"),
    )
    ran = await lab.run()
    assert ran.exit_code == 5
    assert statuses(ran) == ["denied"] * (len(written) + len(read))
    assert sorted(path.name for path in lab.project.iterdir()) == [".git", "own-data"]
    assert not list((lab.project / ".git").iterdir())
    assert ran.result["files_changed"] == []


@posix
async def test_a_path_that_is_none_is_a_slip_and_no_denial(lab: Lab) -> None:
    (lab.project / "loop").symlink_to("loop")
    paths = ["a\0b", "loop", "x" * 100_000, "~nobody-of-this-name/x", "loop/x"]
    lab.server.script(
        calls(*[("Read", {"path": path}) for path in paths]),
        say("ok"),
    )
    ran = await lab.run()
    assert ran.exit_code == 0
    assert statuses(ran) == ["failed"] * len(paths)
    assert max(map(len, results(lab))) < 400
    assert "NUL" in results(lab)[0]
    assert "loop" in results(lab)[1]
    assert "too long" in results(lab)[2]


async def test_500_calls_in_one_step_have_500_results_in_order(lab: Lab) -> None:
    (lab.project / "a").write_text("a\n")
    wanted: list[tuple[str, Any]] = []
    for number in range(125):
        wanted += [
            ("Read", {"path": "a"}),
            (f"Nothing{number}", {}),
            ("Todo", f"[{number}"),
            ("Glob", {"pattern": "a"}) if number % 5 == 0 else ("Read", {"path": "./a"}),
        ]
    lab.server.script(calls(*wanted), say("ok"))
    ran = await lab.run()
    assert ran.exit_code == 0
    assert ran.result["tool_calls"] == 500
    answered = [m["tool_call_id"] for m in lab.server.requests[1].messages if m["role"] == "tool"]
    assert answered == [called["id"] for called in lab.server.requests[1].messages[2]["tool_calls"]]
    assert len(set(answered)) == 500


async def test_call_ids_that_are_empty_repeated_or_huge_are_mended(lab: Lab) -> None:
    ids = ["", "", "x", "x", "y" * 5000]
    lab.server.script(
        answer([(id, "Glob", {"pattern": str(number)}) for number, id in enumerate(ids)]),
        call("Glob", {"pattern": "again"}, id="x"),
        say("ok"),
    )
    assert (await lab.run()).exit_code == 0
    first = lab.server.requests[2].messages[2]
    mended = [called["id"] for called in first["tool_calls"]]
    assert len(set(mended)) == 5
    assert all(0 < len(id) <= 64 for id in mended)
    assert [m["tool_call_id"] for m in lab.server.requests[2].messages[3:8]] == mended


_DEEP = "[" * 100_000


async def test_json_of_any_depth_in_arguments_comes_back_as_words(lab: Lab) -> None:
    lab.server.script(
        calls(("Read", '{"path":' + _DEEP), ("Todo", '{"items":' + "[" * 900 + "]" * 900 + "}")), say("ok")
    )
    ran = await lab.run()
    assert ran.exit_code == 0
    assert statuses(ran) == ["invalid", "invalid"]
    assert max(map(len, results(lab))) < 1000


@pytest.mark.parametrize(
    ("reply", "exit_code"),
    [
        (raw_sse(b"data: " + _DEEP.encode() + b"\n\n"), 75),
        (Reply((_DEEP.encode(),), 400, "application/json"), 1),
        (Reply((_DEEP.encode(),), 200, "application/json"), 1),
    ],
)
async def test_json_of_any_depth_from_the_server_is_a_failure_of_the_server(
    lab: Lab, reply: Reply, exit_code: int
) -> None:
    lab.configure(max_retries=0)
    lab.server.script(reply)
    ran = await lab.run()
    assert ran.exit_code == exit_code
    assert "Internal error" not in ran.result["error"]


async def test_a_stream_of_empty_deltas_ends_at_the_time_limit(lab: Lab) -> None:
    lab.configure(timeout=0.3)
    lab.server.script(replace(raw_sse(*[delta({"content": ""})] * 5000), ending="hang"))
    ran = await lab.run()
    assert (ran.exit_code, ran.result["status"]) == (4, "budget_exceeded")


async def test_a_model_without_tools_is_told_as_such(lab: Lab) -> None:
    lab.server.script(error(400, message="this model does not support tools"))
    ran = await lab.run()
    assert ran.exit_code == 1
    assert "choose another model" in ran.result["error"]


@pytest.mark.parametrize("output_format", ["text", "json", "jsonl"])
async def test_a_key_that_server_and_model_echo_is_shown_and_kept_nowhere(lab: Lab, output_format: Any) -> None:
    lab.server.script(
        error(503, message=f"busy, {KEY}"),
        call("Bash", {"command": f"echo {KEY}"}, text=f"I use {KEY}"),
        call(KEY, {}),
        say(f"It is {KEY}", chunk=1000),
        error(400, message=f"bad key {KEY}"),
    )
    for ran in (await lab.run(output_format=output_format), await lab.run(output_format=output_format)):
        assert KEY not in ran.stdout
        assert KEY not in ran.stderr
    assert not [path for path in lab.data.rglob("*.*") if path.is_file() and KEY.encode() in path.read_bytes()]


# --- A hostile repository -----------------------------------------------------------------------------------------


def git(folder: Path, *args: str) -> None:
    subprocess.run(["git", *args], cwd=folder, check=True, capture_output=True)


@posix
async def test_nothing_that_a_repository_configured_is_run(lab: Lab) -> None:
    trap, hooks = lab.project.parent / "sprung", lab.project / "hooks"
    git(lab.project, "init", "-q")
    (lab.project / "a").write_text("a\n")
    (lab.project / ".gitattributes").write_text("* diff=trap filter=trap\n")
    git(lab.project, "add", "-A")
    git(lab.project, "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-q", "-m", "x")
    keys = ["core.fsmonitor", "core.sshCommand", "core.pager", "core.editor", "diff.external", "diff.trap.textconv"]
    keys += ["diff.trap.command", "filter.trap.clean", "filter.trap.smudge", "filter.trap.process"]
    keys += ["alias.status", "alias.ls-files", "alias.diff-tree"]
    for key in keys:
        git(lab.project, "config", key, f"{'!' if 'alias' in key else ''}touch {trap}; cat")
    git(lab.project, "config", "core.hooksPath", str(hooks))
    hooks.mkdir()
    for name in ("post-index-change", "pre-commit", "post-checkout", "reference-transaction", "fsmonitor-watchman"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {trap}\n")
        (hooks / name).chmod(0o755)
    lab.server.script(
        calls(("Read", {"path": "a"}), ("Edit", {"path": "a", "old_string": "a", "new_string": "b"})),
        calls(("Write", {"path": "new", "content": "1\n"}), ("Grep", {"pattern": "b"}), ("Glob", {"pattern": "*"})),
        say("ok"),
    )
    ran = await lab.run()
    assert ran.exit_code == 0
    assert [change["path"] for change in ran.result["files_changed"]] == ["a", "new"]
    assert not trap.exists()


@posix
async def test_pipes_and_folders_in_place_of_files_are_not_waited_for(lab: Lab) -> None:
    git(lab.project, "init", "-q")
    (lab.project / ".kimi-code").mkdir()
    for name in ("AGENTS.md", "README.md", ".kimi-code/config.toml"):
        os.mkfifo(lab.project / name)
    (lab.project / "CLAUDE.md").mkdir()
    lab.server.script(
        calls(
            ("Read", {"path": "README.md"}),
            ("Grep", {"pattern": "x", "path": "README.md"}),
            ("Grep", {"pattern": "x"}),
            ("Glob", {"pattern": "*"}),
            ("Write", {"path": "README.md", "content": "x"}),
            ("Write", {"path": "new", "content": "x\n"}),
        ),
        say("ok"),
    )
    ran = await lab.run()
    assert ran.exit_code == 0
    assert statuses(ran) == ["failed", "failed", "done", "done", "failed", "done"]
    assert [change["path"] for change in ran.result["files_changed"]] == ["new"]
    env = {"KIMI_CODE_DIR": str(lab.data), "HOME": str(lab.data)}
    assert "not trusted" in " ".join(load(None, env, lab.project).warnings)
    with pytest.raises(ConfigError, match="is a pipe"):
        load(None, env, lab.project, trusted=True)


async def test_huge_instructions_are_cut_and_cost_little(lab: Lab) -> None:
    with (lab.project / "AGENTS.md").open("wb") as file:
        file.write(b"Say please.\n")
        file.truncate(1 << 30)
    lab.server.script(say("ok"))
    await lab.run(output_format="text")
    preface = lab.server.requests[0].last["content"]
    assert "Say please." in preface
    assert len(preface) < 40_000


# --- Folders and files --------------------------------------------------------------------------------------------


async def test_the_root_of_the_file_system_is_no_project(lab: Lab) -> None:
    with pytest.raises(UsageError, match="is no project folder"):
        await lab.open(cwd=Path(lab.project.anchor))


async def test_an_empty_repository_is_a_place_to_work_in(lab: Lab) -> None:
    git(lab.project, "init", "-q")
    lab.server.script(call("Write", {"path": "first.txt", "content": "1\n"}), say("ok"))
    ran = await lab.run()
    assert ran.result["files_changed"] == [{"path": "first.txt", "change": "created", "added": 1, "removed": 0}]


@posix
async def test_any_file_name_can_be_found_read_and_changed(lab: Lab) -> None:
    names = ["a b.txt", "new\nline.txt", "汉字 漢字.txt", 'q"uote.txt', "-dash.txt", "tab\t.txt", "emoji 🎉.txt"]
    for name in names:
        (lab.project / name).write_text("hello\n")
    with Path(os.fsdecode(os.fsencode(lab.project) + b"/not unicode \xff.txt")).open("w") as file:
        file.write("hello\n")
    lab.server.script(
        calls(("Glob", {"pattern": "*.txt"}), ("Grep", {"pattern": "hello"})),
        calls(*[("Read", {"path": name}) for name in names]),
        calls(*[("Edit", {"path": name, "old_string": "hello", "new_string": "你好"}) for name in names]),
        say("ok"),
    )
    ran = await lab.run(output_format="jsonl")
    assert ran.exit_code == 0
    assert sorted(change["path"] for change in ran.result["files_changed"]) == sorted(names)
    assert {(lab.project / name).read_text("utf-8") for name in names} == {"你好\n"}


@posix
async def test_links_that_lead_out_are_denied_and_loops_end(lab: Lab) -> None:
    outside = lab.project.parent / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret words\n")
    (lab.project / "out").symlink_to(outside)
    (lab.project / "deep").mkdir()
    (lab.project / "deep" / "up").symlink_to("..")
    (lab.project / "self").symlink_to("self")
    lab.server.script(
        calls(
            ("Read", {"path": "out/secret"}),
            ("Write", {"path": "out/new", "content": "x"}),
            ("Write", {"path": "self", "content": "x"}),
            ("Grep", {"pattern": "secret words"}),
            ("Glob", {"pattern": "**/*"}),
        ),
        say("ok"),
    )
    ran = await lab.run()
    assert statuses(ran) == ["denied", "denied", "failed", "done", "done"]
    assert "secret words" not in "".join(results(lab))
    assert [path.name for path in outside.iterdir()] == ["secret"]


async def test_a_gigabyte_is_refused_or_read_in_part_and_not_counted_as_changed(lab: Lab) -> None:
    for name, head in (("binary", b""), ("text", b"hello\n" * 10_000)):
        with (lab.project / name).open("wb") as file:
            file.write(head)
            file.truncate(1 << 30)
    lab.server.script(
        calls(
            ("Read", {"path": "binary"}),
            ("Edit", {"path": "text", "old_string": "hello", "new_string": "x"}),
            ("Grep", {"pattern": "hello", "mode": "files"}),
            ("Write", {"path": "binary", "content": "x"}),
        ),
        say("ok"),
    )
    ran = await lab.run()
    assert ran.exit_code == 0
    assert statuses(ran)[:2] == ["failed", "failed"]
    assert statuses(ran)[3] == "failed"
    assert ran.result["files_changed"] == []


async def test_a_working_folder_that_disappears_is_told_to_the_model(lab: Lab) -> None:
    lab.configure(permission_mode="yolo")

    def remove(_: Received) -> Reply:
        shutil.rmtree(lab.project)
        return calls(
            *(("Bash", {"command": "ls"}), ("Read", {"path": "a"}), ("Grep", {"pattern": "x"})),
            ("Glob", {"pattern": "*"}),
        )

    lab.server.script(remove, say("It is gone."))
    ran = await lab.run()
    assert (ran.exit_code, ran.result["text"]) == (0, "It is gone.")
    assert statuses(ran)[:2] == ["failed", "failed"]


# --- Where sessions are kept --------------------------------------------------------------------------------------


async def test_a_data_folder_that_is_a_file_is_a_configuration_error_and_no_session_works(lab: Lab) -> None:
    lab.data.write_text("in the way")
    ran = await lab.run()
    assert ran.exit_code == 2
    assert "KIMI_CODE_DIR" in ran.result["error"]
    lab.server.script(call("Write", {"path": "a", "content": "1\n"}), say("ok"))
    assert (await lab.run(keep=False)).exit_code == 0


async def test_a_run_that_keeps_no_session_leaves_nothing_behind(lab: Lab) -> None:
    lab.configure(permission_mode="yolo")
    lab.server.script(call("Bash", {"command": "seq 100000"}), say("ok"))
    assert (await lab.run(keep=False)).exit_code == 0
    assert "everything is in" in results(lab)[0]
    assert not list((lab.data / "sessions").iterdir())


async def test_an_interruption_after_the_last_answer_loses_neither_answer_nor_changes(lab: Lab) -> None:
    lab.server.script(call("Write", {"path": "a", "content": "1\n"}), say("Written."))

    def interrupt_at_the_end(session: Session) -> None:
        def listen(record: Record) -> None:
            if isinstance(record.event, StepEnded) and record.event.step == 2:
                session.interrupt()

        session.subscribe(listen)

    ran = await lab.run(meanwhile=interrupt_at_the_end)
    (ended,) = ran.events(TurnEnded)
    assert (ended.outcome, ended.text) == (Outcome.DONE, "Written.")
    assert ran.result["files_changed"] == [{"path": "a", "change": "created", "added": 1, "removed": 0}]


async def test_a_session_cannot_be_opened_twice_at_once(lab: Lab) -> None:
    lab.server.script(say("one"))
    first = await lab.run()
    opened = await lab.open(resume=first.result["session_id"])
    with pytest.raises(UsageError, match="open in another process"):
        await lab.open(continue_last=True)
    await opened.session.close()
    again = await lab.open(continue_last=True)
    await again.session.close()


# --- Disks --------------------------------------------------------------------------------------------------------


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Any]:
    """`mount(folder, options)` puts a memory disk there."""
    program = shutil.which("mount")
    if program is None or not hasattr(os, "getuid") or os.getuid() != 0:
        pytest.skip("NOT TESTED HERE: mounting a full disk needs root")
    mounted: list[Path] = []

    def put(folder: Path, options: str) -> None:
        folder.mkdir(exist_ok=True)
        done = subprocess.run(
            [program, "-t", "tmpfs", "-o", options, "none", str(folder)], capture_output=True, check=False
        )
        if done.returncode != 0:
            pytest.skip(f"NOT TESTED HERE: {done.stderr.decode()}")
        mounted.append(folder)

    yield put
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)


async def test_a_full_disk_under_the_sessions_stops_the_work_and_keeps_what_was_written(lab: Lab, mount: Any) -> None:
    mount(lab.data, "size=128k")
    lab.server.script(*[call("Write", {"path": f"f{n}", "content": "y" * 50_000}) for n in range(1)])
    ran = await lab.run(output_format="jsonl")
    assert ran.exit_code == 1
    assert "No space left" in ran.result["error"]
    assert ran.result["files_changed"] == [{"path": "f0", "change": "created", "added": 1, "removed": 0}]
    assert (lab.project / "f0").stat().st_size == 50_000
    lab.server.script(say("ok"))
    assert (await lab.run(keep=False)).exit_code == 0


async def test_a_full_or_read_only_project_is_told_to_the_model(lab: Lab, mount: Any) -> None:
    mount(lab.project, "size=64k")
    lab.server.script(
        calls(*[("Write", {"path": "a", "content": content}) for content in ("small\n", "y" * 100_000)]), say("ok")
    )
    ran = await lab.run()
    assert statuses(ran) == ["done", "failed"]
    assert "No space left on device. The file is as it was." in results(lab)[1]
    assert [path.name for path in lab.project.iterdir()] == ["a"]
    assert (lab.project / "a").read_text() == "small\n"
    mount(lab.project, "ro")
    lab.server.script(call("Write", {"path": "b", "content": "x"}), say("ok"))
    ran = await lab.run()
    assert statuses(ran) == ["failed"]
    assert "Read-only file system" in results(lab)[0]
