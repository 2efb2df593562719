"""Runs the real thing in this process: a session from assembly, a headless run, against a scripted server."""

import json
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, replace
from io import StringIO
from pathlib import Path
from typing import Any, TypeVar

from kimi_code import assembly
from kimi_code.config import ProviderSettings, Settings
from kimi_code.events import Event, Record
from kimi_code.headless.run import Opened, OutputFormat, Run, TurnDiff
from kimi_code.session.session import TurnChecks
from tests.server import FakeServer

E = TypeVar("E", bound=Event)


@dataclass(slots=True)
class Ran:
    """What a headless run left behind."""

    exit_code: int
    stdout: str
    stderr: str
    records: list[Record]

    @property
    def result(self) -> dict[str, Any]:
        """The result object, the last line of `json` and `jsonl`."""
        return json.loads(self.stdout.splitlines()[-1])

    def events(self, kind: type[E]) -> list[E]:
        """The events of one kind, in order."""
        return [record.event for record in self.records if isinstance(record.event, kind)]


@dataclass(slots=True)
class Lab:
    """A project folder, a data folder and a server; `settings` are the run's."""

    server: FakeServer
    project: Path
    data: Path
    settings: Settings = field(default_factory=Settings)

    def configure(self, **changes: Any) -> None:
        """Change settings for the runs that follow."""
        self.settings = replace(self.settings, **changes)

    async def open(self, *, cwd: Path | None = None, **opening: Any) -> Opened:
        """A session as `-p` opens it."""
        made = await assembly.open_session(
            assembly.Opening(self.settings, cwd or self.project, self.data / "config", **opening)
        )
        return Opened(made.session, made.opened, made.notices)

    async def run(
        self,
        prompt: str = "Do it.",
        output_format: OutputFormat = "json",
        *,
        verify: str | None = None,
        schema: Mapping[str, object] | None = None,
        meanwhile: Any = None,
        diff: TurnDiff | None = None,
        images: tuple[Path, ...] = (),
        **opening: Any,
    ) -> Ran:
        """One headless run. `meanwhile(session)` is called once the session is open."""
        records: list[Record] = []

        async def open_session() -> Opened:
            opened = await self.open(**opening)
            opened.session.subscribe(records.append)
            if meanwhile is not None:
                meanwhile(opened.session)
            return opened

        out, err = StringIO(), StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = await Run(open_session, prompt, output_format, TurnChecks(verify, schema), diff, images).run()
        return Ran(code, out.getvalue(), err.getvalue(), records)


def make_lab(server: FakeServer, folder: Path) -> Lab:
    """A lab with an empty project and the fake server as the only provider."""
    project, data = folder / "project", folder / "data"
    project.mkdir()
    return Lab(server, project.resolve(), data, settings_for(server.url, data))


def settings_for(url: str, data: Path) -> Settings:
    """The settings with which a lab begins: the server at `url` is the only provider."""
    provider = ProviderSettings("fake", url, "moonshot", api_key="sk-the-secret-key-0123456789")
    return Settings(
        model="fake/kimi-k3",
        provider="fake",
        providers={"fake": provider, "moonshot": provider},
        retry_wait=0.0,
        data_dir=data,
        secrets=(provider.api_key,),
        sandbox="off",  # what a machine can confine is not these tests' matter
    )
