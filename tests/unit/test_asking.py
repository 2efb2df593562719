"""Asking the model once: an answer that comes faster than it can be shown leaves the loop to others too."""

import asyncio
from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import cast

from kimi_code.agent.asking import Asker
from kimi_code.agent.budget import Budget, Limits
from kimi_code.agent.call import CallScope
from kimi_code.agent.context import Context
from kimi_code.agent.environment import Agent
from kimi_code.llm.model import Chunk, Completion, ModelRequest, Profile, TextChunk

MOST = 1_000_000  # pieces after which the test gives up


class Hasty:
    """A model whose answer is all there, and goes on until it is told to end."""

    def __init__(self, told: asyncio.Event) -> None:
        self.profile = Profile("hasty")
        self._told = told

    async def sees(self) -> bool:
        return False

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Chunk]:
        for _ in range(MOST):
            if self._told.is_set():
                yield Completion("all of it")
                return
            yield TextChunk("word ")

    async def close(self) -> None:
        """Nothing is held open."""


async def _nothing(_: str) -> str:
    return ""


async def test_an_answer_that_is_all_there_lets_other_tasks_work_meanwhile() -> None:
    told = asyncio.Event()

    async def somebody_else() -> None:
        for _ in range(20):  # as a key goes from task to task
            await asyncio.sleep(0)
        told.set()

    # A question beside the conversation runs no calls.
    agent = Agent(
        Hasty(told), Context("system"), cast(CallScope, SimpleNamespace(publish=list[object]().append)), _nothing
    )
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(somebody_else())
        text = await Asker(agent, Budget(Limits())).aside(agent.context.request())
    assert text == "all of it"
