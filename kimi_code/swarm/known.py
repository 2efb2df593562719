"""The swarms of a session, whichever process ran them: found by their ids, and read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kimi_code.errors import SwarmError, ToolError
from kimi_code.repo.shadow import ShadowError
from kimi_code.repo.snapshot import Snapshots
from kimi_code.repo.trees import Trees
from kimi_code.swarm.digest import digest
from kimi_code.swarm.integrate import recall
from kimi_code.swarm.journal import Kept, swarms_of
from kimi_code.swarm.running import Running
from kimi_code.swarm.states import Result, Swarm


@dataclass(slots=True)
class Known:
    """Those with a journal in the session's `folder`, and those of this process, which are in `running`, by id.

    A swarm is named by its id, "" for the newest.
    """

    folder: Path
    running: dict[str, Running]
    snapshots: Snapshots

    def at_work(self, swarm: str) -> Running:
        """One that this process ran. Raises ToolError."""
        kept = self.kept(swarm)
        if kept.id not in self.running:
            raise ToolError(f"The swarm {kept.id} is over: it ran in another process. Start another one.")
        return self.running[kept.id]

    def kept(self, swarm: str) -> Kept:
        """A swarm of this session, whichever process ran it; the newest one for "". Raises ToolError."""
        found = {kept.id: kept for kept in swarms_of(self.folder)}
        found |= {id: running.kept for id, running in self.running.items()}
        if not found:
            raise ToolError("There is no swarm in this session yet.")
        if swarm and swarm not in found:
            raise ToolError(f"There is no swarm {swarm!r} in this session. There are: {', '.join(found)}.")
        return found[swarm or next(reversed(self.running), next(reversed(found)))]

    def state(self, swarm: str) -> Swarm:
        """How it stands now, or stood at its end. Raises ToolError."""
        kept = self.kept(swarm)
        running = self.running.get(kept.id)
        try:
            return running.state if running else kept.state()
        except SwarmError as error:
            raise ToolError(str(error)) from None

    def digest(self, swarm: str) -> str:
        """Where the swarm stands. Raises ToolError."""
        running = self.running.get(self.kept(swarm).id)
        if running is None:
            return digest(self.state(swarm))
        return digest(running.state, running.warnings, running.delivered.words if running.delivered else "")

    async def read(self, swarm: str, task: str, what: Literal["report", "diff", "check", "log"]) -> str:
        """One side of what a task came to, whole. Raises ToolError."""
        tasks, running = self.state(swarm).tasks, self.running.get(self.kept(swarm).id)
        progress = tasks.get(task)
        if progress is None:
            raise ToolError(f"The swarm has no task {task!r}. It has: {', '.join(tasks)}.")
        if running is not None:
            running.scheduler.cite(task)
        result = progress.result or Result()
        match what:
            case "report":
                return result.said or "It has not reported."
            case "check":
                check = result.check
                return f"exit code {check.exit_code}: {check.command}\n{check.output}" if check else "No check has run."
            case "diff":
                return await self._diff(result)
            case "log":
                path = self.folder / "agents" / progress.agent.rpartition("/")[2] / "records.jsonl"
                return f"Its whole journal, a JSON object a line: {path}" if path.is_file() else "It has no journal."

    async def _diff(self, result: Result) -> str:
        if not result.commit:
            return "It changed nothing."
        try:
            trees = Trees(await self.snapshots.open())
            start = (await recall(trees, "", result.commit, outside=bool(result.outside))).start
            return (await trees.patch(start, result.commit)).decode(errors="replace")
        except ShadowError as error:
            raise ToolError(f"What it changed cannot be read any more: {error}") from None
