"""Import statements read from their text, each language's in its own way: what is named, and under which name here."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

from kimi_code.repo.symbols import Import

Names = tuple[tuple[str, str], ...]
Statement = tuple[str, Names]  # target, names

_MOST = 20_000  # characters of a statement
_EVERYTHING: Names = (("*", "*"),)
_HASH_COMMENT = re.compile(r"#[^\n]*|\\\r?\n")
_SLASH_COMMENT = re.compile(r"/\*.*?\*/|(?<!:)//[^\n]*", re.S)
_QUOTED = re.compile(r"""["'`<]([^"'`<>\n]+)["'`>]""")
_PYTHON_FROM = re.compile(r"from\s+([\w.]+|\.[\s.]*[\w.]*)\s*import\b\s*(.*)", re.S)
_EXPANSION = re.compile(r"""\$\((?:[^()"]|"[^"]*")*\)|\$\{[^{}]*\}|\$\w+""")
_REQUIRE = re.compile(
    r"""(?:(?P<names>[\w$]+|\{[^{}]*\})\s*=\s*)?(?:await\s+)?(?:require|import)\(\s*["'`](?P<target>[^"'`]+)"""
)
_JS_FROM = re.compile(
    r"""(?P<word>import|export)\s+(?:type\s+|typeof\s+)?(?P<names>.*?)\bfrom\s*["'](?P<target>[^"']+)["']""", re.S
)
_RUST_MOD = re.compile(r"(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+)\s*;")
_RUST_USE = re.compile(r"(?:pub(?:\([^)]*\))?\s+)?use\s+(.*?);?\s*$", re.S)
_RUST_TOKEN = re.compile(r"[{},]|[^{},]+")
_DOTTED = re.compile(
    r"(?:global\s+)?(?:import|using|use|alias|require)\s+(?P<static>static\s+|typealias\s+|struct\s+|class\s+|func\s+"
    r"|function\s+|const\s+|qualified\s+|enum\s+|protocol\s+|var\s+)?(?:(?P<alias>\w+)\s*=\s*)?\\?(?P<target>[\w.\\]+)"
    r"(?P<rest>.*)",
    re.S,
)
_AS = re.compile(r"\s+as:?\s+(\w+)|,\s*as:\s*([\w.]+)|\s+qualified\s+as\s+(\w+)")


def read_imports(language: str, statements: Sequence[tuple[str, int]]) -> tuple[Import, ...]:
    """The imports in statements of a language, given in order with their lines; each once, no unreadable ones."""
    read = _READERS.get(language, _read_path)
    found: dict[Statement, Import] = {}
    for text, line in statements:
        for target, names in read(text[:_MOST]):
            if target:
                found.setdefault((target, names), Import(target, names, line))
    return tuple(found.values())


def _listed(text: str, alias: str = r"\s+as\s+") -> Names:
    """`a, b as c` -> its pairs."""
    pairs: list[tuple[str, str]] = []
    for part in text.split(","):
        if (name := part.strip()).isidentifier():
            pairs.append((name, name))
            continue
        there, *here = (word.strip() for word in re.split(alias, name))
        there = there.removeprefix("type ").strip()
        if there:
            pairs.append((there, here[0] if here else there))
    return tuple(pairs)


def _read_python(text: str) -> Iterator[Statement]:
    text = _HASH_COMMENT.sub(" ", text) if "#" in text or "\\" in text else text
    if found := _PYTHON_FROM.match(text):
        yield "".join(found[1].split()), _listed(found[2].strip("() \r\n\t;"))
        return
    for there, here in _listed(text.removeprefix("import").strip(" \r\n\t;")):
        yield there, (("", here),) if here != there else ()


def _read_javascript(text: str) -> Iterator[Statement]:
    text = _SLASH_COMMENT.sub(" ", text)
    if found := _JS_FROM.match(text):
        yield found["target"], _javascript_names(found["names"], exported=found["word"] == "export")
    elif found := _REQUIRE.search(text):
        names = found["names"] or ""
        listed = _listed(names.strip("{} \n"), r"\s*:\s*") if names.startswith("{") else ()
        yield found["target"], listed or ((("", names),) if names else ())
    elif found := _QUOTED.search(text):
        yield found[1], ()


def _javascript_names(text: str, *, exported: bool) -> Names:
    before, brace, inside = text.partition("{")
    names: list[tuple[str, str]] = list(_listed(inside.rpartition("}")[0])) if brace else []
    for there, here in _listed(before):
        if there == "*":
            names.append(("", here) if here != "*" else ("*", "*"))
        elif not exported:
            names.append(("default", there))
    return tuple(names)


def _read_go(text: str) -> Iterator[Statement]:
    if found := _QUOTED.search(text):
        alias = text[: found.start()].strip()
        match alias:
            case ".":
                yield found[1], _EVERYTHING
            case "" | "_":
                yield found[1], ()
            case _:
                yield found[1], (("", alias),)


def _read_rust(text: str) -> Iterator[Statement]:
    text = _SLASH_COMMENT.sub(" ", text)
    if found := _RUST_MOD.match(text):
        yield f"self::{found[1]}", ()
    elif found := _RUST_USE.match(text):
        yield from _rust_tree(found[1])


def _rust_tree(text: str) -> Iterator[Statement]:
    """`a::{b, c::{d as e, *}}` -> ("a", b), ("a::c", d as e), ("a::c", *); nested groups on a stack."""
    prefixes = [""]
    pending = ""
    for token in [*_RUST_TOKEN.findall(text), ","]:
        match token:
            case "{":
                prefixes.append(prefixes[-1] + "".join(pending.split()))
                pending = ""
            case "," | "}":
                if pending.strip():
                    yield _rust_leaf(prefixes[-1], pending)
                pending = ""
                if token == "}" and len(prefixes) > 1:
                    prefixes.pop()
            case _:
                pending += token


def _rust_leaf(prefix: str, leaf: str) -> Statement:
    path, _, alias = leaf.partition(" as ")
    module, _, name = (prefix + "".join(path.split())).rpartition("::")
    if name == "self":
        module, _, name = module.rpartition("::")
    return module or name, ((name, alias.strip() or name),) if module else ()


def _read_dotted(text: str) -> Iterator[Statement]:
    """`import a.b.C`, `using A.B`, `use A\\B as C`: Java, Kotlin, Scala, C#, PHP, Swift, Elixir, Haskell."""
    found = _DOTTED.match(_SLASH_COMMENT.sub(" ", text).strip())
    if found is None:
        yield from _read_path(text)
        return
    target = found["target"].replace("\\", ".").strip(".")
    rest = found["rest"]
    last = target.rpartition(".")[2]
    renamed = _AS.match(rest)
    alias = next(filter(None, renamed.groups())) if renamed else found["alias"] or last
    if rest.lstrip(" .").startswith(("*", "_")):
        yield target, _EVERYTHING
    elif rest.lstrip(" .\\").startswith(("{", "(")):
        inside = rest.partition("{")[2].rpartition("}")[0] or rest.partition("(")[2].rpartition(")")[0]
        yield target, _listed(inside, r"\s+as\s+|\s*=>\s*")
    else:
        yield target, ((last, alias),)


def _read_path(text: str) -> Iterator[Statement]:
    """`#include "x.h"`, `require "x"`, `source ./x.sh`: the quoted part, or the last word."""
    plain = _EXPANSION.sub("", text)
    if found := _QUOTED.search(plain):
        target = found[1]
        if found.group().startswith("<"):
            target = f"<{target}>"
    else:
        target = "".join(plain.split()[-1:]).strip("();")
    if target.startswith("/") and (plain != text or "__DIR__" in text or "dirname" in text):
        target = f".{target}"
    elif text.startswith("require_relative") and not target.startswith("."):
        target = f"./{target}"
    yield target, ()


_READERS: Mapping[str, Callable[[str], Iterator[Statement]]] = MappingProxyType(
    {
        "python": _read_python,
        "javascript": _read_javascript,
        "typescript": _read_javascript,
        "tsx": _read_javascript,
        "go": _read_go,
        "rust": _read_rust,
        **dict.fromkeys(("java", "kotlin", "scala", "csharp", "php", "swift", "elixir", "haskell"), _read_dotted),
    }
)
