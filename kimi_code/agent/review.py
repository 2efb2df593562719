"""`--review turn`: the agent works in an isolated copy of the tree; what the user approves is merged into theirs."""

import shutil
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kimi_code.agent.environment import Agent
from kimi_code.agent.stages import Closing
from kimi_code.counting import counted
from kimi_code.errors import CheckpointError, KimiError
from kimi_code.events import (
    Allow,
    AllowEdited,
    AllowHunks,
    Answer,
    Approval,
    Deny,
    FileChange,
    MessageCompleted,
    Notice,
    Outcome,
    Reply,
    TurnReviewed,
)
from kimi_code.messages import Message
from kimi_code.permissions.policy import Policy
from kimi_code.repo.checkout import Checkout, Checkouts
from kimi_code.repo.merge import apply
from kimi_code.repo.selection import Item, Selection, select
from kimi_code.repo.shadow import ShadowError
from kimi_code.repo.snapshot import Snapshots
from kimi_code.repo.trees import Entry
from kimi_code.repo.workspace import Workspace
from kimi_code.tools.settle import describe, fit
from kimi_code.tools.toolset import Toolset

_TOLD_MOST = 12  # files whose dropped lines are shown to the model
IN_A_COPY = (
    "You work in an isolated copy of the tree, where edits and confined commands are free; none runs unconfined. At "
    "the end of the turn the user reviews the whole diff and decides what of it is applied to the real tree."
)
_UNCONFINED = (
    "The copy's commands cannot be confined here, so only harmless ones and those that a rule allows run; a rule's "
    "commands could reach your own files by their paths."
)


@dataclass(slots=True)
class _Open:
    """A turn under way in its copy, and what the scope is given back afterwards."""

    checkouts: Checkouts
    checkout: Checkout
    workspace: Workspace
    tools: Toolset
    policy: Policy


@dataclass(slots=True)
class TurnReview:
    """The stage. `freeze` freezes the user's tree, `inside` gives the tools for a copy.

    `settle` ends what still runs in the copy; `patches` is the folder where every turn's diff is kept.
    `unfinished` says that a diff in it could not be applied, or not be asked about.
    """

    agent: Agent
    snapshots: Snapshots
    freeze: Callable[[], Awaitable[Checkouts]]
    inside: Callable[[Toolset, Checkout], Toolset]
    settle: Callable[[], Awaitable[None]]
    patches: Path
    unfinished: bool = False
    _open: _Open | None = None
    _seen_at: Path | None = None

    @property
    def isolates(self) -> bool:
        return True

    @property
    def copy(self) -> tuple[Checkouts, Checkout] | None:
        """Where the running turn works."""
        return (self._open.checkouts, self._open.checkout) if self._open else None

    async def begin(self) -> None:
        """Move the session into a fresh copy of the tree as it is now."""
        scope = self.agent.scope
        checkouts = await self.freeze()
        try:
            checkout = await checkouts.create("turn")
        except BaseException:
            await checkouts.close()
            raise
        self._open = _Open(checkouts, checkout, scope.workspace, scope.tools, scope.policy)
        for note in checkouts.notes:
            self.agent.publish(Notice("info", note))
        if checkout.isolation == "copy only" and scope.policy.mode != "plan":
            self.agent.publish(Notice("warning", _UNCONFINED))
        scope.tools = self.inside(scope.tools, checkout)
        scope.policy = policy_inside(scope.policy, checkout, scope.workspace)
        scope.workspace = checkout.workspace
        if checkout.workspace.root != self._seen_at:
            self._seen_at = checkout.workspace.root
            self.agent.introduced = False  # the model has to hear where it is

    def forget(self) -> None:
        if not self.unfinished:
            shutil.rmtree(self.patches, ignore_errors=True)

    async def end(self, closing: Closing) -> None:
        """Show what the turn made, apply what is approved, and tell the model what became of it."""
        opened, self._open = self._open, None
        if opened is None:
            return
        try:
            await self.settle()
            self._leave(opened)
            await self._decide(closing, opened)
        except ShadowError as error:
            raise KimiError(f"The turn's changes cannot be taken over: {error}.") from None
        finally:
            self._leave(opened)
            await opened.checkouts.close()

    def _leave(self, opened: _Open) -> None:
        scope, before = self.agent.scope, opened.policy
        scope.workspace, scope.tools = opened.workspace, opened.tools
        # What was remembered meanwhile stays.
        scope.policy = replace(
            scope.policy,
            mode=before.mode,
            boundary=before.boundary,
            confined=before.confined,
            network=before.network,
            enclosed=before.enclosed,
        )

    async def _decide(self, closing: Closing, opened: _Open) -> None:
        checkouts, trees = opened.checkouts, opened.checkouts.trees
        made = await opened.checkout.commit(f"Turn {closing.number}")
        for note in opened.checkout.notes:
            self.agent.publish(Notice("warning", note))
        if made == checkouts.base:
            return
        files = await trees.changes(checkouts.base, made)
        patch = self._keep(closing.number, await trees.patch(checkouts.base, made))
        if closing.outcome is not Outcome.DONE:
            self.unfinished = True
            closing.error = f"{closing.error}\nNothing was applied; what it made is in {patch}.".lstrip()
            self._over("declined", files, patch)
            self._tell("Nothing of what you changed in that turn is in the user's tree, as it did not come to its end.")
            return
        selection = await select(trees, checkouts.base, made)
        approval = Approval(
            "", "", f"{counted(len(files), 'file')} changed", "the turn's changes are reviewed", selection.diffs()
        )
        picked, words = decide(selection, approval, await self.agent.scope.ask(approval))
        if picked is None:
            self._over("declined", files, patch)
            self._tell(
                f"The user applied nothing of what you changed in that turn: the files are as before it. {words}"
            )
            return
        await self._apply(closing, checkouts, selection, picked, files, patch, words)

    async def _apply(
        self,
        closing: Closing,
        checkouts: Checkouts,
        selection: Selection,
        picked: "dict[str, Entry | None]",
        files: tuple[FileChange, ...],
        patch: Path,
        words: str,
    ) -> None:
        self.unfinished = True
        result = await selection.tree(picked)
        await closing.changes.before_change(closing.asker.budget.steps, "before what was approved")
        try:
            applied = await apply(checkouts.trees, self.snapshots, checkouts.base, result)
        except CheckpointError as error:
            raise KimiError(f"Nothing was applied: {error.message}", hint=f"The changes are in {patch}.") from error
        if applied.status == "applied":
            self.unfinished = False
            self._over("applied", files, patch)
            self._tell(left_out(selection, picked, words))
            return
        problems = applied.reasons or tuple(f"{conflict.path}: {conflict.kind}" for conflict in applied.conflicts)
        self._over(applied.status, files, patch, problems)
        why = "the files changed meanwhile" if applied.status == "conflict" else "it is not possible"
        listed = "\n".join(f"  {problem}" for problem in problems)
        closing.outcome = Outcome.CONFLICT if applied.status == "conflict" else Outcome.FAILED
        closing.error = f"Nothing was applied, as {why}:\n{listed}\nThe changes are in {patch}: git apply -3 {patch}"
        self._tell(
            f"Nothing of what you changed in that turn could be applied, as {why}:\n{listed}\n"
            "The files are as the user has them. Read them again before you change them."
        )

    def _keep(self, number: int, patch: bytes) -> Path:
        self.patches.mkdir(parents=True, exist_ok=True)
        path = self.patches / f"turn-{number}.patch"
        path.write_bytes(patch)
        return path

    def _over(self, status: str, files: tuple[FileChange, ...], patch: Path, problems: Sequence[str] = ()) -> None:
        match status:
            case "applied" | "declined" | "conflict":
                self.agent.publish(TurnReviewed(status, files, str(patch), tuple(problems)))
            case _:
                self.agent.publish(TurnReviewed("refused", files, str(patch), tuple(problems)))

    def _tell(self, text: str) -> None:
        """Put into the history what the model's next turn has to build on."""
        if text:
            message = Message("user", self.agent.scope.scrub(text.strip()), source="notice")
            self.agent.context.add(message)
            self.agent.publish(MessageCompleted(message))


