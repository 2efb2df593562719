"""The main screen: transcript, prompt, status line, side bar. Passes what is typed and pressed down to the session."""

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.widgets import Static

from kimi_code.errors import KimiError
from kimi_code.events import Approval
from kimi_code.tui.completer import Completer
from kimi_code.tui.conversation import Conversation, Job
from kimi_code.tui.desk import ScreenDesk
from kimi_code.tui.errands import Errands
from kimi_code.tui.hearing import Hearing
from kimi_code.tui.host import Host, Place, Which, short_folder
from kimi_code.tui.input import completion
from kimi_code.tui.keys import bindings
from kimi_code.tui.swarming import Left, Swarming, Wanted
from kimi_code.tui.widgets.approval import ApprovalPanel
from kimi_code.tui.widgets.completions import Completions
from kimi_code.tui.widgets.prompt import Prompt
from kimi_code.tui.widgets.question import QuestionPanel
from kimi_code.tui.widgets.requests import Requests
from kimi_code.tui.widgets.sidebar import Sidebar
from kimi_code.tui.widgets.status import Activity, StatusLine
from kimi_code.tui.widgets.transcript import TranscriptView

if TYPE_CHECKING:
    from kimi_code.session.session import Session
    from kimi_code.tui.app import KimiApp

_TWICE = 2.0  # seconds within which a second Ctrl+C leaves
# What Shift+Tab goes through; "yolo" is for /permissions alone.
_CYCLE = ("ask", "edits", "auto", "plan")
_WELCOME = "Welcome to kimi-code."
_GREETING = "What shall we do here?  Write it below.\n\n/help commands and keys   @ names a file   ! runs a command"


