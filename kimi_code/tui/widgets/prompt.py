"""The prompt: several lines, history, chips for pastes; Enter is the screen's to act on."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from textual import events
from textual.message import Message
from textual.widgets import TextArea

from kimi_code.tui.input.history import Draft, History
from kimi_code.tui.input.images import Images, images_in
from kimi_code.tui.input.pastes import Pastes
from kimi_code.tui.input.vim import Mode, Vim, location_of, offset_of
from kimi_code.tui.keys import actions
from kimi_code.tui.timing import after

_DRAFT_AGE = 0.5  # seconds after which what was typed is on the disk, also while the typing goes on


class Prompt(TextArea):
    """What the user writes. `Submitted` carries the whole text, chips unfolded."""

    class Submitted(Message):
        """Enter, or the key that steers; `steer` says which. `images` are the files of the chips in the text,
        `lost` the chips whose files are not known."""

        def __init__(
            self, text: str, *, steer: bool, images: tuple[Path, ...] = (), lost: tuple[str, ...] = ()
        ) -> None:
            super().__init__()
            self.text, self.steer, self.images, self.lost = text, steer, images, lost

    class Completing(Message):
        """The text before the caret changed: what could follow?"""

        def __init__(self, before: str) -> None:
            super().__init__()
            self.before = before

    class Key(Message):
        """A key that a list of completions takes when it is open: up, down, tab."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    class HistoryWanted(Message):
        """The user wants to search the history."""

    class ImageWanted(Message):
        """The user wants the clipboard's image, or its text when there is none."""

    class ModeChanged(Message):
        """Vim's other mode."""

        def __init__(self, mode: Mode) -> None:
            super().__init__()
            self.mode: Mode = mode

    class EditorWanted(Message):
        """The user wants to write in an editor of their own."""

    def __init__(self, keys: Mapping[str, str], *, vim: bool = False, id: str | None = None) -> None:
        """`keys` are the user's own, by the ids of bindings; `vim` for Vim's keys besides."""
        super().__init__(
            id=id,
            highlight_cursor_line=False,
            placeholder="Ask for something.  / commands   @ files   ! shell",
        )
        self.cursor_blink = False  # calm, and nothing to do while nobody types
        self._actions = actions("prompt", keys)
        self._vim = Vim() if vim else None
        self._pastes = Pastes()
        self._images = Images()
        self.folder = Path()  # that relative paths are below
        self._history: History | None = None
        self._draft: Draft | None = None
        self._saving: asyncio.TimerHandle | None = None  # runs while what is on the disk is not what is here
        self._queued: tuple[str, ...] = ()
        self.list_is_open: Callable[[], bool] = lambda: False

    def remember_in(self, folder: Path) -> None:
        """Use the project's history, and bring back its draft when nothing was typed yet."""
        self._history, self._draft = History(folder), Draft(folder)
        if not self.text and (draft := self._draft.load()):
            self.replace_text(draft)

    @property
    def remembers(self) -> bool:
        """Whether the project's history is at hand."""
        return self._history is not None

    @property
    def past(self) -> list[str]:
        """The prompts of the project, oldest first."""
        return self._history.entries if self._history else []

    @property
    def images(self) -> tuple[Path, ...]:
        """The files of the chips in the text."""
        return self._images.named_in(self.text)

    @property
    def before_caret(self) -> str:
        """The text from the beginning to the caret."""
        return self.get_text_range((0, 0), self.cursor_location)

    def on_unmount(self) -> None:
        if self._images.files:
            from kimi_code.tui.outside.clipboard import forget

            forget(self._images.files)

    def replace_text(self, text: str) -> None:
        """Put `text` in place of what is there, the caret at its end."""
        self.load_text(text)
        self.move_cursor(self.document.end)

    def _take(self) -> str:
        """The whole text, chips unfolded; the prompt is empty then and its text in the history."""
        text = self._pastes.unfold(self.text).strip("\n")
        if self._history is not None:
            self._history.add(text)
        self.load_text("")
        self._pastes.clear()
        if self._vim is not None and self._vim.mode == "normal":
            self._vim.mode = "insert"  # the next prompt is typed
            self.post_message(self.ModeChanged("insert"))
        self.save_draft()
        return text

    def keep_queued(self, texts: Sequence[str]) -> None:
        """What was sent and waits belongs to the draft: who leaves before its turn comes finds it here again."""
        if tuple(texts) != self._queued:
            self._queued = tuple(texts)
            self._save_soon()

    def save_draft(self) -> None:
        """Keep what is written, so that a crash does not lose it."""
        if self._saving is not None:
            self._saving.cancel()
            self._saving = None
        if self._draft is not None:
            texts = (*self._queued, self._pastes.unfold(self.text))
            self._draft.save("\n".join(text for text in texts if text))

    async def _on_key(self, event: events.Key) -> None:
        if self._vim is not None and not self.list_is_open() and self._press_in_vim(self._vim, event):
            event.stop()
            event.prevent_default()
            return
        action = next((self._actions[name] for name in (event.key, *event.aliases) if name in self._actions), None)
        if action is not None:
            event.stop()
            event.prevent_default()
            await self.run_action(action)

    def _press_in_vim(self, vim: Vim, event: events.Key) -> bool:
        """Whether the key was Vim's: then it has done its work."""
        mode, key = vim.mode, event.character if event.is_printable and event.character else event.key
        at = offset_of(self.text, self.cursor_location)
        done = vim.press(key, self.text, at)
        if done is None:
            if mode == "normal" and key in ("j", "k"):
                self.action_newer() if key == "j" else self.action_older()
                return True
            return False
        if done.undo:
            self.undo()
        else:
            self._become(done.text)
            self.move_cursor(location_of(done.text, done.at))
        if vim.mode != mode:
            self.post_message(self.ModeChanged(vim.mode))
        return True

    def _become(self, text: str) -> None:
        """Other text, by the least of a change: undo takes it back, and the rest is not drawn anew."""
        before = self.text
        if text == before:
            return
        head = _common(before, text)
        tail = _common(before[head:][::-1], text[head:][::-1])
        start, end = (location_of(before, at) for at in (head, len(before) - tail))
        self.history.checkpoint()
        self._replace_via_keyboard(text[head : len(text) - tail], start, end)

    def shelve(self) -> None:
        """Keep what is written among the older prompts."""
        if self._history is not None:
            self._history.add(self._pastes.unfold(self.text))

    def _save_soon(self) -> None:
        if self._saving is None:
            self._saving = after(_DRAFT_AGE, self, self.save_draft)

    def on_text_area_changed(self) -> None:
        self._save_soon()
        self.post_message(self.Completing(self.before_caret))

    async def _on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()
        self.paste(event.text)

    def paste(self, text: str) -> None:
        """Put it at the caret, folded to a chip where it is long."""
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        start, end = self.selection
        if files := images_in(text, self.folder):
            self.attach(*files)
        else:
            self._replace_via_keyboard(self._pastes.fold(text), start, end)

    def attach(self, *files: Path) -> None:
        """Put images at the caret, as chips."""
        start, end = self.selection
        self._replace_via_keyboard("".join(f"{self._images.add(file)} " for file in files), start, end)

    # --- Actions ---

    def action_send(self) -> None:
        if self.list_is_open():
            self.post_message(self.Key("enter"))
        elif self.before_caret.endswith("\\") and self.cursor_at_end_of_text:
            # For terminals that cannot tell Shift+Enter from Enter.
            self.action_delete_left()
            self.insert("\n")
        else:
            self.action_send_now()

    def action_send_now(self) -> None:
        """Send, whatever list is open."""
        # Taken now: what is typed next, before anybody acts on the message, is the next prompt's.
        self._submit(steer=False)

    def _submit(self, *, steer: bool) -> None:
        text = self._take()
        images, lost = self._images.named_in(text), self._images.lost_in(text)
        self.post_message(self.Submitted(text, steer=steer, images=images, lost=lost))

    def complete_with(self, text: str, length: int) -> None:
        """Put `text` in place of the `length` characters before the caret."""
        row, column = self.cursor_location
        self.replace(text, (row, column - length), (row, column))

    def action_newline(self) -> None:
        start, end = self.selection
        self._replace_via_keyboard("\n", start, end)

    def action_steer(self) -> None:
        self._submit(steer=True)

    def action_paste_image(self) -> None:
        self.post_message(self.ImageWanted())

    def action_complete(self) -> None:
        self.post_message(self.Key("tab"))

    def action_older(self) -> None:
        if self.list_is_open():
            self.post_message(self.Key("up"))
        elif self._caret_row() > 0:
            self.action_cursor_up()
        elif self._history is not None and (text := self._history.older(self.text)) is not None:
            self.replace_text(text)

    def action_newer(self) -> None:
        if self.list_is_open():
            self.post_message(self.Key("down"))
        elif self._caret_row() < self.wrapped_document.height - 1:
            self.action_cursor_down()
        elif self._history is not None and (text := self._history.newer()) is not None:
            self.replace_text(text)

    def _caret_row(self) -> int:
        return self.wrapped_document.location_to_offset(self.cursor_location).y

    def action_search_history(self) -> None:
        self.post_message(self.HistoryWanted())

    def action_edit_outside(self) -> None:
        self.post_message(self.EditorWanted())


def _common(a: str, b: str) -> int:
    """How many characters both begin with."""
    return next((at for at, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
