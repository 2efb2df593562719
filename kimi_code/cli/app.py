"""The command line: the flags of the root, what they start, and how mistakes in them are told."""

import gc
import io
import os
import sys
from collections.abc import Sequence
from functools import cache
from typing import Annotated, Any, Literal

import typer

from kimi_code.cli.commands import PROMPT, RootGroup
from kimi_code.cli.output import fail, say
from kimi_code.cli.run import RunFlags, collect_garbage_again
from kimi_code.errors import ExitCode, KimiError, UsageError

SHORT_HELP = """\
kimi-code: a terminal coding agent

  kimi-code                               the screen
  kimi-code "fix the failing test"        the screen, with this sent
  kimi-code -p "fix the failing test"     do it here, print the answer
  git diff | kimi-code -p "review this"   the same, with standard input attached
  kimi-code demo                          watch it work; needs no key
  kimi-code doctor                        check keys, server and tools
  kimi-code --help                        everything else"""


app = typer.Typer(
    cls=RootGroup,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command()
def demo(
    live: Annotated[bool, typer.Option("--live", help="Let a real model do it, with your key.")] = False,
    fast: Annotated[bool, typer.Option("--fast", help="Without the pauses that make it readable.")] = False,
    plain: Annotated[bool, typer.Option("--plain", help="As lines, not in the screen.")] = False,
) -> None:
    """Watch the agent fix a bug; needs no key."""
    from kimi_code.cli.demo import demo as play
    from kimi_code.tui.terminal import unusable

    raise typer.Exit(play(live=live, fast=fast, on_screen=not plain and not unusable(os.environ)))


def _show_version(wanted: bool) -> None:
    if wanted:
        from kimi_code import __version__

        say(f"kimi-code {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    ctx: typer.Context,
    prompt: Annotated[
        str | None,
        typer.Option(
            "-p",
            "--prompt",
            metavar="TEXT",
            help="Do this, print the answer, exit. `-` reads standard input; with TEXT, a pipe is attached below it.",
            rich_help_panel="Prompt",
        ),
    ] = None,
    output_format: Annotated[
        Literal["text", "json", "jsonl", "stream-json"],
        typer.Option(
            metavar="FORMAT",
            help="text: the answer. json: one result object. jsonl (or stream-json): every event, the result last.",
            rich_help_panel="Prompt",
        ),
    ] = "text",
    output_schema: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="A JSON Schema the answer must satisfy.",
            rich_help_panel="Prompt",
        ),
    ] = None,
    image: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE", help="Show this image to the model with the prompt; repeatable.", rich_help_panel="Prompt"
        ),
    ] = None,
    verify: Annotated[
        str | None,
        typer.Option(
            metavar="COMMAND",
            help="Run this at the end; a failure goes back to the model, three runs at most.",
            rich_help_panel="Prompt",
        ),
    ] = None,
    directory: Annotated[
        str | None,
        typer.Option("-C", "--directory", metavar="DIR", help="Work in this folder.", rich_help_panel="Prompt"),
    ] = None,
    add_dir: Annotated[
        list[str] | None,
        typer.Option(metavar="DIR", help="Work in this folder too; repeatable.", rich_help_panel="Prompt"),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "-m",
            "--model",
            metavar="MODEL",
            help="A configured name, PROVIDER/ID, an id at the default provider, or scripted:FILE.",
            rich_help_panel="Model",
        ),
    ] = None,
    thinking: Annotated[
        Literal["off", "on", "low", "high", "max"] | None,
        typer.Option(metavar="LEVEL", help="off, on, low, high or max.", rich_help_panel="Model"),
    ] = None,
    continue_last: Annotated[
        bool,
        typer.Option("-c", "--continue", help="Go on with this folder's newest session.", rich_help_panel="Session"),
    ] = False,
    resume: Annotated[
        str | None,
        typer.Option(
            "-r",
            "--resume",
            metavar="ID",
            help="Go on with this session; the beginning of its id will do.",
            rich_help_panel="Session",
        ),
    ] = None,
    no_session: Annotated[
        bool, typer.Option("--no-session", help="Keep no record of this run.", rich_help_panel="Session")
    ] = False,
    permission_mode: Annotated[
        Literal["ask", "edits", "auto", "plan"] | None,
        typer.Option(
            metavar="MODE",
            help="What runs without asking. plan, ask: reads; edits: edits in the folder; auto: confined commands too.",
            rich_help_panel="Permissions",
        ),
    ] = None,
    yolo: Annotated[
        bool,
        typer.Option("-y", "--yolo", help="Allow everything that no deny rule forbids.", rich_help_panel="Permissions"),
    ] = False,
    net: Annotated[
        bool,
        typer.Option("--net", help="Let confined commands reach the network.", rich_help_panel="Permissions"),
    ] = False,
    allow: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RULE", help='Allow this, such as "Bash(make test)"; repeatable.', rich_help_panel="Permissions"
        ),
    ] = None,
    deny: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RULE", help="Never allow this; wins over all else; repeatable.", rich_help_panel="Permissions"
        ),
    ] = None,
    review: Annotated[
        Literal["each", "turn", "none"] | None,
        typer.Option(
            metavar="WHAT",
            help="each: ask for every edit. turn: work in a copy, show the diff. none: as the mode says.",
            rich_help_panel="Changes",
        ),
    ] = None,
    apply: Annotated[
        bool,
        typer.Option("--apply", help="With --review turn: apply what was made.", rich_help_panel="Changes"),
    ] = False,
    patch_out: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="With --review turn: write the diff here, for `git apply`.",
            rich_help_panel="Changes",
        ),
    ] = None,
    commit: Annotated[
        bool,
        typer.Option("--commit", help="Commit what the agent changed, and nothing else.", rich_help_panel="Changes"),
    ] = False,
    branch: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="With --commit: on this branch, new or from the last turn; yours stays checked out.",
            rich_help_panel="Changes",
        ),
    ] = None,
    trust: Annotated[
        bool,
        typer.Option(
            "--trust", help="Use the project's .kimi-code/config.toml in this run.", rich_help_panel="Permissions"
        ),
    ] = False,
    max_steps: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="At most N requests to the model.", rich_help_panel="Limits"),
    ] = None,
    max_tokens: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="At most N tokens, input and output.", rich_help_panel="Limits"),
    ] = None,
    max_cost: Annotated[
        float | None,
        typer.Option(min=0, metavar="USD", help="At most this much money.", rich_help_panel="Limits"),
    ] = None,
    max_session_tokens: Annotated[
        int | None,
        typer.Option(
            min=0, metavar="N", help="As --max-tokens, for the whole session, -c included.", rich_help_panel="Limits"
        ),
    ] = None,
    max_session_cost: Annotated[
        float | None,
        typer.Option(
            min=0, metavar="USD", help="As --max-cost, for the whole session, -c included.", rich_help_panel="Limits"
        ),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(min=0, metavar="SECONDS", help="At most this long.", rich_help_panel="Limits"),
    ] = None,
    max_agents: Annotated[
        int | None,
        typer.Option(min=1, max=100, metavar="N", help="At most N sub-agents at once.", rich_help_panel="Swarms"),
    ] = None,
    plan_first: Annotated[
        bool,
        typer.Option("--plan-first", help="Plans for sub-agents are approved first.", rich_help_panel="Swarms"),
    ] = False,
    rollout: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write the swarms here, as episodes with rewards.", rich_help_panel="Swarms"),
    ] = None,
    version: Annotated[
        bool, typer.Option("-V", "--version", is_eager=True, callback=_show_version, help="Show the version and exit.")
    ] = False,
) -> None:
    """A terminal coding agent for any OpenAI-compatible model, at its best with Kimi.

    \b
    kimi-code
    kimi-code "explain this repository"
    kimi-code -p "fix the failing test"
    git diff | kimi-code -p "review this" --permission-mode plan
    kimi-code -p "update the changelog" --output-format json --verify "make test"
    """
    flags = RunFlags(
        prompt=prompt,
        output_format="jsonl" if output_format == "stream-json" else output_format,
        model=model,
        thinking=thinking,
        continue_last=continue_last,
        resume=resume,
        directory=directory,
        add_dirs=tuple(add_dir or ()),
        permission_mode=permission_mode,
        yolo=yolo,
        review=review,
        apply=apply,
        patch_out=patch_out,
        commit=commit,
        branch=branch,
        net=net,
        allow=tuple(allow or ()),
        deny=tuple(deny or ()),
        max_steps=max_steps,
        max_tokens=max_tokens,
        max_cost=max_cost,
        max_session_tokens=max_session_tokens,
        max_session_cost=max_session_cost,
        timeout=timeout,
        verify=verify,
        output_schema=output_schema,
        no_session=no_session,
        trust=trust,
        max_agents=max_agents,
        plan_first=plan_first,
        rollout=rollout,
        images=tuple(image or ()),
    )
    check_conflicts(flags)
    ctx.obj = flags
    if ctx.invoked_subcommand is None:
        raise typer.Exit(_run(flags, ctx.meta.get(PROMPT)))


