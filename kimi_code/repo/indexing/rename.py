"""What renaming a definition would change in a repository, where that can be known; else why it cannot.

Python, JavaScript, TypeScript and Go. A name is followed from its definition through imports, a member to receivers
whose class is plain from the text around. What is left open refuses the whole: nothing is renamed in part.
"""

import asyncio
import keyword
import posixpath
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from kimi_code.errors import ToolError
from kimi_code.repo.index import Index
from kimi_code.repo.indexing.answers import Definition
from kimi_code.repo.indexing.languages import language_of
from kimi_code.repo.indexing.occurrences import FAMILIES, Family, Names, Occurrence, find_bases, find_names
from kimi_code.repo.search import Query, Search
from kimi_code.values import frozen

Replacement = tuple[int, int, str]  # bytes from, to, and what takes their place
Read = Callable[[str], Awaitable[bytes | None]]  # a path of the index -> its text as UTF-8; None when it has none

_PATIENCE = 60.0  # seconds for the index
_SHOWN_MOST = 5  # places that a refusal names
_FILES_MOST = 400
_PROSE = (".md", ".markdown", ".rst", ".txt", ".adoc", ".log", ".csv", ".svg", ".lock", ".po", ".pot")
_CLASSES = frozenset({"class", "interface", "struct", "enum", "trait", "type"})
# Bases that bring no members which a project's own could override by accident.
_HARMLESS = frozenset({"object", "ABC", "abc.ABC", "Generic", "Protocol", "typing.Protocol", "typing.Generic"})
_SOURCES = re.compile(r"\.(?:d\.ts|[cm]?[jt]sx?|py|pyi)$")
_WORDS: Mapping[Family, str] = MappingProxyType(
    {
        "python": " ".join(keyword.kwlist),
        "javascript": "await break case catch class const continue debugger default delete do else enum export extends "
        "false finally for function if implements import in instanceof interface let new null package private "
        "protected public return static super switch this throw true try typeof undefined var void while with yield",
        "go": "break case chan const continue default defer else fallthrough for func go goto if import interface map "
        "package range return select struct switch type var nil true false iota init main",
    }
)


@frozen
class Plan:
    """A rename: the replacements of each file (relative to the index's root), and what the person should know."""

    definition: Definition
    edits: Mapping[str, tuple[Replacement, ...]]
    notes: tuple[str, ...] = ()


@frozen
class _File:
    """A file that says the name."""

    path: str
    content: bytes
    names: Names

    def at(self, occurrence: Occurrence) -> str:
        return f"{self.path}:{occurrence.line}"


@dataclass(slots=True)
class _Case:
    """One rename while it is worked out."""

    index: Index
    read: Read
    definition: Definition
    family: Family
    new: str
    files: dict[str, _File] = field(default_factory=dict[str, _File])
    others: dict[str, bytes] = field(default_factory=dict[str, bytes])
    edits: dict[str, list[Replacement]] = field(default_factory=dict[str, list[Replacement]])
    notes: list[str] = field(default_factory=list[str])
    mentions: list[str] = field(default_factory=list[str])

    @property
    def old(self) -> str:
        return self.definition.name

    @property
    def owner(self) -> str:
        """The class of a member, "" for what stands at the top of its file."""
        return self.definition.container.rpartition(".")[2]

    def change(self, file: _File, each: Occurrence) -> None:
        new = f"{self.old}: {self.new}" if each.role == "shorthand" else self.new
        self.edits.setdefault(file.path, []).append((each.start, each.end, new))

    def refuse(self, why: str) -> ToolError:
        return ToolError(f"{self.definition.qualified} cannot be renamed safely: {why}. Nothing was changed.")

    def refuse_at(self, why: str, places: Sequence[str]) -> ToolError:
        more = f" and {len(places) - _SHOWN_MOST} more" if len(places) > _SHOWN_MOST else ""
        return self.refuse(f"{why} ({', '.join(places[:_SHOWN_MOST])}{more})")


