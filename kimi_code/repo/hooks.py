"""The user's commit hooks: found where git finds them, run as git runs them, in the environment of commands."""

import os
import shutil
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Self

from kimi_code.errors import KimiError
from kimi_code.repo import git
from kimi_code.repo.git import GitFolders
from kimi_code.values import frozen

_SHOWN = 2_000  # characters of a failed hook's output


class HookError(KimiError):
    """A hook failed, or must not run."""


@frozen
class Hooks:
    """The hooks in `folder`, run at `top` with `env` added to what commands see."""

    folder: Path
    top: Path
    env: Mapping[str, str]

    @classmethod
    async def find(cls, top: Path, folders: GitFolders, env: Mapping[str, str]) -> Self:
        """`core.hooksPath` as the user configured it, else the repository's `hooks`."""
        query = ("config", "-z", "--show-scope", "--type=path", "--get-all", "core.hooksPath")
        fields = (await git.run_git(query, top)).stdout.decode(errors="surrogateescape").split("\0")
        # Our own commands turn hooks off on their command line.
        configured = [value for scope, value in zip(fields[::2], fields[1::2], strict=False) if scope != "command"]
        return cls(top / configured[-1] if configured else folders.common / "hooks", top, env)

    def refuse_changed(self, paths: Collection[str]) -> None:
        """Raises HookError when the agent changed a hook: what it writes does not run unseen."""
        folder = Path(os.path.realpath(self.folder))
        for path in paths:
            if folder in Path(os.path.realpath(self.top / path)).parents:
                raise HookError(
                    f"{path} is among your git hooks and was changed in this turn; nothing was committed.",
                    hint="Look at it, then commit yourself.",
                )

    async def run(self, name: str, *args: str) -> str:
        """Run a hook if there is one; returns what it printed. Raises HookError when it fails."""
        file = self.folder / name
        if not file.is_file() or (os.name != "nt" and not os.access(file, os.X_OK)):
            return ""
        from kimi_code.repo.process import command_environment, spawn

        environment = {**command_environment(os.environ), "GIT_EDITOR": ":", **self.env}
        try:
            process = await spawn((*_interpreter(), str(file), *args), cwd=self.top, env=environment)
        except KimiError as error:
            raise HookError(f"The {name} hook could not be started: {error.message}") from None
        printed = ""
        try:
            async for data in process.output():
                printed = (printed + data.decode(errors="replace"))[-_SHOWN:]
            ended = await process.wait()
        finally:
            await process.kill()
        if ended.code != 0:
            how = f"exit code {ended.code}" if ended.code is not None else "it was killed"
            raise HookError(
                f"The {name} hook refused the commit ({how}); nothing was committed.\n{printed.strip()}".strip(),
                hint="The agent's changes are in your working tree.",
            )
        return printed.strip()

    async def edit_message(self, message: str) -> str:
        """The message as prepare-commit-msg and commit-msg leave it, stripped as git does. Raises HookError."""
        with tempfile.TemporaryDirectory(prefix="kimi-code-message-") as name:
            file = Path(name, "COMMIT_EDITMSG")
            file.write_text(message, encoding="utf-8", newline="\n")
            await self.run("prepare-commit-msg", str(file), "message")
            await self.run("commit-msg", str(file))
            edited = file.read_bytes()
        stripped = (await git.run_git(("stripspace",), self.top, input=edited)).stdout.decode(errors="replace")
        if not stripped.strip():
            raise HookError("The commit hooks left no message; nothing was committed.")
        return stripped

    async def afterwards(self, name: str) -> tuple[str, ...]:
        """Run a hook that can stop nothing any more; returns what went wrong."""
        try:
            await self.run(name)
        except HookError:
            return (f"The {name} hook failed; the commit stands.",)
        return ()


def _interpreter() -> tuple[str, ...]:
    if os.name != "nt":
        return ()
    shell = shutil.which("sh") or shutil.which("bash")
    if shell is None:
        raise HookError("Git's hooks need a shell, and there is none on the PATH; nothing was committed.")
    return (shell,)
