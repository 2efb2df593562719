"""`kimi-code map`: the most important definitions of a repository or folder, ranked, within so many tokens."""

import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kimi_code import controls
from kimi_code.cli.folder import working_folder
from kimi_code.cli.index_at import index_at, warn_if_partial
from kimi_code.cli.output import clean, say_json, warn
from kimi_code.errors import UsageError

if TYPE_CHECKING:
    from kimi_code.repo.index import Index
    from kimi_code.repo.outline import MapFile, RepoMap

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(name="map")
def show_map(
    ctx: typer.Context,
    path: Annotated[str | None, typer.Argument(metavar="[DIR]", help="Only this folder.")] = None,
    tokens: Annotated[int, typer.Option(min=1, metavar="N", help="At most N tokens; 2000 when not given.")] = 2_000,
    focus: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE_OR_SYMBOL", help="What it is to be about, a file or a name; repeatable."),
    ] = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Print what is known already.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show what matters in a repository.

    Its most important definitions with their lines, best file first: those that are used most, and those that the
    focus leads to. The model sees such a map with the first prompt.

    \b
    kimi-code map
    kimi-code map src --tokens 500 --focus Session.close --focus src/api.py
    """
    import asyncio

    cwd = working_folder(ctx.find_root().obj)
    folder = cwd / Path(os.path.expanduser(path or "."))
    if not folder.is_dir():
        why = "is a file" if folder.exists() else "does not exist"
        raise UsageError(f"{path} {why}.", hint="Name a folder; --focus FILE makes a map about a file.")
    folder = Path(os.path.realpath(folder))
    drawn = asyncio.run(_draw(folder, cwd, tokens, focus or (), wait=not no_wait))
    if as_json:
        say_json(_plain(drawn))
    elif sys.stdout.isatty():
        _show(drawn.files)
    else:
        sys.stdout.write(controls.clean(drawn.text) + "\n" * bool(drawn.text))


async def _draw(folder: Path, cwd: Path, tokens: int, focus: Sequence[str], *, wait: bool) -> "RepoMap":
    from kimi_code.llm.tokens import estimate_tokens
    from kimi_code.repo.outline import Focus, render_file

    async with index_at(folder) as index:
        files = tuple(str(cwd / each) for each in focus if os.path.lexists(cwd / each))
        words = tuple(each for each in focus if not os.path.lexists(cwd / each))
        within = folder.relative_to(index.root).as_posix()
        within = "" if within == "." else within
        drawn = await index.map(tokens, estimate_tokens, Focus(words, files), folder=within, whole=wait)
        warn_if_partial(index)
        if not index.status.partial:
            await _warn_of_nothing(index, words, files)
            if not drawn.files:
                warn(f"no definition {_of(within)} fits in {tokens:,} tokens{_skipped(index, within)}")
        base = cwd if folder.is_relative_to(cwd) else folder
        shown = tuple(replace(file, path=_relative(index.root / file.path, base)) for file in drawn.files)
        text = "\n".join(render_file(file) for file in shown)
        return replace(drawn, text=text, tokens=estimate_tokens(text), files=shown)


async def _warn_of_nothing(index: "Index", words: Sequence[str], files: Sequence[str]) -> None:
    """Say of a focus that it leads nowhere."""
    for path in files:
        if not Path(os.path.realpath(path)).is_relative_to(index.root):
            warn(f"{path} is not in {index.root}: the map is not about it")
    for word in words:
        if not (await index.symbols(word, limit=1)).items and not (await index.paths(word, 1)).items:
            warn(f"{word!r} is neither a file nor a definition: the map is not about it")


def _of(within: str) -> str:
    return f"of {within}" if within else "here"


def _skipped(index: "Index", within: str) -> str:
    """How many files were not read, by reason."""
    inside = f"{within}/" if within else ""
    reasons = Counter(each.reason for each in index.skipped if each.path.startswith(inside))
    counts = ", ".join(f"{count:,} {reason}" for reason, count in sorted(reasons.items()))
    return f"; skipped: {counts}" if counts else ""


def _relative(path: Path, base: Path) -> str:
    return os.path.relpath(path, base).replace(os.sep, "/")


def _plain(drawn: "RepoMap") -> dict[str, object]:
    files = [
        {
            "path": file.path,
            "rank": round(file.rank, 6),
            "symbols": [{"name": each.name, "kind": each.kind, "line": each.line} for each in file.symbols],
        }
        for file in drawn.files
    ]
    return {"text": drawn.text, "tokens": drawn.tokens, "partial": drawn.partial, "files": files}


def _show(files: "Sequence[MapFile]") -> None:
    """On a terminal: a tree for each file."""
    from rich.console import Console
    from rich.text import Text
    from rich.tree import Tree

    console = Console(highlight=False)
    for file in files:
        tree = Tree(Text(clean(file.path), "bold cyan"), guide_style="dim")
        open_at = [tree]
        for symbol in file.symbols:
            del open_at[symbol.depth + 1 :]
            line = Text.assemble(
                (f"{symbol.line:>5} ", "dim"), clean(symbol.signature), overflow="ellipsis", no_wrap=True
            )
            line.highlight_words([symbol.name], "green")
            open_at.append(open_at[-1].add(line))
        console.print(tree)
