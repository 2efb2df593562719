"""How a plan is written, by a model in a call or by a person in a YAML file; read into `plan` values."""

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, cast

from pydantic import Field, ValidationError

from kimi_code.errors import PlanError
from kimi_code.llm.model import Thinking
from kimi_code.session.codec import plain
from kimi_code.swarm.plan import MAX_TOOL_CALLS, Allowance, Plan, Task
from kimi_code.tools.tool import Params

_ITEM = "{item}"

Count = Annotated[int, Field(ge=0)]


class BudgetProposal(Params):
    """What may be spent; what is left out has no limit of its own."""

    tokens: Count | None = None
    cost: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = Field(default=None, description="US dollars.")
    tool_calls: Count | None = None
    agents: Count | None = None
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None

    def allowance(self) -> Allowance:
        return Allowance(self.tokens, self.cost, self.tool_calls, self.agents, self.seconds)


class TaskProposal(Params):
    """One task of a swarm."""

    id: str = Field(description="Short, unique: letters, digits, dashes.")
    task: str = Field(description="All the sub-agent needs to know: it sees neither this conversation nor the others.")
    agent: str = Field(default="", description="An agent type; coder unless given, explorer for mode read.")
    mode: Literal["read", "write"] = "write"
    needs: list[str] = Field(default_factory=list, description="Ids of tasks whose results it starts from.")
    scope: list[str] = Field(default_factory=list, description="Globs of what it may change.")
    check: str = Field(default="", description="A command that must exit 0 in its checkout before its work is taken.")
    locks: list[str] = Field(default_factory=list, description="Names of things that one task at a time may use.")
    model: str = ""
    thinking: Thinking | Literal[""] = ""
    budget: BudgetProposal | None = None
    output_schema: dict[str, Any] | None = Field(default=None, description="A JSON Schema that its answer must fit.")

    def value(self) -> Task:
        return Task(
            id=self.id,
            task=self.task,
            mode=self.mode,
            agent=self.agent or ("coder" if self.mode == "write" else "explorer"),
            needs=tuple(dict.fromkeys(self.needs)),
            scope=tuple(dict.fromkeys(self.scope)),
            check=self.check.strip(),
            locks=tuple(dict.fromkeys(self.locks)),
            model=self.model,
            thinking=self.thinking or None,
            budget=self.budget.allowance() if self.budget else Allowance(),
            output_schema=self.output_schema,
        )


class TasksProposal(Params):
    """Tasks one by one, or many alike as one template and its items."""

    tasks: list[TaskProposal] = Field(default_factory=list[TaskProposal])
    template: TaskProposal | None = Field(
        default=None, description="A task for each of items; {item} in any of its texts stands for the item."
    )
    items: list[str] = Field(default_factory=list)

    def values(self) -> tuple[Task, ...]:
        """The tasks. Raises PlanError when template and items do not go together."""
        return (*(task.value() for task in self.tasks), *self._alike())

    def _alike(self) -> Iterator[Task]:
        if self.template is None:
            if self.items:
                raise PlanError(("items are given without a template.",))
            return
        if not self.items:
            raise PlanError(("template is given without items.",))
        whole = self.template.model_dump()
        if not any(_ITEM in str(whole[name]) for name in ("task", "scope", "check")):
            raise PlanError((f"template: its task does not say {_ITEM}, so all its tasks would be the same.",))
        taken = {task.id for task in self.tasks}
        for item in self.items:
            filled = TaskProposal.model_validate(
                {**_fill(whole, item), "check": _fill(whole["check"], shlex.quote(item))}
            )
            if _ITEM not in self.template.id:
                filled = filled.model_copy(update={"id": _unique(self.template.id, item, taken)})
            taken.add(filled.id)
            yield filled.value()


