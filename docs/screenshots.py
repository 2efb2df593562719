"""Takes the pictures in docs/pictures from the real program, playing the demo: `python -m docs.screenshots`."""

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from textual.pilot import Pilot

import kimi_code
from kimi_code.cli.demo import PROMPT, reachable_python, unpack, write_script
from kimi_code.cli.run import RunFlags
from kimi_code.cli.tui import LocalHost
from kimi_code.tui.app import KimiApp
from kimi_code.tui.host import Which
from kimi_code.tui.widgets.approval import ApprovalPanel

PICTURES = Path(__file__).parent / "pictures"
SIZE = (100, 32)


async def play(home: Path, *, dark: bool) -> None:
    """The demo, asked for its edit: a picture of the question and, in the end, one of the answer."""
    project = prepare(home)
    test = f"{reachable_python()} -m unittest -q"
    flags = RunFlags(model=f"scripted:{write_script(home, test, 0)}", permission_mode="ask", allow=(f"Bash({test})",))
    env = {"HOME": str(home), "KIMI_CODE_DIR": str(home / "kimi-code"), "PATH": os.environ["PATH"]}
    app = KimiApp(LocalHost(flags, project, env), Which(), prompt=PROMPT, dark=dark)
    ground = "dark" if dark else "light"
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: any(panel.display for panel in app.main.query(ApprovalPanel)))
        await pilot.pause(0.5)
        take(app, f"approval-{ground}")
        await pilot.press("y")
        await until(pilot, lambda: app.main.transcript.find("needed no change"))
        app.main.transcript.follow()
        await pilot.press("ctrl+b")
        await pilot.pause(0.5)
        take(app, f"done-{ground}")
        await app.main.conversation.close()


def prepare(home: Path) -> Path:
    """The demo's project, in a repository of its own."""
    os.environ["HOME"] = str(home)  # the screen writes "~" for it
    project = unpack(home / "code")
    git = ("git", "-c", "user.name=demo", "-c", "user.email=demo@example.invalid")
    for command in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-q", "-m", "A bill splitter")):
        subprocess.run([*git, *command], cwd=project, check=True)
    return project


async def until(pilot: "Pilot[int]", condition: Callable[[], object]) -> None:
    """Let the screen work until it holds."""
    async with asyncio.timeout(60):
        while not condition():
            await pilot.pause()


def take(app: KimiApp, name: str) -> None:
    """Write the picture of what is on the screen."""
    svg = app.export_screenshot(title=f"kimi-code {kimi_code.__version__}")
    (PICTURES / f"{name}.svg").write_text(svg, encoding="utf-8")


def main() -> None:
    """All pictures."""
    PICTURES.mkdir(exist_ok=True)
    for dark in (True, False):
        home = Path(tempfile.mkdtemp(prefix="kimi-code-pictures-"))
        try:
            asyncio.run(play(home, dark=dark))
        finally:
            shutil.rmtree(home)


if __name__ == "__main__":
    main()
