"""What waits for the person: approvals and questions, a queue of which one is shown and all can be walked."""

from collections.abc import Mapping

from textual import on
from textual.containers import Vertical
from textual.message import Message

from kimi_code.events import Approval, Question, Request
from kimi_code.tui.widgets.approval import ApprovalPanel
from kimi_code.tui.widgets.question import QuestionPanel


class Requests(Vertical):
    """The waiting requests in the order they came; the first one is shown until the person walks on."""

    class Shown(Message):
        """Another one is shown, or none; `call_id` is the call of the main agent that it is about, "" for no such."""

        def __init__(self, call_id: str) -> None:
            super().__init__()
            self.call_id = call_id

    class Emptied(Message):
        """Nothing waits any more: the keyboard is free."""

    def __init__(self, keys: Mapping[str, str], *, id: str | None = None) -> None:
        """`keys` are the user's own, by the ids of bindings."""
        super().__init__(id=id)
        # Mounted when they are wanted for the first time: most sessions begin without a request, many end without one.
        self.approval = ApprovalPanel(keys, id="approval")
        self.question = QuestionPanel(keys, id="question")
        self.approval.display = self.question.display = False
        self._waiting: dict[str, Request] = {}
        self._whose: dict[str, str] = {}
        self._shown = ""

    @property
    def count(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @property
    def shown(self) -> Request | None:
        """The one that is shown."""
        return self._waiting.get(self._shown)

    def add(self, request_id: str, request: Request, whose: str = "") -> None:
        """One more waits; `whose` names the sub-agent that asks."""
        self._waiting[request_id] = request
        self._whose[request_id] = whose
        self._show()

    def choose(self, request_id: str) -> None:
        """Show this one."""
        if request_id in self._waiting:
            self._shown = request_id
            self._show()

    def drop(self, request_id: str) -> None:
        """It was answered, or withdrawn."""
        self._whose.pop(request_id, None)
        if self._waiting.pop(request_id, None) is not None:
            self._show()

    def clear(self) -> None:
        """Another conversation: nothing waits."""
        self._waiting.clear()
        self._whose.clear()
        self._show()

    def _show(self) -> None:
        """Show the chosen one, or the first, or nothing."""
        if self._shown not in self._waiting:
            self._shown = next(iter(self._waiting), "")
        request, approval, question = self.shown, self.approval, self.question
        wanted = approval if isinstance(request, Approval) else question
        if request is not None and not wanted.is_mounted:
            self.call_later(self._mount_panel, wanted)
            return
        if self.display != (request is not None):  # the whole screen is laid out anew
            self.display = request is not None
        approval.display = isinstance(request, Approval)
        question.display = isinstance(request, Question)
        number, count = list(self._waiting).index(self._shown) + 1 if request else 0, len(self._waiting)
        self.post_message(self.Shown(request.call_id if request and not self._whose[self._shown] else ""))
        match request:
            case Approval():
                approval.show(self._shown, request, number, count, self._whose[self._shown])
                approval.take_keyboard()
            case Question():
                question.ask(self._shown, request, number, count, self._whose[self._shown])
                question.focus_words()
            case None:
                self.post_message(self.Emptied())

    async def _mount_panel(self, panel: ApprovalPanel | QuestionPanel) -> None:
        if not panel.is_attached:
            await self.mount(panel)
        self._show()

    @on(ApprovalPanel.Walked)
    @on(QuestionPanel.Walked)
    def _walk(self, event: ApprovalPanel.Walked | QuestionPanel.Walked) -> None:
        event.stop()
        ids = list(self._waiting)
        if self._shown in ids:
            self._shown = ids[(ids.index(self._shown) + event.by) % len(ids)]
            self._show()
