"""Walk and search a tree with the standard library only: what stands in for ripgrep where there is none.

Run in a process of its own (a search that takes too long can then be killed), with one argument: a Query as JSON;
answers in ripgrep's `--null` format. Also owns what a file glob means here.
"""

import json
import os
import re
import sys
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

# --- Globs -----------------------------------------------------------------------------------------------------------


def compile_glob(pattern: str) -> Callable[[str], bool]:
    """A test for paths (relative, forward slashes): `**`, `*`, `?`, `[a-z]`, `{a,b}`; without a slash, of the name."""
    pattern = pattern.removeprefix("./")
    matches = re.compile(_glob_regex(pattern.lstrip("/"), braces=True), re.DOTALL).fullmatch
    if "/" in pattern:
        return lambda path: matches(path) is not None
    return lambda path: matches(path.rpartition("/")[2]) is not None


_GLOB_PART = re.compile(
    r"(?P<deep>(?:^|(?<=/))\*\*/)|(?P<all>\*\*)|(?P<any>\*)|(?P<one>\?)|(?P<set>\[!?\]?[^\]]*\])|\\(?P<raw>.)|.", re.S
)


def _glob_regex(pattern: str, *, braces: bool) -> str:
    regex: list[str] = []
    depth = 0
    for part in _GLOB_PART.finditer(pattern):
        text = part.group()
        match part.lastgroup:
            case "deep":
                regex.append("(?:.*/)?")
            case "all":
                regex.append(".*")
            case "any":
                regex.append("[^/]*")
            case "one":
                regex.append("[^/]")
            case "set":
                body = text[1:-1].replace("\\", "\\\\").replace("[", "\\[")
                regex.append(f"[^{body[1:]}]" if body.startswith("!") else f"[{body}]")
            case "raw":
                regex.append(re.escape(part["raw"]))
            case _ if braces and text == "{":
                depth += 1
                regex.append("(?:")
            case _ if depth and text in ",}":
                depth -= text == "}"
                regex.append("|" if text == "," else ")")
            case _:
                regex.append(re.escape(text))
    return "".join(regex) + ")" * depth


# --- Ignore files ----------------------------------------------------------------------------------------------------

_IGNORE_FILES = (".gitignore", ".ignore", ".rgignore")


# Named tuples: a process is started for each search, and the import of dataclasses is a third of what that takes.
class _Rule(NamedTuple):
    """One line of an ignore file: `matches` takes a path relative to the file's folder."""

    matches: Callable[[str], object]
    ignores: bool
    folders_only: bool


class _Rules(NamedTuple):
    """The rules of one folder; `above` is the way from there to the folder that is walked, with a final slash."""

    base: str
    rules: tuple[_Rule, ...]


def _parse_rules(text: str) -> tuple[_Rule, ...]:
    rules: list[_Rule] = []
    for line in text.splitlines():
        pattern = re.sub(r"(?<!\\)\s+$", "", line)
        if not pattern or pattern.startswith("#"):
            continue
        ignores = not pattern.startswith("!")
        pattern = pattern.removeprefix("!")
        folders_only = pattern.endswith("/")
        pattern = pattern.rstrip("/")
        if "/" not in pattern:
            pattern = f"**/{pattern}"
        rules.append(_Rule(_compiled(pattern.lstrip("/")), ignores, folders_only))
    return tuple(rules)


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> Callable[[str], object]:
    return re.compile(_glob_regex(pattern, braces=False), re.DOTALL).fullmatch


def _read_rules(folder: Path, names: Sequence[str]) -> tuple[_Rule, ...]:
    rules: tuple[_Rule, ...] = ()
    for name in names:
        try:
            rules += _parse_rules((folder / name).read_text("utf-8", "replace"))
        except OSError:
            continue
    return rules


def _is_ignored(path: Path, is_folder: bool, chain: Sequence[_Rules]) -> bool:
    """The nearest folder's last matching rule decides."""
    for rules in reversed(chain):
        relative = os.path.relpath(path, rules.base).replace(os.sep, "/")
        for rule in reversed(rules.rules):
            if (is_folder or not rule.folders_only) and rule.matches(relative):
                return rule.ignores
    return False