async def plan_rename(index: Index, symbol: str, new: str, path: str, read: Read) -> Plan:
    """Everything that renaming `symbol` (a name, or `Class.method`; in `path` if given) to `new` changes.

    Raises ToolError, for the model, when there is no such definition or its uses cannot all be known.
    """
    if not await index.wait(_PATIENCE):
        raise ToolError("The index is not complete yet, so uses could be missed. Try again later. Nothing was changed.")
    definition, family = await _definition(index, symbol, path)
    case = _Case(index, read, definition, family, new)
    _check_name(case)
    await _gather(case)
    if case.definition.path not in case.files:
        raise case.refuse(f"{case.definition.path} cannot be read")
    await (_plan_member(case) if definition.container else _plan_top(case))
    _look_at_others(case)
    if case.mentions:
        shown = ", ".join(case.mentions[:_SHOWN_MOST])
        more = f" and {len(case.mentions) - _SHOWN_MOST} more" if len(case.mentions) > _SHOWN_MOST else ""
        case.notes.append(f"Left as they are, in comments, strings and other files: {shown}{more}.")
    return Plan(definition, {path: tuple(sorted(set(edits))) for path, edits in case.edits.items()}, tuple(case.notes))


async def _definition(index: Index, symbol: str, path: str) -> tuple[Definition, Family]:
    found = (await index.definitions_of(symbol, path, 200)).items
    known: list[tuple[Definition, Family]] = [
        (each, FAMILIES[language]) for each in found if (language := language_of(each.path)) in FAMILIES
    ]
    if not known:
        where = f" in {path}" if path else ""
        others = f"; {found[0].path}:{found[0].line} is in none of them" if found else ""
        raise ToolError(f"No definition {symbol}{where} in Python, JavaScript, TypeScript or Go{others}.")
    places = dict.fromkeys((each.path, each.container) for each, _ in known)
    if len(places) > 1:
        listed = "\n".join(f"{each.path}:{each.line} {each.kind} {each.qualified}" for each, _ in known)
        raise ToolError(f"{symbol} is defined in {len(places)} places. Give its full name, or its path:\n{listed}")
    return known[0]


def _check_name(case: _Case) -> None:
    letters = r"[A-Za-z_$][\w$]*" if case.family == "javascript" else r"[^\W\d]\w*"
    if not re.fullmatch(letters, case.new) or case.new in _WORDS[case.family].split():
        raise ToolError(f"{case.new!r} cannot be a name in {case.definition.path}. Nothing was changed.")
    if case.new == case.old:
        raise ToolError(f"{case.old} has this name already.")
    if case.old.startswith("__") and case.old.endswith("__"):
        raise case.refuse("the language itself calls it by this name")
    if case.family == "go" and case.old in ("main", "init", "TestMain"):
        raise case.refuse("Go itself calls it by this name")


async def _gather(case: _Case) -> None:
    """Read all files that hold the name, and find what it is in each."""
    found = await Search().grep(case.index.root, Query(re.escape(case.old), "files"))
    paths = sorted({hit.path.removeprefix("./") for hit in found.hits} | {case.definition.path})
    if not found.complete or len(paths) > _FILES_MOST:
        raise case.refuse(f"more than {_FILES_MOST} files hold this name")
    for path in paths:
        content = await case.read(path)
        if content is None:
            continue
        language = language_of(path, content[:65_536])
        if FAMILIES.get(language) != case.family:
            case.others[path] = content
            continue
        await asyncio.sleep(0)  # a parse holds up everything for some milliseconds: others go between two
        names = find_names(language, content, case.old)
        if names is None:
            raise case.refuse(f"{path} cannot be parsed")
        if names.occurrences:
            case.files[path] = _File(path, content, names)


