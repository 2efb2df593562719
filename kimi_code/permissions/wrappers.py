"""Programs that run another one: which, from which word on, and whether they add anything of their own."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from kimi_code.permissions.words import UNKNOWN, Word, literal
from kimi_code.values import frozen


@frozen
class Wrapped:
    """What a wrapper runs: `words`, or a `script` for a shell. `at` is the index of its first word in the wrapper's.

    Neither is given when it cannot be known. `transparent` wrappers do no more than what they run.
    """

    at: int
    words: tuple[Word, ...] = ()
    script: str | None = None
    transparent: bool = False

    @property
    def known(self) -> bool:
        return bool(self.words) or self.script is not None


@frozen
class _Wrapper:
    """How a wrapper's own words are read; an option that is not listed makes what it runs unknown."""

    flags: str = ""
    valued: str = ""  # letters of options that take the next word
    long_flags: tuple[str, ...] = ()
    long_valued: tuple[str, ...] = ()
    positional: int = 0
    assignments: bool = False
    transparent: bool = True
    numbers: bool = False  # -5, as nice has it
    adds: bool = False  # appends words of its own, or fills some in
    joins: bool = False  # gives its words to a shell as one line


_SUDO = _Wrapper(
    "AbEHknPSB", "ughpCTrtDRU",
    ("preserve-env", "login-none", "non-interactive", "set-home", "background", "stdin"), ("user", "group", "chdir"),
    assignments=True, transparent=False,
)  # fmt: skip
_WRAPPERS = {
    "sudo": _SUDO,
    "doas": _Wrapper("nL", "Cu", transparent=False),
    "env": _Wrapper("i0v", "uC", ("ignore-environment", "null", "debug"), ("unset", "chdir"), assignments=True),
    "nice": _Wrapper("", "n", (), ("adjustment",), numbers=True),
    "ionice": _Wrapper("t", "cn", ("ignore",), ("class", "classdata")),
    "time": _Wrapper("p"),
    "timeout": _Wrapper("fpv", "ks", ("foreground", "preserve-status", "verbose"), ("kill-after", "signal"), 1),
    "gtimeout": _Wrapper("fpv", "ks", ("foreground", "preserve-status", "verbose"), ("kill-after", "signal"), 1),
    "nohup": _Wrapper(),
    "setsid": _Wrapper("cfw", "", ("ctty", "fork", "wait")),
    "stdbuf": _Wrapper("", "ioe", (), ("input", "output", "error")),
    "command": _Wrapper("p"),
    "builtin": _Wrapper(),
    "exec": _Wrapper("cl", "a"),
    "busybox": _Wrapper(transparent=False),
    "toybox": _Wrapper(transparent=False),
    "chronic": _Wrapper("ev", transparent=False),
    "caffeinate": _Wrapper("dimsu", "tw", transparent=False),
    "xargs": _Wrapper(
        "0rtpx", "nPILdsEa", ("null", "no-run-if-empty", "verbose", "exit", "open-tty"),
        ("max-args", "max-procs", "max-lines", "delimiter", "max-chars", "arg-file", "replace"), adds=True,
    ),
    "watch": _Wrapper("bdegtcx", "n", (), ("interval",), transparent=False, joins=True),
    "taskset": _Wrapper("a", "", positional=1, transparent=False),
    "chrt": _Wrapper("bfior", "", positional=1, transparent=False),
    "chroot": _Wrapper(positional=1, transparent=False),
    "flock": _Wrapper("sxnuoF", "wE", positional=1, transparent=False),
    "unshare": _Wrapper("mipnuUCrf", transparent=False),
    "strace": _Wrapper("fcqtTvyi", "eopsPuaO", transparent=False),
    "ltrace": _Wrapper("fcSti", "eopsuan", transparent=False),
    "fakeroot": _Wrapper(transparent=False),
    "proxychains": _Wrapper("q", "f", transparent=False),
    "setarch": _Wrapper("R", positional=1, transparent=False),
    "linux32": _Wrapper("R", transparent=False),
    "linux64": _Wrapper("R", transparent=False),
    "catchsegv": _Wrapper(transparent=False),
    "unbuffer": _Wrapper("p", transparent=False),
    "noglob": _Wrapper(transparent=False),
    "nocorrect": _Wrapper(transparent=False),
}  # fmt: skip
_SHELLS = {"bash", "sh", "dash", "zsh", "ksh", "ash", "mksh", "rbash", "fish", "csh", "tcsh", "yash", "pwsh"}
_PLAIN_SHELLS = {"bash", "sh", "dash"}
_OTHER_SYNTAX = {"fish", "csh", "tcsh", "pwsh", "zsh"}
# These run what one of their words says, in a place or way of their own.
RUNNERS = {
    "parallel", "ssh", "su", "runuser", "docker", "podman", "kubectl", "nsenter", "firejail", "bwrap", "npx", "bunx",
    "pnpx", "uvx", "pipx", "uv", "poetry", "pipenv", "pdm", "hatch", "rye", "bundle", "npm", "pnpm", "yarn", "bun",
    "direnv", "nix", "nix-shell", "mise", "asdf", "conda", "entr", "script", "gdb", "lldb", "valgrind", "perf",
    "rlwrap",
    "expect", "systemd-run", "at", "batch", "run-parts", "start-stop-daemon", "dbus-run-session", "xvfb-run", "pkexec",
    "rtk", "sg", "newgrp", "op", "dotenv", "tmux", "screen", "numactl", "cgexec", "prlimit", "hyperfine", "watchexec",
    "unshare", "faketime", "eatmydata", "setpriv", "capsh", "gosu", "su-exec", "tini", "dumb-init", "moreutils",
}  # fmt: skip
# Builtins by which a shell runs text, or makes names mean something else.
EVALUATORS = {
    "eval", "source", ".", "alias", "unalias", "trap", "coproc", "enable", "hash", "fc", "bind", "complete", "compgen",
    "function", "let", "mapfile", "readarray", "shopt", "autoload", "zmodload", "emulate", "sched", "rehash", "history",
}  # fmt: skip
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=", re.ASCII)