class MainScreen(Screen[None]):
    """One conversation and all around it."""

    BINDINGS = bindings("everywhere", "transcript")
    AUTO_FOCUS = "#prompt"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (76, "-wide")]  # noqa: RUF012  (as Textual declares it)
    DEFAULT_CLASSES = "-wide"  # as most are: nothing has to be styled again once the width is known

    app: "KimiApp"

    def __init__(self, host: Host, which: Which, *, prompt: str = "", typed: str = "", note: str = "") -> None:
        """`prompt` is sent as soon as it can be, `typed` stands in the prompt, `note` is said first."""
        super().__init__()
        self._host, self._which, self._typed = host, which, typed
        self.desk = ScreenDesk(self)
        self.errands = Errands(self)
        self.swarming = Swarming(self)
        self.hearing = hearing = Hearing(self, note)
        self.conversation = Conversation(host, hearing.hear, hearing.begin, hearing.refresh, self.desk.fail)
        if prompt:
            self.conversation.queue.append(Job("prompt", prompt))
        self._left_at = self._escaped_at = float("-inf")

    def compose(self) -> ComposeResult:
        with Horizontal(id="body"), Vertical(id="column"):
            yield Static(_GREETING, id="greeting", markup=False)
            transcript = TranscriptView(cwd=str(self._host.folder), id="transcript")
            # The keyboard belongs to the prompt.
            transcript.can_focus = False
            yield transcript
            yield Activity(still=self._host.preferences.reduced_motion, id="activity")
            yield Static("", id="queue", markup=False)
            yield Completions(id="completions")
            with Horizontal(id="prompt-row"):
                yield Static("❯", id="prompt-mark", markup=False)
                yield Prompt(self._host.preferences.keys, vim=self._host.preferences.vim, id="prompt")
            yield StatusLine(id="status")

    def on_mount(self) -> None:
        self.prompt.folder = self._host.folder
        self._completer = Completer(self.desk, self.prompt, self.completions)
        self.prompt.list_is_open = lambda: self.completions.fits(self.prompt.before_caret)
        if self._host.preferences.vim:
            self.status.show_mode("insert")
        if self._typed:
            self.prompt.replace_text(self._typed)
        self.status.show_place(Place(short_folder(self._host.folder)))
        # Nothing heavy before the first paint: it would be seen later.
        self.call_after_refresh(self._start)

    async def _start(self) -> None:
        # What is not seen at first is made now, and before a session can need it.
        requests = Requests(self._host.preferences.keys, id="requests")
        await self.query_one("#column").mount(requests, before="#completions")
        await self.query_one("#body").mount(Sidebar(id="sidebar"))
        self.run_worker(self._begin(), exit_on_error=True)
        self.run_worker(self._settle_in())
        self._look_around()

    async def _begin(self) -> None:
        from kimi_code.tui import doorway

        if await doorway.come_in(self):
            await self.conversation.run(self._which)

    async def _settle_in(self) -> None:
        try:
            self.prompt.remember_in(await asyncio.to_thread(self._host.memory))
        except KimiError:
            pass  # opening the session says what is wrong

    # --- The parts ---

    @property
    def host(self) -> Host:
        return self._host

    @property
    def session(self) -> "Session":
        session = self.conversation.session
        if session is None:
            raise KimiError("There is no open session yet.")
        return session

    @property
    def transcript(self) -> TranscriptView:
        return self.query_one("#transcript", TranscriptView)

    @property
    def prompt(self) -> Prompt:
        return self.query_one("#prompt", Prompt)

    @property
    def completions(self) -> Completions:
        return self.query_one("#completions", Completions)

    @property
    def requests(self) -> Requests:
        return self.query_one("#requests", Requests)

    @property
    def waits(self) -> bool:
        """Whether a request waits for the person; the panels for them come after the first paint."""
        return any(requests.count for requests in self.query(Requests))

    @property
    def status(self) -> StatusLine:
        return self.query_one("#status", StatusLine)

    @property
    def activity(self) -> Activity:
        return self.query_one("#activity", Activity)

    @property
    def sidebar(self) -> Sidebar:
        return self.query_one("#sidebar", Sidebar)

    # --- What stands around the words ---

    def greet(self, greet: bool) -> None:
        """Welcome who comes in, in the transcript's place."""
        greeting = self.query_one("#greeting")
        if greeting.display != greet:
            greeting.display = greet
            self.transcript.display = not greet

    def make_room(self, asking: bool) -> None:
        """While the program itself asks, its question stands in the prompt's place."""
        self.query_one("#prompt-row").display = not asking
        self.query_one("#greeting", Static).update(_WELCOME if asking else _GREETING)
        if asking:
            self.activity.show("")
        else:
            self.prompt.focus()

    def standing_changed(self) -> None:
        session = self.conversation.session
        self.status.show_standing(None if session is None else session.standing)

    def files_changed(self) -> None:
        """Files or turns were put back: what the screen says of them is old."""
        self.look_again()
        self._count_changes()

    def look_again(self) -> None:
        """Files may have changed."""
        self._completer.forget_files()
        self._look_around()

    @work(exclusive=True, group="changes")
    async def _count_changes(self) -> None:
        try:
            changes = await self.session.timeline.changed()
        except KimiError:
            return  # what the records said stays
        for sidebar in self.query(Sidebar):
            sidebar.show_changes(changes)

    @work(exclusive=True, group="place")
    async def _look_around(self) -> None:
        place = await self._host.place()
        for status in self.query(StatusLine):  # none once the screen closes
            status.show_place(place)

    @on(ApprovalPanel.Replied)
    @on(QuestionPanel.Replied)
    def _reply(self, event: ApprovalPanel.Replied | QuestionPanel.Replied) -> None:
        self.session.reply(event.request_id, event.reply)

    @on(ApprovalPanel.EditorWanted)
    def _edit_proposal(self, event: ApprovalPanel.EditorWanted) -> None:
        self.run_worker(self._reply_edited(event.request_id, event.approval, event.path))

    async def _reply_edited(self, request_id: str, approval: Approval, path: str) -> None:
        reply = await self.errands.edit_proposal(approval, path)
        if reply is not None:
            self.session.reply(request_id, reply)

    @on(ApprovalPanel.Scrolled)
    def _scroll(self, event: ApprovalPanel.Scrolled) -> None:
        self.transcript.scroll_relative(y=event.by, animate=False)

    @on(Requests.Shown)
    def _show_asked(self, event: Requests.Shown) -> None:
        self.transcript.show_asked(event.call_id)

    @on(Requests.Emptied)
    def _answered(self) -> None:
        if not self.waits:  # the next one may have come since
            self.prompt.focus()

    @on(TranscriptView.Broke)
    def _broke(self, event: TranscriptView.Broke) -> None:
        self.app.report_bug(event.error)

    # --- What is typed ---

    @on(Prompt.Submitted)
    def _submitted(self, event: Prompt.Submitted) -> None:
        text = event.text.strip()
        if not text:
            if event.steer and self.conversation.queue:
                self._steer_queued()
            return
        self.completions.suggest(())
        self.transcript.follow()
        if event.lost:
            self.app.notify(f"Sent as words alone, its file is not known any more: {' '.join(event.lost)}")
        if text.startswith("/") and completion.is_command(text):
            self.run_worker(self.desk.run(text))
        elif text.startswith("!") and len(text) > 1:
            self.conversation.submit(Job("shell", text[1:].strip()))
        elif text.startswith("#") and len(text) > 1 and "\n" not in text:
            self.run_worker(self.desk.note(text.lstrip("#").strip()))
        elif event.images or not (event.steer and self.conversation.steer(text)):
            self.conversation.submit(Job("prompt", text, event.images))

    def _steer_queued(self) -> None:
        job = self.conversation.queue[0]
        if job.kind == "prompt" and not job.images and self.conversation.steer(job.text):
            self.conversation.queue.pop(0)
            self.hearing.refresh()

    @on(Prompt.Completing)
    def _complete(self, event: Prompt.Completing) -> None:
        if not self.waits:
            self.run_worker(partial(self._completer.suggest, event.before), exclusive=True, group="completion")

    @on(Prompt.Key)
    def _list_key(self, event: Prompt.Key) -> None:
        self._completer.press(event.name)

    @on(Prompt.ModeChanged)
    def _mode_changed(self, event: Prompt.ModeChanged) -> None:
        self.status.show_mode(event.mode)

    @on(Prompt.HistoryWanted)
    def _search_history(self) -> None:
        self.run_worker(self.desk.choose_from_history(self.prompt))

    @on(Prompt.ImageWanted)
    def _paste_image(self) -> None:
        self.run_worker(self.errands.paste_image(), exclusive=True, group="clipboard")

    @on(Prompt.EditorWanted)
    def _edit_outside(self) -> None:
        self.run_worker(self.errands.edit_prompt(), exclusive=True, group="editor")

    # --- Keys ---

    def action_interrupt(self) -> None:
        if self._completer.close() or self.conversation.interrupt():
            return
        self.transcript.clear_cursor()
        if time.monotonic() - self._escaped_at < _TWICE:
            self.action_rewind()
        else:
            self._escaped_at = time.monotonic()

    def action_rewind(self) -> None:
        self._escaped_at = float("-inf")
        self.run_worker(self._rewind(), exclusive=True, group="rewinding")

    async def _rewind(self) -> None:
        from kimi_code.tui.rewinding import rewind

        await rewind(self.desk, self.prompt)

    def action_leave(self) -> None:
        selected = self.get_selected_text() or self.prompt.selected_text
        if selected:
            self.app.copy_to_clipboard(selected)
            self.clear_selection()
        elif self.prompt.text:
            self.prompt.replace_text("")
        elif time.monotonic() - self._left_at < _TWICE:
            self.app.leave()
        else:
            self._left_at = time.monotonic()
            self.app.notify("Ctrl+C again leaves. The session can be resumed.", timeout=_TWICE)

    def action_cycle_mode(self) -> None:
        session = self.conversation.session
        if session is not None:
            mode = session.standing.permission_mode
            session.set_permission_mode(_CYCLE[(_CYCLE.index(mode) + 1) % len(_CYCLE)] if mode in _CYCLE else "ask")
            self.standing_changed()

    def action_toggle_cards(self) -> None:
        self.transcript.toggle_all()

    def action_toggle_sidebar(self) -> None:
        for sidebar in self.query(Sidebar):
            sidebar.toggle()

    def action_swarm(self) -> None:
        if not self.swarming.enter(asked=self.waits):
            self.app.notify("There was no swarm in this session. /swarm GOAL has a goal reached by many at once.")

    @on(Left)
    def _left_swarm(self) -> None:
        if not self.waits:
            self.prompt.focus()

    @on(Wanted)
    def _do_in_swarm(self, event: Wanted) -> None:
        self.run_worker(self.swarming.do(event.deed, event.place))

    def action_palette(self) -> None:
        self.run_worker(self.desk.choose_command())

    def action_sessions(self) -> None:
        self.run_worker(self.desk.run("/sessions"))

    def action_help(self) -> None:
        self.run_worker(self.desk.run("/help"))

    def action_suspend(self) -> None:
        self.app.action_suspend_process()

    def action_retry_now(self) -> None:
        if self.conversation.session is not None:
            self.conversation.session.retry_now()
            self.activity.hurry()

    def action_page_up(self) -> None:
        self.transcript.scroll_page_up(animate=False)

    def action_page_down(self) -> None:
        self.transcript.scroll_page_down(animate=False)

    def action_turn(self, by: int) -> None:
        self.transcript.go_to_turn(by)

    def action_follow(self) -> None:
        self.transcript.follow()

    def action_card(self, by: int) -> None:
        self.transcript.move_cursor(by)

    def action_toggle_card(self) -> None:
        self.transcript.toggle_chosen()

    def action_open_file(self) -> None:
        if not self.transcript.open_file():
            self.app.notify("No card names a file.")