def check_conflicts(flags: RunFlags) -> None:
    """Raises UsageError, naming both, when two flags contradict each other."""
    pairs = (
        (flags.yolo and flags.permission_mode, "-y/--yolo", "--permission-mode"),
        (flags.continue_last and flags.resume, "-c/--continue", "-r/--resume"),
        (flags.no_session and flags.continue_last, "--no-session", "-c/--continue"),
        (flags.no_session and flags.resume, "--no-session", "-r/--resume"),
    )
    for both, one, other in pairs:
        if both:
            raise UsageError(f"{one} and {other} cannot be used together.", hint="Leave one of them out.")


def _run(flags: RunFlags, words: str | None) -> int:
    if flags.prompt is None:
        from kimi_code.tui.terminal import unusable

        obstacle = unusable(os.environ) or _for_programs_only(flags)
        if not obstacle:
            from kimi_code.cli.tui import show

            return show(flags, words or "")
        if words is not None:
            raise UsageError(
                f"{words!r} is for the screen, which cannot be opened: {obstacle}.",
                hint=f'Without it: kimi-code -p "{words}"',
            )
        if sys.stdin is None or sys.stdin.isatty():  # pyright: ignore[reportUnnecessaryComparison]  (None without a console)
            say(SHORT_HELP, to=sys.stderr)
            raise UsageError(
                f"There is no prompt, and the screen cannot be opened: {obstacle}.",
                hint='Give a prompt: kimi-code -p "...", or one on standard input.',
            )
        from dataclasses import replace

        flags = replace(flags, prompt="-")
    return run_flags(flags)