def _look_at_others(case: _Case) -> None:
    """Files of other languages: prose may keep the old name, code and configuration that lead to it may not."""
    stem = _SOURCES.sub("", case.definition.path).rpartition("/")[2]
    home = stem if stem not in ("__init__", "index") else case.definition.path.split("/")[-2:][0]
    word = re.escape(case.old)
    led = re.compile(rf"(?<![\w$])(?:{re.escape(case.owner or home)})[.:#]{word}(?![\w$])")
    whole = re.compile(rf"(?<![\w$]){word}(?![\w$])")
    for path, content in case.others.items():
        text = content.decode("utf-8", "replace")
        first = whole.search(text)
        if first is None:
            continue
        if path.lower().endswith(_PROSE):
            case.mentions.append(f"{path}:{text.count(chr(10), 0, first.start()) + 1}")
        elif hit := led.search(text):
            raise case.refuse_at("it is named in a file that is not analysed", [_place(path, text, hit.start())])
        elif path.endswith((".vue", ".svelte", ".ipynb", ".pyx", ".pxd", ".astro")):
            raise case.refuse_at("it may be used in a file that is not analysed", [_place(path, text, first.start())])
        else:
            case.mentions.append(_place(path, text, first.start()))


def _place(path: str, text: str, offset: int) -> str:
    return f"{path}:{text.count(chr(10), 0, offset) + 1}"


# --- What stands at the top of a file ---


async def _plan_top(case: _Case) -> None:
    home = case.files[case.definition.path]
    if not any(each.role == "binding" and each.top for each in home.names.occurrences):
        raise case.refuse("its definition is not at the top of the file")
    providers = _providers(case)
    packages = {file.path for file in case.files.values() if case.family == "go" and _beside(case, file.path)}
    reached = 0
    for file in case.files.values():
        own = file.path == home.path or file.path in packages
        imports = [
            each for each in file.names.occurrences
            if each.role == "import" and _leads_to(case.family, file.path, each.source, providers)
        ]  # fmt: skip
        through = [
            each for each in file.names.occurrences
            if each.role == "member" and each.source and _leads_to(case.family, file.path, each.source, providers)
        ]  # fmt: skip
        if not own and any(_leads_to(case.family, file.path, star, providers) for star in file.names.stars):
            raise case.refuse(f"{file.path} imports everything from its module, so what is meant there is open")
        if own or imports or through:
            local = own or any(not each.aliased for each in imports)
            _change_top(case, file, {each.start for each in (*imports, *through)}, own=own, local=local)
            reached += not own
        else:
            _refuse_paths(case, file, providers)
            case.mentions += [file.at(each) for each in file.names.occurrences if each.role in ("mention", "dynamic")]
    await _check_conflicts(case, packages)
    if case.definition.exported and reached == 0 and case.family != "go":
        case.notes.append("Nothing else in this repository imports it; code outside that does would break.")
    elif case.definition.exported:
        case.notes.append("Code outside this repository that uses it would break.")
    if case.family == "go" and case.old[:1].isupper() and not case.new[:1].isupper() and reached:
        raise case.refuse(f"other packages use it, and {case.new} would not be exported")


def _change_top(case: _Case, file: _File, sure: set[int], *, own: bool, local: bool) -> None:
    """The changes of one file. `sure` are imports and uses through modules; `local`: plain uses mean our definition."""
    if file.names.broken:
        raise case.refuse(f"{file.path} has syntax errors")
    for each in file.names.occurrences:
        if each.start in sure:
            case.change(file, each)
            continue
        match each.role:
            case "binding" if own and each.top and (file.path == case.definition.path):
                case.change(file, each)
            case "binding" if local:
                raise case.refuse_at("the name is bound again there, so it may mean something else", [file.at(each)])
            case "use" | "shorthand" if local:
                case.change(file, each)
            case "import" | "alias" if local:
                raise case.refuse_at("another thing has this name there", [file.at(each)])
            case "dynamic":
                raise case.refuse_at("a string there is just this name, or leads to it", [file.at(each)])
            case "unsure":
                raise case.refuse_at("what the name is there depends on types", [file.at(each)])
            case "mention":
                case.mentions.append(file.at(each))
            case _:  # members and keywords of other things
                pass


def _refuse_paths(case: _Case, file: _File, providers: Iterable[str]) -> None:
    """A string such as "app.store.open_store" leads to the definition from anywhere: patches, entry points."""
    stems = {_SOURCES.sub("", path).removesuffix("/__init__").rpartition("/")[2] for path in providers}
    path_to = re.compile(rf"(?<![\w])(?:{'|'.join(map(re.escape, stems))})[.:]{re.escape(case.old)}\W".encode())
    for each in file.names.occurrences:
        if each.role == "dynamic" and path_to.search(file.content, max(0, each.start - 80), each.end + 1):
            raise case.refuse_at("a string there leads to it", [file.at(each)])


