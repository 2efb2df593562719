"""A swarm from the orchestrator's call to the user's tree, against a server that plays everybody."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from kimi_code.events import (
    AgentFinished,
    AgentSpawned,
    AgentWaiting,
    SwarmEnded,
    SwarmPlanned,
    TaskState,
    TaskStateChanged,
)
from kimi_code.headless.run import TurnDiff
from tests.harness import Lab, Ran
from tests.server import Received, Reply, call, calls, error, say
from tests.swarm_world import Cast, bash, git, make_project, state, swarm, swarm_result, task, who, words, write


def moves(ran: Ran, id: str) -> list[TaskState]:
    return [move.state for move in ran.events(TaskStateChanged) if move.task_id == id]


@pytest.fixture
def project(lab: Lab) -> Path:
    make_project(lab.project, {"a.txt": "a\n", "b.txt": "b\n", "shared.txt": "one\ntwo\nthree\n"})
    (lab.project / "a.txt").write_text("a, dirty\n")
    (lab.project / "mine.txt").write_text("untracked\n")
    lab.configure(permission_mode="yolo", retry_wait=0.001)
    return lab.project


async def test_two_tasks_are_done_apart_merged_and_applied_as_one_change(lab: Lab, project: Path) -> None:
    before = {name: sha for name, sha in state(project).items() if name not in ("a.txt", "b.txt")}
    cast = Cast(
        lab,
        {
            "": [swarm(task("a", scope=["a.txt"]), task("b", scope=["b.txt"])), say("Both are better.")],
            "a": [write("a.txt", "better a\n"), say("a is better")],
            "b": [write("b.txt", "better b\n"), say("b is better")],
        },
    )
    ran = await lab.run()
    assert ran.exit_code == 0, ran.stderr
    assert (project / "a.txt").read_text() == "better a\n"
    assert (project / "b.txt").read_text() == "better b\n"
    assert {name: sha for name, sha in state(project).items() if name not in ("a.txt", "b.txt")} == before
    assert cast.left == {}
    assert [end.outcome for end in ran.events(SwarmEnded)] == ["done"]
    assert moves(ran, "a")[-1] is moves(ran, "b")[-1] is TaskState.MERGED
    assert len(ran.events(AgentSpawned)) == len(ran.events(AgentFinished)) == 2
    assert len(ran.events(SwarmPlanned)) == 1
    assert ran.result["review"]["status"] == "applied"
    assert [change["path"] for change in ran.result["files_changed"]] == ["a.txt", "b.txt"]
    assert "a is better" in cast.told[""]
    assert "a, dirty" in cast.told["a"]


async def test_without_yes_the_change_is_shown_and_the_tree_is_as_before(lab: Lab, project: Path) -> None:
    lab.configure(permission_mode="auto")
    before = state(project)
    Cast(lab, {"": [swarm(task("a")), say("Done.")], "a": [write("a.txt", "better\n"), say("ok")]})
    ran = await lab.run(output_format="text")
    assert ran.exit_code == 0, ran.stderr
    assert state(project) == before
    git(project, "apply", "--check", input=ran.stdout.encode())


async def test_apply_hands_a_swarms_change_over_without_yes(lab: Lab, project: Path) -> None:
    lab.configure(permission_mode="auto")
    Cast(lab, {"": [swarm(task("a")), say("Done.")], "a": [write("a.txt", "better\n"), say("ok")]})
    ran = await lab.run(diff=TurnDiff(apply=True))
    assert (ran.exit_code, (project / "a.txt").read_text()) == (0, "better\n")


async def test_a_task_starts_from_the_merged_results_of_those_it_needs_and_of_no_others(
    lab: Lab, project: Path
) -> None:
    cast = Cast(
        lab,
        {
            "": [swarm(task("a"), task("other"), task("b", needs=["a"])), say("Done.")],
            "a": [write("a.txt", "from a\n"), say("the fixture moved")],
            "other": [call("Write", {"path": "other.txt", "content": "x\n"}), say("ok")],
            "b": [calls(("Read", {"path": "a.txt"}), ("Glob", {"pattern": "*.txt"})), write("b.txt", "b\n"), say("ok")],
        },
    )
    assert (await lab.run()).exit_code == 0
    assert "from a" in cast.told["b"]
    assert "the fixture moved" in cast.told["b"]
    assert "other.txt" not in cast.told["b"]


async def test_a_check_that_fails_is_told_to_the_same_agent_which_mends_it(lab: Lab, project: Path) -> None:
    check = "grep -q good a.txt"
    cast = Cast(
        lab,
        {
            "": [swarm(task("a", check=check)), say("Done.")],
            "a": [write("a.txt", "bad\n"), say("All tests pass."), write("a.txt", "good\n"), say("Now it is.")],
        },
    )
    ran = await lab.run()
    assert (ran.exit_code, (project / "a.txt").read_text()) == (0, "good\n")
    assert f"`{check}` failed with exit code 1" in cast.told["a"]
    assert "All tests pass." in cast.told["a"]
    assert moves(ran, "a").count(TaskState.CHECKING) == 2


async def test_a_child_that_lies_is_never_merged_and_the_run_ends_in_part(lab: Lab, project: Path) -> None:
    cast = Cast(
        lab,
        {
            "": [swarm(task("a", check="false"), task("b")), say("All done!")],
            "a": [write("a.txt", "1\n"), say("Done."), say("Really done.")],
            "a~3": [write("a.txt", "3\n"), say("Done, trust me.")],
            "b": [write("b.txt", "better\n"), say("ok")],
        },
    )
    ran = await lab.run()
    assert (ran.exit_code, ran.result["status"]) == (6, "partial")
    assert (project / "a.txt").read_text() == "a, dirty\n"
    assert (project / "b.txt").read_text() == "better\n"
    assert moves(ran, "a")[-1] is TaskState.FAILED
    assert max(move.attempt for move in ran.events(TaskStateChanged)) == 3
    assert cast.left == {}


async def test_changes_outside_the_scope_are_listed_not_merged_and_can_be_taken(lab: Lab, project: Path) -> None:
    both = calls(
        ("Read", {"path": "a.txt"}),
        ("Write", {"path": "a.txt", "content": "in\n"}),
        ("Write", {"path": "new.txt", "content": "out\n"}),
    )
    cast = Cast(
        lab,
        {
            "": [swarm(task("a", scope=["a.txt"])), call("SwarmUpdate", {"take": ["a"]}), say("Done.")],
            "a": [both, say("ok")],
        },
    )

    def before_taking(request: Any) -> Reply:
        assert (project / "a.txt").read_text() == "in\n"
        assert not (project / "new.txt").exists()
        assert "new.txt" in str(request.last["content"])
        return call("SwarmUpdate", {"take": ["a"]})

    cast.parts[""][1] = before_taking
    assert (await lab.run()).exit_code == 0
    assert (project / "new.txt").read_text() == "out\n"


async def test_a_conflict_goes_to_an_agent_that_brings_both_sides_together(lab: Lab, project: Path) -> None:
    cast = Cast(
        lab,
        {
            "": [swarm(task("a"), task("b")), say("Done.")],
            "a": [write("shared.txt", "one\nA\nthree\n"), say("ok")],
            "b": [write("shared.txt", "one\nB\nthree\n"), say("ok")],
            "resolver": [write("shared.txt", "one\nA and B\nthree\n"), say("both are in")],
        },
    )
    ran = await lab.run()
    assert (ran.exit_code, (project / "shared.txt").read_text()) == (0, "one\nA and B\nthree\n")
    assert re.search(r"before\n[AB]\n\|+ before both\ntwo\n=+\n[AB]\n>+ to be merged\n", cast.told["resolver"])
    assert "Better a" in cast.told["resolver"]
    assert "Better b" in cast.told["resolver"]


async def test_many_conflicts_at_one_place_are_resolved_one_after_the_other(lab: Lab, project: Path) -> None:
    """As with a change log: the first resolution must stand before the next is asked for, or all but one are lost."""
    many = ("a", "b", "c", "d")
    long = [f"line {number}\n" for number in range(2_000)]
    (project / "LOG").write_text("".join(long))
    gone = [line for line in long if line != "line 1500\n"]

    def both(request: Received) -> Reply:
        said = words(request)
        assert "line 3\n" not in said  # only what does not go together
        block = re.search(r"^<<<<<<< .*?^>>>>>>> to be merged$", said, re.DOTALL | re.MULTILINE)
        assert block is not None
        both = "\n".join(line for line in block[0].splitlines() if line.startswith("by "))
        return calls(
            ("Read", {"path": "LOG", "offset": 1495, "limit": 20}),
            ("Edit", {"path": "LOG", "old_string": block[0], "new_string": both}),
        )

    def edit(by: str) -> Reply:
        change = {"path": "LOG", "old_string": "line 1500\n", "new_string": f"by {by}\n"}
        return calls(("Read", {"path": "LOG"}), ("Edit", change))

    cast = Cast(
        lab,
        {
            "": [swarm(*(task(by) for by in many)), say("Done.")],
            "resolver": [both, say("both are in")] * (len(many) - 1),
            **{by: [edit(by), say("ok")] for by in many},
        },
    )
    ran = await lab.run()
    assert ran.exit_code == 0, ran.result
    lines = (project / "LOG").read_text().splitlines(keepends=True)
    assert sorted(line for line in lines if line.startswith("by ")) == [f"by {by}\n" for by in many]
    assert [line for line in lines if not line.startswith("by ")] == gone
    assert cast.left == {}


async def test_where_that_fails_the_task_is_done_again_on_the_merged_state(lab: Lab, project: Path) -> None:
    def again(request: Any) -> Reply:
        if any(message["role"] == "tool" for message in request.messages):
            return say("ok")
        return write("shared.txt", "one\nboth\nthree\n")

    cast = Cast(
        lab,
        {
            "": [swarm(task("a"), task("b")), say("Done.")],
            "a": [write("shared.txt", "one\nA\nthree\n"), say("ok")],
            "b": [write("shared.txt", "one\nB\nthree\n"), say("ok")],
            "resolver": [say("I cannot.")],
            "a~2": [again, again],
            "b~2": [again, again],
        },
    )
    ran = await lab.run()
    assert (ran.exit_code, (project / "shared.txt").read_text()) == (0, "one\nboth\nthree\n")
    # Whichever came second was done again, and its agent saw what the first had made.
    assert len(cast.left) == 1
    second = "a~2" if "b~2" in cast.left else "b~2"
    assert "shared.txt: contents" in cast.told[second]


async def test_the_culprit_of_a_broken_whole_is_found_and_mends_it(lab: Lab, project: Path) -> None:
    verify = "test ! -e broken.txt || { echo FAILED tests/test_x.py::test_y; exit 1; }"
    cast = Cast(
        lab,
        {
            "": [swarm(task("a"), task("b"), task("c"), verify=verify), say("Done.")],
            "a": [write("a.txt", "better\n"), say("ok")],
            "b": [call("Write", {"path": "broken.txt", "content": "x\n"}), say("ok")],
            "c": [call("Write", {"path": "c.txt", "content": "c\n"}), say("ok")],
            "b~2": [bash("rm broken.txt && echo fine > fixed.txt"), say("mended")],
        },
    )
    ran = await lab.run()
    assert ran.exit_code == 0, ran.result
    assert cast.left == {}
    assert "FAILED tests/test_x.py::test_y" in cast.told["b~2"]
    assert not (project / "broken.txt").exists()
    assert (project / "fixed.txt").read_text() == "fine\n"
    assert (project / "c.txt").exists()


async def test_a_plan_that_cannot_be_run_costs_no_token_and_names_the_task(lab: Lab, project: Path) -> None:
    cast = Cast(lab, {"": [swarm(task("a", needs=["b"]), task("b", needs=["a"])), say("I see.")]})
    assert (await lab.run()).exit_code == 0
    assert cast.asked == ["", ""]
    assert "needs itself in the end" in cast.told[""]


async def test_overlapping_scopes_are_warned_of_in_the_result_and_the_swarm_runs(lab: Lab, project: Path) -> None:
    cast = Cast(
        lab,
        {"": [swarm(task("a", scope=["*.txt"]), task("b", scope=["b.txt"])), say("Done.")]},
        default=say("nothing to do"),
    )
    assert (await lab.run()).exit_code == 0
    assert "a and b may change the same files" in json.dumps(swarm_result(cast.told[""])["warnings"])


async def test_a_provider_that_refuses_everything_ends_the_swarm_honestly_and_soon(lab: Lab, project: Path) -> None:
    lab.configure(max_retries=1)
    tasks = [task(f"t{number}") for number in range(6)]
    refusal = error(500, message="it is broken")
    Cast(lab, {"": [swarm(*tasks), say("It failed.")]}, default=refusal)
    ran = await lab.run()
    assert ran.exit_code == 75
    assert {move.state for move in ran.events(TaskStateChanged)} >= {TaskState.STOPPED}


async def test_children_do_not_get_into_the_parents_journal_nor_its_history(lab: Lab, project: Path) -> None:
    Cast(lab, {"": [swarm(task("a")), say("Done."), say("Again.")], "a": [say("child words")]})
    ran = await lab.run()
    folder = lab.data / "sessions" / ran.result["session_id"]
    parents = [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]
    assert {record["agent"] for record in parents} == {"main"}
    assert "child words" in (folder / "agents" / "a" / "records.jsonl").read_text()
    await lab.run("And now?", continue_last=True)
    roles = [message["role"] for message in lab.server.requests[-1].messages]
    assert roles == ["system", "user", "assistant", "tool", "assistant", "user"]


async def test_agents_called_in_one_message_run_at_once_and_report(lab: Lab, project: Path) -> None:
    cast = Cast(
        lab,
        {
            "": [
                calls(("Agent", {"name": "one", "task": "Look at a"}), ("Agent", {"name": "two", "task": "Look at b"})),
                say("Done."),
            ],
            "one": [call("Read", {"path": "a.txt"}), say("a is dirty")],
            "2.two": [call("Write", {"path": "b.txt", "content": "x"}), say("b is clean")],
        },
    )
    ran = await lab.run()
    assert ran.exit_code == 0
    assert cast.left == {}
    assert "a is dirty" in cast.told[""]
    assert "There is no tool 'Write'" in cast.told["2.two"]


async def test_a_swarm_in_the_background_is_waited_for_and_steered(lab: Lab, project: Path) -> None:
    cast = Cast(
        lab,
        {
            "": [
                swarm(task("a"), background=True),
                call("SwarmUpdate", {"add": [task("b", needs=["a"])], "wait": "all"}),
                call("SwarmRead", {"id": "b", "what": "diff"}),
                say("Done."),
            ],
            "a": [write("a.txt", "better\n"), say("ok")],
            "b": [write("b.txt", "better\n"), say("ok")],
        },
    )
    ran = await lab.run()
    assert ran.exit_code == 0, ran.result
    assert (project / "b.txt").read_text() == "better\n"
    assert "+better" in cast.told[""]


async def test_a_note_reaches_those_at_work_and_those_that_begin_later(lab: Lab, project: Path) -> None:
    patterns = iter(range(1000))

    def until_told(request: Any) -> Reply:
        told = "it moved to conftest.py" in words(request)
        return say("I know.") if told else call("Glob", {"pattern": f"*{next(patterns)}"})

    cast = Cast(
        lab,
        {
            "": [swarm(task("a"), task("b"), task("c", needs=["a"])), say("Done.")],
            "a": [call("Note", {"topic": "fixture", "text": "it moved to conftest.py"}), say("ok")],
            "b": [until_told] * 1000,
            "c": [until_told],
        },
    )
    assert (await lab.run()).exit_code == 0
    assert "A note from main/a on fixture" in cast.told["c"]


async def test_a_hundred_agents_at_once_use_their_calls_to_the_last_one_and_all_that_write_are_merged(
    lab: Lab, project: Path
) -> None:
    writers, readers = [f"w{number}" for number in range(25)], [f"r{number}" for number in range(75)]
    tasks = [*map(task, writers), *(task(id, mode="read") for id in readers)]

    def work(request: Any) -> Reply:
        id = who(request)
        if any(message["role"] == "tool" for message in request.messages):
            return say(f"{id} is done")
        return (
            call("Write", {"path": f"made/{id}.txt", "content": id}) if id in writers else call("Glob", {"pattern": id})
        )

    Cast(lab, {"": [swarm(*tasks, budget={"tool_calls": 100}), say("Done.")]}, default=work)
    ran = await lab.run()
    assert ran.exit_code == 0, ran.result
    assert sorted(path.stem for path in (project / "made").iterdir()) == sorted(writers)
    told = str(lab.server.requests[-1].last["content"])
    assert len(told) < 24_000
    assert {each["id"] for each in json.loads(told)["tasks"]} == {*writers, *readers}
    # Nobody was refused: what held requests back, if anything did, was our own slow start.
    (waiting,) = [event.metrics.waiting for event in ran.events(SwarmEnded)]
    assert waiting.rate_limit == 0
    assert {event.cause for event in ran.events(AgentWaiting)} <= {"slow_start", "cpu", ""}


async def test_a_sub_agent_splits_its_task_once_and_its_own_check_sees_the_merged_parts(
    lab: Lab, project: Path
) -> None:
    parts = swarm(task("x", scope=["a.txt"]), task("y", scope=["b.txt"]))
    cast = Cast(
        lab,
        {
            "": [swarm(task("a", check="grep -q x a.txt && grep -q y b.txt")), say("Done.")],
            "a": [parts, bash("cat a.txt b.txt"), say("both parts are in")],
            "a/x": [write("a.txt", "by x\n"), say("x is done")],
            "a/y": [write("b.txt", "by y\n"), say("y is done")],
        },
    )
    ran = await lab.run()
    assert ran.exit_code == 0, ran.result
    assert cast.left == {}
    assert [(project / name).read_text() for name in ("a.txt", "b.txt")] == ["by x\n", "by y\n"]
    assert "by x" in cast.told["a"]
    assert {record.agent for record in ran.records} == {"main", "main/a", "main/a/x", "main/a/y"}
    assert ran.result["usage"]["input"] == 100 * sum(1 for _ in lab.server.requests)
    deep = next(request for request in lab.server.requests if who(request) == "a/x")
    assert {tool["function"]["name"] for tool in deep.body["tools"]} & {"Agent", "Swarm"} == set()
    (told,) = [
        event.metrics for event in ran.events(SwarmEnded) if event.swarm_id.endswith(ran.result["session_id"] + "-1")
    ]
    assert told.total_steps == 7


async def test_who_only_reads_can_have_only_readers(lab: Lab, project: Path) -> None:
    cast = Cast(
        lab,
        {
            "": [swarm(task("a", mode="read", agent="coder")), say("Done.")],
            "a": [swarm(task("x")), swarm(task("x", mode="read")), say("found")],
            "a/x": [call("Read", {"path": "a.txt"}), say("seen")],
        },
    )
    ran = await lab.run()
    assert ran.exit_code == 0, ran.result
    assert cast.left == {}
    assert "give x mode read" in cast.told["a"]


@pytest.mark.parametrize("branch", ["", "swarmed"])
async def test_every_task_gets_a_commit_of_its_own_and_the_users_changes_get_into_none(
    lab: Lab, project: Path, branch: str
) -> None:
    lab.configure(commit=True)
    git(project, "config", "user.name", "Ann")
    git(project, "config", "user.email", "ann@example.org")
    Cast(
        lab,
        {
            "": [
                swarm(task("one", scope=["b.txt", "new.txt"]), task("two", needs=["one"])),
                call("Write", {"path": "last.txt", "content": "by main\n"}),
                say("Done."),
                say("Write the last file"),
            ],
            "one": [
                calls(*_wrote("b.txt", "b\nby one\n"), ("Write", {"path": "new.txt", "content": "n\n"})),
                say("ok"),
            ],
            "two": [calls(*_wrote("b.txt", "b\nby one\nby two\n")), say("ok")],
        },
    )
    ran = await lab.run(branch=branch)
    assert ran.exit_code == 0, ran.result
    log = git(project, "log", "--format=%s", "--name-only", branch or "main").decode().split("\n")
    said = [line for line in log if line]
    assert said[:-1] == [
        "Write the last file",
        "last.txt",
        "two: Better two",
        "b.txt",
        "one: Better one",
        "b.txt",
        "new.txt",
        "First",
        "a.txt",
        "b.txt",
    ]
    assert (project / "a.txt").read_text() == "a, dirty\n"
    assert git(project, "show", f"{branch or 'main'}:a.txt") == b"a\n"
    assert (project / "b.txt").read_text() == "b\nby one\nby two\n"


def _wrote(path: str, content: str) -> tuple[tuple[str, dict[str, str]], ...]:
    return ("Read", {"path": path}), ("Write", {"path": path, "content": content})


async def test_one_agent_that_the_provider_fails_is_enough_to_give_up_when_it_is_alone(lab: Lab, project: Path) -> None:
    lab.configure(max_retries=1)
    cast = Cast(lab, {"": [swarm(task("a")), say("It failed.")]}, default=error(500, message="it is broken"))
    ran = await lab.run()
    assert ran.exit_code == 75
    assert cast.asked.count("a") == 2
    assert "several times" in swarm_result(cast.told[""])["tasks"][0]["reason"]
