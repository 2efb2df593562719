"""One prompt without a screen: open, run, write the result, whatever happens on the way."""

import asyncio
import os
import shlex
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from kimi_code.errors import (
    AuthError,
    BudgetExceeded,
    ConfigError,
    ExitCode,
    KimiError,
    ModelError,
    QuotaExceeded,
    UsageError,
)
from kimi_code.events import (
    Allow,
    Approval,
    CommitCreated,
    Deny,
    Notice,
    Outcome,
    Record,
    Reply,
    Request,
    RequestOpened,
    SessionOpened,
    ToolEnded,
    TurnEnded,
    TurnReviewed,
)
from kimi_code.headless.result import Committed, DeniedCall, Reviewed, RunResult
from kimi_code.headless.streams import tell, write, write_bytes
from kimi_code.headless.text import TextProgress
from kimi_code.session.session import Session, TurnChecks
from kimi_code.values import frozen

OutputFormat = Literal["text", "json", "jsonl"]

# Between a second signal and the end: commands are killed without grace meanwhile.
_LAST_MOMENT = 0.3
_NOBODY = "nobody can approve it in this run"
_SHOWN = Deny("The diff was only shown.", by="program")
_EXIT: dict[Outcome, int] = {
    Outcome.DONE: ExitCode.DONE,
    Outcome.FAILED: ExitCode.FAILED,
    Outcome.VERIFY_FAILED: ExitCode.FAILED,
    Outcome.INVALID_OUTPUT: ExitCode.FAILED,
    Outcome.BUDGET: ExitCode.BUDGET,
    Outcome.AUTH: ExitCode.AUTH,
    Outcome.UNAVAILABLE: ExitCode.UNAVAILABLE,
    Outcome.CONFLICT: ExitCode.FAILED,
    Outcome.COMMIT_FAILED: ExitCode.FAILED,
    Outcome.PARTIAL: ExitCode.PARTIAL,
    Outcome.INTERRUPTED: ExitCode.INTERRUPTED,
}


@frozen
class Opened:
    """A session ready for its first prompt, and what it has to say first."""

    session: Session
    opened: SessionOpened
    notices: tuple[Notice, ...] = ()


@frozen
class TurnDiff:
    """What to do with the diff of a turn that worked in a copy: apply it, write it to a file; else it is printed."""

    apply: bool = False
    patch_out: Path | None = None

    @property
    def printed(self) -> bool:
        return not self.apply and self.patch_out is None


