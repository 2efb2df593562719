"""Options by which programs run others, write, or look elsewhere: what no rule's final `*` covers."""

import re
from collections.abc import Sequence

from kimi_code.permissions import gitreads
from kimi_code.values import frozen


@frozen
class Options:
    """Options by which a program does more than its task: `short` letters, `long` names, both without dashes."""

    short: str = ""
    long: tuple[str, ...] = ()


_DANGEROUS: dict[str, Options] = {
    "sort": Options("oT", ("output", "compress-program", "temporary-directory", "files0-from")),
    "rg": Options("zfL", ("pre", "pre-glob", "hostname-bin", "search-zip", "file", "follow", "ignore-file")),
    "grep": Options("fR", ("file", "dereference-recursive")),
    "egrep": Options("fR", ("file", "dereference-recursive")),
    "fgrep": Options("fR", ("file", "dereference-recursive")),
    "sed": Options("if", ("in-place", "file", "follow-symlinks")),
    "awk": Options("fieElIdDpo", ("file", "include", "load", "exec", "debug", "source", "profile", "pretty-print")),
    "jq": Options("fL", ("from-file", "library-path")),
    "fd": Options("xXL", ("exec", "exec-batch", "follow", "ignore-file", "base-directory")),
    "tree": Options("oRl", ("fromfile", "fromtabfile", "gitfile", "infofile")),
    "date": Options("sf", ("set", "file")),
    "file": Options("Cmfzp", ("compile", "magic-file", "files-from", "uncompress", "preserve-date")),
    "wc": Options("", ("files0-from",)),
    "du": Options("LX", ("files0-from", "dereference", "exclude-from")),
    "diff": Options("Xl", ("exclude-from", "paginate")),
    "tar": Options("ICFPf", (
        "to-command", "use-compress-program", "checkpoint-action", "info-script", "new-volume-script", "rsh-command",
        "rmt-command", "directory", "absolute-names", "index-file",
    )),
    "xxd": Options("r", ("revert",)),
    "hexdump": Options("f"),
    "md5sum": Options("c", ("check",)),
    "sha1sum": Options("c", ("check",)),
    "sha256sum": Options("c", ("check",)),
    "sha512sum": Options("c", ("check",)),
    "shasum": Options("c", ("check",)),
    "cksum": Options("c", ("check",)),
    "b2sum": Options("c", ("check",)),
    "base64": Options("o", ("output",)),
    "go": Options("wu", ("exec", "toolexec", "overlay", "modfile", "vettool", "C")),
    "make": Options("CfI", ("directory", "file", "makefile", "eval", "include-dir")),
    "gmake": Options("CfI", ("directory", "file", "makefile", "eval", "include-dir")),
    "ninja": Options("Cf"),
    "just": Options("fd", ("justfile", "working-directory", "shell", "command", "chooser")),
    "npm": Options("C", ("prefix", "script-shell", "userconfig", "globalconfig", "node-options", "shell", "editor",
    "call")),
    "pnpm": Options("C", ("dir", "prefix", "script-shell", "node-options", "shell-mode")),
    "yarn": Options("", ("cwd", "use-yarnrc", "script-shell", "node-options")),
    "cargo": Options("C", ("manifest-path", "config")),
    "rsync": Options("eM", ("rsh", "rsync-path", "remote-option", "files-from", "early-input")),
    "ssh": Options("oFSE", ()),
    "scp": Options("oFS", ()),
    "curl": Options("oOKTDcxFE", ("output", "output-dir", "remote-name", "config", "upload-file", "dump-header",
    "cookie-jar")),
    "wget": Options("OoiPe", (
        "output-document", "output-file", "input-file", "directory-prefix", "execute", "use-askpass", "post-file",
        "body-file",
    )),
    "zip": Options("TO", ("unzip-command", "output-file")),
    "unzip": Options("d"),
    "gcc": Options("", ("wrapper", "specs")),
    "vim": Options("cSsu", ("cmd",)),
    "pytest": Options("cop", ("rootdir", "confcutdir", "config-file", "override-ini", "pdbcls", "basetemp")),
    "python": Options(), "python3": Options(), "node": Options(),
    "man": Options("PHCM", ("pager", "html", "config-file")),
    "less": Options("oOk", ("log-file", "lesskey-file")),
    "ls": Options(), "cat": Options(), "head": Options(), "tail": Options(),
}  # fmt: skip
_SINGLE_DASH = {"go", "gcc", "find", "fd"}
_FIND_DANGEROUS = {
    "-exec", "-execdir", "-ok", "-okdir", "-delete", "-fprint", "-fprint0", "-fprintf", "-fls", "-files0-from", "-L",
    "-follow",
}  # fmt: skip
_SED_COMMAND = re.compile(
    r"""\s*(?:(?:\d+(?:~\d+)?|\$|/(?:[^/\\\n]|\\.)*/I?)(?:\s*,\s*(?:[+~]?\d+|\$|/(?:[^/\\\n]|\\.)*/I?))?)?\s*!?\s*
    (?:[pdq=]|s(?P<d>[/|,\#:@!%_])(?:(?!(?P=d))[^\\\n]|\\[^\n])*(?P=d)(?:(?!(?P=d))[^\\\n]|\\[^\n])*(?P=d)[gpiI0-9]*)\s*""",
    re.VERBOSE,
)
_AWK_DANGER = re.compile(r"system|getline|\||>|@|close|fflush|ARG|/inet|printf?\s*\(.*>")


