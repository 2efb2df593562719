"""Links of the transcript that are followed: by a click, and by a key."""

import os
import sys

import pytest
from textual.geometry import Offset

from tests.server import call, say
from tests.tui.conftest import Lookout, Stage

if sys.platform == "win32":
    pytest.skip("the editor is a shell script here", allow_module_level=True)


async def click(screen: Lookout, words: str) -> None:
    """On the words, once the transcript has them."""
    view = screen.main.transcript

    def places() -> list[Offset]:
        drawn = [view.render_line(y).text for y in range(view.size.height)]
        return [Offset(text.index(words), y) for y, text in enumerate(drawn) if words in text]

    await screen.until(places)
    await screen.pilot.click(offset=view.region.offset + places()[0])


async def test_a_click_on_a_path_opens_the_editor_at_the_line_and_a_key_the_cards_file(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = stage.home / "opened"
    editor = stage.home / "subl"
    editor.write_text(f'#!/bin/sh\necho "$@" >> {said}\n')
    editor.chmod(0o755)
    monkeypatch.setenv("VISUAL", str(editor))
    for name in ("TERM_PROGRAM", "TERMINAL_EMULATOR"):
        monkeypatch.delenv(name, raising=False)
    (stage.project / "src").mkdir()
    file = stage.project / "src/a.py"
    file.write_text("one\n" * 5)
    stage.server.script(call("Read", {"path": "src/a.py"}), say("It is in src/a.py:3 and in src/gone.py:1."))
    async with stage.open() as screen:
        await screen.ready()
        await screen.ask("where?")
        await click(screen, "src/a.py:3")
        await screen.until(said.exists)
        await screen.until(lambda: said.read_text() == f"{file}:3\n")
        await screen.pilot.press("alt+e")
        await screen.until(lambda: said.read_text() == f"{file}:3\n{file}\n")
        await click(screen, "src/gone.py:1")
        await screen.until(lambda: any("is not there" in said for said in screen.toasts))


async def test_without_an_editor_the_place_is_copied_and_so_is_an_address_without_a_desktop(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("VISUAL", "EDITOR", "TERM_PROGRAM", "TERMINAL_EMULATOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(os.environ, "SSH_CONNECTION", "1 2 3 4")
    (stage.project / "a.py").write_text("one\n")
    stage.server.script(say("In a.py:1, see https://example.org/notes about it."))
    async with stage.open() as screen:
        await screen.ready()
        await screen.ask("where?")
        await click(screen, "a.py:1")
        await screen.until(lambda: screen.app.clipboard == f"{stage.project}/a.py:1")
        await click(screen, "https://example.org")
        await screen.until(lambda: screen.app.clipboard == "https://example.org/notes")