@dataclass(slots=True)
class Run:
    """One headless run. `diff` is None where the agent works in the tree itself, `images` go with the prompt."""

    open: Callable[[], Awaitable[Opened]]
    prompt: str
    output_format: OutputFormat = "text"
    checks: TurnChecks = field(default_factory=TurnChecks)
    diff: TurnDiff | None = None
    images: tuple[Path, ...] = ()
    _session: Session | None = None
    _denied: list[DeniedCall] = field(default_factory=list[DeniedCall])
    _rules: list[str] = field(default_factory=list[str])
    _commit: Committed | None = None
    _reviews: list[TurnReviewed] = field(default_factory=list[TurnReviewed])
    _patch: bytes = b""
    _lines: list[str] = field(default_factory=list[str])
    _ended: TurnEnded | None = None
    _signal: int | None = None
    _lost: OSError | None = None
    _main: "asyncio.Task[int] | None" = None
    _started: float = field(default_factory=time.monotonic)

    async def run(self) -> int:
        """Everything from opening the session to the written result; returns the exit code."""
        self._main = asyncio.current_task()
        self._catch_signals()
        try:
            result = await self._run()
        except asyncio.CancelledError:
            result = RunResult("interrupted", ExitCode.INTERRUPTED, error="interrupted")
        except KimiError as error:
            result = failed_to_start(error)
        return self._finish(result)

    async def _run(self) -> RunResult:
        opened = await self.open()
        session = self._session = opened.session
        try:
            self._listen(session)
            session.open(opened.opened, opened.notices)
            self._ended = await session.prompt(self.prompt, self.checks, self.images)
            return self._result(session, self._ended)
        finally:
            await session.close()

    def _listen(self, session: Session) -> None:
        session.subscribe(self._follow)
        if self.output_format == "text":
            session.subscribe(TextProgress(scrub=session.scrub))
        elif self.output_format == "jsonl":
            session.subscribe(lambda record: self._put_out(session.line(record) + "\n"))

    def _follow(self, record: Record) -> None:
        event = record.event
        if isinstance(event, RequestOpened) and self._session is not None:
            self._session.reply(event.request_id, self._answer(event.request))
        elif isinstance(event, ToolEnded) and event.status == "denied" and record.agent == "main":
            self._denied.append(DeniedCall(event.tool, event.title, event.summary))
        elif isinstance(event, TurnReviewed):
            self._reviews.append(event)
        elif isinstance(event, CommitCreated):
            self._commit = Committed(event.commit, event.branch, event.files, event.left_out)

    def _answer(self, request: Request) -> Reply:
        if isinstance(request, Approval):
            if not request.tool:
                # Of a turn under review, or of a swarm.
                return Allow() if self.diff is not None and self.diff.apply else _SHOWN
            self._rules.extend(request.rules)
            if request.tool == "Swarm":  # a plan; the call itself is told as one that failed
                self._denied.append(DeniedCall("Swarm", request.title, _NOBODY))
        return Deny(_NOBODY, by="program")

    def _reviewed(self) -> Reviewed | None:
        """The turn's diff for the result; read, and written where it was asked for, while the session has it."""
        if self.diff is None and self._reviews:
            self.diff = TurnDiff(apply=all(review.status != "declined" for review in self._reviews))
        if self.diff is None:
            return None
        review = _together(self._reviews)
        self._patch = b"".join(Path(review.patch).read_bytes() for review in self._reviews)
        if self.diff.patch_out is not None:
            self.diff.patch_out.write_bytes(self._patch)
        if review is None:
            return Reviewed("unchanged", (), "")
        status = "shown" if review.status == "declined" and not self.diff.apply else review.status
        return Reviewed(status, review.files, self._patch.decode(errors="surrogateescape"), review.problems)

    def _result(self, session: Session, ended: TurnEnded) -> RunResult:
        status, exit_code, error = str(ended.outcome), _EXIT[ended.outcome], ended.error or None
        if ended.outcome is Outcome.DONE and self._denied and self.checks.verify is None:
            status, exit_code = "denied", ExitCode.DENIED
            error = _denials(self._denied, self._rules, in_a_copy=self.diff is not None)
        elif ended.outcome is Outcome.FAILED and self._denied and not ended.steps:
            status, exit_code = "denied", ExitCode.DENIED  # the plan to begin with; the error says where it is
        review = None
        try:
            review = self._reviewed()
        except OSError as failure:
            said = f"The diff cannot be written to {failure.filename}: {failure.strerror}."
            error = f"{error}\n{said}" if error else said
            status, exit_code = (str(Outcome.FAILED), ExitCode.FAILED) if exit_code == 0 else (status, exit_code)
        return RunResult(
            status=status,
            exit_code=int(exit_code),
            text=ended.text,
            session_id=session.id,
            turns=1,
            steps=ended.steps,
            tool_calls=ended.tool_calls,
            usage=ended.usage,
            cost_usd=ended.cost_usd,
            files_changed=ended.files_changed,
            denied=tuple(self._denied),
            error=error,
            output=ended.output,
            has_output=self.checks.output_schema is not None,
            review=review,
            commit=self._commit,
        )

    def _finish(self, result: RunResult) -> int:
        self._write_out()
        result = replace(result, duration_s=time.monotonic() - self._started)
        if self._session is not None and result.session_id is None:
            result = replace(result, session_id=self._session.id)
        if self._signal is not None and result.status == "interrupted":
            result = replace(result, exit_code=128 + self._signal)
        if self._lost is None and self.diff is not None and self.diff.printed and self.output_format == "text":
            result = self._print_diff(result)
        if self._lost is None:
            return write_result(result, self.output_format)
        return _output_lost(self._lost)

    def _print_diff(self, result: RunResult) -> RunResult:
        """Standard output is the patch alone, so that `> x.patch` and `| git apply` are all it takes."""
        if result.text:
            tell(result.text.rstrip("\n"))
        if self._patch:
            tell("Not applied. To apply it: --apply, or give the diff to git apply at the top of the working tree.")
        elif not result.error:
            tell("Nothing was changed.")
        try:
            write_bytes(sys.stdout, self._patch)
        except OSError as error:
            self._lost = error
        return replace(result, text="")

    def _put_out(self, line: str) -> None:
        """Written when whoever speaks lets go: what a hundred agents say in one go is written together."""
        if not self._lines:
            asyncio.get_running_loop().call_soon(self._write_out)
        self._lines.append(line)

    def _write_out(self) -> None:
        lines, self._lines = self._lines, []
        if self._lost is not None or not lines:
            return
        try:
            write(sys.stdout, "".join(lines))
        except OSError as error:
            # Nobody reads our output: nobody to work for.
            self._lost = error
            self._stop_turn()

    def _catch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is None:
                continue
            if name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN:
                continue  # started with nohup: to outlive its terminal
            try:
                loop.add_signal_handler(number, self._stop, int(number))
            except (NotImplementedError, RuntimeError):  # Windows, or not the main thread
                if name == "SIGINT":
                    signal.signal(number, self._interrupted_elsewhere(loop))

    def _interrupted_elsewhere(self, loop: asyncio.AbstractEventLoop) -> Callable[[int, object], None]:
        def handle(number: int, _frame: object) -> None:
            loop.call_soon_threadsafe(self._stop, number)

        return handle

    def _stop(self, number: int) -> None:
        """First signal: end the turn cleanly. Second: leave at once."""
        if self._signal is None:
            self._signal = number
            self._stop_turn()
            return
        if self._session is not None:
            self._session.interrupt()
        asyncio.get_running_loop().call_later(_LAST_MOMENT, self._leave, number)

    def _stop_turn(self) -> None:
        if self._session is not None and self._session.running:
            self._session.interrupt()
        elif self._main is not None and self._ended is None:
            self._main.cancel()

    def _leave(self, number: int) -> None:
        self._finish(RunResult("interrupted", 128 + number, error="interrupted twice"))
        os._exit(128 + number)


