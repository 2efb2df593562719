"""The user's and the project's instruction files: AGENTS.md, or CLAUDE.md where there is none."""

from pathlib import Path

from kimi_code.permissions.paths import Boundary, locate
from kimi_code.values import frozen

_NAMES = ("AGENTS.md", "CLAUDE.md")


@frozen
class Instructions:
    """`text` is labelled by file and goes into the preface; `notices` say what was cut or left out."""

    text: str = ""
    notices: tuple[str, ...] = ()


def gather(user_folder: Path, root: Path, cwd: Path, *, limit: int) -> Instructions:
    """Instruction files from the user's folder, then from `root` down to `cwd`, at most `limit` bytes in all.

    The nearest folder's words come last, and are the last to be cut.
    """
    folders = [root, *reversed([p for p in (cwd, *cwd.parents) if root in p.parents])] if _within(cwd, root) else [cwd]
    found: list[tuple[str, bytes]] = []
    notices: list[str] = []
    for folder, boundary in ((user_folder, user_folder), *((folder, root) for folder in folders)):
        for name in _NAMES:
            content = _read(folder / name, boundary, notices, limit)
            if content is not None:
                found.append((str(folder / name), content))
                break
    left = limit
    blocks: list[str] = []
    for path, content in reversed(found):
        kept = content[:left]
        left -= len(kept)
        if len(kept) < len(content):
            notices.append(f"{path} was cut: instruction files may take {limit:,} bytes in all.")
        text = kept.decode("utf-8", "ignore").strip()
        if text:
            cut = "\n[cut here: the file is longer]" if len(kept) < len(content) else ""
            blocks.append(f'<instructions file="{path}">\n{text}{cut}\n</instructions>')
    return Instructions("\n\n".join(reversed(blocks)), tuple(notices))


def _within(path: Path, folder: Path) -> bool:
    return path == folder or folder in path.parents


def _read(path: Path, boundary: Path, notices: list[str], limit: int) -> bytes | None:
    if not path.is_file():
        return None
    # A hostile repository could link its AGENTS.md to a secret elsewhere, and have it sent to the model.
    try:
        place = locate(str(path), Boundary((Path(boundary).resolve(),)))
        if not place.inside or place.sensitive:
            notices.append(f"{path} was left out: it is a link that leads out of the project.")
            return None
        with place.real.open("rb") as file:
            return file.read(limit + 1)
    except OSError as error:
        notices.append(f"{path} was left out: {error.strerror or error}.")
        return None
