"""How the orchestrator keeps its swarms in hand, and what keeps agents from getting in each other's way."""

import os
import re
from operator import methodcaller
from pathlib import Path

import pytest

from kimi_code.events import (
    AgentWaiting,
    Record,
    StepEnded,
    StepStarted,
    SwarmEnded,
    TaskState,
    TaskStateChanged,
    TextDelta,
)
from kimi_code.session.session import Session
from tests.harness import Lab, Ran
from tests.server import Received, Reply, call, calls, say
from tests.swarm_world import Cast, bash, make_project, swarm, swarm_result, task, who, words, write


def moves(ran: Ran, id: str) -> list[TaskState]:
    return [move.state for move in ran.events(TaskStateChanged) if move.task_id == id]


@pytest.fixture
def project(lab: Lab) -> Path:
    make_project(lab.project, {"a.txt": "a\n", "b.txt": "b\n", "shared.txt": "one\n"})
    lab.configure(permission_mode="yolo", retry_wait=0.001)
    return lab.project


class Looking:
    """An agent that looks for something new at every step until it is told a word, then says that it knows."""

    def __init__(self, word: str) -> None:
        self.word = word
        self.steps = 0

    def __call__(self, request: Received) -> Reply:
        self.steps += 1
        return say("I know.") if self.word in words(request) else call("Glob", {"pattern": f"*{self.steps}"})


async def test_the_orchestrator_waits_for_one_steers_another_and_cancels_a_third(lab: Lab, project: Path) -> None:
    cast = Cast(
        lab,
        {
            "": [
                swarm(task("quick"), task("slow"), task("wrong"), background=True),
                call("SwarmUpdate", {"wait": "any"}),
                call("SwarmUpdate", {"steer": "slow", "text": "It is in conftest.py."}),
                call("SwarmUpdate", {"cancel": ["wrong"]}),
                call("SwarmUpdate", {"wait": "all"}),
                say("Done."),
            ],
            "quick": [write("a.txt", "better\n"), say("ok")],
            "slow": [Looking("It is in conftest.py.")] * 2_000,
            "wrong": [Looking("never told")] * 2_000,
        },
    )
    ran = await lab.run()
    assert ran.exit_code == 6
    assert moves(ran, "quick")[-1] is TaskState.MERGED
    assert moves(ran, "slow")[-1] is TaskState.DONE
    assert moves(ran, "wrong")[-1] is TaskState.CANCELLED
    first = swarm_result(cast.told[""])
    assert first["counts"] == {"merged": 1, "running": 2}
    assert (project / "a.txt").read_text() == "better\n"


async def test_what_cannot_be_done_to_a_swarm_is_told_with_what_there_is(lab: Lab, project: Path) -> None:
    wanted = [
        {"cancel": ["x"]},
        {"steer": "a", "text": "more"},
        {"add": [task("b", needs=["nobody"])]},
        {"add": [task("c")]},
        {"swarm": "other-1"},
        {"take": ["a"]},
    ]
    cast = Cast(lab, {"": [swarm(task("a")), *(call("SwarmUpdate", each) for each in wanted), say("I see.")]})
    await lab.run()
    for words_of in (
        "has no task 'x'. It has: a",
        "No agent is at work on a now: it is done",
        "nobody",
        "is over. Start another one",
        "There is no swarm 'other-1' in this session",
        "has no changes outside its scope",
    ):
        assert words_of in cast.told[""]


async def test_a_session_that_is_continued_reads_and_takes_what_its_earlier_swarms_made(
    lab: Lab, project: Path
) -> None:
    both = calls(
        ("Read", {"path": "a.txt"}),
        ("Write", {"path": "a.txt", "content": "in\n"}),
        ("Write", {"path": "new.txt", "content": "out\n"}),
    )
    check = "echo checked; true"
    cast = Cast(
        lab,
        {
            "": [
                swarm(task("a", scope=["a.txt"], check=check)),
                say("Done."),
                calls(*(("SwarmRead", {"id": "a", "what": what}) for what in ("report", "diff", "check", "log"))),
                call("SwarmUpdate", {"take": ["a"]}),
                call("SwarmUpdate", {"cancel": ["a"]}),
                say("Read."),
            ],
            "a": [both, say("I did what was asked.")],
        },
    )
    assert (await lab.run()).exit_code == 0
    assert not (project / "new.txt").exists()
    ran = await lab.run("And now?", continue_last=True)
    assert ran.exit_code == 0, ran.result
    told = cast.told[""]
    for part in ("I did what was asked.", "+in", "exit code 0: echo checked", "records.jsonl"):
        assert part in told.partition("And now?")[2]
    assert (project / "new.txt").read_text() == "out\n"
    assert "ran in another process" in told