def _together(reviews: list[TurnReviewed]) -> TurnReviewed | None:
    """What became of all the diffs of a turn: the swarms' and its own; the worst of it, if it was not one thing."""
    if not reviews:
        return None
    worst = max(reviews, key=lambda review: ("applied", "declined", "conflict", "refused").index(review.status))
    files = {file.path: file for review in reviews for file in review.files}
    problems = tuple(problem for review in reviews for problem in review.problems)
    return replace(worst, files=tuple(files.values()), problems=problems)


def _denials(denied: list[DeniedCall], rules: Iterable[str], *, in_a_copy: bool) -> str:
    first = denied[0]
    more = f" and {len(denied) - 1} more" if len(denied) > 1 else ""
    # Commands are allowed one by one, in the rules' own words: what is pasted must do what it says.
    allowing = " ".join(f"--allow {shlex.quote(rule)}" for rule in dict.fromkeys(rules))
    # A turn in a copy is never run with -y.
    only = "Nothing allows it in an isolated copy; without --review turn, -y does" if in_a_copy else "Only -y allows it"
    hint = f"To allow it: {allowing}" if allowing else only
    return f"Denied: {first.tool} {first.title}{more}.\n{hint}"


def failed_to_start(error: KimiError) -> RunResult:
    """The result of a run that ended before its turn began."""
    match error:
        case UsageError() | ConfigError():
            status, code = "usage_error", ExitCode.USAGE
        case AuthError():
            status, code = str(Outcome.AUTH), ExitCode.AUTH
        case BudgetExceeded() | QuotaExceeded():
            status, code = str(Outcome.BUDGET), ExitCode.BUDGET
        case ModelError(retryable=True):
            status, code = str(Outcome.UNAVAILABLE), ExitCode.UNAVAILABLE
        case _:
            status, code = str(Outcome.FAILED), ExitCode.FAILED
    return RunResult(status, int(code), error=str(error))


def write_result(result: RunResult, output_format: OutputFormat) -> int:
    """The last words: the JSON object, or the answer on stdout and what went wrong on stderr; returns the exit code."""
    try:
        if output_format != "text":
            write(sys.stdout, result.to_json() + "\n")
        elif result.text:
            write(sys.stdout, result.text if result.text.endswith("\n") else result.text + "\n")
    except OSError as error:
        return _output_lost(error)
    if output_format == "text":
        _say_what_went_wrong(result)
    return result.exit_code


def _say_what_went_wrong(result: RunResult) -> None:
    if result.error:
        tell(f"kimi-code: {'interrupted' if result.status == 'interrupted' else result.error}")
    if result.status == "interrupted" and result.session_id:
        tell(f"Go on with: kimi-code -r {result.session_id} -p '…'")


def _output_lost(error: OSError) -> int:
    if isinstance(error, BrokenPipeError):
        return 141  # 128 + SIGPIPE: the reader had all it wanted, as with any program in front of `head`
    tell(f"kimi-code: standard output cannot be written: {error.strerror or error}.")
    return int(ExitCode.FAILED)
