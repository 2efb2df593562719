"""The main screen: transcript, prompt, status line, side bar. Passes what is typed down, and Records up."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from kimi_code.errors import KimiError
from kimi_code.events import (
    Approval,
    Notice,
    Question,
    Record,
    Request,
    RequestClosed,
    RequestOpened,
    SessionOpened,
    TurnEnded,
)
from kimi_code.tui.conversation import Conversation, Job
from kimi_code.tui.doing import describe
from kimi_code.tui.host import Host, Opened, Place, Which, short_folder
from kimi_code.tui.input import completion
from kimi_code.tui.input.fuzzy import Choices
from kimi_code.tui.keys import bindings
from kimi_code.tui.theme import MUTED
from kimi_code.tui.widgets.approval import ApprovalPanel
from kimi_code.tui.widgets.completions import Completions
from kimi_code.tui.widgets.prompt import Prompt
from kimi_code.tui.widgets.question import QuestionPanel
from kimi_code.tui.widgets.sidebar import Sidebar
from kimi_code.tui.widgets.status import Activity, StatusLine
from kimi_code.tui.widgets.transcript import TranscriptView

if TYPE_CHECKING:
    from kimi_code.session.session import Session
    from kimi_code.tui.app import KimiApp
    from kimi_code.tui.screens.picker import Row

T = TypeVar("T")

_PAUSE = 0.06  # seconds without a key before symbols are looked up
_TWICE = 2.0  # seconds within which a second Ctrl+C leaves
# What Shift+Tab goes through; "yolo" is for /permissions alone.
_CYCLE = ("ask", "edits", "auto", "plan")
_WELCOME = "Welcome to kimi-code."
_GREETING = "What shall we do here?  Write it below.\n\n/help commands and keys   @ names a file   ! runs a command"


class MainScreen(Screen[None]):
    """Also the Desk that commands work with."""

    BINDINGS = bindings("everywhere", "transcript")
    AUTO_FOCUS = "#prompt"

    app: "KimiApp"

    def __init__(self, host: Host, which: Which, *, prompt: str = "", typed: str = "", note: str = "") -> None:
        """`prompt` is sent as soon as it can be, `typed` stands in the prompt, `note` is said first."""
        super().__init__()
        self._host, self._which, self._typed, self._note_first = host, which, typed, note
        self.conversation = Conversation(host, self._hear, self._began, self._refresh, self.fail)
        if prompt:
            self.conversation.queue.append(Job("prompt", prompt))
        self._requests: dict[str, Request] = {}
        self._shown_request = ""
        self._files: Choices | None = None
        self._left_at = float("-inf")

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
                yield Prompt(self._host.preferences.keys, id="prompt")
            yield StatusLine(id="status")

    def on_mount(self) -> None:
        self.prompt.folder = self._host.folder
        self.prompt.list_is_open = lambda: self.completions.fits(self.prompt.before_caret)
        if self._typed:
            self.prompt.replace_text(self._typed)
        self.status.show_place(Place(short_folder(self._host.folder)))
        # Nothing heavy before the first paint: it would be seen later.
        self.call_after_refresh(self._start)

    async def _start(self) -> None:
        # What is not seen at first is made now, and before a session can need it.
        panels = (ApprovalPanel(self._host.preferences.keys, id="approval"), QuestionPanel(id="question"))
        await self.query_one("#column").mount(*panels, before="#completions")
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
    def status(self) -> StatusLine:
        return self.query_one("#status", StatusLine)

    @property
    def activity(self) -> Activity:
        return self.query_one("#activity", Activity)

    @property
    def sidebar(self) -> Sidebar:
        return self.query_one("#sidebar", Sidebar)

    # --- Records come in ---

    def _began(self, opened: Opened) -> None:
        self._requests.clear()
        self._show_request()
        self.transcript.clear()
        if opened.history:
            self.transcript.load(opened.history)
        self.sidebar.load(opened.history)
        self._greet(not opened.history)
        if self._note_first:
            self.say(self._note_first)
            self._note_first = ""

    def _hear(self, record: Record) -> None:
        """Every record of the session; a mistake of the screen's must not end the turn that publishes it."""
        try:
            self._show(record)
        except Exception as error:
            self.app.report_bug(error)

    def _show(self, record: Record) -> None:
        event = record.event
        self.transcript.append(record)
        self.sidebar.append(record)
        doing = describe(event)
        if doing is not None:
            self.activity.show(doing.words, hint=doing.hint, wait=doing.wait)
        match event:
            case RequestOpened(request_id=id, request=request):
                self._requests[id] = request
                self._show_request()
                self.app.call_for_attention("kimi-code waits for you")
            case RequestClosed(request_id=id):
                self._requests.pop(id, None)
                self._show_request()
            case TurnEnded():
                self.app.call_for_attention("kimi-code is done")
                self._look_around()
                self._files = None
            case _:
                pass
        if event.__class__.__name__ not in ("TextDelta", "ThoughtDelta", "ToolProgressed"):
            self.standing_changed()
            if not isinstance(event, SessionOpened):
                self._greet(False)

    def _greet(self, greet: bool) -> None:
        greeting = self.query_one("#greeting")
        if greeting.display != greet:
            greeting.display = greet
            self.transcript.display = not greet

    def _refresh(self) -> None:
        """The conversation's state or queue changed."""
        conversation = self.conversation
        if conversation.given_back:
            texts = [_typed(job) for job in conversation.given_back]
            conversation.given_back.clear()
            self.prompt.replace_text("\n".join(text for text in (*texts, self.prompt.text) if text))
        if conversation.state == "opening":
            self.activity.show("Opening the session")
        elif conversation.state == "working":
            self.activity.show(self.activity.words or "Working", hint="Esc interrupts")
        else:
            self.activity.show("")
        queue = self.query_one("#queue", Static)
        waiting = conversation.queue if conversation.session is not None else conversation.queue[:]
        queue.display = bool(waiting)
        queue.update(
            Content("\n").join(Content.styled(f"↳ queued: {_one_line(_typed(job))}", MUTED) for job in waiting)
        )
        self.app.show_working(conversation.state == "working")
        self.standing_changed()

    def standing_changed(self) -> None:
        session = self.conversation.session
        self.status.show_standing(None if session is None else session.standing)

    @work(exclusive=True, group="place")
    async def _look_around(self) -> None:
        place = await self._host.place()
        self.status.show_place(place)

    # --- Requests ---

    def _show_request(self) -> None:
        """Show the chosen waiting request, or the first one, or the prompt again."""
        if self._shown_request not in self._requests:
            self._shown_request = next(iter(self._requests), "")
        request = self._requests.get(self._shown_request)
        approval = self.query_one("#approval", ApprovalPanel)
        question = self.query_one("#question", QuestionPanel)
        approval.display = isinstance(request, Approval)
        question.display = isinstance(request, Question)
        if isinstance(request, Approval):
            number = list(self._requests).index(self._shown_request) + 1
            approval.show(self._shown_request, request, number, len(self._requests))
            approval.focus()
        elif isinstance(request, Question):
            question.ask(self._shown_request, request)
            question.focus_words()
        else:
            self.prompt.focus()
        if request is not None:
            self.completions.suggest(())
            self.transcript.follow()

    @on(ApprovalPanel.Replied)
    @on(QuestionPanel.Replied)
    def _reply(self, event: ApprovalPanel.Replied | QuestionPanel.Replied) -> None:
        self.session.reply(event.request_id, event.reply)

    @on(TranscriptView.Broke)
    def _broke(self, event: TranscriptView.Broke) -> None:
        self.app.report_bug(event.error)

    @on(ApprovalPanel.Walked)
    def _walk(self, event: ApprovalPanel.Walked) -> None:
        ids = list(self._requests)
        if self._shown_request in ids:
            self._shown_request = ids[(ids.index(self._shown_request) + event.by) % len(ids)]
            self._show_request()

    @on(ApprovalPanel.Scrolled)
    def _scroll(self, event: ApprovalPanel.Scrolled) -> None:
        self.transcript.scroll_relative(y=event.by, animate=False)

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
        if text.startswith("/") and completion.is_command(text):
            self.run_worker(self._command(text))
        elif text.startswith("!") and len(text) > 1:
            self.submit(Job("shell", text[1:].strip()))
        elif text.startswith("#") and len(text) > 1 and "\n" not in text:
            self.run_worker(self._note(text.lstrip("#").strip()))
        elif event.images or not (event.steer and self.conversation.steer(text)):
            self.submit(Job("prompt", text, event.images))

    def _steer_queued(self) -> None:
        job = self.conversation.queue[0]
        if job.kind == "prompt" and not job.images and self.conversation.steer(job.text):
            self.conversation.queue.pop(0)
            self._refresh()

    async def _command(self, line: str) -> None:
        from kimi_code.tui import commands

        await commands.run(self, line)

    async def _note(self, text: str) -> None:
        try:
            file = await asyncio.to_thread(self._host.note, text)
        except (KimiError, OSError) as error:
            self.fail(error)
        else:
            self.say(f"Added to {file}; sessions opened from now on know it.")

    @on(Prompt.Completing)
    def _complete(self, event: Prompt.Completing) -> None:
        asked = completion.wanted(event.before)
        if asked is None or self._requests:
            if self.completions.is_open:
                self.completions.suggest(())
            return
        self._suggest(asked, event.before)

    @work(exclusive=True, group="completion")
    async def _suggest(self, asked: completion.Wanted, before: str) -> None:
        found: Sequence[completion.Suggestion] = ()
        match asked.kind:
            case "command":
                from kimi_code.tui.commands import COMMANDS

                found = completion.commands(asked, [(command.name, command.what) for command in COMMANDS])
            case "argument":
                from kimi_code.tui.commands import COMMANDS

                named = [command for command in COMMANDS if command.name == asked.command and command.choices]
                if named and named[0].choices:
                    found = completion.arguments(asked, await named[0].choices(self))
            case _:
                if self._files is None:
                    self._files = await asyncio.to_thread(Choices, await self._host.files())
                found = await asyncio.to_thread(completion.files, asked, self._files)
                if completion.may_be_symbol(asked.word):
                    self.completions.suggest(found, before)
                    await asyncio.sleep(_PAUSE)  # while somebody types on, nothing is looked up
                    symbols = await self._host.symbols(asked.word)
                    if not symbols or self.completions.moved:
                        return
                    found = completion.with_symbols(asked, found, symbols)
        self.completions.suggest(found, before)

    @on(Prompt.Key)
    def _list_key(self, event: Prompt.Key) -> None:
        if event.name in ("up", "down"):
            self.completions.move(1 if event.name == "down" else -1)
            return
        chosen = self.completions.chosen
        if chosen is None:
            return
        before = self.prompt.before_caret
        complete = before[chosen.start :].strip() == chosen.text.strip()
        self.prompt.complete_with(chosen.text, len(before) - chosen.start)
        if event.name == "enter" and (complete or self._needs_no_more(chosen.text)):
            self.prompt.action_send_now()

    def _needs_no_more(self, text: str) -> bool:
        """Whether a command can run as it stands: those with an argument open a list without it."""
        return text.startswith("/")

    @on(Prompt.HistoryWanted)
    def _search_history(self) -> None:
        from kimi_code.tui.screens.picker import Picker, Row

        rows = [Row(text, _one_line(text)) for text in dict.fromkeys(reversed(self.prompt.past))]

        def chosen(text: str | None) -> None:
            if text is not None:
                self.prompt.replace_text(text)

        self.app.push_screen(Picker("History", rows, query=self.prompt.text.strip()), chosen)

    @on(Prompt.ImageWanted)
    @work(exclusive=True, group="clipboard")
    async def _paste_image(self) -> None:
        from kimi_code.tui.clipboard import save_image

        file, problem = None, "There is no image in the clipboard."
        try:
            file = await asyncio.to_thread(save_image)
        except KimiError as error:
            problem = str(error)
        if file is not None:
            self.prompt.attach(file)
        elif self.app.clipboard:  # what was copied here
            self.prompt.action_paste()
        else:
            self.app.notify(problem)

    @on(Prompt.EditorWanted)
    @work(exclusive=True, group="editor")
    async def _edit_outside(self) -> None:
        from kimi_code.tui.editor import edit

        try:
            with self.app.suspend():
                text = await asyncio.to_thread(edit, self.prompt.text)
        except (KimiError, OSError) as error:
            self.fail(error)
        else:
            self.prompt.replace_text(text.rstrip("\n"))
        self.refresh(layout=True)

    # --- The Desk ---

    def submit(self, job: Job) -> None:
        self.conversation.submit(job)

    def say(self, text: str) -> None:
        self._tell(Notice("info", text))

    def fail(self, error: Exception) -> None:
        self._tell(Notice("error", str(error)))

    def _tell(self, notice: Notice) -> None:
        # For the person alone: not published, so that no journal keeps it.
        self.transcript.append(Record(0, "main", time.time(), notice))
        self._greet(False)

    def read(self, title: str, text: Content) -> None:
        from kimi_code.tui.screens.page import Page

        self.app.push_screen(Page(title, text))

    async def pick(self, title: str, rows: "Sequence[Row]") -> str | None:
        from kimi_code.tui.screens.picker import Picker

        return await self.app.push_screen_wait(Picker(title, rows))

    async def ask_line(self, title: str) -> str | None:
        from kimi_code.tui.screens.line import Line

        return await self.app.push_screen_wait(Line(title))

    async def show(self, screen: Screen[T]) -> T | None:
        return await self.app.push_screen_wait(screen)

    def files_changed(self) -> None:
        self._files = None
        self._look_around()
        self._count_changes()

    @work(exclusive=True, group="changes")
    async def _count_changes(self) -> None:
        try:
            self.sidebar.show_changes(await self.session.timeline.changed())
        except KimiError:
            return  # what the records said stays

    async def open(self, which: Which) -> None:
        if self.conversation.state == "working":
            raise KimiError("A turn is running.", hint="Interrupt it with Esc first.")
        await self.conversation.open(which)

    async def choose_session(self) -> None:
        from kimi_code.tui.screens.sessions import Sessions

        session = self.conversation.session
        store = await asyncio.to_thread(self._host.store)
        chosen = await self.app.push_screen_wait(Sessions(store, self._host.folder, session.id if session else ""))
        if chosen is not None:
            await self.open(Which(id=chosen))

    def say_with_the_session(self, text: str) -> None:
        """A line now, and again once the next session is open, which begins with an empty transcript."""
        self.say(text)
        self._note_first = f"{self._note_first}\n{text}".strip()

    def make_room(self, asking: bool) -> None:
        """While the program itself asks, its question stands in the prompt's place."""
        self.query_one("#prompt-row").display = not asking
        self.query_one("#greeting", Static).update(_WELCOME if asking else _GREETING)
        if asking:
            self.activity.show("")
        else:
            self.prompt.focus()

    async def set_up(self) -> None:
        from kimi_code.tui import doorway

        await doorway.set_up_again(self)

    def aside(self, question: str) -> None:
        from kimi_code.tui.screens.aside import Aside

        self.app.push_screen(Aside(self.session, question))

    def copy(self, text: str) -> None:
        self.app.copy_to_clipboard(text)

    def last_answer(self) -> str:
        return self.transcript.last_answer()

    def themes(self) -> Sequence[str]:
        return self.app.theme_names()

    def use_theme(self, name: str) -> None:
        self.app.use_theme(name)

    def leave(self) -> None:
        self.prompt.save_draft()
        self.app.leave()

    # --- Keys ---

    def action_interrupt(self) -> None:
        if self.completions.is_open:
            self.completions.suggest(())
        elif not self.conversation.interrupt():
            self.transcript.clear_cursor()

    def action_leave(self) -> None:
        selected = self.get_selected_text() or self.prompt.selected_text
        if selected:
            self.app.copy_to_clipboard(selected)
            self.clear_selection()
        elif self.prompt.text:
            self.prompt.replace_text("")
        elif time.monotonic() - self._left_at < _TWICE:
            self.leave()
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
            sidebar.display = not sidebar.display

    def action_palette(self) -> None:
        self.run_worker(self._palette())

    async def _palette(self) -> None:
        from kimi_code.tui.commands import COMMANDS
        from kimi_code.tui.screens.picker import Row

        chosen = await self.pick("Commands", [Row(c.name, f"/{c.name}", c.what) for c in COMMANDS])
        if chosen is not None:
            await self._command(f"/{chosen}")

    def action_sessions(self) -> None:
        self.run_worker(self._command("/sessions"))

    def action_help(self) -> None:
        self.run_worker(self._command("/help"))

    def action_suspend(self) -> None:
        self.app.action_suspend_process()

    def action_retry_now(self) -> None:
        if self.conversation.session is not None:
            self.conversation.session.retry_now()

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


def _typed(job: Job) -> str:
    """A job as its owner typed it."""
    prefixes: Mapping[str, str] = {"shell": "!", "compact": "/compact"}
    return prefixes.get(job.kind, "") + job.text


def _one_line(text: str) -> str:
    return " ".join(text.split())[:200]
