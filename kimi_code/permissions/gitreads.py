"""Which git commands only read, and whether a repository's own configuration could make them run something.

A clone brings no configuration, but an unpacked archive or a bare repository committed as files does: fsmonitor,
textconv, external diffs, filters, signature programs and the post-index-change hook run in commands that only read.
"""

import re
from collections.abc import Sequence
from pathlib import Path

_GLOBAL_FLAGS = {"--no-pager", "-P", "--no-optional-locks", "--literal-pathspecs", "--no-replace-objects"}
_GLOBAL_VALUED = {
    "-C",
    "-c",
    "--git-dir",
    "--work-tree",
    "--namespace",
    "--exec-path",
    "--config-env",
    "--super-prefix",
}
_READS = {
    "status", "log", "diff", "show", "rev-parse", "ls-files", "ls-tree", "blame", "annotate", "describe", "shortlog",
    "rev-list", "merge-base", "name-rev", "cat-file", "for-each-ref", "show-ref", "count-objects", "diff-tree",
    "diff-index", "diff-files", "whatchanged", "grep", "check-ignore", "check-attr", "range-diff", "cherry", "version",
    "show-branch", "var", "verify-pack", "patch-id",
}  # fmt: skip
_LISTING = re.compile(
    r"-(?:[arvqil]+|vv|n\d*)|--(?:all|remotes|list|show-current|verbose|ignore-case|no-color|color|column|no-column"
    r"|sort=.+|format=.+|abbrev=\d+)"
)
_CONTAINING = re.compile(r"--(?:no-)?(?:contains|merged|points-at)(?:=.*)?|-l|--list")
_SECOND = {
    "remote": {"-v", "--verbose", "get-url"},
    "stash": {"list", "show"},
    "worktree": {"list"},
    "reflog": {"show", "exists"},
    "notes": {"list", "show"},
    "bisect": {"log"},
    "submodule": {"status"},
    "config": {"--get", "get"},
}
# By prefix, because git accepts every unambiguous beginning of a long option.
_DANGEROUS_LONG = (
    "--ext-diff", "--output", "--open-files-in-pager", "--no-index", "--textconv", "--filters", "--show-signature",
    "--upload-pack", "--receive-pack", "--exec", "--extcmd", "--git-dir", "--work-tree", "--exec-path", "--config-env",
    "--contents", "--template", "--config", "--separate-git-dir", "--upload-archive", "--tool", "--gpg-sign",
    "--ignore-revs-file", "--exclude-from", "--pathspec-from-file", "--file", "--super-prefix", "--namespace",
    "--ssh-command", "--server-option", "--reference", "--resolve-git-dir", "--paginate", "--batch-command",
)  # fmt: skip
_SAFE_LONG = {
    "--no-textconv", "--no-ext-diff", "--text", "--exclude", "--exclude-standard", "--format", "--full-history",
    "--follow", "--files", "--fixed-strings", "--patch", "--recursive",
}  # fmt: skip
_DANGEROUS_SHORT = {"grep": "Of", "rebase": "x", "difftool": "xt", "mergetool": "t", "clone": "uc", "log": "O",
"diff": "O",
                    "show": "O", "config": "fe", "ls-files": "X", "blame": "S"}  # fmt: skip
_DANGEROUS_COMMANDS = {
    "config", "filter-branch", "difftool", "mergetool", "daemon", "remote-ext", "upload-pack", "receive-pack", "shell",
    "bisect run", "submodule foreach", "send-email", "instaweb", "web--browse", "hook", "maintenance", "credential",
    "for-each-repo", "help", "alias", "gui", "citool", "p4", "svn", "archimport", "cvsserver", "fsmonitor--daemon",
}  # fmt: skip
_RUNS = re.compile(
    r"fsmonitor|textconv|(?:^|\])\s*(?:command|clean|smudge|process|program|worktree|showsignature|hookspath|path)\s*=|external"
    r"|^\s*\[\s*include|promisor|partialclone|alternaterefs|^\s*\[\s*(?:gpg|filter|diff)\b[^\]]*\][^\n]*=",
    re.IGNORECASE | re.MULTILINE,
)
_SECRET_KEY = re.compile(r"header|token|pass|secret|credential|key", re.IGNORECASE)


def subcommand(values: Sequence[str | None]) -> int | None:
    """The index of git's subcommand behind its global options; None when there is none, or none can be known."""
    at = 1
    while at < len(values):
        value = values[at]
        if value is None:
            return None
        if not value.startswith("-"):
            return at
        at += 2 if value in _GLOBAL_VALUED else 1
    return None


