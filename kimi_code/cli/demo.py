"""`kimi-code demo`: a small project with a bug, fixed before your eyes; everything is real but the model's words."""

import asyncio
import os
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from kimi_code.cli.output import say
from kimi_code.cli.run import RunFlags, run
from kimi_code.headless.text import wants_colour
from kimi_code.repo.git import run_git

PROJECT = "billsplit"
PROMPT = "A test fails. Find out why, fix it, and check that all tests pass."
_PAUSE = 0.7  # seconds before each answer, so that a person can follow
_SCRIPTED = "The model's words are scripted: no key, no network."
_DATA = Path(__file__).parent.parent / "demo"


def demo(*, live: bool = False, fast: bool = False, on_screen: bool = False) -> int:
    """Play the demo and return the run's exit code.

    `live` asks the configured model, `fast` leaves out the pauses, `on_screen` plays it in the screen of `kimi-code`.
    """
    home = Path(tempfile.mkdtemp(prefix="kimi-code-demo-"))
    project = unpack(home)
    has_git = asyncio.run(_commit(project))
    test = f"{reachable_python()} -m unittest -q"
    _introduce(project, test, live=live)
    script = None if live else f"scripted:{write_script(home, test, 0 if fast else _PAUSE)}"
    # It is to be watched: what it may do was said above.
    flags = RunFlags(model=script, directory=str(project), permission_mode="auto", allow=(f"Bash({test})",))
    if on_screen:
        from kimi_code.cli.tui import show

        code = show(flags, PROMPT, note="" if live else _SCRIPTED)
    else:
        code = run(replace(flags, prompt=PROMPT))
    if has_git:
        _show_diff(project)
    _conclude(project, code, live=live)
    return code


def unpack(home: Path) -> Path:
    """Copy the sample project into `home`; returns its folder."""
    return shutil.copytree(_DATA / PROJECT, home / PROJECT, ignore=shutil.ignore_patterns("__pycache__"))


def reachable_python() -> str:
    """How a shell command calls the Python that runs us, whose folder comes first on the PATH from here on."""
    folder = Path(sys.executable).parent
    os.environ["PATH"] = os.pathsep.join((str(folder), os.environ.get("PATH", os.defpath)))
    suffix = ".exe" if os.name == "nt" else ""
    for name in ("python3", "python"):
        if (folder / f"{name}{suffix}").exists():
            return name
    return Path(sys.executable).name


def write_script(home: Path, test: str, pause: float) -> Path:
    """The model's words as a script for `-m scripted:FILE`; `pause` is in seconds."""
    text = (_DATA / "script.yaml").read_text(encoding="utf-8")
    path = home / "script.yaml"
    python = test.partition(" ")[0]
    path.write_text(text.replace("%PYTHON%", python).replace("%DELAY%", str(pause)), encoding="utf-8")
    return path


async def _commit(project: Path) -> bool:
    """Make the project a repository with one commit; False when there is no git."""
    identity = ("-c", "user.name=kimi-code demo", "-c", "user.email=demo@example.invalid", "-c", "commit.gpgsign=false")
    commands = (("init", "-q"), ("add", "-A"), (*identity, "commit", "-q", "-m", "A bill splitter, with a bug"))
    for command in commands:
        if (await run_git(command, project)).code != 0:
            return False
    return True


def _introduce(project: Path, test: str, *, live: bool) -> None:
    words = "Your configured model does it." if live else _SCRIPTED
    say(_bold("kimi-code demo"))
    say(f"{words} The loop, tools, permissions, files, tests and journal are the real ones.")
    say(f"  project   {project}")
    say(f"  allowed   reading, editing inside the project, and exactly this command: {test}")
    say(f"  prompt    {PROMPT}")
    say()
    sys.stdout.flush()


def _show_diff(project: Path) -> None:
    colour = "always" if wants_colour(sys.stdout) else "never"
    output = asyncio.run(run_git(("diff", "--no-ext-diff", "--no-textconv", f"--color={colour}"), project))
    say()
    say(_bold("git diff"))
    say(output.stdout.decode("utf-8", "replace").rstrip() or "(no changes)")


def _conclude(project: Path, code: int, *, live: bool) -> None:
    say()
    say(f"The project stays in {project}" + ("." if code == 0 else f"; the run ended with exit code {code}."))
    if live:
        return
    say("The model's words were scripted. With a real model:")
    say("  export KIMI_API_KEY=...")
    say("  kimi-code demo --live                     the same task, really solved")
    say('  kimi-code -p "fix the failing test"       in a project of your own')


def _bold(text: str) -> str:
    return f"\x1b[1m{text}\x1b[0m" if wants_colour(sys.stdout) else text
