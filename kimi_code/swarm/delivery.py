"""The end of a swarm: one change, shown, approved as a whole or in part, and put into the tree it started from."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from kimi_code.agent.review import decide, left_out
from kimi_code.counting import counted
from kimi_code.events import Approval, Event, FileChange, Reply, Request, TurnReviewed
from kimi_code.repo.checkout import Checkout, Checkouts
from kimi_code.repo.merge import Applied, apply, merge
from kimi_code.repo.selection import select
from kimi_code.repo.snapshot import Snapshots
from kimi_code.values import frozen


class Home(Protocol):
    """The tree that a swarm starts from and gives its change to."""

    @property
    def is_users(self) -> bool:
        """Whether it is the user's own, or only a copy that is reviewed later."""
        ...

    async def freeze(self) -> tuple[Checkouts, str]:
        """The moment, and the commit that tasks start from. Raises CheckoutError."""
        ...

    async def apply(self, checkouts: Checkouts, base: str, result: str) -> Applied:
        """Bring base -> result to the tree as it is by now. Raises KimiError, ShadowError."""
        ...

    async def thaw(self, checkouts: Checkouts) -> None:
        """The moment is no longer needed."""
        ...


@dataclass(slots=True)
class UserTree:
    """The user's own working tree."""

    snapshots: Snapshots
    take_moment: Callable[[], Awaitable[Checkouts]]

    @property
    def is_users(self) -> bool:
        return True

    async def freeze(self) -> tuple[Checkouts, str]:
        checkouts = await self.take_moment()
        return checkouts, checkouts.base

    async def apply(self, checkouts: Checkouts, base: str, result: str) -> Applied:
        return await apply(checkouts.trees, self.snapshots, base, result)

    async def thaw(self, checkouts: Checkouts) -> None:
        await checkouts.close()


@dataclass(slots=True)
class CopyTree:
    """An isolated copy: of a turn under review, or of a sub-agent that splits its task, whose files `take` keeps."""

    checkouts: Checkouts
    checkout: Checkout
    take: Callable[[], Awaitable[None]] | None = None

    @property
    def is_users(self) -> bool:
        return False

    async def freeze(self) -> tuple[Checkouts, str]:
        if self.take is not None:
            await self.take()
        return self.checkouts, await self.checkout.commit("As it was when a swarm started\n")

    async def apply(self, checkouts: Checkouts, base: str, result: str) -> Applied:
        trees, live = checkouts.trees, await self.checkout.take()
        merged = await merge(trees, base, live, result)
        if merged.conflicts:
            return Applied("conflict", conflicts=merged.conflicts)
        changed = await trees.changes(live, merged.tree, renames=False)
        await self.checkout.bring(live, merged.tree)
        return Applied("applied", tuple(change.path for change in changed))

    async def thaw(self, checkouts: Checkouts) -> None:
        pass  # its owner's


@frozen
class Delivered:
    """What became of the change; `words` tell the orchestrator. `patch` is the file that holds all of it.

    `whole`: all of it is in the user's tree.
    """

    status: Literal["applied", "declined", "conflict", "refused", "unchanged"]
    words: str
    patch: Path | None = None
    whole: bool = False


@dataclass(slots=True)
class Delivery:
    """How a change is handed over. `asks` is false where everything was approved beforehand.

    `before_change` is called before the user's files are touched.
    """

    home: Home
    publish: Callable[[Event], object]
    ask: Callable[[Request], Awaitable[Reply]]
    before_change: Callable[[], Awaitable[None]]
    asks: bool

    async def deliver(self, checkouts: Checkouts, base: str, result: str, patch: Path) -> Delivered:
        """Show it, have it approved, apply it. Raises KimiError, ShadowError."""
        trees = checkouts.trees
        files = await trees.changes(base, result)
        if not files:
            return Delivered("unchanged", "Nothing was changed.")
        patch.parent.mkdir(parents=True, exist_ok=True)
        patch.write_bytes(await trees.patch(base, result))
        words = ""
        if self.asks and self.home.is_users:
            selection = await select(trees, base, result)
            request = Approval(
                "", "", f"{counted(len(files), 'file')} changed", "the swarm's change is reviewed", selection.diffs()
            )
            picked, words = decide(selection, request, await self.ask(request))
            if picked is None:
                self._over("declined", files, patch)
                words = f" {words}" if words else ""
                return Delivered(
                    "declined", f"The change was shown and not applied: the files are as before.{words}", patch
                )
            result = await selection.tree(picked)
            words = left_out(selection, picked, words)
        await self.before_change()
        applied = await self.home.apply(checkouts, base, result)
        problems = applied.reasons or tuple(f"{conflict.path}: {conflict.kind}" for conflict in applied.conflicts)
        self._over(applied.status, files, patch, problems)
        if applied.status == "applied":
            return Delivered(
                "applied", words or f"All of it is in the tree now: {counted(len(files), 'file')}.", patch, not words
            )
        why = "the files changed meanwhile" if applied.status == "conflict" else "it is not possible"
        listed = "\n".join(f"- {problem}" for problem in problems[:20])
        return Delivered(applied.status, f"Nothing was applied, as {why}:\n{listed}\nThe change is in {patch}.", patch)

    def _over(
        self,
        status: Literal["applied", "declined", "conflict", "refused"],
        files: tuple[FileChange, ...],
        patch: Path,
        problems: tuple[str, ...] = (),
    ) -> None:
        if self.home.is_users:
            self.publish(TurnReviewed(status, files, str(patch), problems))