@dataclass(slots=True)
class _Reading:
    words: Sequence[Word]
    at: int = 1
    lost: bool = False
    quiet: bool = True  # no options or assignments that change what runs
    extra: list[str] = field(default_factory=list[str])


def base_name(value: str) -> str:
    """The program's name without its folder, as far as file systems tell names apart."""
    name = value.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1].casefold()
    return name.removesuffix(".exe")


def unwrap(words: Sequence[Word]) -> Wrapped | None:
    """What this command runs besides itself; None for programs that run nothing."""
    if not words or words[0].value is None:
        return None
    name = base_name(words[0].value)
    if name in _SHELLS:
        return _shell(name, words)
    if name == "find":
        return _find(words)
    wrapper = _WRAPPERS.get(name)
    return None if wrapper is None else _wrapped(name, wrapper, words)


def _wrapped(name: str, wrapper: _Wrapper, words: Sequence[Word]) -> Wrapped | None:
    reading = _Reading(words)
    if name == "command" and len(words) > 1 and re.fullmatch(r"-p?[vV]p?", words[1].value or ""):
        return None  # only says where it is
    _skip_options(wrapper, reading)
    for _ in range(wrapper.positional):
        if not reading.lost and reading.at < len(words) and words[reading.at].value is None:
            reading.lost = True
        reading.at += 1
    rest = tuple(words[reading.at :])
    transparent = wrapper.transparent and reading.quiet and words[0].plain and "/" not in words[0].text
    if reading.lost:
        return Wrapped(reading.at)
    if not rest:
        return Wrapped(len(words), (literal("echo"),), transparent=transparent) if name == "xargs" else None
    if wrapper.joins:
        values = [word.exact for word in rest]
        script = None if None in values else " ".join(value for value in values if value is not None)
        return Wrapped(reading.at, script=script)
    if wrapper.adds:
        rest = tuple(UNKNOWN if any(mark in word.text for mark in reading.extra) else word for word in rest)
        rest = (*rest, UNKNOWN)
    return Wrapped(reading.at, rest, transparent=transparent)


