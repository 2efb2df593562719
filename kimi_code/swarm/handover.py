"""What is given to the tree that a swarm started from: its change, or what one task changed outside its scope."""

from dataclasses import dataclass

from kimi_code.agent.committing import Part
from kimi_code.errors import KimiError
from kimi_code.repo.shadow import ShadowError
from kimi_code.swarm.delivery import Delivered, Delivery, Home
from kimi_code.swarm.integrate import recall
from kimi_code.swarm.journal import Kept
from kimi_code.swarm.running import Running
from kimi_code.swarm.states import Result
from kimi_code.swarm.worker import Parent


@dataclass(slots=True)
class Handover:
    """For the swarms of one agent. `parts`, where wanted, are changes of tasks that were applied."""

    parent: Parent
    parts: list[Part] | None = None

    async def of_swarm(self, running: Running, home: Home) -> Delivered:
        """The change of a swarm that is over; what fails is told in words."""
        queue = running.scheduler.crew.queue
        patch = self.parent.folder / "patches" / f"swarm-{running.kept.number}.patch"
        try:
            delivered = await self._to(home).deliver(running.checkouts, queue.base, queue.head, patch)
            running.kept.hand_over(delivered.status)
            if delivered.whole and home.is_users and self.parts is not None:
                self.parts += await _parts_of(running)
            return delivered
        except (KimiError, ShadowError) as error:
            return Delivered("refused", f"Nothing was applied: {error}. The change is in {patch}.", patch)

    async def of_strays(self, kept: Kept, task: str, result: Result, home: Home) -> Delivered:
        """What a finished task changed outside its scope. Raises KimiError, ShadowError."""
        checkouts, _ = await home.freeze()
        try:
            piece = await recall(checkouts.trees, task, result.commit, outside=True)
            patch = self.parent.folder / "patches" / f"swarm-{kept.number}-{task}.patch"
            return await self._to(home).deliver(checkouts, piece.commit, result.commit, patch)
        finally:
            await home.thaw(checkouts)

    def _to(self, home: Home) -> Delivery:
        parent, agent = self.parent, self.parent.agent
        asks = agent.scope.policy.mode != "yolo"
        return Delivery(home, parent.tell, parent.request, agent.before_change, asks)


async def _parts_of(running: Running) -> list[Part]:
    """The change task by task, where it outlives the checkouts."""
    crew, plan = running.scheduler.crew, running.state.plan
    parts, before = list[Part](), crew.queue.base
    for piece, head in zip(crew.queue.pieces, await crew.queue.heads(), strict=True):
        await crew.keeper.keep(head, before)
        first = next(iter(plan[piece.task].task.strip().splitlines()), "")
        parts.append(Part(f"{piece.task}: {first}", before, head))
        before = head
    return parts
