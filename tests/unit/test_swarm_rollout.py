"""Rollouts: every line is JSON, the terms of the reward are as defined and anneal to the result alone."""

import json
from math import isclose
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_code.errors import UsageError
from kimi_code.events import MessageCompleted, Record, SwarmMetrics
from kimi_code.messages import Message, ToolCall
from kimi_code.swarm.rollout import Annealing, reward, rollout
from kimi_code.swarm.states import Check, Effort, Entry, Reported, Result, Spent, Verified
from tests.costly import costly
from tests.unit.test_swarm_metrics import journal, planned, ran
from tests.unit.test_swarm_states import runs

TOLD = SwarmMetrics(tasks=4, started=4, finished=3, total_steps=40, critical_steps=10, finish_rate=0.75)


def test_the_terms_and_their_sum() -> None:
    made = reward(TOLD, Annealing(episode=500, episodes=1000, parallel=0.2, finish=0.4), success=True)
    assert (made.parallel, made.finish, made.quality, made.perf) == (0.75, 0.75, 0.75, 0.75)
    assert (made.weight_parallel, made.weight_finish) == (0.1, 0.2)
    assert isclose(made.total, 0.1 * 0.75 + 0.2 * 0.75 + 0.75)


def test_the_early_form() -> None:
    made = reward(TOLD, Annealing(form="early", parallel=0.1), success=True)
    assert isclose(made.total, 0.1 * 0.75 + 0.9 * 0.75)


@given(st.integers(0, 5000), st.sampled_from(["sum", "early"]), st.booleans())
def test_in_the_end_only_the_result_counts(episode: int, form: Literal["sum", "early"], success: bool) -> None:
    schedule = Annealing(episode=episode, form=form)
    made = reward(TOLD, schedule, success=success)
    if episode >= 1000:
        assert made.total == made.perf
    assert 0 <= made.weight_parallel <= schedule.parallel


def test_a_schedule_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="episodes >= 1"):
        Annealing(episodes=0)


def test_an_episode_tells_the_orchestrators_steps_its_children_and_the_reward() -> None:
    entries = journal(
        planned(a="", b=""),
        ran("a", 0, 10, 4),
        ran("b", 0, 10, 6),
        Spent(100.0, "", Effort(2, 2)),
        Reported(105.0, "a", Result("did a \ud800", check=Check("pytest", 0))),
        Verified(111.0, Check("make", 1)),
    )
    messages = [
        Message("user", "port them"),
        Message("assistant", "", thought="hm", tool_calls=(ToolCall("c1", "Swarm", "{}"),)),
        Message("tool", "digest", call_id="c1"),
        Message("assistant", "done"),
    ]
    records = [Record(n, "main", 0.0, MessageCompleted(message)) for n, message in enumerate(messages)]
    records.append(Record(9, "main/a", 0.0, MessageCompleted(Message("assistant", "child"))))
    told = [json.loads(line) for line in rollout(entries, records)]
    assert [line["type"] for line in told] == [
        "episode", "prompt", "step", "result", "step", "child", "child", "reward",
    ]  # fmt: skip
    assert told[2]["calls"] == [{"id": "c1", "name": "Swarm", "arguments": "{}"}]
    assert (told[5]["task"], told[5]["effort"]["steps"], told[5]["useful"], told[5]["end"]) == ("a", 4, True, 10)
    assert told[5]["result"]["check"] == {"command": "pytest", "exit_code": 0, "output": "", "seconds": 0.0}
    assert (told[-1]["success"], told[-1]["perf"], told[-1]["metrics"]["critical_steps"]) == (False, 0, 8)


@costly
@given(runs())
def test_any_run_is_an_episode(entries: list[Entry]) -> None:
    told = [json.loads(line) for line in rollout(entries, [])]
    assert [line["type"] for line in told][1:-1] == ["child"] * (len(told) - 2)
    assert all(0 <= told[-1][term] <= 1 for term in ("parallel", "finish", "perf"))
