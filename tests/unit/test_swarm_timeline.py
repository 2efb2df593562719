"""The timeline: what the end hung on, what waited, and pictures that no text can break."""

from xml.etree import ElementTree

from hypothesis import given

from kimi_code.events import TaskState
from kimi_code.swarm.metrics import course
from kimi_code.swarm.plan import Plan, Task
from kimi_code.swarm.states import Ended, Entry, Planned, Waited
from kimi_code.swarm.timeline import Bar, critical_path, html, lines, svg, timeline
from tests.costly import costly
from tests.unit.test_swarm_metrics import journal, planned, ran
from tests.unit.test_swarm_states import runs

DIAMOND = journal(
    planned(a="", b="a", c="a", d="b c"),
    ran("a", 0, 10),
    ran("b", 10, 30),
    ran("c", 10, 20, to="failed"),
    Waited(116.0, "b", "rate_limit", 4.0),
    Ended(140.0),
)


def test_the_critical_path_goes_back_from_what_was_over_last() -> None:
    entries = journal(
        planned(a="", b="a", c="a", d="b c"), ran("a", 0, 10), ran("b", 10, 30), ran("c", 10, 20), ran("d", 30, 40)
    )
    assert critical_path(course(entries)) == ["a", "b", "d"]


def test_who_waited_for_a_place_hangs_on_the_task_that_made_one() -> None:
    entries = journal(planned(a="", b="", c=""), ran("a", 0, 5), ran("b", 0, 10), ran("c", 5, 20))
    assert critical_path(course(entries)) == ["a", "c"]


def test_waiting_cuts_the_bar_it_is_in() -> None:
    rows = {row.task: row for row in timeline(DIAMOND).rows}
    assert rows["b"].bars == (Bar(10, 12, "work"), Bar(12, 16, "wait", "rate_limit"), Bar(16, 30, "work"))
    assert (rows["b"].critical, rows["b"].merged) == (True, 30)
    assert (rows["d"].state, rows["d"].bars) == (TaskState.BLOCKED, ())


def test_who_waits_for_a_lock_is_shown_to_wait_and_not_to_be_without_a_place() -> None:
    held = Waited(110.0, "b", "lock", 8.0)
    rows = {r.task: r for r in timeline(journal(planned(a="", b=""), ran("a", 0, 10), held, ran("b", 10, 12))).rows}
    assert rows["b"].bars[:2] == (Bar(0, 2, "queue"), Bar(2, 10, "wait", "lock"))


def test_the_picture_as_text() -> None:
    assert lines(timeline(DIAMOND), 46)[:6] == [
        "s · goal",
        "a ██████████│",
        "b           ██░░░░███████████████│",
        "c           ▒▒▒▒▒▒▒▒▒▒▒ failed",
        "d  blocked",
        "  0                                     40 s",
    ]
    assert lines(timeline(DIAMOND), 49, ascii_only=True)[:3] == [
        "s - goal",
        "a ###########|",
        "b            ##~~~~~###############|",
    ]


def test_the_pictures_are_well_formed_whatever_the_words_say() -> None:
    evil = '</text></svg><script>alert(1)</script>&"\x1b\x00\ud800'
    made = timeline([Planned(100.0, "s", Plan(evil, (Task("a", evil),))), *ran("a", 0, 5), Ended(109.0)])
    root = ElementTree.fromstring(svg(made))
    assert not [element for element in root.iter() if element.tag.endswith("script")]
    assert "<script" not in html(made)


@costly
@given(runs())
def test_any_run_can_be_drawn(entries: list[Entry]) -> None:
    made = timeline(entries)
    ElementTree.fromstring(svg(made))
    drawn = lines(made, 60)
    assert len(drawn) >= len(made.rows) + 3
    assert all(len(line) <= 60 + len(" cancelled") for line in drawn[1 : len(made.rows) + 1])
    path = critical_path(course(entries))
    assert len(path) == len(set(path))
