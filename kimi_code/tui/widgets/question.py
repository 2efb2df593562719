"""The model asks the person: options to choose from, and always a line for words of one's own."""

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from kimi_code.controls import clean
from kimi_code.events import Answer, Deny, Question, Reply
from kimi_code.tui.keys import bindings


class QuestionPanel(Vertical):
    """One question; `ask` puts another in its place. What is typed wins over what is highlighted."""

    BINDINGS = bindings("question")

    class Replied(Message):
        """The user answered, or left it to the model (a Deny)."""

        def __init__(self, request_id: str, reply: Reply) -> None:
            super().__init__()
            self.request_id, self.reply = request_id, reply

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._request_id = ""
        self._options: tuple[str, ...] = ()

    def compose(self) -> ComposeResult:
        yield Static("", id="question-text", markup=False)
        options = OptionList(id="question-options", compact=True)
        options.can_focus = False
        yield options
        yield Input(id="question-words", compact=True)

    def ask(self, request_id: str, question: Question) -> None:
        """Ask this, unless it is asked already."""
        if request_id == self._request_id:
            return
        self._request_id, self._options = request_id, question.options
        self.query_one("#question-text", Static).update(
            Content.assemble(("? ", "bold $text-accent"), clean(question.text))
        )
        options = self.query_one("#question-options", OptionList)
        options.clear_options()
        options.add_options([Option(Content(clean(option))) for option in question.options])
        options.display = bool(question.options)
        options.highlighted = 0 if question.options else None
        words = self.query_one("#question-words", Input)
        words.value = ""
        words.placeholder = "or your own answer   Esc: let the model decide" if question.options else "Your answer"

    def focus_words(self) -> None:
        """Take the keyboard."""
        self.query_one("#question-words", Input).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_answer()

    def action_move(self, by: int) -> None:
        options = self.query_one("#question-options", OptionList)
        if self._options:
            options.highlighted = ((options.highlighted or 0) + by) % len(self._options)

    def action_answer(self) -> None:
        words = self.query_one("#question-words", Input).value.strip()
        chosen = self.query_one("#question-options", OptionList).highlighted
        if words:
            self._reply(Answer(words))
        elif self._options and chosen is not None:
            self._reply(Answer(self._options[chosen]))

    def action_decline(self) -> None:
        self._reply(Deny())

    def _reply(self, reply: Reply) -> None:
        self.post_message(self.Replied(self._request_id, reply))
