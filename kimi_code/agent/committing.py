"""`--commit`: a successful turn ends in a commit of what the agent changed, its message by the model."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kimi_code import __version__
from kimi_code.agent.asking import Asker
from kimi_code.agent.environment import Agent
from kimi_code.agent.stages import Closing
from kimi_code.errors import KimiError
from kimi_code.events import CommitCreated, Notice, Outcome
from kimi_code.llm.model import ModelRequest
from kimi_code.messages import Message
from kimi_code.repo.commit import CommitError, Plan, Repository, create, make_plan, open_repository
from kimi_code.repo.shadow import ShadowError
from kimi_code.repo.trees import Trees

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


@dataclass(slots=True)
class Committing:
    """The stage. `folder` is in the repository; on `branch`, where one is named, beside the one checked out."""

    agent: Agent
    folder: Path
    branch: str = ""

    @property
    def isolates(self) -> bool:
        return False

    async def begin(self) -> None:
        """Nothing is paid for before a commit is possible at all."""
        await open_repository(self.folder, branch=self.branch)

    def forget(self) -> None:
        pass

    async def end(self, closing: Closing) -> None:
        """Commit, if the turn succeeded and changed something."""
        if closing.outcome is not Outcome.DONE:
            return
        try:
            await self._commit(closing)
        except (KimiError, ShadowError) as failure:
            closing.outcome, closing.error = Outcome.COMMIT_FAILED, f"Not committed: {failure}"

    async def _commit(self, closing: Closing) -> None:
        publish = self.agent.publish
        span = await closing.changes.span()
        if span is None:
            publish(Notice("info", "There is nothing to commit."))
            return
        trees = Trees(span.shadow)
        repository = await open_repository(self.folder, branch=self.branch)
        plan = await make_plan(repository, trees, span.before, span.after)
        left_out = [f"{path} {reason}" for path, reason in plan.left_out.items()]
        if not plan.entries:
            if left_out:
                raise CommitError(f"{'; '.join(left_out)}.", hint="Commit by hand what should be in.")
            publish(Notice("info", "There is nothing to commit."))
            return
        diff = (await trees.patch(span.before, span.after)).decode(errors="replace")
        message = await self._message(repository, plan, closing, diff)
        created = await create(repository, plan, message)
        for text in (*(f"Not committed: {text}." for text in left_out), *created.notes):
            publish(Notice("warning", text))
        files = tuple(sorted(plan.entries))
        publish(CommitCreated(created.id, created.branch, created.message.strip(), files, tuple(left_out)))

    async def _message(self, repository: Repository, plan: Plan, closing: Closing, diff: str) -> str:
        log = await repository.run("log", "-8", "--format=%s") if plan.parent else None
        earlier = log.stdout.decode(errors="replace").strip() if log else ""
        scrub = self.agent.scope.scrub
        said = await self._ask(closing.asker, scrub(_request(closing.prompt, earlier, diff)))
        model = self.agent.model.profile.id
        body = scrub(_cleaned(said)) or scrub(_fallback(closing.prompt))
        return f"{body}\n\nGenerated-by: kimi-code {__version__} ({model})\n"

    async def _ask(self, asker: Asker, text: str) -> str:
        request = ModelRequest(_SYSTEM, (Message("user", text),))
        try:
            async with asyncio.timeout(_PATIENCE):
                return await asker.aside(request)
        except (KimiError, TimeoutError) as error:
            self.agent.publish(Notice("warning", f"The model wrote no commit message ({error or 'it took too long'})."))
            return ""


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
