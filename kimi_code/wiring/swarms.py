"""A session's way to its swarms. What sub-agents are made of is loaded with the first one, not before."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from kimi_code.agent.environment import Agent
from kimi_code.agent.instructions import Instructions
from kimi_code.agent.stages import Closing, Stage
from kimi_code.errors import SwarmError
from kimi_code.events import Notice, Record
from kimi_code.permissions.paths import Boundary
from kimi_code.permissions.policy import Policy
from kimi_code.permissions.sandbox import Sandbox
from kimi_code.repo.workspace import Workspace
from kimi_code.session.bus import Bus
from kimi_code.session.checkpoints import open_snapshots
from kimi_code.session.requests import Requests
from kimi_code.session.store import SessionMeta
from kimi_code.session.swarms import SWARMS, Account, SwarmMode, folder_of
from kimi_code.swarm.offer import offered
from kimi_code.swarm.roster import Roster
from kimi_code.tools.background import Background
from kimi_code.tools.files import FileMemory
from kimi_code.tools.tool import Tool
from kimi_code.tools.toolset import Toolset
from kimi_code.values import frozen
from kimi_code.wiring.copies import freeze_tree
from kimi_code.wiring.models import Models
from kimi_code.wiring.opening import Opening
from kimi_code.wiring.prefaces import describe_copy
from kimi_code.wiring.toolset import build_toolset

if TYPE_CHECKING:
    from kimi_code.agent.committing import Part
    from kimi_code.repo.checkout import Checkout
    from kimi_code.repo.snapshot import Snapshots
    from kimi_code.swarm.control import Director
    from kimi_code.swarm.delivery import Home


_OURS = frozenset(("Agent", "Swarm", "SwarmUpdate", "SwarmRead"))


@frozen
class Surrounding:
    """What a session's swarms use of it."""

    agent: Agent
    bus: Bus
    requests: Requests
    meta: SessionMeta
    boundary: Boundary
    sandbox: Sandbox
    instructions: Instructions
    to_line: Callable[[Record], str]