def _skip_options(wrapper: _Wrapper, reading: _Reading) -> None:
    words = reading.words
    while reading.at < len(words):
        value = words[reading.at].exact
        if value is None:
            # An unquoted expansion may be any number of options; a name with a glob is not usual here either.
            reading.lost = True
            return
        if wrapper.assignments and _ASSIGNMENT.match(value):
            reading.quiet = False
            reading.at += 1
        elif value == "--":
            reading.at += 1
            wrapper = _Wrapper(assignments=wrapper.assignments)
            while wrapper.assignments and reading.at < len(words) and _ASSIGNMENT.match(words[reading.at].value or ""):
                reading.quiet = False
                reading.at += 1
            return
        elif value.startswith("-") and len(value) > 1:
            _skip_option(wrapper, reading, value)
            if reading.lost:
                return
        else:
            return


def _skip_option(wrapper: _Wrapper, reading: _Reading, value: str) -> None:
    reading.at += 1
    if wrapper.numbers and value[1:].lstrip("-").isdigit():
        return
    if value.startswith("--"):
        name, equals, given = value[2:].partition("=")
        if name in wrapper.long_valued:
            if not equals:
                given = _take(reading)
            if name == "replace":
                reading.extra.append(given or "{}")
            if name in ("chdir", "unset"):
                reading.quiet = False
        elif name not in wrapper.long_flags:
            reading.lost = True
        return
    for position, letter in enumerate(value[1:], 2):
        if letter in wrapper.valued:
            given = value[position:] or _take(reading)
            if letter == "I":
                reading.extra.append(given)
            if letter in "uCa":
                reading.quiet = False
            return
        if letter not in wrapper.flags:
            reading.lost = True
            return


def _take(reading: _Reading) -> str:
    if reading.at >= len(reading.words) or reading.words[reading.at].exact is None:
        reading.lost = True
        return ""
    reading.at += 1
    return reading.words[reading.at - 1].exact or ""


def _shell(name: str, words: Sequence[Word]) -> Wrapped | None:
    values = [word.exact for word in words]
    if len(values) == 2 and values[1] == "--version":
        return None
    at = 1
    command = False
    while at < len(words):
        value = values[at]
        if value is None:
            return Wrapped(at)
        if not re.fullmatch(r"[-+][a-zA-Z]+|--[a-z-]+", value):
            break
        command = command or (not value.startswith("--") and value[0] == "-" and "c" in value)
        if value in ("-o", "+o", "-O", "+O", "--rcfile", "--init-file") or (value[0] == "-" and value[-1] in "oO"):
            at += 1
        at += 1
    if not command or at >= len(words) or name in _OTHER_SYNTAX - {"zsh"}:
        return Wrapped(min(at, len(words)))  # a file, or whatever it is fed
    script = values[at]
    plain = name in _PLAIN_SHELLS and values[1] == "-c" and at == 2 and words[0].plain and "/" not in words[0].text
    return Wrapped(at, script=script, transparent=plain) if script is not None else Wrapped(at)


def _find(words: Sequence[Word]) -> Wrapped | None:
    for at, word in enumerate(words):
        if word.value in ("-exec", "-execdir", "-ok", "-okdir"):
            run: list[Word] = []
            for part in words[at + 1 :]:
                if part.value == ";" or (part.value == "+" and run and run[-1].value is None):
                    break
                run.append(UNKNOWN if "{}" in part.text else part)
            more = [later for later in words[at + 1 :] if later.value in ("-exec", "-execdir", "-ok", "-okdir")]
            return Wrapped(at + 1) if more or not run else Wrapped(at + 1, tuple(run))
    return None


def is_fed(words: Sequence[Word]) -> bool:
    """Whether this is a shell that runs a file or its standard input, neither of which can be seen here."""
    wrapped = unwrap(words)
    return (
        bool(words and words[0].value)
        and base_name(words[0].value or "") in _SHELLS
        and bool(wrapped and not wrapped.known)
    )
