"""What the person sends the screen outside for: words or a file to an editor, the clipboard's image, a link."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypeVar

from textual.app import SuspendNotSupported

from kimi_code.errors import KimiError, UsageError
from kimi_code.events import AllowEdited, Approval, Output, Text

if TYPE_CHECKING:
    from kimi_code.tui.app import KimiApp
    from kimi_code.tui.screens.main import MainScreen

T = TypeVar("T")


class Errands:
    """Of the main screen: what comes back goes into its prompt, what cannot be done is said in its transcript."""

    def __init__(self, screen: "MainScreen") -> None:
        self._screen = screen

    async def edit_prompt(self) -> None:
        """What is written, in the person's editor."""
        prompt = self._screen.prompt
        text = await self._edit(prompt.text)
        if text is not None:
            prompt.replace_text(text.rstrip("\n"))

    async def edit_proposal(self, approval: Approval, path: str) -> AllowEdited | None:
        """What the user's editor made of a file as it would be, or of the command or the plan (`path` "");
        None where nothing."""
        from kimi_code.session.proposal import proposed_text

        try:
            if path:
                before = await asyncio.to_thread(proposed_text, self._screen.host.folder, approval, path)
            else:
                before = next(
                    block.command if isinstance(block, Output) else block.text
                    for block in approval.blocks
                    if isinstance(block, Output | Text)
                )
        except KimiError as error:
            self._screen.desk.fail(error)
            return None
        name = "plan.yaml" if approval.tool == "Swarm" else "command.sh"
        after = await self._edit(before, PurePosixPath(path).name or name)
        return None if after is None or after == before else AllowEdited(after, path)

    async def _edit(self, text: str, name: str = "prompt.md") -> str | None:
        """What the user's editor made of it, as a file of that name; None, with the reason said, when it could not."""
        from kimi_code.tui.outside.editor import edit

        try:
            return await lend_terminal(self._screen.app, lambda: edit(text, name))
        except (KimiError, OSError) as error:
            self._screen.desk.fail(error)
            return None

    async def paste_image(self) -> None:
        """The clipboard's image as a chip; what was copied here when there is none."""
        from kimi_code.tui.outside.clipboard import save_image

        app, prompt = self._screen.app, self._screen.prompt
        file, problem = None, "There is no image in the clipboard."
        try:
            file = await asyncio.to_thread(save_image)
        except KimiError as error:
            problem = str(error)
        if file is not None:
            prompt.attach(file)
        elif app.clipboard:
            prompt.action_paste()
        else:
            app.notify(problem)


async def lend_terminal(app: "KimiApp", work: Callable[[], T]) -> T:
    """What `work` returns, which has the terminal for itself meanwhile. Raises UsageError where it cannot be lent."""
    try:
        with app.suspend():
            return await asyncio.to_thread(work)
    except SuspendNotSupported:
        raise UsageError("This terminal cannot be lent to an editor.") from None
    finally:
        app.screen.refresh(layout=True)


async def open_link(app: "KimiApp", url: str) -> None:
    """Show where a link leads: a file in the person's editor, an address in the browser; else it is copied."""
    from kimi_code.tui.outside import opening
    from kimi_code.tui.strips.links import file_at

    try:
        if (place := file_at(url)) is not None:
            await _open_file(app, *place)
        elif opening.has_desktop() and url.startswith("http") and await asyncio.to_thread(opening.browse, url):
            app.notify(f"Opened {url}")
        else:
            app.copy_to_clipboard(url)
            app.notify(f"Copied {url}")
    except KimiError as error:
        app.notify(str(error), severity="error")


async def _open_file(app: "KimiApp", file: Path, line: int) -> None:
    from kimi_code.tui.outside import opening

    if not file.exists():
        app.notify(f"{file} is not there.")
        return
    shown = f"{file}:{line}" if line else str(file)
    found = opening.opener(file, line, os.environ)
    if found is None:
        app.copy_to_clipboard(shown)
        app.notify(f"Copied {shown}. With EDITOR set, it is opened there.")
    elif found.windowed:
        await asyncio.to_thread(opening.show, found)
    else:
        await lend_terminal(app, lambda: opening.show(found))