def run_flags(flags: RunFlags) -> int:
    """Run one prompt; returns the exit code."""
    from kimi_code.cli.run import run

    collect_garbage_again()
    code = run(flags)
    # The process ends now: its last collections need not walk what the system takes back anyway.
    gc.freeze()
    return code


def _for_programs_only(flags: RunFlags) -> str:
    """Which flag has no meaning on the screen; "" for none."""
    asked = (
        (flags.output_format != "text", "--output-format"),
        (flags.output_schema, "--output-schema"),
        (flags.verify, "--verify"),
        (flags.images, "--image"),
    )
    return next((f"{name} is for -p" for given, name in asked if given), "")


@cache
def command() -> Any:
    """The command tree, as completions and reference pages walk it; made once, for typer takes 20 ms."""
    return typer.main.get_command(app)


def main(argv: Sequence[str]) -> int:
    """Run one command line; returns the exit code. KimiErrors and usage errors are told here, bugs are raised."""
    for stream in (sys.stdout, sys.stderr):
        # A file name that is no Unicode, or a terminal that is not UTF-8, must not end the run.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # Looking for plugins of pydantic means asking every installed package, and none is meant for a command line.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")
    tree = command()
    try:
        with tree.make_context("kimi-code", list(argv)) as ctx:
            result = tree.invoke(ctx)
        return result if isinstance(result, int) else 0
    except typer.Exit as end:
        return end.exit_code
    except typer.Abort:
        return int(ExitCode.INTERRUPTED)
    except typer.TyperException as error:
        message = error.format_message().replace("Value error, ", "")
        # Every usage error of typer's knows the command it is about; other errors of its do not.
        path = getattr(getattr(error, "ctx", None), "command_path", "kimi-code")
        return fail(UsageError(message, hint=f"`{path} --help` shows what there is."), argv)
    except KimiError as error:
        return fail(error, argv)
