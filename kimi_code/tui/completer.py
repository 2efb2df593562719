"""What follows in the prompt: asks for what could, shows it as a list, and puts what is chosen into the text."""

import asyncio
from collections.abc import Sequence

from kimi_code.tui.desk import ScreenDesk
from kimi_code.tui.input import completion
from kimi_code.tui.input.fuzzy import Choices
from kimi_code.tui.widgets.completions import Completions
from kimi_code.tui.widgets.prompt import Prompt

_PAUSE = 0.06  # seconds without a key before symbols are looked up


class Completer:
    """Stands between a prompt and its list."""

    def __init__(self, desk: ScreenDesk, prompt: Prompt, shown: Completions) -> None:
        self._desk, self._prompt, self._shown = desk, prompt, shown
        self._files: Choices | None = None

    def forget_files(self) -> None:
        """They may be others now."""
        self._files = None

    def close(self) -> bool:
        """Close the list; False when none was open."""
        was_open = self._shown.is_open
        if was_open:
            self._shown.suggest(())
        return was_open

    async def suggest(self, before: str) -> None:
        """Show what could follow the text before the caret, if anything."""
        asked = completion.wanted(before)
        if asked is None:
            self.close()
        else:
            found = await self._find(asked)
            self._shown.suggest(found, before)
            if asked.kind == "file" and completion.may_be_symbol(asked.word):
                await asyncio.sleep(_PAUSE)  # while somebody types on, nothing is looked up
                symbols = await self._desk.host.symbols(asked.word)
                if symbols and not self._shown.moved:
                    self._shown.suggest(completion.with_symbols(asked, found, symbols), before)

    async def _find(self, asked: completion.Wanted) -> Sequence[completion.Suggestion]:
        match asked.kind:
            case "command":
                from kimi_code.tui.commands import COMMANDS

                return completion.commands(asked, [(command.name, command.what) for command in COMMANDS])
            case "argument":
                from kimi_code.tui.commands import COMMANDS

                named = [command for command in COMMANDS if command.name == asked.command and command.choices]
                if named and named[0].choices:
                    return completion.arguments(asked, await named[0].choices(self._desk))
                return ()
            case _:
                if self._files is None:
                    self._files = await asyncio.to_thread(Choices, await self._desk.host.files())
                return await asyncio.to_thread(completion.files, asked, self._files)

    def press(self, key: str) -> None:
        """A key that the list takes while it is open: up, down, tab, enter."""
        if key in ("up", "down"):
            self._shown.move(1 if key == "down" else -1)
            return
        chosen = self._shown.chosen
        if chosen is None:
            return
        before = self._prompt.before_caret
        complete = before[chosen.start :].strip() == chosen.text.strip()
        self._prompt.complete_with(chosen.text, len(before) - chosen.start)
        # A command can run as it stands: those with an argument open a list without it.
        if key == "enter" and (complete or chosen.text.startswith("/")):
            self._prompt.action_send_now()
