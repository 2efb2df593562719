"""The screen in this process: a Desk in a project of its own, against the scripted server."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from textual.events import Key
from textual.keys import _character_to_key  # pyright: ignore[reportPrivateUsage]  (as Textual's own pilot)
from textual.pilot import Pilot

from kimi_code.cli.run import RunFlags
from kimi_code.cli.tui import LocalHost
from kimi_code.tui.app import KimiApp
from kimi_code.tui.host import Which
from kimi_code.tui.screens.main import MainScreen
from kimi_code.tui.widgets.approval import ApprovalPanel
from kimi_code.tui.widgets.question import QuestionPanel
from tests.server import FakeServer

PATIENCE = 30.0  # seconds after which a test gives up; nothing waits for it on purpose
GLANCE = 0.01  # seconds between two looks at what is waited for
TURNS = 100  # of the loop, in which a key gets from the app to the widget that takes it, and all that follows at once


class Hands(Pilot[Any]):
    """Textual's pilot takes a nap of 20 ms twice for each key, and goes on napping while anything in the process works.

    This one lets the loop turn: what a key does without waiting for others is done then.
    """

    async def press(self, *keys: str) -> None:
        """Press each once all that the one before did at once is done."""
        for key in keys:
            single = len(key) == 1
            name = _character_to_key(key) if single else key
            self.app.post_message(Key(name, key if single else " " if key == "space" else None))
            await turn()

    async def pause(self, delay: float | None = None) -> None:
        """Until what is under way at once is done, and on the screen."""
        if delay is None:
            await turn()
        await super().pause(delay or 0)


async def turn() -> None:
    """Let all that waits for nothing but its turn have it."""
    for _ in range(TURNS):
        await asyncio.sleep(0)


@dataclass(slots=True)
class Lookout:
    """A running screen, and what its session said."""

    app: KimiApp
    pilot: Pilot[int]

    @property
    def main(self) -> MainScreen:
        return self.app.main

    @property
    def approval(self) -> ApprovalPanel:
        return self.main.requests.approval

    @property
    def question(self) -> QuestionPanel:
        return self.main.requests.question

    @property
    def toasts(self) -> list[str]:
        """What is said in the corner."""
        return [note.message for note in self.app._notifications]  # pyright: ignore[reportPrivateUsage]  (no other way)

    async def until(self, condition: Callable[[], object]) -> None:
        """Let the screen work until it holds. The screen paints when it likes: a look is no reason to."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                await asyncio.sleep(GLANCE)
        await self.pilot.pause(0)  # what follows from it is on the screen, too

    async def ready(self) -> None:
        """Until the session is open and idle."""
        await self.until(lambda: self.main.conversation.session is not None and self.state == "idle")

    @property
    def state(self) -> str:
        return self.main.conversation.state

    async def say(self, text: str) -> None:
        """Put `text` into the prompt and send it."""
        self.main.prompt.replace_text(text)
        self.main.prompt.action_send_now()
        await self.until(lambda: not self.main.prompt.text)

    async def ask(self, text: str) -> None:
        """Say it, and wait until its turn is over."""
        turns = self.turns
        await self.say(text)
        await self.until(lambda: self.turns > turns and self.state == "idle")

    @property
    def turns(self) -> int:
        """Turns that were begun."""
        session = self.main.conversation.session
        return session.meta.turns if session else 0

    async def asked(self) -> None:
        """Until an approval is in sight, and its keys count."""
        await self.until(lambda: self.approval.display and self.approval.has_focus)
        self.approval.clock = lambda: float("inf")

    async def questioned(self, call_id: str = "") -> None:
        """Until a question (that of this call) is in sight, and its Enter counts."""
        await self.until(lambda: self.question.display and self._asks(call_id))
        self.question.clock = lambda: float("inf")

    def _asks(self, call_id: str) -> bool:
        request = self.main.requests.shown
        return request is not None and call_id in ("", request.call_id)

    def shows(self, text: str) -> bool:
        """Whether the transcript has the text."""
        return self.main.transcript.find(text)


@dataclass(slots=True)
class Stage:
    """Where screens run."""

    server: FakeServer
    project: Path
    home: Path

    @property
    def env(self) -> dict[str, str]:
        return {
            "HOME": str(self.home),
            "KIMI_CODE_DIR": str(self.home / "kimi"),
            "KIMI_BASE_URL": self.server.url,
            "KIMI_API_KEY": "sk-the-secret-key-0123456789",
        }

    def configure(self, text: str) -> None:
        """The user's config.toml."""
        (self.home / "kimi").mkdir(parents=True, exist_ok=True)
        (self.home / "kimi/config.toml").write_text(text)

    @asynccontextmanager
    async def open(
        self,
        *,
        which: Which | None = None,
        size: tuple[int, int] = (100, 30),
        env: dict[str, str] | None = None,
        **flags: Any,
    ) -> AsyncGenerator[Lookout]:
        """A screen with the session on its way."""
        prompt: str = flags.pop("prompt", "")
        host = LocalHost(RunFlags(**flags), self.project, self.env if env is None else env)
        app = KimiApp(host, which or Which(), prompt=prompt, dark=True)
        async with app.run_test(size=size):
            try:
                yield Lookout(app, Hands(app))
            finally:
                await app.main.conversation.close()


@pytest.fixture
def stage(server: FakeServer, tmp_path: Path) -> Stage:
    """A project, a home, and the server as the only provider."""
    project, home = tmp_path / "project", tmp_path / "home"
    project.mkdir()
    home.mkdir()
    made = Stage(server, project.resolve(), home)
    made.configure('sandbox = "off"\n')
    return made
