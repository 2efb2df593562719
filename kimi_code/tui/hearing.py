"""What the session says, and how the conversation stands, brought to the parts of the main screen."""

import asyncio
from typing import TYPE_CHECKING

from textual.content import Content
from textual.widgets import Static

from kimi_code.events import Record, RequestClosed, RequestOpened, SessionOpened, TurnEnded
from kimi_code.tui.desk import one_line
from kimi_code.tui.doing import WAITING, Words, describe
from kimi_code.tui.host import Opened
from kimi_code.tui.strips import markdown
from kimi_code.tui.swarming import name_of
from kimi_code.tui.theme import MUTED

if TYPE_CHECKING:
    from kimi_code.tui.screens.main import MainScreen


class Hearing:
    """Of one main screen; its Conversation calls `begin`, `hear` and `refresh`."""

    def __init__(self, screen: "MainScreen", note: str) -> None:
        """`note` is said first of all."""
        self._screen = screen
        self._note_first = note
        self._doing = Words("")

    def begin(self, opened: Opened) -> None:
        """Another session is on the screen now."""
        if self._gone:
            return  # it was left while the session opened
        screen = self._screen
        screen.requests.clear()
        screen.transcript.clear()
        if opened.history:
            screen.transcript.load(opened.history)
        screen.sidebar.load(opened.history)
        screen.swarming.load(opened.history)
        screen.greet(not opened.history)
        if self._note_first:
            screen.desk.say(self._note_first)
            self._note_first = ""
        screen.run_worker(asyncio.to_thread(markdown.prepare), exclusive=True, group="preparing")

    def say_first(self, text: str) -> None:
        """A line now, and again once the next session is open, which begins with an empty transcript."""
        self._screen.desk.say(text)
        self._note_first = f"{self._note_first}\n{text}".strip()

    @property
    def _gone(self) -> bool:
        """What still ran when the screen closed ends after it, and is in the journal."""
        # An application that closes is not running any more while its screens lose their parts, one by one.
        return not (self._screen.is_attached and self._screen.app.is_running)

    # --- Records ---

    def hear(self, record: Record) -> None:
        """Every record of the session; a mistake of the screen's must not end the turn that publishes it."""
        if self._gone:
            return
        try:
            self._show(record)
        except Exception as error:
            self._screen.app.report_bug(error)

    def show_record(self, record: Record) -> None:
        """Show what no session said."""
        self._screen.transcript.append(record)
        self._screen.greet(False)

    def _show(self, record: Record) -> None:
        screen, event = self._screen, record.event
        screen.swarming.hear(record)
        if record.agent != "main":
            self._show_request(record)
            return
        screen.transcript.append(record)
        screen.sidebar.append(record)
        self._show_request(record)
        doing = describe(event)
        if doing is not None:
            self._doing = doing
            self._show_doing()
        match event:
            case RequestOpened():
                screen.transcript.follow()
            case TurnEnded():
                screen.app.call_for_attention("kimi-code is done")
                screen.look_again()
            case _:
                pass
        if event.__class__.__name__ not in ("TextDelta", "ThoughtDelta", "ToolProgressed"):
            screen.standing_changed()
            if not isinstance(event, SessionOpened):
                screen.greet(False)

    def _show_request(self, record: Record) -> None:
        """What waits for the person, whoever asks."""
        screen = self._screen
        match record.event:
            case RequestOpened(request_id=id, request=request):
                screen.completions.suggest(())
                screen.requests.add(id, request, name_of(record.agent))
                self._show_doing()
                screen.app.call_for_attention("kimi-code waits for you")
            case RequestClosed(request_id=id):
                screen.requests.drop(id)
                self._show_doing()
                screen.app.call_for_attention("")
            case _:
                pass

    def _show_doing(self) -> None:
        doing = WAITING if self._screen.requests.count else self._doing
        self._screen.activity.show(doing.words, hint=doing.hint, wait=doing.wait, rests=doing.rests)

    # --- The conversation ---

    def refresh(self) -> None:
        """The conversation's state or queue changed."""
        if self._gone:
            return
        screen, conversation = self._screen, self._screen.conversation
        if conversation.given_back:
            texts = [job.typed for job in conversation.given_back]
            conversation.given_back.clear()
            screen.prompt.replace_text("\n".join(text for text in (*texts, screen.prompt.text) if text))
        if conversation.state == "opening":
            screen.activity.show("Opening the session")
        elif conversation.state == "working":
            screen.activity.show(screen.activity.words or "Working", hint="Esc interrupts")
        else:
            screen.activity.show("")
        self._show_queue()
        screen.app.show_working(conversation.state == "working")
        screen.standing_changed()

    def _show_queue(self) -> None:
        queue, conversation = self._screen.query_one("#queue", Static), self._screen.conversation
        self._screen.prompt.keep_queued([job.typed for job in conversation.queue])
        # While nothing runs the first one is begun at once: its line would come and go, and all move twice.
        jobs = conversation.queue[1:] if conversation.state == "idle" else conversation.queue
        waiting = [Content.styled(f"↳ queued: {one_line(job.typed)}", MUTED) for job in jobs]
        if waiting or queue.display:
            queue.display = bool(waiting)
            queue.update(Content("\n").join(waiting))