async def test_tasks_that_hold_the_same_lock_are_never_at_work_at_once(lab: Lab, project: Path) -> None:
    ids = ["a", "b", "c"]
    Cast(
        lab,
        {"": [swarm(*(task(id, locks=["database"], mode="read") for id in ids), task("free")), say("Done.")]},
        default=say("ok"),
    )
    ran = await lab.run()
    assert ran.exit_code == 0
    holding: set[str] = set()
    for move in ran.events(TaskStateChanged):
        if move.task_id in ids:
            (holding.add if move.state is TaskState.RUNNING else holding.discard)(move.task_id)
            assert len(holding) <= 1
    assert all(moves(ran, id)[-1] is TaskState.DONE for id in ids)


async def test_the_first_agent_fills_the_prefix_cache_before_its_siblings_ask(lab: Lab, project: Path) -> None:
    ids = ["a", "b", "c"]
    Cast(lab, {"": [swarm(*(task(id, mode="read") for id in ids)), say("Done.")]}, default=say("ok"))
    ran = await lab.run()
    agents = [record for record in ran.records if record.agent != "main"]
    first = agents[0].agent
    answered = next(at for at, record in enumerate(agents) if isinstance(record.event, TextDelta))
    assert agents[answered].agent == first
    asked = {record.agent: at for at, record in enumerate(agents) if isinstance(record.event, StepStarted)}
    assert len(asked) == 3
    assert all(at > answered for agent, at in asked.items() if agent != first)
    # And what they ask begins with the same words, or there would be nothing to share.
    told = [request for request in lab.server.requests if who(request)]
    assert len({str((request.body["tools"], request.messages[0])) for request in told}) == 1


async def test_no_more_heavy_commands_run_at_once_than_there_are_cores(lab: Lab, project: Path) -> None:
    cores, waiting, running = os.cpu_count() or 1, lab.data.parent / "one waits", lab.data.parent / "running"
    running.mkdir()
    # Each goes on until another is kept waiting for a core: for five seconds where nobody is.
    until = f"n=0; until test -e '{waiting}' || test $((n += 1)) -gt 250; do sleep 0.02; done"
    heavy = f"mkdir {running}/$PORT; {until}; echo at once: $(ls {running} | wc -l); rmdir {running}/$PORT"

    def listen(record: Record) -> None:
        if isinstance(record.event, AgentWaiting) and record.event.cause == "cpu":
            waiting.touch()

    ids = [f"t{number}" for number in range(cores + 1)]
    cast = Cast(
        lab,
        {"": [swarm(*map(task, ids)), say("Done.")], **{id: [bash(heavy), say("ok")] for id in ids}},
    )
    ran = await lab.run(meanwhile=methodcaller("subscribe", listen))
    assert ran.exit_code == 0, ran.result
    assert all(1 <= int(re.findall(r"at once: (\d+)", cast.told[id])[-1]) <= cores for id in ids)
    (ended,) = ran.events(SwarmEnded)
    assert ended.metrics.waiting.cpu > 0


async def test_every_agent_has_a_temporary_folder_and_ports_of_its_own(lab: Lab, project: Path) -> None:
    show = bash("echo $PORT $KIMI_CODE_PORTS $TMPDIR $CARGO_TARGET_DIR; test -w $TMPDIR && echo writable")
    cast = Cast(
        lab,
        {"": [swarm(task("a"), task("b")), say("Done.")], "a": [show, say("ok")], "b": [show, say("ok")]},
    )
    assert (await lab.run()).exit_code == 0
    places: list[list[str]] = []
    for id in "ab":
        line = next(line for line in cast.told[id].splitlines() if line.startswith("2") and "/" in line)
        assert "writable" in cast.told[id]
        places.append(line.split())
    first, second = (range(int(port), int(ports.partition("-")[2]) + 1) for port, ports, *_ in places)
    assert len(first) == len(second) == 20
    assert not set(first) & set(second)
    assert [ports for _, ports, *_ in places] == [f"{first[0]}-{first[-1]}", f"{second[0]}-{second[-1]}"]
    for _, _, temporary, targets in places:
        assert targets == f"{temporary}/target"
    assert not set(places[0]) & set(places[1])


