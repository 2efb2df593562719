"""A rename of what stands at the top of a file: followed from its definition through imports into other files."""

import posixpath
import re
from collections.abc import Iterable

from kimi_code.repo.indexing.binding_rules import Family
from kimi_code.repo.indexing.languages import language_of
from kimi_code.repo.indexing.occurrences import Occurrence, find_names
from kimi_code.repo.indexing.rename_case import SOURCES, Case, File


async def plan_top(case: Case) -> None:
    """Fill in what renaming something at the top of its file changes. Raises ToolError when that is open."""
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


def _change_top(case: Case, file: File, sure: set[int], *, own: bool, local: bool) -> None:
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


def _refuse_paths(case: Case, file: File, providers: Iterable[str]) -> None:
    """A string such as "app.store.open_store" leads to the definition from anywhere: patches, entry points."""
    stems = {SOURCES.sub("", path).removesuffix("/__init__").rpartition("/")[2] for path in providers}
    path_to = re.compile(rf"(?<![\w])(?:{'|'.join(map(re.escape, stems))})[.:]{re.escape(case.old)}\W".encode())
    for each in file.names.occurrences:
        if each.role == "dynamic" and path_to.search(file.content, max(0, each.start - 80), each.end + 1):
            raise case.refuse_at("a string there leads to it", [file.at(each)])


def _providers(case: Case) -> set[str]:
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


def _passes_on(file: File, each: Occurrence) -> bool:
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
        goal = SOURCES.sub("", posixpath.normpath(posixpath.join(posixpath.dirname(importer), source)))
        return any(SOURCES.sub("", path) in (goal, f"{goal}/index") for path in providers)
    dots = len(source) - len(source.lstrip("."))
    dotted = source[dots:].replace(".", "/")
    stems = [SOURCES.sub("", path).removesuffix("/__init__") for path in providers]
    if dots:
        folder = importer
        for _ in range(dots):
            folder = posixpath.dirname(folder)
        return posixpath.join(folder, dotted).strip("/") in [stem.removesuffix("__init__") or "" for stem in stems]
    return any(stem == dotted or stem.endswith(f"/{dotted}") for stem in stems)


def _same_package(folder: str, source: str) -> bool:
    return bool(folder) and (source == folder or source.endswith(f"/{folder}"))


def _beside(case: Case, path: str) -> bool:
    """Whether a Go file is of the same package."""

    def clause(file: File) -> bytes:
        found = re.search(rb"^package\s+(\w+)", file.content, re.M)
        return found[1] if found else b""

    home = case.files[case.definition.path]
    same = posixpath.dirname(path) == posixpath.dirname(home.path)
    return same and clause(case.files[path]) == clause(home)


async def _check_conflicts(case: Case, packages: Iterable[str]) -> None:
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
