"""What is known of programs: which only read, which write to what they name, which cannot work confined."""

import re
from collections.abc import Sequence
from pathlib import Path

from kimi_code.permissions import gitreads
from kimi_code.permissions.danger import find_danger
from kimi_code.permissions.words import Word
from kimi_code.values import frozen


@frozen
class Harmless:
    """A command that only reads. `reads` are the words that may name files.

    `sweeps` says that files below a folder are read too, those with hidden names only with `hidden`.
    """

    reads: tuple[Word, ...] = ()
    sweeps: bool = False
    hidden: bool = True


@frozen
class _Reader:
    """A program that reads files and prints. `script` counts the first words that are no files (a pattern)."""

    script: int = 0
    valued: str = ""  # letters of options whose value is the next word, so that it is not taken for the pattern
    most: int = 99  # files it reads; one more would be written to


# --- Programs that only read ------------------------------------------------------------------------------------------

# Whatever they are given, they print something about it or about the machine.
_FREE = {
    "echo", "true", "false", ":", "pwd", "whoami", "seq", "basename", "dirname", "uname", "arch", "nproc", "id",
    "groups",
    "logname", "tty", "cal", "uptime", "free", "tr", "expr", "which", "whereis", "type", "printenv", "sleep", "factor",
    "test", "[", "[[", "exit", "break", "continue", "return", "wait", "sw_vers", "lsb_release", "getconf", "locale",
}  # fmt: skip
_READERS: dict[str, _Reader] = {
    **{name: _Reader() for name in (
        "cat", "tac", "head", "tail", "wc", "nl", "cut", "paste", "rev", "fold", "fmt", "expand", "unexpand", "column",
        "comm", "cmp", "join", "od", "hexdump", "strings", "md5sum", "sha1sum", "sha256sum", "sha512sum", "shasum",
        "cksum", "sum", "b2sum", "base64", "stat", "file", "readlink", "realpath", "ls", "tree", "du", "df", "sort",
        "diff", "date",
    )},
    "uniq": _Reader(most=1),
    "xxd": _Reader(most=1),
    "grep": _Reader(1, "ABCmdD"),
    "egrep": _Reader(1, "ABCmdD"),
    "fgrep": _Reader(1, "ABCmdD"),
    "rg": _Reader(1, "ABCmgtTjMdEr"),
    "fd": _Reader(1, "etdEcjS"),
    "fdfind": _Reader(1, "etdEcjS"),
    "jq": _Reader(1, ""),
    "sed": _Reader(1, "l"),
    "awk": _Reader(1, "Fv"),
    "gawk": _Reader(1, "Fv"),
}  # fmt: skip
_VERSIONS = {
    "python", "python3", "node", "npm", "ruby", "perl", "php", "java", "javac", "gcc", "g++", "clang", "make", "cmake",
    "go", "pip", "pip3", "uv", "ruff", "mypy", "rg", "jq", "fd", "docker", "git", "cargo", "rustc", "rustup", "deno",
    "bash", "tar", "sed", "awk", "grep", "curl", "ninja", "gh", "kubectl", "terraform", "sqlite3", "psql", "bun",
    "poetry",
    "tmux", "ffmpeg", "gradle", "mvn", "dotnet", "swift", "zsh", "openssl", "ls",
}  # fmt: skip
_EXACT = {
    ("pip", "list"), ("pip3", "list"), ("pip", "freeze"), ("pip3", "freeze"), ("pip", "check"), ("npm", "ls"),
    ("npm", "list"),
    ("npm", "root"), ("npm", "prefix"), ("go", "env"), ("go", "version"), ("ps",), ("ps", "aux"), ("ps", "-ef"),
    ("ps", "-e"),
    ("ps", "-A"), ("hostname",), ("hostname", "-f"), ("hostname", "-s"), ("hostname", "-I"), ("hostname", "-i"),
    ("env",),
    ("java", "-version"), ("who",), ("users",), ("locale", "-a"), ("rustup", "show"), ("poetry", "show"), ("times",),
    ("jobs",),
    ("npm", "ls", "--depth=0"), ("npm", "ls", "--depth", "0"), ("npm", "list", "--depth=0"), ("lscpu",), ("lsblk",),
    ("pip", "list", "--outdated"), ("ruff", "version"), ("ulimit", "-a"), ("umask",), ("dpkg", "-l"), ("brew", "list"),
}  # fmt: skip
_JQ_DANGER = re.compile(r"\b(?:import|include|input_filename|get_search_list|modulemeta)\b")
_NAME = re.compile(r"[a-z_][a-z0-9_]*")


def is_free(name: str) -> bool:
    """Whether the program reads no files, whatever it is given."""
    return name in _FREE


