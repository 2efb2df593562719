"""What a conversation looks like: records folded into entries (words, thoughts, answers, tool cards, notes) in order.

Pure: no clock, no disk, no screen. The same records give the same entries, live or from a journal; a journal has no
deltas, so its thoughts have no duration and its running commands no output.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import assert_never

from kimi_code.counting import counted
from kimi_code.events import (
    AgentFinished,
    AgentSpawned,
    AgentWaiting,
    Approval,
    CheckpointCreated,
    CommitCreated,
    ContextCompacted,
    Deny,
    Event,
    MessageCompleted,
    Notice,
    PlanUpdated,
    Question,
    Record,
    Reply,
    RequestClosed,
    RequestOpened,
    SessionForked,
    SessionOpened,
    SessionRenamed,
    StepEnded,
    StepRetried,
    StepStarted,
    SwarmEnded,
    SwarmPlanned,
    TaskStateChanged,
    TextDelta,
    ThoughtDelta,
    TodoItem,
    ToolEnded,
    ToolProgressed,
    ToolStarted,
    TurnEnded,
    TurnRedone,
    TurnReviewed,
    TurnStarted,
    TurnUndone,
    UsageAdded,
)
from kimi_code.messages import Message
from kimi_code.session.entries import (
    Answer,
    Card,
    CardState,
    Compaction,
    Ending,
    Entry,
    Gone,
    Note,
    Retry,
    Thought,
    Words,
)

_OUTPUT_KEPT = 16_000  # characters of a running command's output; a screen shows its end
_DELEGATING = ("Agent", "Swarm")
_REVIEW = "Review"  # what is shown as the tool where the changes of a whole turn are asked about

# What may happen while a request waits to be made again, and says nothing of it.
_ASIDE = (Notice, ContextCompacted, ToolProgressed, CheckpointCreated, AgentWaiting, SessionRenamed, UsageAdded)


class Transcript:
    """The entries of one agent's conversation; records of other agents are left out.

    Entries are only ever appended; those not yet over change in place. An entry that a retry made void stays in the
    list, marked, so that an index means the same entry for good; so do those of a turn that was taken back.
    """

    def __init__(self, records: Iterable[Record] = (), *, agent: str = "main") -> None:
        self.entries: list[Entry] = []
        self.turn = 0
        self._agent = agent
        self._cards: dict[str, int] = {}
        self._asked: dict[str, str] = {}  # request id -> call id
        self._thought = self._answer = self._retry = -1
        self._spans: dict[int, tuple[int, int | None]] = {}  # turn -> its entries, from and up to
        self._began: float | None = None
        self._prompted = False
        for record in records:
            self.apply(record)

    def apply(self, record: Record) -> tuple[int, ...]:
        """Fold one record; returns the indices of the entries that are new or changed."""
        if record.agent != self._agent:
            return ()
        return self._retried_no_more(record.event) + self._apply(record.event, record.at)

    def card(self, call_id: str) -> int | None:
        """The index of the call's card, the newest where a provider uses an id again."""
        return self._cards.get(call_id)

    def _apply(self, event: Event, at: float) -> tuple[int, ...]:
        match event:
            case TextDelta(text=text):
                return self._speak(text, at)
            case ThoughtDelta(text=text):
                return self._think(text, at)
            case ToolProgressed(call_id=call_id, text=text):
                return self._progress(call_id, text)
            case MessageCompleted(message=message):
                return self._complete(message, at)
            case ToolStarted():
                return self._start(event, at)
            case ToolEnded():
                return self._end(event, at)
            case TurnStarted(turn=turn, prompt=prompt):
                changed = self._settle(at)  # of a turn whose process was killed
                self._spans[turn] = len(self.entries), None
                self.turn, self._began, self._prompted = turn, at, False
                return (*changed, *self._add(Words(prompt, turn)))
            case TurnEnded():
                return (*self._settle(at), *self._finish(event, at))
            case StepRetried(attempt=attempt, wait=wait, reason=reason):
                changed = self._void()
                self._retry = len(self.entries)
                return (*changed, *self._add(Retry(attempt, wait, reason, at)))
            case RequestOpened(request_id=request_id, request=request):
                return self._ask(request_id, request, at)
            case RequestClosed(request_id=request_id, reply=reply):
                return self._answered(request_id, reply)
            case ContextCompacted(before_tokens=before, after_tokens=after):
                return self._add(Compaction(before, after))
            case Notice(level=level, text=text):
                return self._add(Note(level, text))
            case PlanUpdated(items=items):
                return self._plan(items)
            case TurnUndone():
                hidden = self._hide(event.turn) if event.conversation else ()
                return (*hidden, *self._add(Note("info", _rewound(event, "taken back", "put back"))))
            case TurnRedone():
                seen = self._see(event.turn) if event.conversation else ()
                return (*seen, *self._add(Note("info", _rewound(event, "brought back", "brought back"))))
            case TurnReviewed():
                return self._reviewed(event)
            case CommitCreated(commit=commit, message=message):
                return self._add(Note("info", f"Committed {commit[:10]}: {message.splitlines()[0]}"))
            case SessionForked(session_id=session_id):
                return (*self._settle(at), *self._add(Note("info", f"From here on this is a fork of {session_id}.")))
            case SessionOpened():
                return self._settle(at)  # another process begins: nothing of the one before runs any more
            case SwarmPlanned(swarm_id=swarm, tasks=tasks):
                if self._delegating():  # the card of the call says it
                    return ()
                return self._add(Note("info", f"Swarm {swarm}: {counted(len(tasks), 'task')}."))
            case SwarmEnded(swarm_id=swarm, outcome=outcome, metrics=metrics):
                return self._add(Note("info", f"Swarm {swarm}: {outcome} after {metrics.wall_s:.0f} s."))
            case AgentSpawned() | AgentWaiting() | AgentFinished() | TaskStateChanged():
                return ()
            case SessionRenamed() | StepStarted() | StepEnded() | CheckpointCreated() | UsageAdded():
                return ()
            case _:
                assert_never(event)

    def _add(self, entry: Entry) -> tuple[int, ...]:
        self.entries.append(entry)
        return (len(self.entries) - 1,)

    # --- The model's words ---

    def _speak(self, text: str, at: float) -> tuple[int, ...]:
        changed = self._think_no_more(at)
        if self._answer < 0:
            self._answer = len(self.entries)
            return (*changed, *self._add(Answer([text])))
        answer = self.entries[self._answer]
        assert isinstance(answer, Answer)
        answer.pieces.append(text)
        return (*changed, self._answer)

    def _think(self, text: str, at: float) -> tuple[int, ...]:
        if self._thought < 0:
            self._thought = len(self.entries)
            return self._add(Thought([text], at))
        thought = self.entries[self._thought]
        assert isinstance(thought, Thought)
        thought.pieces.append(text)
        return (self._thought,)

    def _think_no_more(self, at: float) -> tuple[int, ...]:
        """The time of thinking ends where the answer begins."""
        if self._thought < 0:
            return ()
        thought = self.entries[self._thought]
        assert isinstance(thought, Thought)
        if thought.done:
            return ()
        thought.done, thought.seconds = True, max(at - thought.began, 0.0)
        return (self._thought,)

    def _complete(self, message: Message, at: float) -> tuple[int, ...]:
        match message.role:
            case "assistant":
                return self._answered_whole(message, at)
            case "tool":
                return self._told(message)
            case "user" if message.source == "notice":
                return self._add(Note("info", message.text, told=True))
            case "user" if message.source == "prompt":
                # The first repeats what TurnStarted said.
                first, self._prompted = not self._prompted, True
                return () if first else self._add(Words(message.text, self.turn, steer=True))
            case _:
                return ()

    def _answered_whole(self, message: Message, at: float) -> tuple[int, ...]:
        changed = self._think_no_more(at)
        if self._thought < 0 and (message.thought or "").strip():
            changed += self._add(Thought([message.thought or ""], at, done=True))
        if self._answer < 0 and message.text.strip():
            self._answer = self._add(Answer([message.text]))[0]
        if self._answer >= 0:
            answer = self.entries[self._answer]
            assert isinstance(answer, Answer)
            if answer.text != message.text:
                answer.pieces = [message.text]
            answer.done = True
            changed = (*changed, self._answer)
        self._thought = self._answer = -1
        return changed

    def _void(self) -> tuple[int, ...]:
        changed = tuple(index for index in (self._thought, self._answer) if index >= 0)
        for index in changed:
            entry = self.entries[index]
            assert isinstance(entry, Thought | Answer)
            entry.void = entry.done = True
        self._thought = self._answer = -1
        return changed

    def _retried_no_more(self, event: Event) -> tuple[int, ...]:
        if self._retry < 0 or isinstance(event, _ASIDE):
            return ()
        index, self._retry = self._retry, -1
        retry = self.entries[index]
        assert isinstance(retry, Retry)
        retry.over = True
        return (index,)

    # --- Tool calls ---

    def _open(self, call_id: str, tool: str, title: str, at: float) -> int:
        """The card of a call that is not over; a new one where the id is new, or used again."""
        index = self._cards.get(call_id, -1)
        if index < 0 or self._at(index).over:
            index = self._add(Card(call_id, tool, title, "running", at))[0]
            self._cards[call_id] = index
        return index

    def _at(self, index: int) -> Card:
        card = self.entries[index]
        assert isinstance(card, Card)
        return card

    def _start(self, event: ToolStarted, at: float) -> tuple[int, ...]:
        index = self._open(event.call_id, event.tool, event.title, at)
        card = self._at(index)
        card.state, card.title, card.began, card.blocks = "running", event.title, at, ()
        return (index,)

    def _progress(self, call_id: str, text: str) -> tuple[int, ...]:
        index = self._cards.get(call_id)
        if index is None or self._at(index).over:
            return ()
        card = self._at(index)
        card.output += text
        if len(card.output) > 2 * _OUTPUT_KEPT:
            card.output = card.output[-_OUTPUT_KEPT:]
        return (index,)

    def _end(self, event: ToolEnded, at: float) -> tuple[int, ...]:
        index = self._open(event.call_id, event.tool, event.title, at)
        card = self._at(index)
        # What was to be approved stays in sight when it was refused.
        card.state, card.title, card.summary = event.status, event.title, event.summary
        card.blocks = event.blocks or (card.blocks if event.status == "denied" else ())
        card.seconds, card.output = event.duration_s, ""
        return (index,)

    def _told(self, message: Message) -> tuple[int, ...]:
        index = self._cards.get(message.call_id)
        if index is None:
            return ()
        self._at(index).result = message.text
        return (index,)

    def _plan(self, items: tuple[TodoItem, ...]) -> tuple[int, ...]:
        """The plan belongs to the call that runs; calls that change something run one at a time."""
        index = next((index for index in reversed(self._cards.values()) if not self._at(index).over), None)
        if index is None:
            return ()
        self._at(index).items = items
        return (index,)

    def _ask(self, request_id: str, request: Approval | Question, at: float) -> tuple[int, ...]:
        call_id = self._asked[request_id] = request.call_id or self._plan_of(request)
        if isinstance(request, Question):
            running = self._cards.get(request.call_id)
            if running is None or self._at(running).over:
                return ()
            self._at(running).state = "asked"
            return (running,)
        index = self._open(call_id, request.tool or _REVIEW, request.title, at)
        card = self._at(index)
        card.state, card.reason, card.blocks = "asked", request.reason, request.blocks
        return (index,)

    def _plan_of(self, request: Approval | Question) -> str:
        """The call whose plan is asked for; "" where it is none, or the user's own."""
        first = next(iter(request.title.strip().splitlines()), "") if isinstance(request, Approval) else ""
        named = isinstance(request, Approval) and request.tool == "Swarm"
        return next((card.call_id for card in self._delegating() if named and card.title.endswith(first.strip())), "")

    def _delegating(self) -> list[Card]:
        """The calls under way that have sub-agents work, the newest first."""
        open_ones = (self._at(index) for index in reversed(self._cards.values()) if not self._at(index).over)
        return [card for card in open_ones if card.tool in _DELEGATING and card.call_id]

    def _answered(self, request_id: str, reply: Reply) -> tuple[int, ...]:
        """Whatever the answer: the call's start or its end follows, or that of the review."""
        call_id = self._asked.pop(request_id, "")
        index = self._cards.get(call_id)
        if index is None or self._at(index).state != "asked":
            return ()
        card = self._at(index)
        if call_id or card.tool == _REVIEW:
            card.state = "running"
            if card.tool in _DELEGATING and not isinstance(reply, Deny):
                card.blocks = ()  # from now on the swarm itself is to be seen
        else:  # a plan of the user's own, or a command of a swarm's: nothing more is heard of the question
            card.state, card.summary = ("denied", "") if isinstance(reply, Deny) else ("done", "approved")
        return (index,)

    def _reviewed(self, event: TurnReviewed) -> tuple[int, ...]:
        """What a turn made was decided on: the end of the card that showed it, if anybody was asked."""
        index = self._cards.get("")
        count = len(event.files)
        words = f"{event.status}: {count} file{'' if count == 1 else 's'}"
        if index is None:
            return self._add(Note("info", f"The turn's changes were {words}."))
        card = self._at(index)
        states: dict[str, CardState] = {"applied": "done", "declined": "denied"}
        card.state = states.get(event.status, "failed")
        card.summary = words
        return (index,)

    # --- Turns ---

    def _close_span(self) -> None:
        start, end = self._spans.get(self.turn, (0, 0))
        if end is None:
            self._spans[self.turn] = start, len(self.entries)

    def _finish(self, event: TurnEnded, at: float) -> tuple[int, ...]:
        start, end = self._spans.get(event.turn, (0, 0))
        if end == len(self.entries):
            self._spans[event.turn] = start, len(self.entries) + 1
        return self._add(self._ending(event, at))

    def _hide(self, turn: int) -> tuple[int, ...]:
        """A turn was taken back: what is left in sight are the words that began it."""
        start, end = self._spans.get(turn, (0, 0))
        indices = range(start, len(self.entries) if end is None else end)
        for index in indices:
            entry = self.entries[index]
            if isinstance(entry, Words) and not entry.steer:
                self.entries[index] = replace(entry, undone=True)
            elif not isinstance(entry, Gone):
                self.entries[index] = Gone(entry)
        return tuple(indices)

    def _see(self, turn: int) -> tuple[int, ...]:
        """It was brought back."""
        start, end = self._spans.get(turn, (0, 0))
        indices = range(start, len(self.entries) if end is None else end)
        for index in indices:
            entry = self.entries[index]
            if isinstance(entry, Gone):
                self.entries[index] = entry.entry
            elif isinstance(entry, Words):
                self.entries[index] = replace(entry, undone=False)
        return tuple(indices)

    def _settle(self, at: float) -> tuple[int, ...]:
        """Close what a turn that was cut short left open."""
        self._close_span()
        changed = list(self._think_no_more(at))
        if self._answer >= 0:
            answer = self.entries[self._answer]
            assert isinstance(answer, Answer)
            answer.done = True
            changed.append(self._answer)
        self._thought = self._answer = -1
        for index in self._cards.values():
            if not self._at(index).over:
                self._at(index).state = "interrupted"
                changed.append(index)
        self._cards.clear()
        self._asked.clear()
        return tuple(changed)

    def _ending(self, event: TurnEnded, at: float) -> Ending:
        seconds = None if self._began is None else max(at - self._began, 0.0)
        return Ending(
            event.turn,
            event.outcome,
            event.error,
            seconds,
            event.steps,
            event.tool_calls,
            event.usage,
            event.cost_usd,
            event.files_changed,
        )


def _rewound(event: TurnUndone | TurnRedone, done: str, files_done: str) -> str:
    count = len(event.files)
    files = f"{count} file{'s' * (count != 1)}"
    if not event.conversation:
        return f"Turn {event.turn}: {files} {files_done}; the conversation stays."
    return f"Turn {event.turn} was {done}{f', with {files}' if count else ''}."