def _providers(case: _Case) -> set[str]:
    """The files that the definition can be imported from: its own, and those that pass it on."""
    providers = {case.definition.path}
    if case.family == "go":
        return providers
    while True:
        more = {
            file.path
            for file in case.files.values()
            for each in file.names.occurrences
            if each.role == "import" and _leads_to(case.family, file.path, each.source, providers)
            if case.family == "python" or _passes_on(file, each)
        }
        if more <= providers:
            return providers
        providers |= more


def _passes_on(file: _File, each: Occurrence) -> bool:
    """Whether a JavaScript import is an export from, or is exported below."""
    line_start = file.content.rfind(b"\n", 0, each.start) + 1
    statement = file.content.rfind(b"export", line_start, each.start) >= 0
    return statement or any(other.role == "use" and other.top for other in file.names.occurrences)


def _leads_to(family: Family, importer: str, source: str, providers: Iterable[str]) -> bool:
    """Whether a module as it is written in a file is one of `providers`."""
    if not source:
        return False
    if family == "go":
        return any(_same_package(posixpath.dirname(path), source) for path in providers)
    if family == "javascript":
        if not source.startswith("."):
            return False
        goal = _SOURCES.sub("", posixpath.normpath(posixpath.join(posixpath.dirname(importer), source)))
        return any(_SOURCES.sub("", path) in (goal, f"{goal}/index") for path in providers)
    dots = len(source) - len(source.lstrip("."))
    dotted = source[dots:].replace(".", "/")
    stems = [_SOURCES.sub("", path).removesuffix("/__init__") for path in providers]
    if dots:
        folder = importer
        for _ in range(dots):
            folder = posixpath.dirname(folder)
        return posixpath.join(folder, dotted).strip("/") in [stem.removesuffix("__init__") or "" for stem in stems]
    return any(stem == dotted or stem.endswith(f"/{dotted}") for stem in stems)


def _same_package(folder: str, source: str) -> bool:
    return bool(folder) and (source == folder or source.endswith(f"/{folder}"))


def _beside(case: _Case, path: str) -> bool:
    """Whether a Go file is of the same package."""

    def clause(file: _File) -> bytes:
        found = re.search(rb"^package\s+(\w+)", file.content, re.M)
        return found[1] if found else b""

    home = case.files[case.definition.path]
    same = posixpath.dirname(path) == posixpath.dirname(home.path)
    return same and clause(case.files[path]) == clause(home)


async def _check_conflicts(case: _Case, packages: Iterable[str]) -> None:
    """The new name must not be in use where the old one is replaced."""
    for path in case.edits:
        names = find_names(language_of(path), case.files[path].content, case.new)
        taken = [each for each in (names.occurrences if names else ())
                 if each.role in ("binding", "use", "import", "alias", "shorthand", "unsure")]  # fmt: skip
        if taken:
            raise case.refuse_at(f"{case.new} is in use there already", [f"{path}:{taken[0].line}"])
    if case.family == "go":
        folder = posixpath.dirname(case.definition.path)
        for each in (await case.index.definitions_of(case.new)).items:
            if not each.container and posixpath.dirname(each.path) == folder:
                raise case.refuse_at(f"{case.new} is defined in the package already", [f"{each.path}:{each.line}"])


# --- Members ---


