"""May it run? With the reason, and the rules that could be remembered; nothing is approved by typing ahead."""

import time
from collections.abc import Mapping

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from kimi_code.controls import clean
from kimi_code.events import Allow, Approval, Deny, Reply
from kimi_code.tui.keys import bindings, keys_of
from kimi_code.tui.theme import MUTED

GUARD = 0.3  # seconds; keys that follow each other faster, or follow the appearance, were meant for something else


class ApprovalPanel(Vertical, can_focus=True):
    """One waiting approval out of several; `show` puts another in its place."""

    BINDINGS = bindings("approval")

    class Replied(Message):
        """The user decided."""

        def __init__(self, request_id: str, reply: Reply) -> None:
            super().__init__()
            self.request_id, self.reply = request_id, reply

    class Walked(Message):
        """The user wants to see the next (1) or previous (-1) waiting request."""

        def __init__(self, by: int) -> None:
            super().__init__()
            self.by = by

    class Scrolled(Message):
        """The user wants to see more of what is asked, which stands in the transcript."""

        def __init__(self, by: int) -> None:
            super().__init__()
            self.by = by

    def __init__(self, keys: Mapping[str, str], *, id: str | None = None) -> None:
        """`keys` are the user's own, by the ids of bindings."""
        super().__init__(id=id)
        self._keys = keys
        self._request_id = ""
        self._approval: Approval | None = None
        self.clock = time.monotonic
        self._quiet_since = 0.0

    def compose(self) -> ComposeResult:
        yield Static("", id="approval-text", markup=False)
        yield Input(placeholder="Words for the model, or just Enter", id="approval-words", compact=True)

    def show(self, request_id: str, approval: Approval, number: int, count: int) -> None:
        """Ask this; number of count is waiting."""
        if request_id != self._request_id:
            self._quiet_since = self.clock()
            self._words.display = False
            self._words.value = ""
        self._request_id, self._approval = request_id, approval
        self.query_one("#approval-text", Static).update(self._text(approval, number, count))

    @property
    def _words(self) -> Input:
        return self.query_one("#approval-words", Input)

    def _text(self, approval: Approval, number: int, count: int) -> Content:
        waiting = f"   {number} of {count} waiting" if count > 1 else ""
        lines = [
            Content.assemble(
                ("● ", "$text-warning"),
                (f"{approval.tool}  ", "bold"),
                clean(approval.title),
                (waiting, MUTED),
            ),
            Content.styled(f"  asked: {clean(approval.reason)}", MUTED),
        ]
        if approval.rules:
            rules = "  ".join(clean(rule) for rule in approval.rules)
            lines.append(Content.assemble(("  s and a allow from now on: ", MUTED), (rules, "$text-accent")))
        keys = [("once", "allow once"), ("session", "for this session"), ("always", "always"), ("deny", "deny")]
        offered = [(name, what) for name, what in keys if approval.rules or name in ("once", "deny")]
        spans: list[Content | str | tuple[str, str]] = ["  "]
        for name, what in offered:
            spans += [(keys_of(f"approval.{name}", self._keys).lower(), "bold $text-accent"), f" {what}   "]
        return Content("\n").join([*lines, Content.assemble(*spans)])

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """No key of ours works while its words are written."""
        return not self._words.display if action in ("allow", "deny", "scroll", "walk") else True

    def on_key(self, event: events.Key) -> None:
        if self._words.display:
            if event.key == "escape":
                event.stop()
                event.prevent_default()
                self._words.display = False
                self.focus()
            return
        now, before = self.clock(), self._quiet_since
        self._quiet_since = now
        if now - before < GUARD and event.is_printable:
            event.stop()
            event.prevent_default()

    def action_allow(self, remember: str) -> None:
        assert self._approval is not None
        if remember == "":
            self._reply(Allow())
        elif self._approval.rules:
            self._reply(Allow("session" if remember == "session" else "always"))

    def action_deny(self) -> None:
        self._words.display = True
        self._words.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._reply(Deny(event.value.strip()))

    def action_scroll(self, by: int) -> None:
        self.post_message(self.Scrolled(by))

    def action_walk(self, by: int) -> None:
        self.post_message(self.Walked(by))

    def _reply(self, reply: Reply) -> None:
        self.post_message(self.Replied(self._request_id, reply))
