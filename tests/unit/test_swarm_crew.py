"""Who of a swarm's agents begins when."""

import asyncio

import pytest

from kimi_code.swarm.crew import HeadStart
from tests.virtual_time import play


@pytest.mark.parametrize(("answered_after", "begun_after"), [(0.25, 0.25), (5.0, 1.0)])
def test_siblings_begin_once_the_first_has_its_answer_and_after_a_second_at_the_latest(
    answered_after: float, begun_after: float
) -> None:
    began: dict[int, float] = {}

    async def story() -> None:
        loop, start = asyncio.get_running_loop(), HeadStart()
        zero = loop.time()

        async def begin(number: int) -> None:
            await start.wait()
            began[number] = loop.time() - zero
            if number == 0:
                await asyncio.sleep(answered_after)
                start.end()

        async with asyncio.TaskGroup() as group:
            for number in range(4):
                group.create_task(begin(number))

    play(story())
    assert {number: round(at, 6) for number, at in began.items()} == {
        0: 0,
        1: begun_after,
        2: begun_after,
        3: begun_after,
    }