def is_shell_variable(name: str) -> bool:
    """Whether a variable of this name is the script's own: no program and no shell reads it."""
    return _NAME.fullmatch(name) is not None and not name.endswith("proxy") and name not in ("histchars", "auto_resume")


def read_only(words: Sequence[Word]) -> Harmless | str:
    """What the command reads if it does nothing else, or why that is not known."""
    if not words or not words[0].plain:
        return "what runs is not named plainly"
    name = words[0].text
    if name in _FREE:
        return Harmless(tuple(word for word in words[1:] if word.glob))
    values = [word.exact for word in words]
    if any(word.value is None or not word.sure for word in words):
        return _with_unknown(name, values)
    known = [word.value or "" for word in words]
    if tuple(known) in _EXACT or (len(known) == 2 and name in _VERSIONS and known[1] in ("--version", "-V", "-v")):
        return Harmless()
    if name in ("pip", "pip3") and known[1:2] == ["show"] and not any(value.startswith("-") for value in known[2:]):
        return Harmless()
    if name == "command":
        return Harmless() if known[1:2] in (["-v"], ["-V"]) else "not known to be harmless"
    if name in ("printf", "read", "set"):
        return _builtin(name, known)
    if name == "git":
        if not gitreads.only_reads(known):
            return "not a git command that only reads"
        return Harmless(tuple(word for word in words[1:] if _names_place(word)))
    return _reader(name, words, known)


def _with_unknown(name: str, values: Sequence[str | None]) -> Harmless | str:
    if name == "printf" and len(values) > 1 and values[1] is not None and not values[1].startswith("-"):
        return Harmless()
    return "it depends on what cannot be known by reading it"


def _builtin(name: str, known: Sequence[str]) -> Harmless | str:
    rest = known[1:]
    fine = {
        "printf": bool(rest) and not rest[0].startswith("-"),
        "read": all(value in ("-r", "-d", "", "-a") or is_shell_variable(value) for value in rest),
        "set": bool(rest) and all(re.fullmatch(r"[-+][euxfo]+|pipefail|errexit|nounset|xtrace", v) for v in rest),
    }[name]
    return Harmless() if fine else "not known to be harmless"


def _names_place(word: Word) -> bool:
    value = word.value or ""
    if word.glob or value.startswith(("/", "~")) or ".." in value.split("/"):
        return True
    return not value.startswith("-") or "=" in value or ":" in value


def _reader(name: str, words: Sequence[Word], known: Sequence[str]) -> Harmless | str:
    if name == "find":
        return _find(words, known)
    reader = _READERS.get(name)
    if reader is None:
        return "not known to be harmless"
    danger = find_danger(known)
    if danger is not None:
        return f"{known[danger]} makes {name} more than a reader"
    if name == "jq" and any(_JQ_DANGER.search(value) for value in known[1:]):
        return "the jq program may read other files"
    if name == "date" and any(not value.startswith(("-", "+")) for value in known[1:] if not _is_date_value(value)):
        return "it may set the clock"
    files, options = _files(reader, words)
    if len([word for word in files if not word.text.startswith("-")]) > reader.most:
        return f"{name} writes to its second file"
    letters = "".join(option[1:] for option in options if not option.startswith("--"))
    recursive = "--recursive" in options or any("--recursive".startswith(o) for o in options if len(o) > 3)
    if name in ("grep", "egrep", "fgrep", "diff"):
        recurse = "d" in letters and name != "diff"
        return Harmless(tuple(files), sweeps=recursive or recurse or "r" in letters or "--directories" in str(options))
    if name == "rg":
        opened = {"--hidden", "--no-ignore", "--unrestricted", "--glob", "--iglob"} & {
            o.partition("=")[0] for o in options
        }
        return Harmless(
            tuple(files), sweeps="--files" not in options, hidden=bool(opened) or any(c in letters for c in ".ug")
        )
    return Harmless(tuple(files))


def _is_date_value(value: str) -> bool:
    return (
        re.fullmatch(r"[\w: +-]*(?:ago|day|days|now|today|yesterday|week|hours?|UTC)[\w: +-]*|@\d+", value) is not None
    )


