"""The model asks the person: options to choose from, one or several, and always a line for words of one's own."""

import time
from collections.abc import Mapping

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from kimi_code.controls import clean
from kimi_code.events import Answer, Deny, Question, Reply
from kimi_code.tui.hanging import hanging, in_lines
from kimi_code.tui.keys import actions, bindings, keys_of
from kimi_code.tui.strips.line import padded, width_of
from kimi_code.tui.theme import MUTED

_MARGINS = 4  # cells beside the options
GUARD = 0.3  # seconds after its appearance in which Enter was meant for something else


class Words(Input):
    """The line for words; while it is empty, the panel's keys come first."""

    def __init__(self, panel: "QuestionPanel", *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._panel = panel

    async def _on_key(self, event: events.Key) -> None:
        if not self.value and self._panel.takes(event.key):
            event.stop()
            event.prevent_default()
            return
        await super()._on_key(event)


class QuestionPanel(Vertical):
    """One question; `ask` puts another in its place. What is typed wins over what is chosen."""

    BINDINGS = bindings("question")

    class Replied(Message):
        """The user answered, or left it to the model (a Deny)."""

        def __init__(self, request_id: str, reply: Reply) -> None:
            super().__init__()
            self.request_id, self.reply = request_id, reply

    class Walked(Message):
        """The user wants to see another waiting request."""

        def __init__(self, by: int) -> None:
            super().__init__()
            self.by = by

    def __init__(self, keys: Mapping[str, str], *, id: str | None = None) -> None:
        """`keys` are the user's own, by the ids of bindings."""
        super().__init__(id=id)
        self._keys = keys
        self._actions = actions("question", keys)
        self._request_id = ""
        self._question = Question("", "")
        self._head = Content("")
        self._taken: set[int] = set()
        self.clock = time.monotonic
        self._shown_at = 0.0

    def compose(self) -> ComposeResult:
        yield Static("", id="question-text", markup=False)
        options = OptionList(id="question-options")
        options.can_focus = False
        yield options
        with Vertical(id="question-foot"):
            yield Words(self, id="question-words")
            yield Static("", id="question-hint", markup=False)

    def ask(self, request_id: str, question: Question, number: int, count: int, whose: str = "") -> None:
        """Ask this; number of count is waiting. `whose` names the sub-agent that asks."""
        self._head = Content.assemble(
            (f"{clean(whose)} asks: " if whose else "", "$text-warning"),
            clean(question.text),
            (f"   {number} of {count} waiting" if count > 1 else "", MUTED),
        )
        if request_id == self._request_id:
            self._redraw_head()
            return
        self._request_id, self._question, self._taken = request_id, question, set()
        self._shown_at = self.clock()
        self._options.display = bool(question.options)
        self._redraw(0)
        self._words.value = ""
        self._words.placeholder = "or your own words" if question.options else "Your answer"

    def focus_words(self) -> None:
        """Take the keyboard."""
        self._words.focus()

    @property
    def _options(self) -> OptionList:
        return self.query_one("#question-options", OptionList)

    @property
    def _words(self) -> Words:
        return self.query_one("#question-words", Words)

    @property
    def _room(self) -> int:
        return self.size.width or self.screen.size.width

    def _hint(self) -> Content:
        several = [("take", "take or leave")] if self._question.several else []
        offered = [*several, ("answer", "answer"), ("decline", "let the model decide")]
        named = [
            Content.assemble((keys_of(f"question.{name}", self._keys), "bold $text-accent"), f" {what}")
            for name, what in offered
        ]
        return in_lines(named, self._room)

    def on_resize(self) -> None:
        if self._request_id:
            self._redraw(self._options.highlighted or 0)

    def _redraw_head(self) -> None:
        lines = hanging(Content.styled("? ", "bold $text-accent"), self._head, self._room)
        self.query_one("#question-text", Static).update(Content("\n").join(lines))

    def _redraw(self, highlighted: int) -> None:
        self._redraw_head()
        question, options = self._question, self._options
        width = max((width_of(clean(option)) for option in question.options), default=0) + 2
        details = question.details or ("",) * len(question.options)
        room = max(self._room - _MARGINS, 1)
        self.query_one("#question-hint", Static).update(self._hint())
        options.clear_options()
        for index, (label, detail) in enumerate(zip(question.options, details, strict=False)):
            mark = ("☑ " if index in self._taken else "☐ ") if question.several else ""
            lead = Content(mark + padded(clean(label), width if detail else 0))
            lines = hanging(lead, Content.styled(clean(detail), MUTED), room) if detail else [lead]
            options.add_option(Option(Content("\n").join(lines)))
        options.highlighted = highlighted if question.options else None

    def takes(self, key: str) -> bool:
        """Take or leave the highlighted option if that is what the key means here."""
        if not (self._question.several and self._actions.get(key) == "take"):
            return False
        self.action_take()
        return True

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_answer()

    def action_move(self, by: int) -> None:
        if self._question.options:
            self._options.highlighted = ((self._options.highlighted or 0) + by) % len(self._question.options)

    def action_take(self) -> None:
        chosen = self._options.highlighted
        if self._question.several and chosen is not None:
            self._taken ^= {chosen}
            self._redraw(chosen)

    def action_walk(self, by: int) -> None:
        self.post_message(self.Walked(by))

    def action_answer(self) -> None:
        if self.clock() - self._shown_at < GUARD:
            return
        words, names = self._words.value.strip(), self._question.options
        taken = [names[index] for index in sorted(self._taken)]
        chosen = self._options.highlighted
        if words:
            self._reply(Answer("\n".join((*taken, words))))
        elif taken:
            self._reply(Answer("\n".join(taken)))
        elif names and chosen is not None:
            self._reply(Answer(names[chosen]))

    def action_decline(self) -> None:
        self._reply(Deny())

    def _reply(self, reply: Reply) -> None:
        self.post_message(self.Replied(self._request_id, reply))
