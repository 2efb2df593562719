"""Where the agent types of a session are: ours, the user's folder and a trusted project's. Loaded when needed."""

from pathlib import Path
from typing import TYPE_CHECKING

from kimi_code.values import frozen

if TYPE_CHECKING:
    from kimi_code.swarm.agents import Catalogue

_LARGEST = 100_000  # bytes of a file


@frozen
class Roster:
    """Folders of Markdown files; `project` is None where there is none, or it is not trusted."""

    user: Path
    project: Path | None = None

    def told(self) -> str:
        """What the model is told of types that are not ours, which its tools name; "" when there are none."""
        if not _texts(self.user) and not (self.project and _texts(self.project)):
            return ""
        own = [kind for kind in self.catalogue().types.values() if kind.origin != "built-in"]
        return "\n".join(("<agent-types>", *(f"- {kind.name}: {kind.description}" for kind in own), "</agent-types>"))

    def catalogue(self) -> "Catalogue":
        """The types, and what is wrong with files."""
        from kimi_code.swarm.agents import gather

        return gather(_texts(self.user), _texts(self.project) if self.project else {})


def _texts(folder: Path) -> dict[str, str]:
    try:
        paths = sorted(path for path in folder.glob("*.md") if path.is_file() and not path.is_symlink())
        return {path.name: path.read_text("utf-8", "replace") for path in paths if path.stat().st_size <= _LARGEST}
    except OSError:
        return {}
