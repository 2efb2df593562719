"""May it run? With the reason, the parts, the rules that could be remembered; nothing is approved by typing ahead."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from kimi_code.events import Allow, AllowEdited, Approval, Block, CommandPart, Deny, Diff, Output, Reply, Text
from kimi_code.tui.hanging import hanging, in_lines
from kimi_code.tui.keys import bindings, keys_of
from kimi_code.tui.picks import Picks, picks_of
from kimi_code.tui.strips.line import exact, fit, padded, width_of
from kimi_code.tui.theme import MUTED
from kimi_code.tui.widgets.hunks import HunkList

if TYPE_CHECKING:
    from kimi_code.tui.app import KimiApp

GUARD = 0.3  # seconds; keys that follow each other faster, or follow the appearance, were meant for something else
_PARTS_MOST = 8
_BESIDE = 64  # cells for a part and what it would do beside each other

Writing = Literal["", "words", "command"]


class ApprovalPanel(Vertical, can_focus=True):
    """One waiting approval out of several; `show` puts another in its place."""

    BINDINGS = bindings("approval")

    app: "KimiApp"

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

    class EditorWanted(Message):
        """The user wants to write the file of a diff anew (`path`), or the command, or the plan ("")."""

        def __init__(self, request_id: str, approval: Approval, path: str) -> None:
            super().__init__()
            self.request_id, self.approval, self.path = request_id, approval, path

    def __init__(self, keys: Mapping[str, str], *, id: str | None = None) -> None:
        """`keys` are the user's own, by the ids of bindings."""
        super().__init__(id=id)
        self._keys = keys
        self._request_id = ""
        self._approval: Approval | None = None
        self._place = (1, 1)
        self._whose = ""
        self._picks = Picks()
        self._splits = False
        self._writing: Writing = ""
        self._high = 0  # lines of what is asked
        self.clock = time.monotonic
        self._quiet_since = 0.0

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="approval-body", can_focus=False):
            yield Static("", id="approval-text", markup=False)
        yield HunkList(id="approval-hunks")
        # Whatever stands above: what one can answer is seen.
        with Vertical(id="approval-foot"):
            yield Input(id="approval-words", select_on_focus=False)
            yield Static("", id="approval-keys", markup=False)

    def show(self, request_id: str, approval: Approval, number: int, count: int, whose: str = "") -> None:
        """Ask this; number of count is waiting. `whose` names the sub-agent that asks."""
        self._whose = whose
        self._place = (number, count)
        if request_id != self._request_id:
            self._quiet_since = self.clock()
            self._request_id, self._approval = request_id, approval
            self._picks = picks_of(approval.blocks)
            # Asked once: it looks at every line of a hunk.
            self._splits = bool(self._picks.all) and Picks(list(self._picks.all)).split()
            self._hunks.display = False
            self._write("")
        self._redraw()

    def take_keyboard(self) -> None:
        """Hear keys; those of words that are being written go on going there."""
        (self._words if self._writing else self).focus()

    @property
    def picking(self) -> bool:
        """Whether hunks are walked."""
        return self._hunks.display

    @property
    def picks(self) -> Picks:
        """What of the changes is taken."""
        return self._picks

    @property
    def _words(self) -> Input:
        return self.query_one("#approval-words", Input)

    @property
    def _hunks(self) -> HunkList:
        return self.query_one("#approval-hunks", HunkList)

    # --- What is shown ---

    def on_resize(self) -> None:
        self._redraw()

    def _redraw(self) -> None:
        if self._approval is not None:
            self.query_one("#approval-text", Static).update(self._text(self._approval))
            self.query_one("#approval-keys", Static).update(self._offer(self._approval))

    def _text(self, approval: Approval) -> Content:
        number, count = self._place
        width = max(self._room - 1, 1)  # but the scroll bar
        lead = Content.assemble(
            ("● ", "$text-warning"),
            (f"{exact(self._whose)} asks: " if self._whose else "", "$text-warning"),
            (f"{approval.tool or 'Review'}  ", "bold"),
        )
        waiting = Content.styled(f"   {number} of {count} waiting" if count > 1 else "", MUTED)
        lines = hanging(lead, Content.assemble(exact(approval.title), waiting), width)
        if self.picking:
            return Content("\n").join(lines)
        if len(approval.parts) > 1:
            lines += _part_lines(approval.parts, width)
        else:
            lines += hanging(Content("  "), Content.styled(f"asked: {exact(approval.reason)}", MUTED), width)
        if approval.rules:
            rules = Content("\n").join(Content.styled(exact(rule), "$text-accent") for rule in approval.rules)
            which = " and ".join(keys_of(f"approval.{name}", self._keys).lower() for name in ("session", "always"))
            lines += hanging(Content.styled(f"  {which} allow from now on: ", MUTED), rules, width)
        self._high = len(lines)
        return Content("\n").join(lines)

    @property
    def _room(self) -> int:
        return self.size.width or self.app.size.width

    def _offer(self, approval: Approval) -> Content:
        if self._writing:
            named = (("Enter", "deny" if self._writing == "words" else "run it"), ("Esc", "back"))
            keys = [Content.assemble((key, "bold $text-accent"), f" {what}") for key, what in named]
            return in_lines(keys, self._room)
        if self.picking:
            taken = Content.styled(f"{self._picks.taken} of {len(self._picks.all)} taken", "bold")
            names = [("apply", "apply them"), ("take", "take or leave"), ("hunk_after", "next"), ("split", "split")]
            return in_lines([taken, *self._named([*names, ("edit", "edit"), ("deny", "deny")])], self._room)
        rules = [("session", "for this session"), ("always", "always")] if approval.rules else []
        hunks = [("hunk_after", "choose hunks")] if len(self._picks.all) > 1 or self._splits else []
        edit = [("edit", "edit the plan" if _plan(approval) else "edit")] if self._editable else []
        walk = [("after", "next")] if self._place[1] > 1 else []
        offered = self._named([("once", "allow once"), *rules, ("deny", "deny"), *hunks, *edit, *walk])
        return in_lines([*offered, *self._scrolling(approval)], self._room)

    def _scrolling(self, approval: Approval) -> list[Content]:
        """How to see all of what stands above, where that may be long."""
        if self._high + sum(map(_lines_of, approval.blocks)) <= self.app.size.height // 2:
            return []
        keys = " ".join(keys_of(f"approval.scroll_{way}", self._keys) for way in ("up", "down"))
        return [Content.assemble((keys, "bold $text-accent"), " scroll")]

    def _named(self, offered: list[tuple[str, str]]) -> list[Content]:
        named: list[Content] = []
        for name, what in offered:
            key = keys_of(f"approval.{name}", self._keys)
            named.append(Content.assemble((key.lower() if len(key) == 1 else key, "bold $text-accent"), f" {what}"))
        return named

    @property
    def _editable(self) -> bool:
        return self._approval is not None and bool(_command(self._approval) or _plan(self._approval) or self._path())

    def _path(self) -> str:
        """The file that `edit` is about: the one looked at, or the only one; "" where there is none."""
        diffs = [block for block in self._approval.blocks if isinstance(block, Diff)] if self._approval else []
        if self.picking:
            diffs = [self._picks.current.diff]
        paths = {diff.path for diff in diffs if diff.hunks and diff.change != "deleted"}
        return paths.pop() if len(paths) == 1 else ""

    # --- Keys ---

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """No key of ours works while words are written; those for hunks only where there are some."""
        if self._writing:
            return False
        if action in ("split", "apply"):
            return self.picking
        return bool(self._picks.all) if action == "take" else True

    def on_key(self, event: events.Key) -> None:
        if self._writing:
            if event.key == "escape":
                event.stop()
                event.prevent_default()
                self._write("")
                self.focus()
            return
        if event.key == "escape" and self.picking:
            event.stop()
            event.prevent_default()
            self._pick(False)
            return
        now, before = self.clock(), self._quiet_since
        self._quiet_since = now
        if now - before < GUARD and (event.is_printable or event.key == "enter"):
            event.stop()
            event.prevent_default()

    def action_allow(self, remember: str) -> None:
        assert self._approval is not None
        if remember == "":
            self._reply(Allow())
        elif self._approval.rules:
            self._reply(Allow("session" if remember == "session" else "always"))

    def action_deny(self) -> None:
        self._write("words")

    def action_scroll(self, by: int) -> None:
        body = self.query_one("#approval-body", VerticalScroll)
        if self.picking:
            self._hunks.scroll_on(by)
        elif 0 < body.scroll_y + by <= body.max_scroll_y or 0 <= body.scroll_y + by < body.max_scroll_y:
            body.scroll_relative(y=by, animate=False)
        else:
            self.post_message(self.Scrolled(by))

    def action_walk(self, by: int) -> None:
        self.post_message(self.Walked(by))

    def action_hunk(self, by: int) -> None:
        if not self._picks.all:
            self.action_scroll(by)
        elif self.picking:
            self._picks.move(by)
            self._hunks.redraw()
        else:
            self._pick(True)

    def action_take(self) -> None:
        if not self.picking:
            self._pick(True)
        self._picks.toggle()
        self._changed()

    def action_split(self) -> None:
        if not self._picks.split():
            self.app.notify("This hunk has one run of changes: it cannot be split.", timeout=2)
        self._changed()

    def action_apply(self) -> None:
        if self._picks.taken:
            self._reply(self._picks.reply())
        else:
            self._write("words")  # nothing of it is no

    def action_edit(self) -> None:
        assert self._approval is not None
        command, path = _command(self._approval), self._path()
        if command and "\n" not in command:
            self._write("command", command)
        elif command or path or _plan(self._approval):
            self.post_message(self.EditorWanted(self._request_id, self._approval, path))

    def _pick(self, picking: bool) -> None:
        self._hunks.display = picking
        if picking:
            self._hunks.show(self._picks)
        self._redraw()

    def _changed(self) -> None:
        self._hunks.redraw()
        self._hunks.refresh(layout=True)
        self._redraw()

    def _write(self, what: Writing, text: str = "") -> None:
        """Let words for the model be written, or the command, or nothing any more."""
        self._writing = what
        words = self._words
        words.display = bool(what)
        words.placeholder = "Words for the model, or just Enter" if what == "words" else "The command to run"
        words.value = text
        words.cursor_position = len(text)
        if what:
            words.focus()
        self._redraw()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        assert self._approval is not None
        text = event.value.strip()
        if self._writing == "words":
            self._reply(Deny(text))
        elif text:
            self._reply(Allow() if text == _command(self._approval) else AllowEdited(text))

    def _reply(self, reply: Reply) -> None:
        self.post_message(self.Replied(self._request_id, reply))