def _files(reader: _Reader, words: Sequence[Word]) -> tuple[list[Word], list[str]]:
    """The words that may name files, and the options."""
    rest = list(words[1:])
    options: list[str] = []
    files: list[Word] = []
    # A pattern given by an option leaves none among the words; neither does a listing of files.
    skip = 0 if any(_gives_pattern(word.value or "") for word in rest) else reader.script
    at, ended = 0, False
    while at < len(rest):
        word, value = rest[at], rest[at].value or ""
        at += 1
        if not ended and value == "--":
            ended = True
        elif not ended and value.startswith("-") and len(value) > 1:
            options.append(value)
            attached = value.partition("=")[2] if value.startswith("--") else value[2:]
            if attached and not attached.isalnum():
                files.append(Word(word.text, attached, word.glob))
            if not value.startswith("--") and value[-1] in reader.valued and at < len(rest):
                files.append(rest[at])
                at += 1
        elif skip and not word.glob:
            skip -= 1
        else:
            files.append(word)
    return files, options


def _gives_pattern(value: str) -> bool:
    if value.startswith("--"):
        return value.startswith(("--reg", "--file", "--expr", "--type-list", "--from", "--source", "--and"))
    return value.startswith("-") and any(letter in value for letter in "ef")


def _find(words: Sequence[Word], known: Sequence[str]) -> Harmless | str:
    danger = find_danger(known)
    if danger is not None:
        return f"{known[danger]} makes find more than a reader"
    starts: list[Word] = []
    for word, value in zip(words[1:], known[1:], strict=True):
        if value in ("-H", "-P") or value.startswith("-O"):
            continue
        if value.startswith("-") or value in ("(", "!"):
            break
        starts.append(word)
    return Harmless((*starts, *(word for word in words[1:] if word.glob)))


# --- What confinement would only break --------------------------------------------------------------------------------

_PRIVILEGED = {
    "sudo", "doas", "su", "runuser", "pkexec", "systemctl", "service", "launchctl", "mount", "umount", "reboot",
    "shutdown",
    "halt", "poweroff", "passwd", "chpasswd", "useradd", "usermod", "userdel", "visudo", "crontab", "at", "batch",
    "chroot",
    "kill", "pkill", "killall", "docker", "podman", "kubectl", "helm", "terraform", "aws", "gcloud", "az", "gpg",
    "ssh-add",
    "ssh-keygen", "security", "apt", "apt-get", "dnf", "yum", "pacman", "apk", "snap", "brew", "port", "iptables",
    "nft",
    "sysctl", "modprobe", "insmod", "mkfs", "fdisk", "parted", "nsenter", "hostname", "date", "tmux", "screen", "open",
    "osascript", "xdg-open", "pbcopy", "pbpaste", "defaults", "op", "bwrap", "unshare", "setcap",
}  # fmt: skip
_NETWORKED = {
    "curl", "wget", "ssh", "scp", "sftp", "rsync", "nc", "ncat", "netcat", "socat", "telnet", "ftp", "ping", "dig",
    "nslookup",
    "host", "gh", "glab", "twine", "http", "https", "aria2c", "traceroute", "whois",
}  # fmt: skip
_NETWORKED_TASKS = {
    **{name: {"install", "i", "ci", "add", "publish", "update", "audit",
    "view", "outdated"} for name in ("npm", "pnpm", "yarn", "bun")},
    **{name: {"install", "download", "add", "sync", "publish",
    "update", "lock"} for name in ("pip", "pip3", "uv", "poetry", "pdm")},
    "cargo": {"install", "add", "update", "publish", "fetch", "search"},
    "go": {"get", "install"},
    "gem": {"install", "push"}, "bundle": {"install", "update"}, "composer": {"install", "require", "update"},
}  # fmt: skip
# Programs whose words are places they write to.
WRITERS = {
    "rm", "rmdir", "unlink", "mv", "cp", "ln", "tee", "touch", "mkdir", "install", "truncate", "dd", "shred",
    "chmod", "chown",
    "chgrp", "rsync", "sponge", "patch", "split", "csplit", "mktemp", "mkfifo", "mknod", "sed", "perl", "setfacl",
    "srm",
}  # fmt: skip


def cannot_be_confined(values: Sequence[str | None], *, network: bool) -> str:
    """Why this command would fail confined, "" if it may work. `network` says that there is one inside."""
    name = (values[0] or "").rsplit("/", 1)[-1]
    if name in _PRIVILEGED:
        return f"{name} acts beyond the workspace"
    if name == "git":
        return "git would write its own data, or reach the network"
    if not network and name in _NETWORKED:
        return f"{name} needs the network"
    tasks = _NETWORKED_TASKS.get(name, set[str]())
    if not network and any(value in tasks for value in values[1:4]):
        return f"{name} needs the network for that"
    return ""


def needs_plain_toolchain(name: str, folder: Path) -> bool:
    """Whether the folder chooses the toolchain whose version is asked: rustup runs the one a file names."""
    return name in ("cargo", "rustc") and any(
        (place / file).exists()
        for place in (folder, *folder.parents)
        for file in ("rust-toolchain", "rust-toolchain.toml")
    )
