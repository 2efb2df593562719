"""What a command line is made of, once taken apart: simple commands and redirections, in order."""

from kimi_code.permissions.words import Word
from kimi_code.values import frozen


@frozen
class Simple:
    """A simple command. `words` begins with the program; without any, the assignments are for the shell itself.

    `nested` says that it stands in a pipeline, subshell, substitution, loop, branch or the background, so that what
    it changes may not last, or may not happen.
    """

    text: str
    words: tuple[Word, ...]
    assignments: tuple[Word, ...] = ()
    nested: bool = False


@frozen
class Redirect:
    """A redirection to or from a file."""

    text: str
    target: Word
    writes: bool


@frozen
class Line:
    """A command line taken apart, in order. `unknown` says why more may happen than is listed, "" if not.

    `broken` says that it is no command line as shells read it, or that nobody looked.
    """

    items: tuple[Simple | Redirect, ...]
    unknown: str = ""
    broken: bool = False

    @property
    def commands(self) -> tuple[Simple, ...]:
        return tuple(item for item in self.items if isinstance(item, Simple))

    @property
    def redirects(self) -> tuple[Redirect, ...]:
        return tuple(item for item in self.items if isinstance(item, Redirect))