def _rules_above(folder: Path) -> list[_Rules]:
    """The rules of the repository's folders above `folder`, outermost first."""
    if not any((above / ".git").exists() for above in (folder, *folder.parents)):
        return []
    chain: list[_Rules] = []
    for above in (folder, *folder.parents):
        if above != folder:
            chain.insert(0, _Rules(str(above), _read_rules(above, _IGNORE_FILES)))
        if (above / ".git").exists():
            chain.insert(0, _Rules(str(above), _read_rules(above, (".git/info/exclude",))))
            break
    return chain


def walk(folder: Path, skip: Container[str] = ()) -> Iterator[Path]:
    """Every file that no ignore file excludes, in the order of names; neither `.git` nor symlinks are followed.

    Folders of a name in `skip` are not looked into.
    """
    yield from _walk(folder, _rules_above(folder), skip)


def _walk(folder: Path, chain: Sequence[_Rules], skip: Container[str]) -> Iterator[Path]:
    own = _read_rules(folder, _IGNORE_FILES)
    chain = [*chain, _Rules(str(folder), own)] if own else chain
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        path = folder / entry.name
        is_folder = entry.is_dir(follow_symlinks=False)
        if entry.name == ".git" or entry.is_symlink() or _is_ignored(path, is_folder, chain):
            continue
        if is_folder:
            if entry.name not in skip:
                yield from _walk(path, chain, skip)
        elif entry.is_file():
            yield path


# --- Searching -------------------------------------------------------------------------------------------------------


def run() -> None:
    """Answer the query in this process's argument, end with `main`'s code."""
    sys.exit(main(sys.argv[1:]))


def main(arguments: Sequence[str]) -> int:
    """Answer one query; 0 found, 1 nothing, 2 an error told on stderr: ripgrep's codes."""
    query: Mapping[str, Any] = json.loads(arguments[0])
    target = Path(str(query["target"]))
    wanted = [compile_glob(glob) for glob in query["globs"]]
    if query["pattern"] is None:
        for path in walk(Path.cwd()):
            sys.stdout.buffer.write(os.fsencode(path.relative_to(Path.cwd())) + b"\0")
        return 0
    try:
        flags = (re.IGNORECASE if query["ignore_case"] else 0) | re.MULTILINE
        regex = re.compile(str(query["pattern"]), flags | (re.DOTALL if query["multiline"] else 0))
    except re.error as error:
        sys.stderr.write(f"regex parse error: {error}\n")
        return 2
    found = False
    for path in [target] if target.is_file() else walk(Path.cwd()):
        relative = path.relative_to(Path.cwd()) if path.is_absolute() else path
        if not wanted or any(matches(relative.as_posix()) for matches in wanted):
            found = _search_file(relative, regex, query) or found
    return 0 if found else 1


def _search_file(path: Path, regex: re.Pattern[str], query: Mapping[str, Any]) -> bool:
    try:
        content = path.read_bytes()
    except OSError:
        return False
    if b"\0" in content[:8192] and not content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return False
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8"
    text = content.decode(encoding, "replace").replace("\r\n", "\n")
    lines = text.split("\n")
    hits = (
        _matching_lines(text, regex)
        if query["multiline"]
        else {number for number, line in enumerate(lines, 1) if regex.search(line) and (line or number < len(lines))}
    )
    if not hits:
        return False
    name = os.fsencode(path) + b"\0"
    match query["mode"]:
        case "files":
            sys.stdout.buffer.write(name)
        case "count":
            sys.stdout.buffer.write(name + f"{len(hits)}\n".encode())
        case _:
            for number in _with_context(hits, int(query["context"]), len(lines)):
                mark = ":" if number in hits else "-"
                sys.stdout.buffer.write(name + f"{number}{mark}{lines[number - 1][:2000]}\n".encode())
    return True


def _matching_lines(text: str, regex: re.Pattern[str]) -> set[int]:
    hits: set[int] = set()
    for match in regex.finditer(text):
        first = text.count("\n", 0, match.start()) + 1
        hits.update(range(first, first + match.group().rstrip("\n").count("\n") + 1))
    return hits


def _with_context(hits: set[int], context: int, last: int) -> list[int]:
    shown = {number for hit in hits for number in range(hit - context, hit + context + 1)}
    return sorted(number for number in shown if 1 <= number <= last)
