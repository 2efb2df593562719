"""Imports -> the files they mean: a pure function over the paths of a repository and a few of its manifests."""

import json
import posixpath
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from kimi_code.repo.symbols import Import

_MANIFESTS = frozenset({"go.mod", "tsconfig.json", "jsconfig.json", "package.json", "Cargo.toml"})
_MOST = 40  # files of one import: a Go package, a wildcard

_JS_ENDINGS = (".ts", ".tsx", ".d.ts", ".js", ".jsx", ".mjs", ".cjs", ".mts", ".cts", ".vue", ".svelte", ".json")
_JS = frozenset({"javascript", "typescript", "tsx", "vue", "svelte", "html", "jinja"})
_BY_PACKAGE = {"java": (".java", ".kt"), "kotlin": (".kt", ".java"), "scala": (".scala", ".java")}
_PACKAGED = (".java", ".kt", ".scala")
# Languages whose imports are paths: what may stand after the path as it is written.
_BY_PATH: Mapping[str, tuple[str, ...]] = {
    "c": ("",), "cpp": ("",), "bash": ("",), "ruby": (".rb", ""), "lua": (".lua", "/init.lua"), "dart": ("",),
    "zig": ("",), "css": ("", ".css"), "php": ("",),
}  # fmt: skip
_GO_MODULE = re.compile(r"^module\s+\"?([^\s\"]+)", re.M)
_CRATE_NAME = re.compile(r"^\[package\][^\[]*?^name\s*=\s*\"([^\"]+)\"", re.M | re.S)
_JSON_NOISE = re.compile(r'("(?:[^"\\]|\\.)*")|//[^\n]*|/\*.*?\*/|,(?=\s*[}\]])', re.S)


@dataclass(slots=True)
class Layout:
    """The paths of a repository by what imports call them; made by `read_layout`."""

    paths: frozenset[str]
    python: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    by_name: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    package_folders: dict[str, dict[str, list[str]]] = field(default_factory=dict[str, dict[str, list[str]]])
    go_folders: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    go_modules: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])  # module, folder
    aliases: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])  # below, pattern, target
    packages: dict[str, str] = field(default_factory=dict[str, str])  # npm name -> folder
    crates: dict[str, str] = field(default_factory=dict[str, str])  # crate name -> folder


def is_manifest(path: str) -> bool:
    """Whether `read_layout` wants the text of a file, to know what its folder is called elsewhere."""
    return path.rpartition("/")[2] in _MANIFESTS


def read_layout(paths: Collection[str], manifests: Mapping[str, str]) -> Layout:
    """What `resolve` needs: of all paths (relative, forward slashes) and the texts of manifests, by path."""
    layout = Layout(frozenset(paths))
    packages: dict[str, tuple[str, ...]] = {}
    for path in sorted(paths):
        folder, _, name = path.rpartition("/")
        layout.by_name.setdefault(name, []).append(path)
        if name.endswith((".py", ".pyi")):
            if folder not in packages:
                packages[folder] = _python_packages(folder, layout.paths)
            own = name.rpartition(".")[0]
            for package in packages[folder]:
                module = package if own == "__init__" else f"{package}.{own}" if package else own
                layout.python.setdefault(module, []).append(path)
        elif name.endswith(".go") and not name.endswith("_test.go"):
            layout.go_folders.setdefault(folder, []).append(path)
        elif name.endswith(_PACKAGED):
            layout.package_folders.setdefault(posixpath.basename(folder), {}).setdefault(folder, []).append(path)
    for path, text in sorted(manifests.items()):
        _read_manifest(layout, path, text)
    layout.go_modules.sort(key=lambda module: -len(module[0]))
    layout.aliases.sort(key=lambda alias: -len(alias[0]))
    return layout


def resolve(layout: Layout, path: str, language: str, statement: Import) -> tuple[str, ...]:
    """The files an import in the file `path` means, the likeliest first; none when it means other people's code."""
    if language == "python":
        found = _python_files(layout, path, statement)
    elif language in _JS:
        found = _javascript_files(layout, path, statement.target)
    elif language == "go":
        found = _go_files(layout, statement.target)
    elif language == "rust":
        found = _rust_files(layout, path, statement)
    elif language in _BY_PACKAGE:
        found = _package_files(layout, path, statement, _BY_PACKAGE[language])
    elif language in _BY_PATH:
        found = _path_files(layout, path, statement.target, language)
    else:
        found = iter(())
    return tuple(dict.fromkeys(file for file in found if file != path))[:_MOST]


def _nearest(candidates: Sequence[str], path: str) -> Iterator[str]:
    """The candidate that shares the most folders with `path`."""
    if candidates:
        yield max(candidates, key=lambda candidate: (len(posixpath.commonprefix([candidate, path])), -len(candidate)))