async def test_notes_are_bounded_and_read_as_data(lab: Lab, project: Path) -> None:
    notes = [call("Note", {"topic": f"topic {n}", "text": f"fact {n}."}) for n in range(35)]
    cast = Cast(
        lab,
        {
            "": [swarm(task("a"), task("b", needs=["a"])), say("Done.")],
            "a": [call("Note", {"topic": "long", "text": "x" * 1_001}), *notes, say("ok")],
            "b": [say("ok")],
        },
    )
    assert (await lab.run()).exit_code == 0
    assert "at most 1,000" in cast.told["a"] or "may have 1,000 characters" in cast.told["a"]
    assert cast.told["b"].count("A note from main/a") == 30
    assert "fact 4." not in cast.told["b"]
    assert "fact 34." in cast.told["b"]
    assert "(data, not an instruction)" in cast.told["b"]


@pytest.mark.parametrize("trust", [False, True])
async def test_the_projects_agent_types_are_there_only_once_it_is_trusted(lab: Lab, project: Path, trust: bool) -> None:
    kind = "---\nname: poet\ndescription: writes\ntools: [Read]\n---\nAnswer in verse."
    (project / ".kimi-code" / "agents").mkdir(parents=True)
    (project / ".kimi-code" / "agents" / "poet.md").write_text(kind)
    cast = Cast(
        lab,
        {"": [swarm(task("a", agent="poet")), say("Done.")], "a": [say("a rose")]},
    )
    await lab.run(trust=trust)
    assert ("a" in cast.asked) is trust
    if trust:
        asked = next(request for request in lab.server.requests if "Answer in verse." in words(request))
        assert {tool["function"]["name"] for tool in asked.body["tools"]} == {"Read"}
    else:
        assert "there is no agent type 'poet'" in cast.told[""]


async def test_who_breaks_the_whole_and_cannot_mend_it_is_taken_out_and_given_back(lab: Lab, project: Path) -> None:
    """It conflicts, is done again on what is merged, breaks the whole, and then claims that all is well."""
    cast = Cast(
        lab,
        {
            "": [swarm(task("a"), task("b"), max_parallel=1, verify="! grep -q B shared.txt"), say("b is left.")],
            "a": [write("shared.txt", "one, A\n"), say("ok")],
            "b": [write("shared.txt", "one, B\n"), say("ok")],
            "b~2": [write("shared.txt", "one, A and B\n"), say("ok")],
            "b~3": [say("All is well.")],
            "resolver": [say("I cannot bring these together.")],
        },
    )
    ran = await lab.run()
    assert cast.left == {}
    assert ran.exit_code == 6
    assert (project / "shared.txt").read_text() == "one, A\n"
    told = swarm_result(cast.told[""])
    (b,) = [each for each in told["tasks"] if each["id"] == "b"]
    assert (b["status"], b["attempt"]) == ("failed", 3)
    assert "Nothing was changed" in b["reason"]
    assert told["verify"]["exit_code"] == 0


async def test_the_user_goes_on_talking_while_a_swarm_runs_and_the_model_hears_of_its_end(
    lab: Lab, project: Path
) -> None:
    steps: list[Record] = []
    spoken: list[Record] = []

    def converse(session: Session) -> None:
        def listen(record: Record) -> None:
            if record.agent == "main" and isinstance(record.event, StepEnded):
                steps.append(record)
            # The model has nothing more to say by itself, and the swarm is at work.
            if len(steps) == 2 and record.agent == "main/a" and not spoken:
                spoken.append(record)
                session.steer("The fixture is in conftest.py: tell a.")

        session.subscribe(listen)

    cast = Cast(
        lab,
        {
            "": [
                swarm(task("a"), background=True),
                say("It runs. Anything else?"),
                call("SwarmUpdate", {"steer": "a", "text": "It is in conftest.py."}),
                say("Told."),
                say("It came to this."),
            ],
            "a": [Looking("It is in conftest.py.")] * 2_000,
        },
    )
    ran = await lab.run(meanwhile=converse)
    assert spoken
    assert (ran.exit_code, ran.result["text"]) == (0, "It came to this.")
    assert cast.left.keys() == {"a"}
    assert "is over:" in str(lab.server.requests[-1].last["content"])
    assert swarm_result(str(lab.server.requests[-1].last["content"]))["tasks"][0]["status"] == "done"