@dataclass(slots=True)
class Swarms:
    """The swarms of a session, and the stage of its turns that waits for them.

    From the first swarm on, all requests to a provider pass one queue, in which the session's own go first, and the
    model is offered what it steers a swarm with.
    """

    opening: Opening
    models: Models
    roster: Roster
    around: Surrounding | None = None  # set by assembly, before the first turn
    mode: SwarmMode = "auto"
    made: "Director | None" = None
    begun: bool = False
    _had_some: bool = False  # in an earlier process
    _records: list[Record] = field(default_factory=list[Record])

    def tools(self) -> list[Tool]:
        """What the model is offered before there is a swarm."""
        return offered(self.director)

    def first(self) -> tuple[Stage, ...]:
        """The stage in which the session begins with a swarm, if it is to."""
        start = self.opening.swarms
        return (_First(self),) if start.plan is not None or start.left is not None else ()

    def surround(self, around: Surrounding) -> None:
        """Before the first turn: what the swarms work with."""
        self.around = around
        self._had_some = (around.meta.path / SWARMS).is_dir()
        if self._had_some:
            self._offer()
        start = self.opening.swarms
        if start.guided:
            self.set_mode("on")
        if start.rollout is not None:
            around.bus.subscribe(self._records.append)

    # --- The desk ----------------------------------------------------------------------------------------------------

    def set_mode(self, mode: SwarmMode) -> None:
        """As the desk has it."""
        assert self.around is not None
        self.mode, notes = mode, self.around.agent.notes
        self._offer()
        notes[:] = [note for note in notes if not note.startswith("<sub-agents>")]
        if mode == "on":
            from kimi_code.swarm.prompts import orchestrator

            notes.append(f"<sub-agents>\n{orchestrator(self.roster.catalogue().listing())}\n</sub-agents>")

    def cancel(self, swarm: str, *tasks: str) -> None:
        """As the desk has it."""
        self.director().cancel(swarm, tasks) if tasks else self.director().cancel_all(swarm)

    def retry(self, swarm: str, task: str) -> None:
        """As the desk has it."""
        self.director().retry(swarm, task)

    def steer(self, swarm: str, task: str, text: str) -> None:
        """As the desk has it."""
        self.director().steer(swarm, task, text)

    def account(self, swarm: str) -> Account | None:
        """As the desk has it."""
        running = self.made.running.get(swarm) if self.made else None
        if running is None:
            return None
        ledger = running.scheduler.ledger
        most, price = ledger.allowance, ledger.price
        cost = None if price is None else price.cost(ledger.usage)
        return Account(ledger.usage.total, ledger.tool_calls, cost, most.tokens, most.tool_calls, most.cost)

    def timeline(self, owner: str, swarm: str, width: int) -> Sequence[str]:
        """As the desk has it."""
        from kimi_code.swarm import timeline
        from kimi_code.swarm.journal import Kept

        assert self.around is not None
        number = swarm.rpartition("-")[2]
        kept = Kept(folder_of(self.around.meta.path, owner), int(number) if number.isdecimal() else 0)
        try:
            return timeline.lines(timeline.timeline(kept.read()), width)
        except ValueError as error:
            raise SwarmError(f"The journal of swarm {swarm} cannot be used: {error}.", hint=str(kept.path)) from None

    # --- Its end ------------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Write the rollout, if there is to be one; close the connections of other models than the session's."""
        if self.opening.swarms.rollout is not None:
            self._write_rollout(self.opening.swarms.rollout)
        await self.models.close()

    def _write_rollout(self, path: Path) -> None:
        from kimi_code.swarm.rollout import rollout

        assert self.around is not None
        kept = [running.kept for running in self.made.running.values()] if self.made else []
        lines = [line for each in kept for line in rollout(each.read(), self._records)]
        try:
            path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        except OSError as error:
            self.around.bus.publish(Notice("error", f"--rollout {path} cannot be written: {error.strerror}."))
        if not kept:
            self.around.bus.publish(Notice("warning", f"There was no swarm, so {path} holds no episode."))

    # --- Making ------------------------------------------------------------------------------------------------------

    def director(self) -> "Director":
        """The one who runs them; made when it is asked for first."""
        if self.made is None:
            self.made = self._make_director()
            self.made.parent.agent.linger = self.made.linger
            self._offer()
        return self.made

    def _offer(self) -> None:
        """Give the model what it may have by now; a review, which gives the tools back as they were, begins later."""
        assert self.around is not None
        agent, ours = self.around.agent, self.tools() if self.mode != "off" else []
        if self.made is not None or self._had_some:
            from kimi_code.swarm.tools import steering

            ours += steering(self.director)
        names = [tool.name for tool in ours]
        if [name for name in agent.scope.tools if name in _OURS] != names:
            others = [tool for tool in agent.scope.tools.values() if tool.name not in _OURS]
            agent.scope.tools = Toolset([*others, *ours])
            agent.context.offer(agent.scope.tools.schemas())

    def _make_director(self) -> "Director":
        from kimi_code.swarm.control import Director
        from kimi_code.swarm.handover import Handover
        from kimi_code.swarm.launch import Launch
        from kimi_code.swarm.seat import Cores
        from kimi_code.swarm.worker import Parent

        opening, around = self.opening, self.around
        assert around is not None
        agent, settings = around.agent, opening.settings
        catalogue = self.roster.catalogue()
        for problem in catalogue.problems:
            around.bus.publish(Notice("warning", problem))
        agent.model = self.models.queue()
        snapshots = open_snapshots(
            opening.cwd, settings.data_dir, opening.config_dir, file_mb=settings.checkpoints.file_mb
        )
        parent = Parent(
            agent,
            "main",
            around.meta.id,
            around.meta.path,
            opening.keep,
            around.bus.publish,
            around.requests.ask,
            lambda sender, topic, text: self.director().note(sender, topic, text),
            self._equip,
            self._describe,
            self.models.of,
            around.to_line,
            Cores(os.cpu_count() or 1),
        )
        most, timeout = opening.swarms.most, settings.command_timeout
        return Director(
            Launch(parent, snapshots, dict(catalogue.types), most, timeout, opening.swarms.patience),
            Handover(parent, self._parts_to_commit()),
            partial(self._home, snapshots),
            plan_first=opening.swarms.plan_first,
        )

    def _parts_to_commit(self) -> "list[Part] | None":
        if not self.opening.settings.commit:
            return None
        from kimi_code.agent.committing import Committing

        assert self.around is not None
        return next((stage.parts for stage in self.around.agent.stages if isinstance(stage, Committing)), None)

    def _home(self, snapshots: "Snapshots") -> "Home":
        """The tree that a swarm starts from now."""
        from kimi_code.agent.review import TurnReview
        from kimi_code.swarm.delivery import CopyTree, UserTree

        around = self.around
        assert around is not None
        for stage in around.agent.stages:
            if isinstance(stage, TurnReview) and stage.copy is not None:
                return CopyTree(*stage.copy)
        return UserTree(snapshots, partial(freeze_tree, self.opening, snapshots, around.meta, around.boundary))

    def _equip(self, background: Background, checkout: "Checkout") -> Toolset:
        assert self.around is not None
        return build_toolset(
            FileMemory(),
            background,
            self.opening.settings.command_timeout,
            self.around.sandbox,
            search=checkout.search,
            indexes=checkout.indexes,
            attended=False,
            patches=self.models.own.profile.apply_patch,
            enclosed=True,
        )

    async def _describe(self, workspace: Workspace, policy: Policy) -> str:
        assert self.around is not None
        return describe_copy(self.opening, workspace, policy, self.around.sandbox, self.around.instructions)

    # --- As a stage --------------------------------------------------------------------------------------------------

    @property
    def isolates(self) -> bool:
        return False

    async def begin(self) -> None:
        if self.made is not None or self._had_some:
            self._offer()
        if self.made is not None:
            await self.made.begin()

    def forget(self) -> None:
        pass

    async def end(self, closing: Closing) -> None:
        if self.made is not None:
            await self.made.end(closing)


def find_types(opening: Opening, tree: Path) -> Roster:
    """Where the agent types are: the user's, and the project's own if it is trusted."""
    project = tree / ".kimi-code"
    trusted = (project / "agents").is_dir() and opening.trust
    if (project / "agents").is_dir() and not trusted:
        from kimi_code.config.trust import Trust

        trusted = Trust(opening.settings.data_dir).state(project) == "trusted"
    return Roster(opening.config_dir / "agents", project / "agents" if trusted else None)


@frozen
class _First:
    """The stage that comes last: a swarm to begin with runs before the first step, where the steps will work."""

    swarms: Swarms

    @property
    def isolates(self) -> bool:
        return False

    async def begin(self) -> None:
        """Run it, once; the model reads of it with the prompt."""
        swarms, start = self.swarms, self.swarms.opening.swarms
        if swarms.begun:
            return
        swarms.begun = True
        director = swarms.director()
        if start.plan is not None:
            text = await director.run(start.plan)
        else:
            assert start.left is not None
            text = await director.resume(start.left)
        director.parent.agent.notes.append(f"The result of the swarm:\n{text}")

    def forget(self) -> None:
        pass

    async def end(self, closing: Closing) -> None:
        pass
