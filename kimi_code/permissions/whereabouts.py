"""Where the shell of a command line is by now: what `cd` and its like have made of the folder it began in."""

import os
from pathlib import Path

from kimi_code.permissions.statements import Simple
from kimi_code.values import frozen

_MOST_FOLDERS = 6


@frozen
class Whereabouts:
    """`folders` are where it may be; None when that is not known. `settled`: nothing but `cd` has come before."""

    folders: tuple[Path, ...] | None
    settled: bool = True

    def after(self, command: Simple) -> "Whereabouts":
        """Where it may be when the command is over."""
        name = command.words[0].value if command.words else ""
        if name in ("cd", "pushd", "popd", "chdir") or (name in ("command", "builtin") and len(command.words) > 1):
            if name in ("command", "builtin") and command.words[1].value not in ("cd", "pushd", "popd"):
                return self
            return Whereabouts(self._moved(command, self.after_cd(command) if name == "cd" else None), self.settled)
        return self if name in ("", "echo", "pwd", "true", ":") else Whereabouts(self.folders, settled=False)

    def _moved(self, command: Simple, after: tuple[Path, ...] | None) -> tuple[Path, ...] | None:
        if after is None or self.folders is None:
            return None
        if self.settled and not command.nested and all(folder.is_dir() for folder in after):
            return after
        both = tuple(dict.fromkeys((*self.folders, *after)))
        return both if len(both) <= _MOST_FOLDERS else None

    def after_cd(self, command: Simple) -> tuple[Path, ...] | None:
        """The folders that a `cd` leads to, if it succeeds; None when that cannot be known."""
        values = [word.exact for word in command.words[1:]]
        if self.folders is None or command.assignments or len(values) > 1:
            return None
        target = os.path.expanduser((values[0] if values else "~") or "")
        if not target or target.startswith(("-", "~")):  # nobody's home: where that leads is the shell's affair
            return None
        return tuple(Path(os.path.normpath(folder / target)) for folder in self.folders)
