"""What a session asks the person, and the slots in which the replies arrive."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from kimi_code.events import Deny, Event, Reply, Request, RequestClosed, RequestOpened


@dataclass(slots=True)
class Requests:
    """The slots for replies; a slot exists before anybody can see its request."""

    publish: Callable[[Event, str], object]
    _slots: dict[str, asyncio.Future[Reply]] = field(default_factory=dict[str, "asyncio.Future[Reply]"])
    _count: int = 0

    async def ask(self, request: Request, agent: str = "main") -> Reply:
        """Publish the request of an agent and wait for its reply; withdrawn with a Deny when cancelled."""
        self._count += 1
        request_id = f"r{self._count}"
        slot: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._slots[request_id] = slot
        answer: Reply = Deny("withdrawn", by="program")
        try:
            self.publish(RequestOpened(request_id, request), agent)
            answer = await slot
            return answer
        finally:
            del self._slots[request_id]
            self.publish(RequestClosed(request_id, answer), agent)

    def reply(self, request_id: str, answer: Reply) -> bool:
        """Fill the slot; False when nobody waits for it any more."""
        slot = self._slots.get(request_id)
        if slot is None or slot.done():
            return False
        slot.set_result(answer)
        return True
