"""`--commit`: a successful turn ends in a commit of what the agent changed, its message by the model."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kimi_code import __version__
from kimi_code.agent.asking import Asker
from kimi_code.agent.environment import Agent
from kimi_code.agent.stages import Closing
from kimi_code.errors import KimiError
from kimi_code.events import CommitCreated, Notice, Outcome
from kimi_code.llm.model import ModelRequest
from kimi_code.messages import Message
from kimi_code.repo.commit import create
from kimi_code.repo.commit_plan import Plan, make_plan
from kimi_code.repo.git import says_no_room
from kimi_code.repo.repository import CommitError, Repository, open_repository
from kimi_code.repo.shadow import ShadowError
from kimi_code.repo.trees import Trees
from kimi_code.values import frozen

_PATIENCE = 60.0  # seconds for the model to find a message
_DIFF_SHOWN = 12_000
_SUBJECT = 72
_SYSTEM = (
    "You write git commit messages. Answer with the message alone: a subject of at most 70 characters in the "
    "imperative, in the style of the repository's earlier ones; where the why is not plain, an empty line and a short "
    "paragraph. No trailers, no quotes, no Markdown."
)
# Who vouches for a commit is not the model's to say.
_TRAILER = re.compile(
    r"^(?:signed-off-by|co-authored-by|generated-by|reviewed-by|acked-by):.*\n?", re.IGNORECASE | re.MULTILINE
)
_FENCE = re.compile(r"^```\w*\n(.*?)\n?```$", re.DOTALL)


@frozen
class Part:
    """A piece of a turn's change that gets a commit of its own: from tree to tree, in the store of the snapshots."""

    subject: str
    before: str
    after: str


@dataclass(slots=True)
class Committing:
    """The stage. `folder` is in the repository; on `branch`, where one is named, beside the one checked out.

    `parts` follow each other: what was done before the first and after the last is committed apart.
    """

    agent: Agent
    folder: Path
    branch: str = ""
    parts: list[Part] = field(default_factory=list[Part])

    @property
    def isolates(self) -> bool:
        return False

    async def begin(self) -> None:
        """Nothing is paid for before a commit is possible at all."""
        self.parts.clear()
        await open_repository(self.folder, branch=self.branch)

    def forget(self) -> None:
        pass

    async def end(self, closing: Closing) -> None:
        """Commit, if the turn succeeded and changed something."""
        if closing.outcome is not Outcome.DONE:
            return
        try:
            await self._commit(closing)
        except (KimiError, ShadowError, OSError) as failure:
            closing.outcome, closing.error = Outcome.COMMIT_FAILED, f"Not committed: {_explained(failure)}"

    async def _commit(self, closing: Closing) -> None:
        publish = self.agent.publish
        span = await closing.changes.span()
        if span is None:
            publish(Notice("info", "There is nothing to commit."))
            return
        trees = Trees(span.shadow)
        repository = await open_repository(self.folder, branch=self.branch)
        made, left_out = 0, dict[str, str]()
        for part in self._sequence(span.before, span.after):
            plan = await make_plan(repository, trees, part.before, part.after)
            left_out |= plan.left_out
            if plan.entries:
                await self._create(closing, repository, trees, plan, part)
                made += 1
        told = [f"{path} {reason}" for path, reason in left_out.items()]
        if not made and told:
            raise CommitError(f"{'; '.join(told)}.", hint="Commit by hand what should be in.")
        if not made:
            publish(Notice("info", "There is nothing to commit."))
        for text in told if made else ():
            publish(Notice("warning", f"Not committed: {text}."))

    def _sequence(self, before: str, after: str) -> list[Part]:
        if not self.parts:
            return [Part("", before, after)]
        return [Part("", before, self.parts[0].before), *self.parts, Part("", self.parts[-1].after, after)]

    async def _create(self, closing: Closing, repository: Repository, trees: Trees, plan: Plan, part: Part) -> None:
        message = f"{_shortened(self.agent.scope.scrub(part.subject))}{self._signature()}"
        if not part.subject:
            diff = (await trees.patch(part.before, part.after)).decode(errors="replace")
            message = await self._message(repository, plan, closing, diff)
        created = await create(repository, plan, message)
        for text in created.notes:
            self.agent.publish(Notice("warning", text))
        files, left_out = tuple(sorted(plan.entries)), tuple(f"{path} {why}" for path, why in plan.left_out.items())
        self.agent.publish(CommitCreated(created.id, created.branch, created.message.strip(), files, left_out))

    def _signature(self) -> str:
        return f"\n\nGenerated-by: kimi-code {__version__} ({self.agent.model.profile.id})\n"

    async def _message(self, repository: Repository, plan: Plan, closing: Closing, diff: str) -> str:
        log = await repository.run("log", "-8", "--format=%s") if plan.parent else None
        earlier = log.stdout.decode(errors="replace").strip() if log else ""
        scrub = self.agent.scope.scrub
        said = await self._ask(closing.asker, scrub(_request(closing.prompt, earlier, diff)))
        body = scrub(_cleaned(said)) or scrub(_fallback(closing.prompt))
        return f"{body}{self._signature()}"

    async def _ask(self, asker: Asker, text: str) -> str:
        request = ModelRequest(_SYSTEM, (Message("user", text),))
        try:
            async with asyncio.timeout(_PATIENCE):
                return await asker.aside(request)
        except (KimiError, TimeoutError) as error:
            self.agent.publish(Notice("warning", f"The model wrote no commit message ({error or 'it took too long'})."))
            return ""


def _explained(failure: Exception) -> str:
    """Why, and what to do next."""
    if says_no_room(str(failure)):
        message = (failure.strerror if isinstance(failure, OSError) else "") or str(failure).partition("\n")[0]
        return f"{message}\nMake room on the disk, then commit yourself: the agent's changes are in your working tree."
    hint = failure.hint if isinstance(failure, KimiError) else ""
    return str(failure) if hint else f"{failure}\nThe agent's changes are in your working tree."


def _request(prompt: str, earlier: str, diff: str) -> str:
    cut = f"\n[{len(diff) - _DIFF_SHOWN} more characters]" if len(diff) > _DIFF_SHOWN else ""
    parts = [f"What was asked for:\n{prompt[:2000]}", f"The change:\n{diff[:_DIFF_SHOWN]}{cut}"]
    if earlier:
        parts.insert(0, f"Earlier subjects in this repository:\n{earlier}")
    return "\n\n".join(parts)


def _cleaned(message: str) -> str:
    """The model's message without what does not belong in one; "" when nothing is left."""
    text = message.strip()
    if fenced := _FENCE.match(text):
        text = fenced[1]
    text = _TRAILER.sub("", "".join(c for c in text if c == "\n" or c.isprintable())).strip()
    subject, _, rest = text.partition("\n")
    return f"{_shortened(subject)}\n\n{rest.strip()}".strip() if subject.strip() else ""


def _fallback(prompt: str) -> str:
    lines: Sequence[str] = [line.strip() for line in prompt.splitlines() if line.strip()]
    return _shortened(lines[0] if lines else "Changes by kimi-code")


def _shortened(line: str) -> str:
    line = " ".join(line.split())
    return line if len(line) <= _SUBJECT else line[: _SUBJECT - 1] + "…"
