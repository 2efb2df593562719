"""Which files of a tree are read into its index, and in which order where there are many."""

from collections.abc import Iterable

from kimi_code.repo.indexing.languages import NOT_CODE, is_lock_file, is_vendored, language_of
from kimi_code.repo.indexing.relevance import is_test


def _is_indexed(path: str) -> bool:
    name = path.rpartition("/")[2]
    may_be_script = "." not in name and not name.isupper()
    return (may_be_script or language_of(path) not in NOT_CODE) and not is_vendored(path) and not is_lock_file(path)


def indexed(paths: Iterable[str]) -> tuple[str, ...]:
    """The files whose symbols belong into the index, as far as their names tell."""
    return tuple(path for path in paths if _is_indexed(path))


def most_important_last(paths: Iterable[str], recent: Iterable[str]) -> list[str]:
    """Recently committed files last, before them those near the root; tests first."""
    places = {path: place for place, path in enumerate(recent)}
    later = len(places)

    def key(path: str) -> tuple[int, bool, int, str]:
        return (-places.get(path, later), not is_test(path), -path.count("/"), path)

    return sorted(paths, key=key)