def find_danger(values: Sequence[str]) -> int | None:
    """The first word by which git runs another program, leaves the folder, or writes where it is told."""
    at = subcommand(values)
    for index, value in enumerate(values[1 : at if at is not None else len(values)], 1):
        if value not in _GLOBAL_FLAGS and value not in ("--version", "--help", "-h", "-v"):
            return index
    if at is None:
        return None
    name = values[at]
    if name in _DANGEROUS_COMMANDS:
        return at
    if at + 1 < len(values) and f"{name} {values[at + 1]}" in _DANGEROUS_COMMANDS:
        return at + 1
    short = _DANGEROUS_SHORT.get(name, "")
    for index, value in enumerate(values[at + 1 :], at + 1):
        if value == "--":
            break
        if _is_dangerous(value, short):
            return index
        if name in ("clone", "fetch", "pull", "push", "remote", "submodule", "ls-remote") and "::" in value:
            return index  # ext::command is a transport
        if "%G" in value or "%(signature" in value:
            return index
    return None


def _is_dangerous(value: str, short: str) -> bool:
    if value.startswith("--"):
        name = value.partition("=")[0]
        return name not in _SAFE_LONG and any(long.startswith(name) for long in _DANGEROUS_LONG)
    return value.startswith("-") and any(letter in value[1:] for letter in short) and not value[1:2].isdigit()


def only_reads(values: Sequence[str]) -> bool:
    """Whether this git command reads the repository and does nothing else, its configuration permitting."""
    if find_danger(values) is not None:
        # Reading one key of the configuration is the harmless part of a command that is not.
        return _reads_config(values)
    at = subcommand(values)
    if at is None:
        return list(values[1:]) in (["--version"], ["-v"])
    name, rest = values[at], values[at + 1 :]
    if name in _READS:
        return name != "rev-list" or "--use-bitmap-index" not in rest
    if name in ("branch", "tag"):
        return _lists(rest)
    if name == "symbolic-ref":
        return len([value for value in rest if not value.startswith("-")]) == 1 and not {"-d", "--delete"} & set(rest)
    if name in ("remote", "reflog", "submodule") and not rest:
        return True
    if name in _SECOND and rest[:1] and rest[0] in _SECOND[name]:
        return name != "remote" or rest[0] == "get-url" or len(rest) == 1
    return False


def _reads_config(values: Sequence[str]) -> bool:
    words = [value for value in values[1:] if value not in _GLOBAL_FLAGS]
    if words[:1] != ["config"]:
        return False
    words = [value for value in words[1:] if value not in ("--global", "--local", "--system")]
    key = words[1] if len(words) == 2 and words[0] in ("--get", "get") else ""
    return re.fullmatch(r"[\w-]+(?:\.[\w/.-]+)?\.[\w-]+", key) is not None and not _SECRET_KEY.search(key)


def _lists(rest: Sequence[str]) -> bool:
    open_to_names = any(_CONTAINING.fullmatch(value) for value in rest)
    for value in rest:
        if value.startswith("-"):
            if not _LISTING.fullmatch(value) and not _CONTAINING.fullmatch(value):
                return False
        elif not open_to_names:
            return False
    return True


def runs_nothing(folder: Path) -> bool:
    """Whether the repository that git would find from `folder` leaves commands that read with nothing to run."""
    for place in (folder, *folder.parents):
        dot = place / ".git"
        if dot.exists():
            return all(_is_plain(git_dir) for git_dir in _git_dirs(dot))
        if (place / "HEAD").exists() and (place / "objects").exists():
            return False  # a bare repository lying about as files
    return True


def _git_dirs(dot: Path) -> list[Path]:
    if dot.is_dir():
        return [dot]
    # A worktree or submodule: a file that says where.
    try:
        own = (dot.parent / dot.read_text("utf-8").partition("gitdir:")[2].strip()).resolve()
        common = own / "commondir"
        shared = [(own / common.read_text("utf-8").strip()).resolve()] if common.is_file() else []
    except (OSError, ValueError):
        return [dot]
    return [own, *shared]


def _is_plain(git_dir: Path) -> bool:
    if not git_dir.is_dir() or (git_dir / "hooks" / "post-index-change").exists():
        return False
    for name in ("config", "config.worktree"):
        try:
            if _RUNS.search((git_dir / name).read_text("utf-8", "replace")):
                return False
        except FileNotFoundError:
            continue
        except OSError:
            return False
    return True
