"""`kimi-code permissions`: what would be decided on a command, and why, without running anything."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kimi_code.cli.folder import working_folder
from kimi_code.cli.output import clean, say, say_json, say_table
from kimi_code.config import find_places
from kimi_code.config.settings import PermissionMode
from kimi_code.errors import UsageError

if TYPE_CHECKING:
    from kimi_code.permissions.paths import Boundary
    from kimi_code.permissions.verdict import Verdict

app = typer.Typer(add_completion=False, rich_markup_mode=None, help="What may run, and why.")


@app.callback()
def permissions() -> None:
    """What may run, and why."""


@app.command()
def allow(
    rules: Annotated[list[str], typer.Argument(metavar="RULE", help='Such as "Bash(make test)"; several may follow.')],
) -> None:
    """Allow this from now on, in every project: adds the rules to your config.toml."""
    from kimi_code.config.remember import remember
    from kimi_code.permissions.rules import parse

    parsed = [str(parse(rule, "allow")) for rule in rules]
    place = find_places(os.environ, Path.cwd()).user_file
    for rule in remember(place, parsed):
        say(f"allowed  {rule}")
    say(f"in       {place}")


@app.command()
def test(
    ctx: typer.Context,
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="COMMAND", help="The command line in quotes, or its words behind --."),
    ] = None,
    allow: Annotated[
        list[str] | None, typer.Option(metavar="RULE", help='With this allow rule, such as "Bash(git log *)".')
    ] = None,
    ask: Annotated[list[str] | None, typer.Option(metavar="RULE", help="With this ask rule; repeatable.")] = None,
    deny: Annotated[list[str] | None, typer.Option(metavar="RULE", help="With this deny rule; repeatable.")] = None,
    permission_mode: Annotated[
        PermissionMode, typer.Option(metavar="MODE", help="The mode to decide in: ask, edits, auto, plan or yolo.")
    ] = "auto",
    yolo: Annotated[bool, typer.Option("-y", "--yolo", help="The same as --permission-mode yolo.")] = False,
    batch: Annotated[
        bool,
        typer.Option(
            "--batch", help="Decide on every line of standard input: {command, allow, ask, deny, mode} as JSON."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Say what would be decided on a command, without running it.

    Only the rules given here count, none of the configuration's, so that the answer is the same everywhere. The
    verdict is the one where nothing can be confined; "confinable" says whether auto would run it confined instead.

    \b
    kimi-code permissions test "git log | head"
    kimi-code permissions test --allow "Bash(npm test)" -- npm test
    kimi-code permissions test --deny "Bash(rm *)" -y "git status && rm -rf x"
    """
    boundary = _boundary(working_folder(ctx.find_root().obj))
    if batch:
        _batch(boundary)
        return
    line = command or []
    if not line:
        raise UsageError("There is no command.", hint='Give one: kimi-code permissions test "git log | head"')
    import shlex

    text = line[0] if len(line) == 1 else shlex.join(line)
    given = {"allow": allow or [], "ask": ask or [], "deny": deny or []}
    answer = _answer(text, _decide(text, given, "yolo" if yolo else permission_mode, boundary))
    if as_json:
        say_json(answer)
    else:
        _show(answer)


def _boundary(folder: Path) -> "Boundary":
    """The folder and its repository are inside, as in a session."""
    from kimi_code.permissions.paths import Boundary
    from kimi_code.repo.git import find_project

    folder = folder.resolve()
    places = find_places(os.environ, folder)
    roots = dict.fromkeys((folder, find_project(folder)))
    return Boundary(tuple(roots), (places.data_dir, places.user_file.parent))


def _decide(command: str, rules: dict[str, list[str]], mode: PermissionMode, boundary: "Boundary") -> "Verdict":
    from kimi_code.events import Effect
    from kimi_code.permissions.policy import Policy
    from kimi_code.permissions.rules import parse

    parsed = (
        *(parse(text, "deny") for text in rules["deny"]),
        *(parse(text, "ask") for text in rules["ask"]),
        *(parse(text, "allow") for text in rules["allow"]),
    )
    return Policy(mode, parsed, boundary).decide("Bash", Effect.EXECUTE, (command,))


def _answer(command: str, verdict: "Verdict") -> dict[str, Any]:
    return {
        "command": command,
        "verdict": verdict.decision,
        "confinable": verdict.confinable,
        "rule": str(verdict.rule) if verdict.rule else None,
        "reason": verdict.reason,
        "commands": [
            {
                "command": part.text,
                "verdict": part.decision,
                "rule": str(part.rule) if part.rule else None,
                "reason": part.reason,
            }
            for part in verdict.parts
        ],
    }


def _show(answer: dict[str, Any]) -> None:
    rows = [(row["verdict"], clean(row["command"])[:70], clean(row["reason"])) for row in answer["commands"]]
    if rows:
        say_table(("VERDICT", "COMMAND", "WHY"), rows)
        say()
    confined = " (auto runs it confined where it can)" if answer["confinable"] else ""
    say(f"verdict: {answer['verdict']}{confined}")


def _batch(boundary: "Boundary") -> None:
    from pydantic import BaseModel, ConfigDict, ValidationError

    class Question(BaseModel):
        model_config = ConfigDict(extra="forbid", strict=True)
        command: str
        allow: list[str] = []
        ask: list[str] = []
        deny: list[str] = []
        mode: PermissionMode = "auto"

    for line in sys.stdin.buffer:
        try:
            question = Question.model_validate_json(line)
            rules = {"allow": question.allow, "ask": question.ask, "deny": question.deny}
            answer = _answer(question.command, _decide(question.command, rules, question.mode, boundary))
        except ValidationError as error:
            answer = {"error": _problems([(str(p["loc"][0]) if p["loc"] else "", p["msg"]) for p in error.errors()])}
        except UsageError as error:
            answer = {"error": str(error)}
        say(json.dumps(answer))


def _problems(problems: Sequence[tuple[str, str]]) -> str:
    return "; ".join(f"{where}: {what}" if where else what for where, what in problems)
