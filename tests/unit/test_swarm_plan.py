"""The task graph: what is refused, what is warned of, what goes first; scopes; plans as they are written."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_code.errors import PlanError
from kimi_code.swarm import scope
from kimi_code.swarm.plan import Allowance, Plan, Task, ancestors, by_priority, check, remaining
from kimi_code.swarm.proposal import SwarmProposal, read_plan
from tests.costly import costly


def task(id: str, *needs: str, **more: Any) -> Task:
    return Task(id, f"do {id}", needs=needs, **more)


def plan(*tasks: Task, **more: Any) -> Plan:
    return Plan("port the tests", tasks, **more)


def problems(plan: Plan, **more: Any) -> str:
    with pytest.raises(PlanError) as caught:
        check(plan, **more)
    return "\n".join(caught.value.problems)


@st.composite
def plans(draw: st.DrawFn, most: int = 12) -> Plan:
    """A plan without cycles: each task needs only earlier ones, and the order it is written in says nothing."""
    count = draw(st.integers(1, most))
    tasks = [
        task(f"t{n}", *draw(st.lists(st.sampled_from([f"t{i}" for i in range(n)]), unique=True) if n else st.just([])))
        for n in range(count)
    ]
    return plan(*draw(st.permutations(tasks)))


# --- What is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tasks", "said"),
    [
        ([], "there are no tasks"),
        ([task("a b")], "task 'a b': an id has"),
        ([task("x" * 41)], "an id has 1 to 40"),
        ([task("../a")], "an id has"),
        ([task("a"), Task("a", "other")], "task a: another task has the same id"),
        ([task("a", "a")], "task a: it needs itself"),
        ([task("a", "b")], "task a: it needs 'b', which is no task of this plan"),
        ([Task("a", " \n")], "task a: it does not say what to do"),
        ([Task("a", "x  y"), Task("b", "x y")], "task b: it is the same as a"),
        ([task("a", scope=("/etc/**",))], "task a: the scope '/etc/**' must be relative"),
        ([task("a", scope=("src/../..",))], "must not leave"),
        ([task("a", scope=("",))], "is empty"),
        ([task("a", locks=(" ",))], "task a: a lock has no name"),
        ([task("a", budget=Allowance(tokens=-1))], "task a: the budget's tokens is below zero"),
        ([task("a", "c"), task("b", "a"), task("c", "b"), task("d")], "it needs itself in the end"),
        ([task(f"t{n}") for n in range(101)], "101 tasks are more than 100"),
    ],
)
def test_a_plan_that_cannot_be_run_is_refused_and_the_task_is_named(tasks: list[Task], said: str) -> None:
    assert said in problems(plan(*tasks))


def test_a_cycle_is_told_in_the_order_of_needs() -> None:
    told = problems(plan(task("a", "c"), task("b", "a"), task("c", "b")))
    assert any(f"in the end: {x} needs {y} needs {z} needs {x}." in told for x, y, z in ("acb", "cba", "bac"))


def test_all_that_is_wrong_is_told_at_once() -> None:
    told = problems(Plan("", (task("a", "x"), Task("a", ""))), agents={"coder"})
    assert [line for line in ("the goal is empty", "needs 'x'", "same id", "not say what") if line not in told] == []


def test_unknown_agent_types_are_refused_with_those_there_are() -> None:
    assert "no agent type 'wizard'; there are coder, tester" in problems(
        plan(task("a", agent="wizard")), agents=["tester", "coder"]
    )


def test_a_sub_agent_may_split_its_task_and_its_agents_may_not() -> None:
    assert check(plan(task("a")), depth=2) == ()
    assert "may not split theirs again" in problems(plan(task("a")), depth=3)


# --- What is warned of ----------------------------------------------------------------------------------------------


def test_overlapping_scopes_without_an_order_are_warned_of_with_the_pair() -> None:
    a, b = task("a", scope=("src/**",)), task("b", scope=("docs/", "src/api/*.py"))
    assert check(plan(a, b)) == (
        "a and b may change the same files (src/** and src/api/*.py) with no order between them.",
    )


def test_an_order_between_them_makes_overlapping_scopes_right() -> None:
    a, b, c = task("a", scope=("src",)), task("b", "a", scope=("lib",)), task("c", "b", scope=("src/x.py",))
    assert [warning for warning in check(plan(a, b, c, task("d", mode="read"))) if "same files" in warning] == []


def test_what_only_reads_overlaps_with_nothing() -> None:
    assert check(plan(task("a", mode="read"), task("b", mode="read"), task("c", scope=("x",)))) == ()


def test_many_tasks_on_the_same_files_are_told_together() -> None:
    assert check(plan(*(task(name, scope=(f"{name}.py", "LOG")) for name in "abc"))) == (
        "a, b and c may change the same files (LOG) with no order between them.",
    )
    assert check(plan(*(task(f"t{n}", scope=("src/**",)) for n in range(100)))) == (
        "t0, t1, t2, t3, t4 and 95 more may change the same files (src/**) with no order between them.",
    )


def test_only_so_many_overlaps_are_told() -> None:
    warnings = check(plan(*(task(f"t{n}", scope=(f"src/{'*' * (n + 1)}.py",)) for n in range(30))))
    assert (len(warnings), warnings[-1]) == (21, "415 more scopes overlap.")


def test_writers_without_a_scope_are_named_once() -> None:
    assert check(plan(task("a"), task("b", scope=("x",)))) == (
        "no scope is given for a: that they stay out of each other's files cannot be told beforehand.",
    )


def test_a_chain_is_told_to_be_no_swarm() -> None:
    chain = plan(task("a", scope=("a",)), task("b", "a", scope=("b",)), task("c", "b", scope=("c",)))
    assert check(chain) == (
        "every task needs the one before: this runs one after the other; one agent would do it for less.",
    )


# --- Scopes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "inside", "outside"),
    [
        ("src", ("src", "src/a.py", "src/a/b.py"), ("source/a.py", "lib/src")),
        ("src/", ("src/a.py",), ("a.py",)),
        ("./src/*.py", ("src/a.py",), ("src/a/b.py", "src/a.pyc")),
        ("**/test_*.py", ("test_a.py", "x/y/test_b.py"), ("test_a.txt", "atest_a.py")),
        ("src/**", ("src/a", "src/a/b"), ("src", "src2/a")),
        ("src/**/x.py", ("src/x.py", "src/a/b/x.py"), ("src/ax.py",)),
        ("app/[id]/page.tsx", ("app/[id]/page.tsx", "app/i/page.tsx"), ("app/x/page.tsx",)),
        ("[!a]b", ("cb",), ("ab", "/b")),
        ("[z-a]", ("[z-a]",), ("z",)),
        ("a?.txt", ("ab.txt",), ("a/.txt", "a.txt")),
        ("a[", ("a[", "a[/x"), ("a",)),
    ],
)
def test_what_is_in_a_scope(pattern: str, inside: tuple[str, ...], outside: tuple[str, ...]) -> None:
    assert [path for path in inside if not scope.holds((pattern,), path)] == []
    assert [path for path in outside if scope.holds((pattern,), path)] == []


def test_no_scope_holds_everything() -> None:
    assert scope.holds((), "anything/at/all")


names = st.text("ab*?", min_size=1, max_size=4)
patterns = st.lists(st.one_of(names, st.just("**")), min_size=1, max_size=4).map("/".join)
paths = st.lists(st.text("ab", min_size=1, max_size=3), min_size=1, max_size=4).map("/".join)


@given(patterns, patterns, paths)
def test_scopes_that_share_a_path_overlap(one: str, other: str, path: str) -> None:
    if scope.holds((one,), path) and scope.holds((other,), path):
        assert scope.overlap((one,), (other,)) == (one, other)


@pytest.mark.parametrize(
    ("one", "other"), [("src/*.py", "src/*.js"), ("a/**", "b/**"), ("a/?", "a/??"), ("x[ab]", "xc")]
)
def test_disjoint_scopes_do_not_overlap(one: str, other: str) -> None:
    assert scope.overlap((one,), (other,)) is None


# --- Order ----------------------------------------------------------------------------------------------------------


@costly
@given(plans())
def test_every_task_has_its_place_after_all_that_it_needs(made: Plan) -> None:
    check(made)
    before = ancestors(made)
    order = list(before)
    assert sorted(order) == sorted(task.id for task in made.tasks)
    for task in made.tasks:
        assert set(task.needs) <= before[task.id] <= set(order[: order.index(task.id)])


@costly
@given(plans())
def test_the_longest_remaining_path_goes_first(made: Plan) -> None:
    lengths = remaining(made)
    for task in made.tasks:
        assert all(lengths[need] > lengths[task.id] for need in task.needs)
    order = by_priority(made, [task.id for task in made.tasks])
    assert [lengths[task_id] for task_id in order] == sorted(lengths.values(), reverse=True)


def test_what_is_expected_to_take_long_goes_first_and_ties_go_as_planned() -> None:
    made = plan(task("a"), task("b"), task("c"))
    assert by_priority(made, ["c", "b", "a"]) == ["a", "b", "c"]
    assert by_priority(made, ["a", "b", "c"], {"b": 5.0}) == ["b", "a", "c"]


# --- As it is written -----------------------------------------------------------------------------------------------


def test_a_template_makes_a_task_of_every_item() -> None:
    made = SwarmProposal.model_validate(
        {
            "goal": "port",
            "tasks": [{"id": "look", "task": "look", "mode": "read"}],
            "template": {
                "id": "port",
                "task": "Port {item} to pytest.",
                "scope": ["{item}"],
                "check": "pytest {item}",
                "needs": ["look"],
            },
            "items": ["tests/test_a.py", "tests/my test.py", "lib/tests/test_a.py"],
        }
    ).plan()
    check(made)
    assert [task.id for task in made.tasks] == [
        "look",
        "port-tests-test-a-py",
        "port-tests-my-test-py",
        "port-lib-tests-test-a-py",
    ]
    assert made["look"].agent == "explorer"
    assert made["port-tests-my-test-py"].check == "pytest 'tests/my test.py'"
    assert made["port-tests-test-a-py"].scope == ("tests/test_a.py",)
    assert made.budget.tool_calls == 1500


@given(
    st.lists(st.text(min_size=1, max_size=60), min_size=1, max_size=30, unique_by=lambda text: " ".join(text.split()))
)
def test_items_of_any_text_become_different_tasks(items: list[str]) -> None:
    made = SwarmProposal.model_validate(
        {"goal": "g", "template": {"id": "t", "task": "do <{item}>", "mode": "read"}, "items": items}
    ).plan()
    assert len({task.id for task in made.tasks}) == len(items)
    check(made)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"items": ["a"]}, "without a template"),
        ({"template": {"id": "t", "task": "{item}"}}, "without items"),
        ({"template": {"id": "t", "task": "same"}, "items": ["a"]}, "does not say {item}"),
    ],
)
def test_a_template_and_its_items_must_go_together(fields: dict[str, object], said: str) -> None:
    with pytest.raises(PlanError, match=said):
        SwarmProposal.model_validate({"goal": "g", **fields}).plan()


def test_a_plan_is_read_from_yaml() -> None:
    made = read_plan(
        "goal: fix\nverify: pytest -q\nmax_parallel: 4\ntasks:\n- {id: a, task: fix a, scope: [a.py]}\n"
        "- {id: b, task: fix b, needs: [a], budget: {cost: 0.5}}\n",
        "plan.yaml",
    )
    assert (made.goal, made.verify, made.max_parallel) == ("fix", "pytest -q", 4)
    assert made["b"].needs == ("a",)
    assert made["b"].budget == Allowance(cost=0.5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("goal: [", "plan.yaml is no YAML"),
        ("just words", "plan.yaml holds no plan"),
        (
            "goal: g\ntasks: [{id: a, task: x, mode: wrote}]",
            "plan.yaml: task a: mode: input should be 'read' or 'write'",
        ),
        ("goal: g\ntasks: [{task: x}]", "plan.yaml: task number 1: id: field required"),
        ("goal: g\ntasks: [{id: a, task: x, need: b}]", "plan.yaml: task a: need: extra inputs"),
        ("tasks: []", "plan.yaml: goal: field required"),
    ],
)
def test_a_mistake_in_a_plan_file_is_told_with_file_and_task(text: str, said: str) -> None:
    with pytest.raises(PlanError) as caught:
        read_plan(text, "plan.yaml")
    assert said in "\n".join(caught.value.problems)
