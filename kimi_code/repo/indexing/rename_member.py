"""A rename of a member: followed to receivers whose class is plain from the text around, refused where it is not."""

import re

from kimi_code.repo.indexing.binding_rules import FAMILIES
from kimi_code.repo.indexing.languages import language_of
from kimi_code.repo.indexing.occurrences import Occurrence, find_bases
from kimi_code.repo.indexing.rename_case import CLASSES, Case, File

# Bases that bring no members which a project's own could override by accident.
_HARMLESS = frozenset({"object", "ABC", "abc.ABC", "Generic", "Protocol", "typing.Protocol", "typing.Generic"})


async def plan_member(case: Case) -> None:
    """Fill in what renaming a member of a class changes. Raises ToolError when that is open."""
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


async def _check_member(case: Case) -> None:
    definition = case.definition
    outline = await case.index.outline(definition.path)
    around = [each for each in outline.definitions if each.qualified == definition.container] if outline else []
    if case.family != "go" and not any(each.kind in CLASSES for each in around):
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


async def _is_ours(case: Case, each: Occurrence, below: dict[str, bool]) -> bool:
    """Whether a receiver is of the class, or of one that inherits from it."""
    if not each.owner or (each.receiver.startswith("super") and each.owner == case.owner):
        return False
    if each.owner not in below:
        below[each.owner] = case.owner in await _ancestors(case, each.owner, "")
    return below[each.owner]


async def _is_others(case: Case, file: File, each: Occurrence) -> bool:
    """Whether a receiver is plainly something else: a class of ours with other ancestors, or a module."""
    if each.owner and not each.receiver.startswith("super"):
        found = (await case.index.definitions_of(each.owner)).items
        if any(definition.kind in CLASSES for definition in found):
            return not await _outside_bases(case, each.owner, "")
    return bool(each.source) and not each.owner


def _is_destructured(file: File, each: Occurrence) -> bool:
    """`const {name} = thing`: a member that becomes a variable."""
    line = file.content[file.content.rfind(b"\n", 0, each.start) + 1 : each.end + 200]
    return re.search(rb"\{[^}]*\}\s*=", line) is not None


async def _outside_bases(case: Case, name: str, path: str) -> list[str]:
    """Ancestors that are not defined here."""
    return [each for each, known in (await _ancestors(case, name, path)).items() if not known]


async def _ancestors(case: Case, name: str, path: str) -> dict[str, bool]:
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
            if each.kind in CLASSES and FAMILIES.get(language_of(each.path)) == case.family
        ]  # fmt: skip
        if current != name:
            found[current] = bool(definitions)
        for definition in definitions:
            content = await case.read(definition.path)
            if content is not None:
                bases = find_bases(language_of(definition.path), content, current)
                waiting += [(base.rpartition(".")[2], "") for base in bases if base not in _HARMLESS]
    return found
