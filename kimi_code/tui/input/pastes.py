"""Large pastes fold to a chip in the prompt, and unfold when it is sent."""

import re

_LINES = 8
_CHARACTERS = 1_200
_CHIP = re.compile(r"\[pasted #(\d+): [^\]]*\]")


class Pastes:
    """The texts behind the chips of one prompt."""

    def __init__(self) -> None:
        self._texts: dict[int, str] = {}

    def fold(self, text: str) -> str:
        """What to put into the prompt for `text`: itself, or a chip where it is long."""
        lines = text.count("\n") + 1
        if lines <= _LINES and len(text) <= _CHARACTERS:
            return text
        number = len(self._texts) + 1
        self._texts[number] = text
        size = f"{lines} lines" if lines > 1 else f"{len(text):,} characters"
        return f"[pasted #{number}: {size}]"

    def unfold(self, prompt: str) -> str:
        """The prompt with every chip's text in its place."""
        return _CHIP.sub(lambda chip: self._texts.get(int(chip[1]), chip[0]), prompt)

    def clear(self) -> None:
        """Forget the texts: the prompt was sent."""
        self._texts.clear()
