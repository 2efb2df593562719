"""How an agent of a swarm splits its own task: with a swarm inside its copy, made when the agent asks for one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kimi_code.agent.environment import Agent
from kimi_code.agent.stages import Closing
from kimi_code.errors import KimiError
from kimi_code.repo.shadow import ShadowError
from kimi_code.swarm.journal import Kept
from kimi_code.swarm.offer import offered
from kimi_code.swarm.tools import steering
from kimi_code.tools.toolset import Toolset

if TYPE_CHECKING:
    from kimi_code.swarm.control import Director


@dataclass(slots=True)
class Split:
    """Also the stage of the agent's turns that waits for what it has in the background, and first goes on with what
    another process `left` of its swarms."""

    agent: Agent
    make: "Callable[[], Director]"
    left: tuple[Kept, ...] = ()
    made: "Director | None" = None

    def offer(self) -> None:
        """Give the agent the tools for it, as far as its type allows tools of that kind."""
        self._add(Toolset(offered(self.director)))

    def director(self) -> "Director":
        """The one who runs the agent's own swarms."""
        if self.made is None:
            self.made = self.make()
            self.agent.linger = self.made.linger
            self._add(Toolset(steering(self.director)))
        return self.made

    def _add(self, tools: Toolset) -> None:
        scope = self.agent.scope
        scope.tools = Toolset([*scope.tools.values(), *tools.values()])
        self.agent.context.offer(scope.tools.schemas())

    @property
    def isolates(self) -> bool:
        return False

    async def begin(self) -> None:
        left, self.left = self.left, ()
        for kept in left:
            try:
                text = await self.director().resume(kept)
            except (KimiError, ShadowError) as error:
                text = f"It cannot go on: {error}"
            self.agent.notes.append(f"You had split your task, into the swarm {kept.id}. What came of it:\n{text}")

    def forget(self) -> None:
        pass

    async def end(self, closing: Closing) -> None:
        if self.made is not None:
            await self.made.end(closing)
