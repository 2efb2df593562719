"""What a confined command can reach, as plain paths, and the bwrap command line that makes it so."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from kimi_code.values import frozen

# Replaced as a whole: other programs' files, and the sockets of agents, docker, dbus, X11, databases.
PRIVATE = (Path("/tmp"), Path("/var/tmp"))
RUNTIME = (Path("/run"), Path("/var/run"))
# What programs need of /run where it exists: the resolver's file, and programs themselves on NixOS.
_RUNTIME_SHOWN = ("/run/current-system", "/run/opengl-driver", "/run/systemd/resolve/stub-resolv.conf")


@frozen
class Enclosure:
    """All paths absolute, resolved and there; of two, the deeper one decides.

    `writable` are the workspace's roots and the caches, `guarded` may only be read, `hidden` not even that, `shown`
    may be read although it lies in something hidden. `scratch` is the private folder for temporary files, `blank` a
    folder with what hidden things look like: `folder`, empty, and `file`, empty. `at` says where this process finds
    what the command sees at a path.
    """

    writable: tuple[Path, ...]
    guarded: tuple[Path, ...]
    hidden: tuple[Path, ...]
    shown: tuple[Path, ...]
    scratch: Path
    blank: Path
    net: bool
    at: Callable[[Path], Path] = lambda path: path


def shown_always(env: Mapping[str, str]) -> Iterator[Path]:
    """What must stay readable below the folders that are replaced: programs on the PATH, and parts of /run."""
    for name in (*env.get("PATH", "").split(os.pathsep), env.get("VIRTUAL_ENV", "")):
        path = Path(os.path.realpath(name)) if name.startswith("/") else None
        if path is not None and any(folder in path.parents for folder in (*PRIVATE, *RUNTIME)) and path.is_dir():
            prefix = path.parent if path.name in ("bin", "sbin") else path
            yield path if prefix in (*PRIVATE, *RUNTIME) else prefix
    yield from (Path(os.path.realpath(path)) for path in _RUNTIME_SHOWN if Path(path).exists())


def bwrap_command(
    program: Sequence[str], enclosure: Enclosure, cwd: Path, argv: Sequence[str], *, as_root: bool
) -> list[str]:
    """The command line that runs `argv` in `cwd` inside the enclosure. `program` is bwrap and flags only some know."""
    command = [*program, "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--die-with-parent", "--cap-drop", "ALL"]
    # Root keeps what makes files of others usable: in a user namespace of its own those would be nobody's.
    kept = ("CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_CHOWN", "CAP_FSETID")
    command += [word for name in kept for word in ("--cap-add", name)] if as_root else ["--unshare-user"]
    if not enclosure.net:
        command.append("--unshare-net")
    command += ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
    if as_root:
        # The machine's own switches are root's by their mode, whatever capabilities are left.
        switches = ("sys", "sysrq-trigger", "irq", "bus", "acpi", "scsi", "fs", "mtrr")
        command += [word for name in switches for word in ("--ro-bind-try", f"/proc/{name}", f"/proc/{name}")]
    mounts = _mounts(enclosure)
    for path in sorted(mounts, key=lambda path: len(path.parts)):
        command += mounts[path]
    command += [
        word
        for path, mount in mounts.items()
        if mount[0] == "--tmpfs" and path not in RUNTIME
        for word in ("--remount-ro", str(path))
    ]
    return [*command, "--chdir", str(cwd), "--", *argv]


def _mounts(enclosure: Enclosure) -> dict[Path, list[str]]:
    """The mounts by where they go; they are made from the root down, so that the deeper one is seen."""
    mounts: dict[Path, list[str]] = {}
    beneath = {parent for path in (*enclosure.shown, *enclosure.writable) for parent in path.parents}

    def mount(kind: str, source: Path, target: Path) -> None:
        mounts[target] = [kind, str(source), str(target)]

    for path in enclosure.hidden:
        if not enclosure.at(path).is_dir():
            mount("--ro-bind", enclosure.blank / "file", path)
        elif path in beneath:
            mounts[path] = ["--tmpfs", str(path)]
        else:
            mount("--ro-bind", enclosure.blank / "folder", path)
    for path in _real(PRIVATE):
        mount("--bind", enclosure.scratch, path)
    for path in _real(RUNTIME):
        mounts[path] = ["--tmpfs", str(path)]
    for path in enclosure.shown:
        if not _inside(path, enclosure.writable):
            mount("--ro-bind", path, path)
    for path in enclosure.writable:
        mount("--bind", path, path)
    for path in enclosure.guarded:
        mount("--ro-bind", path, path)
    over = {*enclosure.hidden, *PRIVATE, *RUNTIME}
    reachable = {*enclosure.writable, *enclosure.shown, *enclosure.guarded}
    return {path: words for path, words in mounts.items() if not _is_covered(path, over, reachable)}


def _is_covered(path: Path, over: set[Path], reachable: set[Path]) -> bool:
    """Whether nothing is left at `path` to mount on: it lies below something that is hidden or replaced."""
    if path in reachable:
        return False
    nearest = next((parent for parent in path.parents if parent in over or parent in reachable), None)
    return nearest is not None and nearest not in reachable


def _real(folders: Sequence[Path]) -> Iterator[Path]:
    """Those that exist and are no links to others."""
    return (path for path in folders if path.is_dir() and Path(os.path.realpath(path)) == path)


def _inside(path: Path, folders: Sequence[Path]) -> bool:
    return any(folder == path or folder in path.parents for folder in folders)


def landlock_command(program: Sequence[str], enclosure: Enclosure, argv: Sequence[str]) -> list[str]:
    """The same through landlock; `program` runs the launcher of `landlock.py`."""
    hidden = [*enclosure.hidden, *_real((*PRIVATE, *RUNTIME)), Path("/dev")]
    words = ["--net"] if enclosure.net else []
    for flag, paths in (
        ("--hide", hidden),
        ("--guard", enclosure.guarded),
        ("--show", enclosure.shown),
        ("--write", (*enclosure.writable, enclosure.scratch)),
    ):
        words += [word for path in paths for word in (flag, str(path))]
    return [*program, *words, "--", *argv]
