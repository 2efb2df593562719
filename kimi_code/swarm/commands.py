"""Commands that we run ourselves, for evidence: a task's check, the swarm's verify. Permissions hold for them too."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from kimi_code.controls import OutputCleaner
from kimi_code.errors import ToolError
from kimi_code.events import Allow, Approval, Effect, Output, Reply, Request
from kimi_code.permissions.policy import Policy
from kimi_code.repo.checkout import Checkout
from kimi_code.repo.workspace import Process
from kimi_code.swarm.seat import Cores
from kimi_code.swarm.states import Check

_SHOWN = 6_000  # characters of the end of an output
_FAILED_TEST = re.compile(r"^(?:FAILED|ERROR|--- FAIL:|not ok \d+ -)\s+(\S+)", re.MULTILINE)
_MOST_TESTS = 20


@dataclass(slots=True)
class Commands:
    """`policy_in` is what holds in a checkout; what that does not allow is asked for, once for each command."""

    policy_in: Callable[[Checkout], Policy]
    ask: Callable[[Request], Awaitable[Reply]]
    scrub: Callable[[str], str]
    cores: Cores
    timeout: float
    _denied: dict[str, str] = field(default_factory=dict[str, str])

    async def run(self, command: str, checkout: Checkout, purpose: str) -> Check:
        """Run it at the checkout's root to its end. Raises ToolError when it may not run."""
        reason = await self._forbidden(command, checkout, purpose)
        if reason:
            raise ToolError(f"The {purpose} `{command}` was not run: {reason}.")
        await self.cores.take()
        try:
            started = time.monotonic()
            process = await checkout.workspace.start(command, cwd=checkout.workspace.root)
            try:
                code, tail = await self._follow(process)
            finally:
                await process.kill()
        finally:
            self.cores.give()
        return Check(command, code, self.scrub(tail), round(time.monotonic() - started, 3))

    async def _follow(self, process: Process) -> tuple[int | None, str]:
        cleaner, tail = OutputCleaner(), ""
        try:
            async with asyncio.timeout(self.timeout):
                async for data in process.output():
                    tail = (tail + cleaner.feed(data))[-_SHOWN:]
                return (await process.wait()).code, tail + cleaner.feed(b"", end=True)
        except TimeoutError:
            return None, f"{tail}\n[killed after {self.timeout:g} s]"

    async def _forbidden(self, command: str, checkout: Checkout, purpose: str) -> str:
        """Why it may not run; "" when it may."""
        if command not in self._denied:
            verdict = self.policy_in(checkout).decide("Bash", Effect.EXECUTE, (command,))
            allowed = verdict.decision == "allow"
            if verdict.decision == "ask":
                shown = (Output(command, "", None),)
                reply = await self.ask(Approval("", "Bash", command, f"a {purpose}: {verdict.reason}", shown))
                allowed = isinstance(reply, Allow)
            self._denied[command] = "" if allowed else verdict.reason
        return self._denied[command]


def describe(check: Check) -> str:
    """How a check that failed ended, for the one who mends it."""
    how = "was killed" if check.exit_code is None else f"failed with exit code {check.exit_code}"
    return f"`{check.command}` {how}:\n{check.output.strip() or '(no output)'}"


def failed_tests(check: Check) -> tuple[str, ...]:
    """The tests that its output names as failed, as pytest, go and TAP do."""
    return tuple(dict.fromkeys(_FAILED_TEST.findall(check.output)))[:_MOST_TESTS]
