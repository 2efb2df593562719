"""`kimi-code swarm` as a process: plans from files, kills in the middle, going on."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.program import Program, finish, make_program
from tests.server import FakeServer, Received, Reply, call, calls, hang, say
from tests.swarm_world import git, make_project, who, words

PLAN = """
goal: Make them better
tasks:
  - {id: a, task: Better a, scope: [a.txt], check: grep -q better a.txt}
  - {id: b, task: Better b, scope: [b.txt]}
  - {id: c, task: Better c, needs: [a, b]}
"""


class Stage:
    """Everybody writes their file and is done; who is in `hanging` never gets an answer to the step of that number."""

    def __init__(self, server: FakeServer) -> None:
        self.asked: list[str] = []
        self.hanging: dict[str, int] = {}
        self.said: dict[str, list[str]] = {}
        server.always(self.reply)

    def reply(self, request: Received) -> Reply:
        name = who(request)
        self.asked.append(name)
        self.said.setdefault(name, []).append(words(request))
        answers = sum(message["role"] == "assistant" for message in request.messages)
        if self.hanging.get(name) == answers:
            return hang()
        if not name:
            return say("All is done.")
        path = f"{name}.txt"
        if answers == 0:
            return calls(("Read", {"path": path}), ("Write", {"path": path, "content": f"better {name}\n"}))
        return say(f"{name} is better")


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    with FakeServer() as server:
        made = make_program(server, tmp_path)
        make_project(made.project, {"a.txt": "a\n", "b.txt": "b\n"})
        (made.project / "plan.yaml").write_text(PLAN)
        yield made


def killed(program: Program, requests: int, *args: str) -> None:
    """Start it, and kill it without a word once so many requests have come."""
    process = program.start(*args, stdout=subprocess.DEVNULL)
    try:
        program.server.wait_for_requests(requests)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    program.server.wait_for_disconnects()


def test_a_plan_from_a_file_is_run_as_it_is_and_the_model_has_the_last_word(program: Program) -> None:
    stage = Stage(program.server)
    done = program.run("swarm", "run", "--plan", "plan.yaml", "-y", "--output-format", "json", fresh=True)
    assert done.code == 0, done.stderr
    assert done.result["text"] == "All is done."
    assert [(program.project / f"{name}.txt").read_text() for name in "abc"] == [f"better {name}\n" for name in "abc"]
    assert stage.asked.count("") == 1
    assert "a is better" in stage.said[""][0]
    listed = json.loads(program.run("swarm", "status", "--json").stdout)
    assert [(one["state"], one["tasks"]) for one in listed] == [("done", dict.fromkeys("abc", "merged"))]


def test_killed_in_the_middle_and_pruned_of_checkpoints_it_goes_on_and_nothing_is_done_twice(program: Program) -> None:
    stage = Stage(program.server)
    stage.hanging = {"c": 1}  # a and b are merged, c has written its file, which was not taken yet
    killed(program, 6, "swarm", "run", "--plan", "plan.yaml", "-y")
    assert not (program.project / "c.txt").exists()
    assert (program.project / "a.txt").read_text() == "a\n"
    assert json.loads(program.run("swarm", "status", "--json").stdout)[0]["state"] == "unfinished"
    # What it made outlives the checkpoints.
    assert program.run("checkpoints", "prune", "--all").code == 0
    stage.hanging = {}
    before = len(stage.asked)
    done = program.run("swarm", "resume", "-y", "--output-format", "json")
    assert done.code == 0, done.stderr
    assert set(stage.asked[before:]) == {"c", ""}
    assert (program.project / "a.txt").read_text() == "better a\n"
    assert (program.project / "b.txt").read_text() == "better b\n"
    assert program.run("swarm", "resume", "-y").code == 2


def test_what_sub_agents_of_a_killed_turn_spent_counts_once_in_the_sessions_budget(program: Program) -> None:
    stage = Stage(program.server)
    stage.hanging = {"c": 1}  # two steps of a, two of b, one of c have ended; none of the session's own
    killed(program, 6, "swarm", "run", "--plan", "plan.yaml", "-y")
    stage.hanging = {}
    limit = ("--output-format", "json", "--max-session-tokens")
    over = program.run("-p", "go on", "-c", *limit, "550")
    assert (over.code, "550 of 550 tokens" in over.result["error"]) == (4, True)  # 110 a step
    again = program.run("-p", "go on", "-c", *limit, "551")
    assert again.code == 0, again.result


def test_killed_at_any_request_again_and_again_it_comes_to_the_same_end(program: Program) -> None:
    Stage(program.server)
    killed(program, 1, "swarm", "run", "--plan", "plan.yaml", "-y")
    (program.project / "mine.txt").write_text("made meanwhile\n")
    # That was an agent's first; and the one after it has written.
    killed(program, len(program.server.requests) + 3, "swarm", "resume", "-y")
    done = program.run("swarm", "resume", "-y", "--output-format", "json")
    assert done.code == 0, done.stderr
    assert [(program.project / f"{name}.txt").read_text() for name in "ab"] == ["better a\n", "better b\n"]
    assert (program.project / "mine.txt").read_text() == "made meanwhile\n"
    assert git(program.project, "status", "--porcelain", "--untracked-files=no").split() == [
        b"M",
        b"a.txt",
        b"M",
        b"b.txt",
    ]


def test_a_swarm_that_hangs_is_cancelled_from_outside_and_what_is_merged_is_kept(program: Program) -> None:
    stage = Stage(program.server)
    stage.hanging = {"b": 0}
    process = program.start("swarm", "run", "--plan", "plan.yaml", "-y", "--output-format", "json")
    program.server.wait_for_requests(3)
    (listed,) = json.loads(program.run("swarm", "status", "--json").stdout)
    assert "was asked" in program.run("swarm", "cancel", listed["id"]).stdout
    done = finish(process)
    assert (done.code, done.result["status"]) == (6, "partial")
    assert (program.project / "a.txt").read_text() == "better a\n"
    assert (program.project / "b.txt").read_text() == "b\n"


def test_a_goal_is_given_to_the_model_which_makes_the_plan(program: Program) -> None:
    def plan(request: Received) -> Reply:
        assert "serial is better" in str(request.last["content"])
        return call("Swarm", {"goal": "g", "tasks": [{"id": "a", "task": "Better a"}]})

    stage = Stage(program.server)
    program.server.script(plan)
    done = program.run("swarm", "run", "Make a better", "-y", "--output-format", "jsonl")
    assert done.code == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {line["agent"] for line in lines if "agent" in line} == {"main", "main/a"}
    assert {line["type"] for line in lines} >= {"swarm_planned", "agent_spawned", "task_state_changed", "swarm_ended"}
    assert stage.asked.count("a") == 2


def test_what_cannot_be_run_is_said_before_anything_begins(program: Program) -> None:
    (program.project / "cycle.yaml").write_text(
        "goal: g\ntasks: [{id: a, task: x, needs: [b]}, {id: b, task: y, needs: [a]}]"
    )
    for args, told in (
        ((), "Give a goal, or a plan"),
        (("x", "--plan", "plan.yaml"), "Give a goal, or a plan"),
        (("--plan", "nowhere.yaml"), "nowhere.yaml cannot be read"),
        (("--plan", "cycle.yaml"), "needs itself in the end"),
    ):
        done = program.run("swarm", "run", *args)
        assert (done.code, told in done.stderr) == (2, True), done.stderr
    assert program.server.requests == []


def test_a_plan_that_was_run_before_the_first_step_can_be_committed_by_task_and_undone(program: Program) -> None:
    Stage(program.server)
    git(program.project, "config", "user.name", "Ann")
    git(program.project, "config", "user.email", "ann@example.org")
    done = program.run("swarm", "run", "--plan", "plan.yaml", "-y", "--commit", "--branch", "made")
    assert done.code == 0, done.stderr
    subjects = git(program.project, "log", "--format=%s", "made").decode().splitlines()
    assert sorted(subjects) == ["First", "a: Better a", "b: Better b", "c: Better c"]
    assert git(program.project, "log", "--format=%s", "main").decode().splitlines() == ["First"]
    assert program.run("undo").code == 0
    assert (program.project / "a.txt").read_text() == "a\n"
    assert not (program.project / "c.txt").exists()


def test_an_interrupted_swarm_is_cancelled_then_reported_as_numbers_pictures_and_an_episode(program: Program) -> None:
    stage = Stage(program.server)
    stage.hanging = {"c": 1}
    killed(program, 6, "swarm", "run", "--plan", "plan.yaml", "-y")
    (listed,) = json.loads(program.run("swarm", "status", "--json").stdout)
    assert (listed["state"], listed["tasks"]) == ("unfinished", {"a": "merged", "b": "merged", "c": "running"})
    assert "Cancelled 1 task of" in program.run("swarm", "cancel", listed["id"]).stdout
    again = program.run("swarm", "cancel", listed["id"])
    assert (again.code, "nothing to cancel" in again.stderr) == (2, True)
    pictures = ("--svg", "t.svg", "--html", "t.html", "--rollout", "t.jsonl", "--json")
    report = json.loads(program.run("swarm", "report", listed["id"][:6], *pictures).stdout)
    metrics = report["metrics"]
    assert (metrics["tasks"], metrics["started"], metrics["finished"], metrics["useful"]) == (3, 3, 2, 2)
    # Two steps of one of a and b, which are a stage of their own, and the one that c made.
    assert (metrics["total_steps"], metrics["critical_steps"]) == (5, 3)
    assert "<svg" in (program.project / "t.svg").read_text()
    assert "<html" in (program.project / "t.html").read_text()
    episode = [json.loads(line) for line in (program.project / "t.jsonl").read_text().splitlines()]
    reward = episode[-1]
    assert [line["task"] for line in episode if line["type"] == "child"] == ["a", "b", "c"]
    # The makers' r = l1 * r_parallel + l2 * r_finish + r_perf in the first episode.
    assert reward["parallel"] == 1 - 3 / 5
    assert (round(reward["finish"], 3), reward["success"], reward["perf"]) == (0.667, False, 0)
    total = reward["weight_parallel"] * reward["parallel"] + reward["weight_finish"] * reward["finish"]
    assert reward["total"] == total
    assert (program.project / "a.txt").read_text() == "a\n"
