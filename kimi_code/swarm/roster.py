"""The agent types of a session: ours, the user's folder's and a trusted project's; listed without loading more."""

import re
from importlib.resources import files
from pathlib import Path

from kimi_code.swarm.agents import Catalogue, gather
from kimi_code.values import frozen

_LARGEST = 100_000  # bytes of a file
_DESCRIPTION = re.compile(r"^description: *(.+)$", re.MULTILINE)


@frozen
class Roster:
    """Folders of Markdown files; `project` is None where there is none, or it is not trusted."""

    user: Path
    project: Path | None = None

    def listing(self) -> str:
        """A line for each type, for the orchestrator."""
        if _texts(self.user) or (self.project and _texts(self.project)):
            return self.catalogue().listing()
        # Ours alone are known to be simple: reading them as YAML would cost every start 15 ms.
        folder = files("kimi_code.swarm") / "types"
        texts = {file.name: file.read_text("utf-8") for file in folder.iterdir() if file.name.endswith(".md")}
        told = {name.removesuffix(".md"): _DESCRIPTION.search(text) for name, text in sorted(texts.items())}
        return "\n".join(f"- {name}: {found[1]}" for name, found in told.items() if found)

    def catalogue(self) -> Catalogue:
        """The types, and what is wrong with files."""
        return gather(_texts(self.user), _texts(self.project) if self.project else {})


def _texts(folder: Path) -> dict[str, str]:
    try:
        paths = sorted(path for path in folder.glob("*.md") if path.is_file() and not path.is_symlink())
        return {path.name: path.read_text("utf-8", "replace") for path in paths if path.stat().st_size <= _LARGEST}
    except OSError:
        return {}