def policy_inside(policy: Policy, checkout: Checkout, outside: Workspace) -> Policy:
    """As in auto mode, with the copy as the workspace."""
    confined = checkout.isolation != "copy only"
    # Confined, paths into the user's tree mean the copy; unconfined, a command would reach the real one by them.
    roots = (*checkout.workspace.roots, *(outside.roots if confined else ()))
    own = tuple(folder for folder in policy.boundary.own if not any(root.is_relative_to(folder) for root in roots))
    follow = checkout.workspace.follow
    boundary = replace(policy.boundary, roots=tuple(dict.fromkeys(roots)), own=own, follow=follow)
    return replace(
        policy,
        mode="plan" if policy.mode == "plan" else "auto",
        boundary=boundary,
        confined=confined,
        enclosed=confined,
    )


def decide(selection: Selection, approval: Approval, reply: Reply) -> "tuple[dict[str, Entry | None] | None, str]":
    """The approved files by path, None when nothing is; and the user's words for the model."""
    everything = {item.path: item.new for item in selection.items}
    match reply:
        case Allow():
            return everything, ""
        case Deny(words=words) | Answer(text=words):
            return None, words
        case AllowHunks() | AllowEdited():
            definite = fit(approval, reply)
    match definite:
        case str():
            return None, definite
        case None:
            return everything, ""
        case AllowHunks(ids=ids, words=words):
            return {item.path: item.pick(ids) for item in selection.items}, words
        case AllowEdited(text=text, path=path):
            item = next(item for item in selection.items if item.path == path)
            edited = item.edited(text)
            return (
                (None, "the edited text cannot be written to this file")
                if edited is None
                else (
                    {**everything, path: edited},
                    "",
                )
            )


def left_out(selection: Selection, picked: "dict[str, Entry | None]", words: str) -> str:
    """What of the turn is not in the user's tree, for the model; "" when all of it is."""
    altered = [item for item in selection.items if picked[item.path] != item.new]
    if not altered:
        return ""
    parts = [_difference(item, picked[item.path]) for item in altered[:_TOLD_MOST]]
    parts += [f"{item.path} is not as you left it." for item in altered[_TOLD_MOST:]]
    return (
        "The user applied only part of what you changed in that turn"
        + (f", and says: {words}" if words else ".")
        + " Lines with '-' are yours and are NOT in the files; lines with '+' stand there instead:\n"
        + "\n".join(parts)
        + "\nThis is the user's decision: do not make the same changes again, and build on what is there."
    )


def _difference(item: Item, picked: Entry | None) -> str:
    sent, there = item.text(item.new), item.text(picked)
    if picked is None:
        return f"{item.path} was not created."
    if item.new is None:
        return f"{item.path} was not removed; it is as it was."
    if sent is not None and there is not None and sent != there:
        return describe(item.path, sent, there)
    return f"{item.path} was left as it was ({item.new.mode}, {len(item.new.content):,} bytes were yours)."