def _joined(folder: str, target: str) -> str | None:
    """A path relative to `folder`, normal; None when it leads out of the repository."""
    joined = posixpath.normpath(posixpath.join(folder, target))
    return None if joined.startswith(("../", "/")) or joined == ".." else joined.removeprefix("./")


# --- Python ----------------------------------------------------------------------------------------------------------


def _python_packages(folder: str, paths: frozenset[str]) -> tuple[str, ...]:
    """What a folder's modules may be imported from: their package from where it begins, or from the root."""
    parts = folder.split("/") if folder else []
    start = len(parts)
    while start and "/".join([*parts[:start], "__init__.py"]) in paths:
        start -= 1
    starts = [start]
    if start:
        starts.append(0)
        if parts[0] in ("src", "lib"):  # a package without __init__.py
            starts.append(1)
    return tuple(".".join(parts[start:]) for start in starts)


def _python_files(layout: Layout, path: str, statement: Import) -> Iterator[str]:
    target = statement.target
    dots = len(target) - len(target.lstrip("."))
    if dots:
        yield from _python_relative(layout, path, target[dots:], dots, statement)
        return
    for name, _ in statement.names:
        if name not in ("", "*"):
            yield from _nearest(layout.python.get(f"{target}.{name}", ()), path)
    yield from _nearest(layout.python.get(target, ()), path)


def _python_relative(layout: Layout, path: str, rest: str, dots: int, statement: Import) -> Iterator[str]:
    folder = posixpath.join(posixpath.dirname(path), *([".."] * (dots - 1)), *rest.split("."))
    base = _joined("", folder)
    if base is None:
        return
    base = "" if base == "." else base
    for name, _ in statement.names:
        stem = posixpath.join(base, name)
        yield from (file for file in (f"{stem}.py", f"{stem}/__init__.py", f"{stem}.pyi") if file in layout.paths)
    stems = (f"{base}.py", f"{base}/__init__.py", f"{base}.pyi") if base else ("__init__.py",)
    yield from (file for file in stems if file in layout.paths)


# --- JavaScript and TypeScript ---------------------------------------------------------------------------------------


def _javascript_files(layout: Layout, path: str, target: str) -> Iterator[str]:
    target = target.partition("?")[0]
    if target.startswith("."):
        yield from _javascript_file(layout, _joined(posixpath.dirname(path), target))
        return
    for below, pattern, replacement in layout.aliases:
        if path.startswith(below) and (rest := _starred(pattern, target)) is not None:
            found = list(_javascript_file(layout, _joined("", replacement.replace("*", rest, 1))))
            if found:
                yield from found
                return
    for name, folder in layout.packages.items():
        if target == name or target.startswith(f"{name}/"):
            rest = target[len(name) :].lstrip("/")
            for inside in (rest, f"src/{rest}") if rest else ("src", "", "lib"):
                yield from _javascript_file(layout, _joined(folder, inside))


def _javascript_file(layout: Layout, stem: str | None) -> Iterator[str]:
    if stem is None:
        return
    stem = "" if stem == "." else stem
    without = re.sub(r"\.(?:js|jsx|mjs|cjs)$", "", stem)  # TypeScript imports x.ts as x.js
    names = [stem, *(stem + ending for ending in _JS_ENDINGS)]
    names += [without + ending for ending in (".ts", ".tsx", ".mts", ".cts", ".d.ts")] if without != stem else []
    names += [posixpath.join(stem, f"index{ending}") for ending in _JS_ENDINGS]
    found = next((name for name in names if name in layout.paths), None)
    if found:
        yield found


def _starred(pattern: str, target: str) -> str | None:
    """What `*` stands for when `target` is of a pattern with at most one."""
    before, star, after = pattern.partition("*")
    if not star:
        return "" if target == pattern else None
    if target.startswith(before) and target.endswith(after) and len(target) >= len(before) + len(after):
        return target[len(before) : len(target) - len(after)]
    return None


# --- Go, Rust, Java --------------------------------------------------------------------------------------------------


def _go_files(layout: Layout, target: str) -> Iterator[str]:
    for module, folder in layout.go_modules:
        if target == module or target.startswith(f"{module}/"):
            inside = posixpath.join(folder, target[len(module) :].strip("/")).strip("/")
            yield from layout.go_folders.get(inside, ())
            return


def _rust_files(layout: Layout, path: str, statement: Import) -> Iterator[str]:
    first, *rest = statement.target.split("::")
    root = _crate_root(layout, path)
    folder = _rust_folder(path)
    if first == "crate":
        base = root
    elif first == "self":
        base = folder
    elif first == "super":
        base = posixpath.dirname(folder)
        while rest[:1] == ["super"]:
            base, rest = posixpath.dirname(base), rest[1:]
    elif first in layout.crates:
        base = posixpath.join(layout.crates[first], "src")
    else:
        base, rest = folder, [first, *rest]  # a module of this file's, or somebody else's crate
    for name, _ in statement.names or (("", ""),):
        parts = [*rest, name] if name not in ("", "*", "self") else rest
        yield from _rust_module(layout, base, parts, is_other=first not in ("crate", "self", "super"))


