"""URLs of files: made of paths among words, read back, and put as the terminal at hand opens them."""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from kimi_code.tui.strips.line import Span

MakeLink = Callable[[str, int], str]  # of a path and a line, 0 for none

# A path with a folder, or with a line, and with a suffix: `src/a.py`, `a.py:12`, `/b/c.rs:3:5`, `src/a.py:10-20`.
_PATH = re.compile(
    r"(?<![\w./\\~@:-])"
    r"(?P<path>(?:[A-Za-z]:[\\/]|~?/|\.{1,2}/)?(?:@?[\w.+-]+[/\\])*[\w.+-]*\w\.[A-Za-z]\w{0,9})"
    r"(?::(?P<line>\d{1,7})(?:[:-]\d+)?)?(?![\w/\\(@])"
)
# As Python tells of the lines of a traceback.
_QUOTED = re.compile(r'File "(?P<path>[^"<>]+)", line (?P<line>\d+)')
_LONGEST = 2_000  # characters of a line that are looked through


class FileLinks:
    """file:// URLs of files, relative ones below `cwd`; the line is in the fragment, as some editors read it."""

    def __init__(self, cwd: str) -> None:
        self._cwd = Path(cwd) if cwd else None

    def __call__(self, path: str, line: int) -> str:
        where = Path(path)
        if not where.is_absolute():
            if self._cwd is None:
                return ""
            where = self._cwd / where
        try:
            return where.as_uri() + (f"#L{line}" if line else "")
        except ValueError:
            return ""


def file_at(url: str) -> tuple[Path, int] | None:
    """The file and line (0: none) that a link of `FileLinks` leads to; None for all other links."""
    parts = urlsplit(url)
    if parts.scheme != "file":
        return None
    path = unquote(parts.path)
    if re.match(r"/[A-Za-z]:", path):  # a drive
        path = path[1:]
    line = parts.fragment.removeprefix("L")
    return Path(path), int(line) if line.isdecimal() else 0


def no_link(path: str, line: int) -> str:
    """Files lead nowhere."""
    return ""


def link_of(code: str, link: MakeLink) -> str:
    """The URL of words that are a file's path, with a line or without; "" for others."""
    path, _, line = code.partition(":")
    name = path.rpartition("/")[2]
    if not ("." in name[1:] and path.isprintable() and " " not in path) or "(" in path:
        return ""
    number = line.partition(":")[0].partition("-")[0]
    return link(path, int(number) if number.isdecimal() else 0)


def with_links(text: str, style: str, link: MakeLink) -> Iterator[Span]:
    """The text, with the paths in it linked: those with a folder in front or a line behind, and no others.

    Whether there is such a file is not looked up: that is for whoever opens it.
    """
    at = 0
    if "." in text and ("/" in text or ":" in text or '", line ' in text) and len(text) <= _LONGEST:
        for match in sorted((*_QUOTED.finditer(text), *_PATH.finditer(text)), key=lambda match: match.start()):
            path, line = match["path"], match["line"]
            if match.start() < at or not (line or "/" in path or "\\" in path):
                continue
            if url := link(path, int(line or 0)):
                if match.start() > at:
                    yield Span(text[at : match.start()], style)
                yield Span(match.group(), style, url)
                at = match.end()
    if at < len(text):
        yield Span(text[at:], style)


def as_opened_in(env: Mapping[str, str]) -> Callable[[str], str]:
    """How links are told to the terminal: as they are, or as the editor whose terminal it is opens files at a line.

    VS Code hands file:// to the desktop, and opens addresses of its own scheme in its window
    (code.visualstudio.com/docs/configure/command-line: "Opening VS Code with URLs"). In the window of another machine
    these lead nowhere; there, and in JetBrains' terminals, paths are found as they are written, so long as they are
    not links of another kind.
    """
    if env.get("TERMINAL_EMULATOR", "").startswith("JetBrains"):
        return _web_only
    if env.get("TERM_PROGRAM") != "vscode":
        return str
    if env.get("VSCODE_IPC_HOOK_CLI"):
        return _web_only
    scheme = "vscode-insiders" if "insider" in env.get("TERM_PROGRAM_VERSION", "") else "vscode"
    if env.get("CURSOR_TRACE_ID"):
        scheme = "cursor"

    def translated(url: str) -> str:
        if not url.startswith("file:"):
            return url
        address, _, line = url.partition("#L")
        return f"{scheme}://file{urlsplit(address).path}" + (f":{line}" if line else "")

    return translated


def _web_only(url: str) -> str:
    return "" if url.startswith("file:") else url
