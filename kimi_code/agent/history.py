"""What a session's events add up to: the messages, the plan, and which turns the user took back.

Every turn's beginning stays known by reference, so that taking back and bringing back are exact, compaction included.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from kimi_code.agent.context import repair
from kimi_code.events import (
    CommitCreated,
    ContextCompacted,
    Diff,
    Event,
    FileChange,
    MessageCompleted,
    PlanUpdated,
    TodoItem,
    ToolEnded,
    TurnEnded,
    TurnRedone,
    TurnReviewed,
    TurnStarted,
    TurnUndone,
)
from kimi_code.messages import Message
from kimi_code.values import frozen

_FILES_NAMED = 20


@frozen
class _Mark:
    """A moment: the first `length` messages of a list that only ever grows, the plan, the files `touched`."""

    messages: list[Message]
    length: int
    plan: tuple[TodoItem, ...]
    touched: tuple[str, ...]


@dataclass(slots=True)
class History:
    """The fold of events; follow them in order. Costs a few references a turn.

    `touched` are the files that were changed, in order, as tools, reviews and the ends of turns told them.
    """

    plan: tuple[TodoItem, ...] = ()
    prompts: dict[int, str] = field(default_factory=dict[int, str])  # of all turns that ever began
    commits: dict[int, list[CommitCreated]] = field(default_factory=dict[int, list[CommitCreated]])  # by turn
    touched: tuple[str, ...] = ()
    _turn: int = 0
    _messages: list[Message] = field(default_factory=list[Message])
    _starts: dict[int, _Mark] = field(default_factory=dict[int, _Mark])
    _undone: list[tuple[int, _Mark]] = field(default_factory=list[tuple[int, _Mark]])
    _gone: set[int] = field(default_factory=set[int])
    _news: list[TurnUndone | TurnRedone] = field(default_factory=list[TurnUndone | TurnRedone])

    def follow(self, event: Event) -> None:
        """Take one event in."""
        match event:
            case MessageCompleted(message=message):
                self._messages.append(message)
            case ContextCompacted(messages=messages):
                self._messages = list(messages)
            case PlanUpdated(items=items):
                self.plan = items
            case TurnStarted(turn=turn, prompt=prompt):
                self.prompts[turn] = prompt
                self._turn = turn
                self.commits.pop(turn, None)
                self._starts[turn] = self._mark()
                self._undone.clear()
                self._news.clear()
            case ToolEnded(blocks=blocks):
                self._touch(block.path for block in blocks if isinstance(block, Diff))
            case TurnReviewed(status="applied", files=files) | TurnEnded(files_changed=files):
                self._touch(change.path for change in files)
            case CommitCreated():
                self.commits.setdefault(self._turn, []).append(event)
            case TurnUndone():
                self._undo(event)
            case TurnRedone():
                self._redo(event)
            case _:
                pass

    @property
    def messages(self) -> list[Message]:
        """What the model sees, repaired; a list of its own."""
        return repair(self._messages)

    @property
    def turns(self) -> frozenset[int]:
        """The turns that ever began."""
        return frozenset(self._starts)

    @property
    def undone(self) -> frozenset[int]:
        """The turns whose conversation is taken back, those included that can no longer be brought back."""
        return frozenset(self._gone)

    @property
    def redoable(self) -> tuple[int, ...]:
        """The turns whose conversation can be brought back, the next one first."""
        return tuple(turn for turn, _ in reversed(self._undone))

    def news(self) -> str:
        """What the model must hear about turns taken back since its last one; "" when there were none."""
        if not self._news:
            return ""
        return "\n".join(
            (*map(_describe, self._news), "Files may differ from what you last saw: read before you edit.")
        )

    def _mark(self) -> _Mark:
        return _Mark(self._messages, len(self._messages), self.plan, self.touched)

    def _touch(self, paths: Iterable[str]) -> None:
        self.touched = tuple(dict.fromkeys((*self.touched, *paths)))

    def _return_to(self, mark: _Mark) -> None:
        # A list of its own: what follows must not overwrite what another mark still refers to.
        self._messages, self.plan = mark.messages[: mark.length], mark.plan
        self.touched = mark.touched

    def _undo(self, event: TurnUndone) -> None:
        start = self._starts.get(event.turn)
        if event.conversation and event.turn not in self._gone and start is not None:
            self._undone.append((event.turn, self._mark()))
            self._gone.add(event.turn)
            self._return_to(start)
        self._tell(event)

    def _redo(self, event: TurnRedone) -> None:
        if event.conversation and self._undone and self._undone[-1][0] == event.turn:
            self._return_to(self._undone.pop()[1])
            self._gone.discard(event.turn)
        self._tell(event)

    def _tell(self, event: TurnUndone | TurnRedone) -> None:
        # A redo takes back a whole undo: of both together the model need not hear.
        undone = next((news for news in self._news if isinstance(news, TurnUndone) and _is_of(news, event)), None)
        if isinstance(event, TurnRedone) and undone is not None:
            self._news.remove(undone)
        else:
            self._news.append(event)


def _is_of(undone: TurnUndone, event: TurnUndone | TurnRedone) -> bool:
    return (undone.turn, undone.conversation) == (event.turn, event.conversation)


def _describe(event: TurnUndone | TurnRedone) -> str:
    done = "took back" if isinstance(event, TurnUndone) else "brought back"
    parts: list[str] = []
    if event.conversation:
        parts.append("the conversation" if isinstance(event, TurnRedone) else "the conversation, which you do not see")
    if event.files:
        parts.append(f"changes to {_named(event.files)}")
    what = " and ".join(parts) or "nothing that had changed"
    return f"The user {done} turn {event.turn} of this session: {what}."


def _named(files: Sequence[FileChange]) -> str:
    more = f" and {len(files) - _FILES_NAMED} more files" if len(files) > _FILES_NAMED else ""
    return ", ".join(change.path for change in files[:_FILES_NAMED]) + more


def fold(events: Iterable[Event]) -> History:
    """The history that events in order add up to."""
    history = History()
    for event in events:
        history.follow(event)
    return history
