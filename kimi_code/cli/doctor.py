"""`kimi-code doctor`: is everything there that a run needs? Exit 1 if something that is needed is broken."""

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from kimi_code.cli.folder import load_settings, working_folder
from kimi_code.cli.output import clean, mask, say, say_json
from kimi_code.cli.run import RunFlags
from kimi_code.config import Choice, Settings, choose, find_places, is_unconfigured
from kimi_code.errors import KimiError
from kimi_code.values import frozen

GIT_NEEDED = (2, 35)


app = typer.Typer(add_completion=False, rich_markup_mode=None)


@frozen
class Check:
    """One finding. "broken" means that runs fail until it is mended, "note" that they work with less."""

    name: str
    state: Literal["ok", "note", "broken"]
    text: str


@app.command()
def doctor(
    ctx: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Check what a run needs.

    Configuration, key, server and its models, git and the repository, ripgrep, sandbox, data folder, checkpoints,
    index, terminal. Exit 1 if something that is needed is broken.
    """
    checks = list(examine(ctx.find_root().obj))
    broken = [check for check in checks if check.state == "broken"]
    if as_json:
        say_json({"ok": not broken, "checks": [asdict(check) for check in checks]})
    else:
        for check in checks:
            first, *more = check.text.splitlines()
            say(f"{check.name:<14} {check.state:<7} {clean(first)}")
            for line in more:
                say(" " * 23 + line)
        names = ", ".join(check.name for check in broken)
        say(f"\nBroken: {names}" if broken else "\nAll that is needed works.")
    raise typer.Exit(1 if broken else 0)


def examine(flags: RunFlags) -> Iterator[Check]:
    """The checks, in the order a run would need them.

    Writes nothing but a probe file in the data folder; as every look at checkpoints, it cleans up after a killed one.
    """
    try:
        settings = load_settings(flags)
    except KimiError as error:
        yield Check("configuration", "broken", str(error))
    else:
        yield from _configuration(settings, working_folder(flags))
        yield from _model(settings)
        yield _data_folder(settings.data_dir)
        yield _checkpoints(flags, settings, working_folder(flags))
        yield _index(settings.data_dir / "index")
        yield _sandbox(settings, working_folder(flags))
    yield _git()
    yield _repository(working_folder(flags))
    yield _ripgrep()
    yield _terminal()


def _configuration(settings: Settings, folder: Path) -> Iterator[Check]:
    places = find_places(os.environ, folder)
    files = [str(file) for file in (places.user_file, places.project_file) if file is not None and file.exists()]
    yield Check("configuration", "ok", ", ".join(files) or f"no file; {places.user_file} would be read")
    for text in settings.warnings:
        yield Check("configuration", "note", text)


def _model(settings: Settings) -> Iterator[Check]:
    try:
        if is_unconfigured(settings) and (found := _local_server(settings)):
            yield found
            return
        choice = choose(settings)
    except KimiError as error:
        yield Check("key", "broken", str(error))
        return
    provider = choice.provider
    if provider.kind == "scripted":
        state = "ok" if Path(choice.model_id).is_file() else "broken"
        yield Check("model", state, f"the words are scripted: {choice.model_id}")
        return
    origin = settings.origins.get(f"providers.{provider.name}.api_key", "") or _kept_where(settings, provider.name)
    yield Check("key", "ok", f"{mask(provider.api_key)} from {origin}" if provider.api_key else "none, none needed")
    yield _server(choice)


def _kept_where(settings: Settings, provider: str) -> str:
    from kimi_code.config.keystore import Keystore

    kept = Keystore(settings.data_dir).where(provider)
    return kept.where if kept else ""


def _local_server(settings: Settings) -> Check | None:
    import asyncio

    from kimi_code.llm.discovery import find_local

    found = asyncio.run(find_local(settings.local_servers))
    if not found:
        return None
    url, ids = found[0]
    return Check("server", "ok", f"no key; the local server {url} is used, which offers {_some(ids)}")


def _server(choice: Choice) -> Check:
    import asyncio

    from kimi_code.cli.models import list_models

    provider = choice.provider
    try:
        listings = asyncio.run(list_models(provider))
    except KimiError as error:
        return Check("server", "broken", f"{provider.base_url}: {error}")
    ids = [listing.id for listing in listings]
    text = f"{provider.base_url} offers {_some(ids)}"
    if choice.model_id and choice.model_id not in ids:
        return Check("server", "note", f"{text}; not {choice.model_id}, which is chosen: choose one with -m")
    return Check("server", "ok" if ids else "broken", text)


def _some(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - 8} more" if len(ids) > 8 else ""
    return ", ".join(ids[:8]) + more or "no model"


def _git() -> Check:
    from kimi_code.repo.git import version

    found = version()
    if found is None:
        return Check("git", "broken", "not found on the PATH: install git")
    shown = ".".join(str(part) for part in found)
    if found < GIT_NEEDED:
        return Check("git", "broken", f"{shown} is too old: 2.35 or newer is needed")
    return Check("git", "ok", shown)


def _repository(folder: Path) -> Check:
    from kimi_code.repo.git import describe

    found = describe(folder)
    if found is None:
        return Check("repository", "ok", "none around this folder that git can read; undo works without one")
    text = f"{found.root}, {f'on {found.branch}' if found.branch else 'HEAD is detached'}"
    if found.remotes:
        text += f", remotes: {_some(found.remotes)}"
    if found.submodules:
        text += f"\nsubmodules, which checkpoints and undo leave alone: {clean(_some(found.submodules))}"
    return Check("repository", "ok", text)


def _ripgrep() -> Check:
    from kimi_code.repo.search import find_ripgrep

    found = find_ripgrep()
    return Check("ripgrep", "ok", found) if found else Check("ripgrep", "note", "not found: searching is slower")


def _data_folder(folder: Path) -> Check:
    import tempfile

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"kimi-code doctor")
    except OSError as error:
        reason = error.strerror or str(error)
        return Check(
            "data folder", "broken", f"{folder} cannot be written: {reason}; set KIMI_CODE_DIR to another folder"
        )
    return Check("data folder", "ok", str(folder))


def _checkpoints(flags: RunFlags, settings: Settings, folder: Path) -> Check:
    import asyncio

    from kimi_code.cli.undo import open_checkpoints
    from kimi_code.repo.checkpoints.stores import worktrees
    from kimi_code.repo.git import find_root

    if (find_root(folder) or folder) not in worktrees(settings.data_dir / "snapshots"):
        return Check("checkpoints", "ok", "none of this folder yet")
    try:
        damaged = asyncio.run(open_checkpoints(flags).damaged())
    except KimiError as error:
        return Check("checkpoints", "note", str(error))
    if not damaged:
        return Check("checkpoints", "ok", "all of this folder's are whole")
    return Check(
        "checkpoints",
        "note",
        f"objects are lost, as after a power cut; these cannot be restored whole: {_some(damaged)}\n"
        "the others can (`kimi-code checkpoints list`), and new ones are taken as ever",
    )


def _index(folder: Path) -> Check:
    from kimi_code.repo.syntax import missing_grammars
    from kimi_code.tools.files import size_of

    files = [path for path in folder.rglob("*.db*") if path.is_file()] if folder.is_dir() else []
    kept = f"{len({path.parent for path in files})} projects, {size_of(sum(path.stat().st_size for path in files))}"
    text = f"{kept} in {folder}"
    missing = missing_grammars()
    if not missing:
        return Check("index", "ok", f"{text}\ngrammars of all languages")
    needed = "python" in missing
    hint = "pip install 'kimi-code[langs]'" if not needed else "install kimi-code again"
    names = ", ".join(missing)
    return Check("index", "note", f"{text}\nno grammar, so only headings and top lines: {names}\n{hint} brings them")


def _sandbox(settings: Settings, folder: Path) -> Check:
    from kimi_code.permissions.paths import Boundary
    from kimi_code.permissions.sandbox import Sandbox, find

    sandbox = Sandbox(find(settings.sandbox, settings.data_dir), Boundary((folder,)), net=settings.net)
    found = sandbox.found
    if not sandbox.usable:
        text = f"commands are not confined: {'; '.join(sandbox.reasons)}"
        hint = (
            "" if settings.sandbox == "off" else "\ninstall bubblewrap, or the extra: pip install 'kimi-code[sandbox]'"
        )
        return Check("sandbox", "note", f"{text}{hint}\nonly harmless commands and rules run without asking")
    lines = (
        f"{found.mechanism} {found.version} ({found.command[0]}), {'with' if sandbox.net else 'no'} network",
        *(f"cannot stop: {limit}" for limit in sandbox.limits()),
    )
    return Check("sandbox", "ok" if found.mechanism == "bwrap" else "note", "\n".join(lines))


def _terminal() -> Check:
    stdout = sys.__stdout__ or sys.stdout  # the screen puts its own in place
    encoding = (getattr(stdout, "encoding", "") or "").lower()
    kind = os.environ.get("TERM", "") or ("Windows console" if os.name == "nt" else "TERM is not set")
    where = "a terminal" if stdout.isatty() else "no terminal"
    state = "ok" if encoding.replace("-", "") == "utf8" else "note"
    return Check("terminal", state, f"{where}, {kind}, {encoding or 'unknown encoding'}")
