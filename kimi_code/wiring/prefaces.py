"""What a model is told of its surroundings before the first words: where it is, what runs, whose instructions hold."""

import os
import platform
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from kimi_code.agent.call import CallScope
from kimi_code.agent.first_map import FirstMap
from kimi_code.agent.instructions import Instructions
from kimi_code.agent.prompt import Surroundings, preface
from kimi_code.permissions.policy import Policy
from kimi_code.permissions.sandbox import Sandbox
from kimi_code.repo import git, git_state
from kimi_code.repo.workspace import Workspace
from kimi_code.tools.grep import quoted
from kimi_code.wiring.models import model_ready
from kimi_code.wiring.opening import Opening


def _relative(cwd: Path, path: Path) -> str:
    """A path as tools take it, also of what lies beside the working folder."""
    return quoted(os.path.relpath(path, cwd).replace(os.sep, "/"))


def describe_permissions(opening: Opening, policy: Policy, sandbox: Sandbox) -> str:
    """What runs without asking, in words for the model."""
    words = [policy.describe(attended=opening.attended)]
    if policy.mode == "auto" and policy.confined:
        words.append(sandbox.describe())
    if opening.settings.review == "turn":
        from kimi_code.agent.review import IN_A_COPY

        words.append(IN_A_COPY)
    return " ".join(words)


def describe_session(
    opening: Opening,
    root: Path | None,
    scope: CallScope,
    permissions: Callable[[], str],
    instructions: Instructions,
    first_map: FirstMap,
    types: Callable[[], str],
) -> Callable[[str], Awaitable[str]]:
    """What makes the preface of a session's prompts; with a prompt ("" when there is none) the map is about it."""

    async def describe(prompt: str) -> str:
        policy, drawn = scope.policy, ""
        extra = () if opening.settings.review == "turn" else policy.boundary.roots[1:]
        if prompt:
            ready, show = partial(model_ready, opening.settings), partial(_relative, opening.cwd)
            drawn = await first_map.take(prompt, ready, show, policy.may_read)
        state = (await git_state.state(root)).describe() if root is not None else ""
        return preface(
            Surroundings(
                cwd=str(scope.workspace.root),
                date=time.strftime("%Y-%m-%d"),
                platform=_platform(),
                git=state,
                extra_roots=tuple(str(folder) for folder in extra),
                instructions="\n\n".join(part for part in (instructions.text, types()) if part),
                permissions=permissions(),
                map=drawn,
            )
        )

    return describe


def describe_copy(
    opening: Opening, workspace: Workspace, policy: Policy, sandbox: Sandbox, instructions: Instructions
) -> str:
    """The preface of a sub-agent in its copy."""
    permissions = policy.describe(attended=opening.attended)
    if policy.mode == "auto" and policy.confined:
        permissions += f" {sandbox.describe()}"
    return preface(
        Surroundings(
            cwd=str(workspace.root),
            date=time.strftime("%Y-%m-%d"),
            platform=_platform(),
            git="a private repository of this copy" if git.find_root(opening.cwd) else "",
            instructions=instructions.text,
            permissions=permissions,
        )
    )


def _platform() -> str:
    return f"{platform.system()} {platform.machine()}, {os.environ.get('SHELL', '') or 'no shell set'}"
