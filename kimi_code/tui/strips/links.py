"""URLs of files, for the terminal to open."""

from pathlib import Path


class FileLinks:
    """file:// URLs of files, relative ones below `cwd`; the line is in the fragment, as some editors read it."""

    def __init__(self, cwd: str) -> None:
        self._cwd = Path(cwd) if cwd else None

    def __call__(self, path: str, line: int) -> str:
        where = Path(path)
        if not where.is_absolute():
            if self._cwd is None:
                return ""
            where = self._cwd / where
        try:
            return where.as_uri() + (f"#L{line}" if line else "")
        except ValueError:
            return ""
