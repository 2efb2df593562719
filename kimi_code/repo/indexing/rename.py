"""What renaming a definition would change in a repository, where that can be known; else why it cannot.

Python, JavaScript, TypeScript and Go. A name is followed from its definition through imports, a member to receivers
whose class is plain from the text around. What is left open refuses the whole: nothing is renamed in part.
"""

import asyncio
import keyword
import re
from collections.abc import Mapping
from types import MappingProxyType

from kimi_code.errors import ToolError
from kimi_code.repo.index import Index
from kimi_code.repo.indexing.answers import Definition
from kimi_code.repo.indexing.binding_rules import FAMILIES, Family
from kimi_code.repo.indexing.languages import language_of
from kimi_code.repo.indexing.occurrences import find_names
from kimi_code.repo.indexing.rename_case import SHOWN_MOST, SOURCES, Case, File, Plan, Read
from kimi_code.repo.indexing.rename_member import plan_member
from kimi_code.repo.indexing.rename_top import plan_top
from kimi_code.repo.search import Query

_PATIENCE = 60.0  # seconds for the index
_FILES_MOST = 400
_PROSE = (".md", ".markdown", ".rst", ".txt", ".adoc", ".log", ".csv", ".svg", ".lock", ".po", ".pot")
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


async def plan_rename(index: Index, symbol: str, new: str, path: str, read: Read) -> Plan:
    """Everything that renaming `symbol` (a name, or `Class.method`; in `path` if given) to `new` changes.

    Raises ToolError, for the model, when there is no such definition or its uses cannot all be known.
    """
    if not await index.wait(_PATIENCE):
        raise ToolError("The index is not complete yet, so uses could be missed. Try again later. Nothing was changed.")
    definition, family = await _definition(index, symbol, path)
    case = Case(index, read, definition, family, new)
    _check_name(case)
    await _gather(case)
    if case.definition.path not in case.files:
        raise case.refuse(f"{case.definition.path} cannot be read")
    await (plan_member(case) if definition.container else plan_top(case))
    _look_at_others(case)
    if case.mentions:
        shown = ", ".join(case.mentions[:SHOWN_MOST])
        more = f" and {len(case.mentions) - SHOWN_MOST} more" if len(case.mentions) > SHOWN_MOST else ""
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


def _check_name(case: Case) -> None:
    letters = r"[A-Za-z_$][\w$]*" if case.family == "javascript" else r"[^\W\d]\w*"
    if not re.fullmatch(letters, case.new) or case.new in _WORDS[case.family].split():
        raise ToolError(f"{case.new!r} cannot be a name in {case.definition.path}. Nothing was changed.")
    if case.new == case.old:
        raise ToolError(f"{case.old} has this name already.")
    if case.old.startswith("__") and case.old.endswith("__"):
        raise case.refuse("the language itself calls it by this name")
    if case.family == "go" and case.old in ("main", "init", "TestMain"):
        raise case.refuse("Go itself calls it by this name")


async def _gather(case: Case) -> None:
    """Read all files that hold the name, and find what it is in each."""
    found = await case.index.search.grep(case.index.root, Query(re.escape(case.old), "files"))
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
            case.files[path] = File(path, content, names)


def _look_at_others(case: Case) -> None:
    """Files of other languages: prose may keep the old name, code and configuration that lead to it may not."""
    stem = SOURCES.sub("", case.definition.path).rpartition("/")[2]
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
