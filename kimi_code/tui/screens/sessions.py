"""The sessions on disk: search, resume, rename, fork, export, delete. Returns the id of the one to go on with."""

import time
from collections.abc import Callable
from pathlib import Path

from textual.app import App

from kimi_code.errors import KimiError
from kimi_code.session import journal
from kimi_code.session.export import markdown
from kimi_code.session.store import SessionMeta, Store
from kimi_code.tui.keys import bindings, keys_of
from kimi_code.tui.screens.line import Line
from kimi_code.tui.screens.picker import Picker, Row
from kimi_code.tui.widgets.status import money


class Sessions(Picker):
    """The sessions of a folder, newest first; the open one is `present`."""

    BINDINGS = bindings("sessions")

    app: "App[object]"

    def __init__(self, store: Store, folder: Path, present: str) -> None:
        self._store, self._folder, self._present = store, folder, present
        self._sure_of = ""
        names = ("rename", "fork", "export", "delete")
        hint = "   ".join(f"{keys_of(f'sessions.{name}', {})} {name}" for name in names)
        super().__init__("Sessions", self._list(), hint=f"Enter resume   {hint}   Esc close")

    def _list(self) -> list[Row]:
        metas = self._store.list()
        here = [meta for meta in metas if meta.cwd == str(self._folder)]
        elsewhere = [meta for meta in metas if meta.cwd != str(self._folder)]
        self._metas = {meta.id: meta for meta in metas}
        return [_row(meta, self._present) for meta in here] + [
            _row(meta, self._present, meta.cwd) for meta in elsewhere
        ]

    def _refresh(self) -> None:
        self.set_rows(self._list())
        self.refilter()

    def _meta(self) -> SessionMeta | None:
        return self._metas.get(self.chosen.value) if self.chosen else None

    def action_rename(self) -> None:
        meta = self._meta()
        if meta is None:
            return
        if meta.id == self._present:
            self.say("This one is open: /rename TITLE renames it.")
            return

        def renamed(title: str | None) -> None:
            if title and title.strip():
                self._try(lambda: self._store.rename(meta, title.strip()), f"Renamed {meta.id}")

        self.app.push_screen(Line(f"A title for {meta.id}", meta.title), renamed)

    def action_fork(self) -> None:
        meta = self._meta()
        if meta is not None:
            self._try(lambda: self._store.fork(meta), f"Forked {meta.id}: the fork is the newest in the list")

    def action_export(self) -> None:
        meta = self._meta()
        if meta is not None:
            file = self._folder / f"kimi-code-{meta.id}.md"
            self._try(lambda: export(meta, file), f"Written to {file}")

    def action_delete(self) -> None:
        meta = self._meta()
        if meta is None:
            return
        if meta.id == self._present:
            self.say("This one is open and cannot be deleted.")
        elif self._sure_of != meta.id:
            self._sure_of = meta.id
            self.say(f"Delete {meta.id}, {_turns(meta.turns)}, for good? The same key again does it.")
        else:
            self._try(lambda: self._store.delete(meta), f"Deleted {meta.id}")

    def _try(self, work: Callable[[], object], done: str) -> None:
        try:
            work()
        except (KimiError, OSError) as error:
            self.say(str(error))
            return
        self._refresh()
        self.say(done)


def export(meta: SessionMeta, file: Path) -> None:
    """Write the session as Markdown into a new file. Raises OSError, FileExistsError included."""
    text = "".join(f"{line}\n" for line in markdown(meta, journal.read(meta.journal).records))
    with file.open("x", encoding="utf-8", errors="backslashreplace") as out:
        out.write(text)


def _row(meta: SessionMeta, present: str, folder: str = "") -> Row:
    cost = money(meta.cost_usd)
    parts = [meta.id, _age(time.time() - meta.updated), _turns(meta.turns), cost, folder]
    mark = "● " if meta.id == present else "  "
    title = meta.title if len(meta.title) <= 48 else meta.title[:47] + "…"
    return Row(meta.id, mark + title, " · ".join(part for part in parts if part))


def _age(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return "now"


def _turns(count: int) -> str:
    return f"{count} turn{'s' * (count != 1)}"
