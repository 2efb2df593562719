"""Which language a file is written in, by its name and first line, and which files are nobody's own source."""

import re
from collections.abc import Mapping
from types import MappingProxyType

_BY_ENDING: Mapping[str, str] = MappingProxyType(
    {
        ending: language
        for language, endings in {
            "python": "py pyi pyw pyx",
            "javascript": "js jsx mjs cjs",
            "typescript": "ts mts cts",
            "tsx": "tsx",
            "go": "go",
            "rust": "rs",
            "java": "java",
            "c": "c h",
            "cpp": "cc cpp cxx c++ hh hpp hxx h++ inl ipp cu cuh ino",
            "csharp": "cs csx",
            "ruby": "rb rake gemspec ru podspec",
            "php": "php php5 phtml inc",
            "bash": "sh bash zsh ksh bats",
            "kotlin": "kt kts",
            "swift": "swift",
            "lua": "lua",
            "scala": "scala sc sbt",
            "elixir": "ex exs",
            "dart": "dart",
            "html": "html htm xhtml",
            "vue": "vue",
            "svelte": "svelte",
            "jinja": "j2 jinja jinja2 njk twig liquid",
            "css": "css",
            "json": "json jsonc json5 webmanifest",
            "yaml": "yaml yml",
            "toml": "toml",
            "markdown": "md markdown mdx mkd",
            "zig": "zig",
            "haskell": "hs",
            "hcl": "hcl tf tfvars",
            "rst": "rst rest",
            "asciidoc": "adoc asciidoc",
            "org": "org",
            "text": "txt text",
            "ini": "ini cfg properties desktop service editorconfig gitconfig gitmodules",
            "conf": "conf",
            "make": "mk mak make",
            "docker": "dockerfile containerfile",
            "cmake": "cmake",
            "sql": "sql ddl",
        }.items()
        for ending in endings.split()
    }
)
_BY_NAME: Mapping[str, str] = MappingProxyType(
    {
        "rakefile": "ruby", "gemfile": "ruby", "podfile": "ruby", "vagrantfile": "ruby", "fastfile": "ruby",
        "brewfile": "ruby", "sconstruct": "python", "sconscript": "python", "wscript": "python",
        ".bashrc": "bash", ".bash_profile": "bash", ".profile": "bash", ".zshrc": "bash", "pkgbuild": "bash",
        "pipfile": "toml", ".babelrc": "json", ".eslintrc": "json", ".prettierrc": "json",
        "makefile": "make", "gnumakefile": "make", "dockerfile": "docker", "containerfile": "docker",
        "cmakelists.txt": "cmake", "readme": "text", "license": "text", "licence": "text", "copying": "text",
        "changes": "text", "changelog": "text", "news": "text", "authors": "text", "contributors": "text",
        "install": "text", "notice": "text", "todo": "text", "hacking": "text",
    }
)  # fmt: skip
_BY_INTERPRETER: Mapping[str, str] = MappingProxyType(
    {
        "python": "python", "pypy": "python", "node": "javascript", "nodejs": "javascript", "deno": "typescript",
        "bun": "typescript", "ruby": "ruby", "php": "php", "bash": "bash", "sh": "bash", "zsh": "bash", "ksh": "bash",
        "dash": "bash", "lua": "lua", "luajit": "lua", "elixir": "elixir", "kotlin": "kotlin", "swift": "swift",
        "scala": "scala", "runghc": "haskell", "runhaskell": "haskell", "dart": "dart",
    }
)  # fmt: skip

# They have outlines, when asked for, but nothing that code refers to.
NOT_CODE = frozenset(
    {
        "", "json", "yaml", "toml", "markdown", "css", "rst", "asciidoc", "org", "text", "ini", "conf", "make",
        "docker", "cmake", "sql",
    }
)  # fmt: skip

_SHEBANG = re.compile(rb"#!\s*(?:\S*/)?env(?:\s+-\S+)*\s+(?:\S*/)?([a-z]+)|#!\s*(?:\S*/)?([a-z]+)")
_CPP = re.compile(
    rb"^\s*(?:class\s+\w+|namespace\b|template\s*<|using\s+\w|(?:public|private|protected)\s*:)|\w::\w", re.M
)

# Folders of other people's or of made files.
_VENDORED_FOLDERS = frozenset(
    {
        "node_modules", "bower_components", "jspm_packages", "vendor", "_vendor", "third_party",
        "third-party", "thirdparty",
        "site-packages", "dist", ".git", ".hg", ".svn", ".venv", "venv", "__pycache__", ".tox", ".nox", ".next",
        ".nuxt", ".yarn", ".gradle", "pods", "carthage", ".mypy_cache", ".pytest_cache", ".ruff_cache",
        "deriveddata", ".eggs", ".terraform", ".dart_tool",
    }
)  # fmt: skip
_VENDORED_NAME = re.compile(
    r"[.-]min\.(?:js|mjs|cjs|css)$|[.-]bundle\.(?:js|mjs|css)$|\.(?:map|pb\.go|snap)$|_pb2(?:_grpc)?\.pyi?$"
    r"|^(?:jquery|bootstrap|d3|three|angular|react|vue)[.-][\d.]+(?:\.slim)?\.(?:js|css)$"
)
_LOCK_FILES = frozenset(
    {
        "package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock", "bun.lockb",
        "cargo.lock", "poetry.lock", "uv.lock", "pdm.lock", "pipfile.lock", "pixi.lock", "composer.lock", "go.sum",
        "gemfile.lock", "mix.lock", "pubspec.lock", "podfile.lock", "flake.lock", "packages.lock.json",
        "gradle.lockfile", "package.resolved", "deno.lock", ".terraform.lock.hcl",
    }
)  # fmt: skip


def language_of(path: str, head: bytes = b"") -> str:
    """The language of a file, "" when it is not known. `head` is how its bytes begin: for shebangs and C headers."""
    name = path.rpartition("/")[2].lower()
    if name.startswith(("dockerfile.", "containerfile.")):
        return "docker"
    language = _BY_NAME.get(name) or _BY_ENDING.get(name.rpartition(".")[2] if "." in name else "", "")
    if language == "c" and name.endswith(".h") and _CPP.search(head, 0, 65_536):
        return "cpp"
    if language == "html" and (b"{%" in head or b"{{" in head):
        return "jinja"
    if not language and head.startswith(b"#!") and (found := _SHEBANG.match(head, 0, 256)):
        return _BY_INTERPRETER.get((found[1] or found[2]).decode(), "")
    return language


def is_vendored(path: str) -> bool:
    """Whether a file's path says that it is somebody else's, bundled or made: of no use in a map of this project."""
    folders, _, name = path.lower().rpartition("/")
    return _VENDORED_NAME.search(name) is not None or not _VENDORED_FOLDERS.isdisjoint(folders.split("/"))


def is_lock_file(path: str) -> bool:
    """Whether a package manager wrote it."""
    return path.lower().rpartition("/")[2] in _LOCK_FILES