async def _plan_member(case: _Case) -> None:
    await _check_member(case)
    below: dict[str, bool] = {case.owner: True}
    unknown: list[str] = []
    for file in case.files.values():
        if file.names.broken:
            raise case.refuse(f"{file.path} has syntax errors")
        for each in file.names.occurrences:
            if each.role == "declared":
                case.change(file, each)
            elif each.role == "member":
                if await _is_ours(case, each, below):
                    case.change(file, each)
                elif not await _is_others(case, file, each):
                    unknown.append(f"{each.receiver or '?'}.{case.old} at {file.at(each)}")
            elif each.role == "dynamic":
                raise case.refuse_at("a string there is just this name, or leads to it", [file.at(each)])
            elif each.role in ("unsure", "keyword") or (each.role == "binding" and _is_destructured(file, each)):
                raise case.refuse_at("whether this is the member depends on types", [file.at(each)])
            elif each.role == "mention":
                case.mentions.append(file.at(each))
    if unknown:
        raise case.refuse_at("what these are taken from is not plain from the text around", unknown)
    if case.definition.exported:
        case.notes.append("Code outside this repository that uses it would break.")


async def _check_member(case: _Case) -> None:
    definition = case.definition
    outline = await case.index.outline(definition.path)
    around = [each for each in outline.definitions if each.qualified == definition.container] if outline else []
    if case.family != "go" and not any(each.kind in _CLASSES for each in around):
        raise case.refuse(f"it is local to {definition.container}")
    if any(each.kind == "interface" for each in around):
        raise case.refuse(f"anything may implement the interface {case.owner}")
    if definition.kind not in ("method", "function"):
        raise case.refuse(f"a {definition.kind} of a class can be set and read in ways that are not seen")
    if case.family == "go" and case.old[:1].isupper():
        raise case.refuse("an exported method may be what an interface asks for")
    others = [
        file.at(each)
        for file in case.files.values()
        for each in file.names.occurrences
        if each.role == "declared" and (file.path != definition.path or each.owner != case.owner)
    ]
    if others:
        raise case.refuse_at("other classes have a member of this name", others)
    for each in (await case.index.definitions_of(case.new)).items:
        if each.container:
            raise case.refuse_at(f"{case.new} is a member already", [f"{each.path}:{each.line}"])
    if outside := await _outside_bases(case, case.owner, definition.path):
        raise case.refuse(f"{case.owner} inherits from {outside[0]}, which is not in this repository and may define it")


async def _is_ours(case: _Case, each: Occurrence, below: dict[str, bool]) -> bool:
    """Whether a receiver is of the class, or of one that inherits from it."""
    if not each.owner or (each.receiver.startswith("super") and each.owner == case.owner):
        return False
    if each.owner not in below:
        below[each.owner] = case.owner in await _ancestors(case, each.owner, "")
    return below[each.owner]


async def _is_others(case: _Case, file: _File, each: Occurrence) -> bool:
    """Whether a receiver is plainly something else: a class of ours with other ancestors, or a module."""
    if each.owner and not each.receiver.startswith("super"):
        found = (await case.index.definitions_of(each.owner)).items
        if any(definition.kind in _CLASSES for definition in found):
            return not await _outside_bases(case, each.owner, "")
    return bool(each.source) and not each.owner


def _is_destructured(file: _File, each: Occurrence) -> bool:
    """`const {name} = thing`: a member that becomes a variable."""
    line = file.content[file.content.rfind(b"\n", 0, each.start) + 1 : each.end + 200]
    return re.search(rb"\{[^}]*\}\s*=", line) is not None


async def _outside_bases(case: _Case, name: str, path: str) -> list[str]:
    """Ancestors that are not defined here."""
    return [each for each, known in (await _ancestors(case, name, path)).items() if not known]


async def _ancestors(case: _Case, name: str, path: str) -> dict[str, bool]:
    """The names of a class's ancestors, each with whether it is defined in the repository."""
    found: dict[str, bool] = {}
    waiting = [(name, path)]
    seen: set[str] = set()
    while waiting:
        current, place = waiting.pop()
        if current in seen:
            continue
        seen.add(current)
        definitions = [
            each for each in (await case.index.definitions_of(current, place)).items
            if each.kind in _CLASSES and FAMILIES.get(language_of(each.path)) == case.family
        ]  # fmt: skip
        if current != name:
            found[current] = bool(definitions)
        for definition in definitions:
            content = await case.read(definition.path)
            if content is not None:
                bases = find_bases(language_of(definition.path), content, current)
                waiting += [(base.rpartition(".")[2], "") for base in bases if base not in _HARMLESS]
    return found