class SwarmProposal(TasksProposal):
    """A swarm: what it is for and its tasks."""

    goal: str
    verify: str = Field(default="", description="A command that must exit 0 on the merged result.")
    max_parallel: Count = Field(default=0, description="How many agents at once; 0: as many as may.")
    budget: BudgetProposal | None = None

    def plan(self) -> Plan:
        """The plan, unchecked. Raises PlanError when template and items do not go together."""
        budget = self.budget.allowance() if self.budget else Allowance()
        if budget.tool_calls is None:
            budget = Allowance(budget.tokens, budget.cost, MAX_TOOL_CALLS, budget.agents, budget.seconds)
        return Plan(self.goal, self.values(), self.verify.strip(), self.max_parallel, budget)


def read_plan(text: str, where: str) -> Plan:
    """The plan in a YAML (or JSON) file's text, unchecked. Raises PlanError; `where` names the file."""
    import yaml

    try:
        data: object = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise PlanError((f"{where} is no YAML: {' '.join(str(error).split())}",)) from None
    if not isinstance(data, dict):
        raise PlanError((f"{where} holds no plan: it must have a goal and tasks.",))
    return plan_of(cast("dict[object, object]", data), where)


def plan_of(data: Mapping[Any, Any], where: str) -> Plan:
    """The plan that these fields propose, unchecked. Raises PlanError; `where` names what they come from."""
    try:
        return SwarmProposal.model_validate(data).plan()
    except ValidationError as error:
        raise PlanError(tuple(f"{where}: {_told(dict(fault), data)}" for fault in error.errors())) from None


def written(plan: Plan) -> str:
    """The plan as a person writes it, in YAML; `read_plan` reads the same plan from it."""
    import yaml

    whole: dict[str, Any] = {"goal": plan.goal, "verify": plan.verify, "max_parallel": plan.max_parallel}
    whole["budget"] = _given(plan.budget)
    whole["tasks"] = [{**_given(task), "budget": _given(task.budget)} for task in plan.tasks]
    whole["tasks"] = [{key: value for key, value in task.items() if value} for task in whole["tasks"]]
    shown = {key: value for key, value in whole.items() if value}
    return yaml.safe_dump(shown, sort_keys=False, allow_unicode=True, width=110)


def _given(value: Allowance | Task) -> dict[str, Any]:
    """The fields that say something, as YAML has them."""
    found = cast("dict[str, Any]", plain(value))
    return {name: each for name, each in found.items() if each not in (None, "", [])}


def _told(fault: Mapping[str, Any], data: Mapping[object, object]) -> str:
    """A validation error in words, with the task's own id where it has one."""
    place: list[str] = []
    inner: object = data
    for step in cast("tuple[str | int, ...]", fault["loc"]):
        inner = _inside(inner, step)
        named = _inside(inner, "id") if isinstance(step, int) else None
        if named is not None:
            place = [f"task {named}"]
        elif place[-1:] == ["tasks"]:
            place = [f"task number {int(step) + 1}"]
        else:
            place.append(str(step))
    return f"{': '.join(place)}: {fault['msg'][:1].lower()}{fault['msg'][1:]}."


def _inside(value: object, step: str | int) -> object:
    try:
        return cast(Any, value)[step]
    except (LookupError, TypeError):
        return None


def _fill(value: Any, item: str) -> Any:
    if isinstance(value, str):
        return value.replace(_ITEM, item)
    if isinstance(value, list):
        return [_fill(inner, item) for inner in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {key: _fill(inner, item) for key, inner in cast("dict[str, Any]", value).items()}
    return value


def _unique(stem: str, item: str, taken: set[str]) -> str:
    """`stem` and the end of what the item says, the part that tells items apart, made an id."""
    words = re.sub(r"[^A-Za-z0-9]+", "-", item).strip("-").lower()
    room = max(38 - len(stem) - 1, 8)
    name = f"{stem}-{words[-room:].strip('-')}".strip("-")
    number = 1
    while name in taken:
        number += 1
        name = f"{name.rpartition('-')[0] if number > 2 else name}-{number}"
    return name