def _lines_of(block: Block) -> int:
    """About how many lines its card takes for it."""
    match block:
        case Diff():
            return sum(len(hunk.lines) for hunk in block.hunks)
        case Text():
            return block.text.count("\n") + 1
        case _:
            return 0  # a command stands in the panel


def _plan(approval: Approval) -> str:
    """The plan of a swarm that is asked for; "" where it is something else."""
    texts = (block.text for block in approval.blocks if isinstance(block, Text))
    return next(texts, "") if approval.tool == "Swarm" else ""


def _command(approval: Approval) -> str:
    """The command that is asked for; "" where it is something else."""
    return next((block.command for block in approval.blocks if isinstance(block, Output)), "")


def _part_lines(parts: tuple[CommandPart, ...], room: int) -> list[Content]:
    """Each part of a command line, and what it would do; those that are asked for stand out."""
    shown = parts[:_PARTS_MOST]
    texts = [" ".join(exact(part.text).split()) for part in shown]
    # What it would do stands beside it, or below where that leaves too little of it.
    most = room // 2 - 6 if room >= _BESIDE else room - 4
    width = min(max(map(width_of, texts), default=0), 48, max(most, 1))
    lines: list[Content] = []
    for part, text in zip(shown, texts, strict=True):
        asked = part.decision != "allow"
        sign = ("? ", "$text-warning") if asked else ("✓ ", MUTED)
        lead = Content.assemble("  ", sign, padded(fit(text, width), width), "  ")
        lines += hanging(lead, Content.styled(f"{'asked: ' if asked else ''}{exact(part.reason)}", MUTED), room)
    if len(parts) > len(shown):
        lines.append(Content.styled(f"    and {len(parts) - len(shown)} more", MUTED))
    return lines