def _rust_module(layout: Layout, base: str, parts: Sequence[str], *, is_other: bool) -> Iterator[str]:
    """The file of the longest beginning of a path that has one; the rest are items in it."""
    for length in range(len(parts), 0, -1):
        stem = posixpath.join(base, *parts[:length])
        for file in (f"{stem}.rs", f"{stem}/mod.rs"):
            if file in layout.paths:
                yield file
                return
    if is_other and not base.endswith("src"):
        return
    for file in (f"{base}/lib.rs", f"{base}/main.rs", f"{base}/mod.rs", f"{base}.rs", "lib.rs", "main.rs"):
        if file.removeprefix("/") in layout.paths and (base or "/" not in file.strip("/")):
            yield file.removeprefix("/")
            return


def _rust_folder(path: str) -> str:
    """Where the modules below a file's own module are."""
    folder, name = posixpath.split(path)
    return folder if name in ("mod.rs", "lib.rs", "main.rs", "build.rs") else posixpath.join(folder, name[:-3])


def _crate_root(layout: Layout, path: str) -> str:
    folder = posixpath.dirname(path)
    while folder and not {f"{folder}/lib.rs", f"{folder}/main.rs"} & layout.paths:
        folder = posixpath.dirname(folder)
    return folder


def _package_files(layout: Layout, path: str, statement: Import, endings: tuple[str, ...]) -> Iterator[str]:
    parts = statement.target.split(".")
    names = [name for name, _ in statement.names]
    if names == ["*"]:
        folders = layout.package_folders.get(parts[-1], {})
        files = [file for folder, inside in folders.items() if _ends_with(folder, "/".join(parts)) for file in inside]
        if files:
            yield from files
            return
    longest = [*parts, *(name for name in names if name not in ("", "*") and name != parts[-1])]
    for length in range(len(longest), 1, -1):
        for ending in endings:
            wanted = "/".join(longest[:length]) + ending
            files = [p for p in layout.by_name.get(longest[length - 1] + ending, ()) if _ends_with(p, wanted)]
            if files:
                yield from _nearest(files, path)
                return


def _ends_with(path: str, end: str) -> bool:
    return path == end or path.endswith(f"/{end}")


def _path_files(layout: Layout, path: str, target: str, language: str) -> Iterator[str]:
    """Relative to the file, else the nearest file whose path ends so."""
    target = target.strip("<>").removeprefix("package:")
    if language == "lua":
        target = target.replace(".", "/")
    relative = _joined(posixpath.dirname(path), target)
    for ending in _BY_PATH[language]:
        if relative is not None and relative + ending in layout.paths:
            yield relative + ending
            return
    if target.startswith("."):
        return
    for ending in _BY_PATH[language]:
        wanted = target + ending
        same_name = layout.by_name.get(posixpath.basename(wanted), ())
        files = [file for file in same_name if _ends_with(file, wanted)]
        if files:
            yield from _nearest(files, path)
            return


# --- Manifests -------------------------------------------------------------------------------------------------------


def _read_manifest(layout: Layout, path: str, text: str) -> None:
    folder, name = posixpath.split(path)
    match name:
        case "go.mod":
            if found := _GO_MODULE.search(text):
                layout.go_modules.append((found[1], folder))
        case "Cargo.toml":
            if found := _CRATE_NAME.search(text):
                layout.crates[found[1].replace("-", "_")] = folder
        case "package.json":
            package = _read_json(text).get("name")
            if isinstance(package, str) and folder:
                layout.packages[package] = folder
        case _:
            _read_aliases(layout, folder, _read_json(text))


def _read_aliases(layout: Layout, folder: str, config: Mapping[str, Any]) -> None:
    """`baseUrl` and `paths` of a tsconfig; what it extends is not followed."""
    options = config.get("compilerOptions")
    if not isinstance(options, dict):
        return
    options = cast("dict[str, Any]", options)
    below = f"{folder}/" if folder else ""
    base = options.get("baseUrl")
    root = posixpath.join(folder, base) if isinstance(base, str) else folder
    patterns = options.get("paths")
    if isinstance(patterns, dict):
        for pattern, targets in cast("dict[str, Any]", patterns).items():
            for target in cast("list[Any]", targets) if isinstance(targets, list) else []:
                layout.aliases.append((below, pattern, posixpath.join(root, str(target))))
    if isinstance(base, str):
        layout.aliases.append((below, "*", posixpath.join(root, "*")))


def _read_json(text: str) -> Mapping[str, Any]:
    """A JSON object that may have comments and final commas; an empty one for anything else."""
    try:
        found = json.loads(_JSON_NOISE.sub(lambda match: match[1] or "", text))
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}
