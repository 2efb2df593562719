"""A session as a document to read or to keep."""

import re
from collections.abc import Iterable, Iterator
from typing import assert_never

from kimi_code.events import (
    Block,
    CommitCreated,
    Diff,
    MessageCompleted,
    Notice,
    Output,
    Record,
    Text,
    ToolEnded,
    TurnEnded,
    TurnRedone,
    TurnReviewed,
    TurnStarted,
    TurnUndone,
)
from kimi_code.session.store import SessionMeta


def markdown(meta: SessionMeta, records: Iterable[Record]) -> Iterator[str]:
    """The conversation as Markdown: a heading per prompt, the answers, a line and a fenced block per tool call."""
    yield f"# {meta.title or meta.id}\n"
    yield f"Session {meta.id} in {meta.cwd}, model {meta.model}.\n"
    for record in records:
        match record.event:
            case TurnStarted(turn=turn, prompt=prompt):
                yield f"## {turn}. Prompt\n\n{prompt}\n"
            case MessageCompleted(message=message) if message.role == "assistant" and message.text:
                yield f"{message.text}\n"
            case ToolEnded() as ended:
                yield f"- **{ended.tool}** {ended.title}: {ended.status}{', ' * bool(ended.summary)}{ended.summary}\n"
                yield from (_fenced(_body(block)) for block in ended.blocks)
            case TurnEnded(outcome=outcome, error=error):
                yield f"*{outcome}{': ' * bool(error)}{error}*\n"
            case TurnReviewed(status=status, files=files):
                yield f"*reviewed: {status}; {', '.join(file.path for file in files)}*\n"
            case CommitCreated(commit=commit, message=message):
                yield f"*committed {commit[:10]}: {message.splitlines()[0]}*\n"
            case TurnUndone(turn=turn):
                yield f"*turn {turn} was taken back*\n"
            case TurnRedone(turn=turn):
                yield f"*turn {turn} was brought back*\n"
            case Notice(level=level, text=text):
                yield f"> {level}: {text}\n"
            case _:
                pass


def _body(block: Block) -> str:
    match block:
        case Text(text=text):
            return text
        case Output(command=command, text=text):
            return f"$ {command}\n{text}"
        case Diff(path=path, hunks=(), detail=detail) if detail:
            return f"--- {path}: {detail}"
        case Diff(path=path, hunks=hunks):
            lines = [line for hunk in hunks for line in (f"@@ -{hunk.old_start} +{hunk.new_start} @@", *hunk.lines)]
            return "\n".join((f"--- {path}", *lines))
        case _:
            assert_never(block)


def _fenced(text: str) -> str:
    # One backtick more than the longest run in the text, so that nothing in it can end the block.
    longest = max((len(run) for run in _backticks(text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text.rstrip()}\n{fence}\n"


def _backticks(text: str) -> list[str]:
    return re.findall(r"`+", text)