def find_danger(values: Sequence[str]) -> int | None:
    """The index of the first word by which this command runs another, writes elsewhere or leaves the folder.

    A rule's final `*` never covers such a word. Long options count by every beginning of their names.
    """
    name = values[0]
    if name == "git":
        return gitreads.find_danger(values)
    if name == "find":
        return next((at for at, value in enumerate(values) if value in _FIND_DANGEROUS), None)
    if name in ("sed", "gsed") and (at := _sed_danger(values)):
        return at
    if name in ("awk", "gawk", "mawk", "nawk") and (at := _awk_danger(values)):
        return at
    options = _DANGEROUS.get(
        {"gsed": "sed", "gawk": "awk", "mawk": "awk", "nawk": "awk", "fdfind": "fd"}.get(name, name)
    )
    if options is None:
        return None
    for at, value in enumerate(values[1:], 1):
        if value == "--":
            break
        if name in ("make", "gmake") and re.match(r"(?:SHELL|MAKEFLAGS|\.SHELLFLAGS|MAKEFILES)\s*[:+?]*=", value):
            return at
        if name == "tar" and at == 1 and not value.startswith("-") and re.search(r"[ICFP]", value):
            return at
        if _has_option(name, value, options):
            return at
    return None


def _has_option(name: str, value: str, options: Options) -> bool:
    if value.startswith("--"):
        given = value[2:].partition("=")[0]
        return any(long.startswith(given) for long in options.long)
    if not value.startswith("-"):
        return False
    if name in _SINGLE_DASH and value[1:].partition("=")[0] in options.long:
        return True
    return any(letter in value[1:] for letter in options.short)


def _sed_danger(values: Sequence[str]) -> int | None:
    # Scripts are the values of -e, or else the first word; every `;` must begin a command that is understood.
    at, scripts, given = 1, list[int](), False
    while at < len(values):
        value = values[at]
        if re.fullmatch(r"-[nErsuz]*e", value):
            given = True
            scripts.append(at + 1)
            at += 1
        elif value.startswith("--exp") or (
            value.startswith("-") and re.fullmatch(r"-[nErsuz]+|--\w[\w-]*", value) is None
        ):
            return at
        at += 1
    if not given:
        first = next((at for at, value in enumerate(values[1:], 1) if not value.startswith("-")), None)
        scripts = [] if first is None else [first]
    return next((at for at in scripts if at < len(values) and not _is_plain_sed(values[at])), None)


def _is_plain_sed(script: str) -> bool:
    at = 0
    while at < len(script):
        match = _SED_COMMAND.match(script, at)
        if match is None or (match.end() < len(script) and script[match.end()] not in ";\n"):
            return False
        at = match.end() + 1
    return bool(script)


def _awk_danger(values: Sequence[str]) -> int | None:
    return next(
        (at for at, value in enumerate(values[1:], 1) if not value.startswith("-") and _AWK_DANGER.search(value)), None
    )
