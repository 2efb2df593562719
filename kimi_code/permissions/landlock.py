"""Confine a command with landlock and seccomp, without a compiled dependency. Runs in a process of its own, with

    [--net] [--hide|--guard|--show|--write PATH]... -- COMMAND...

as arguments of `run`. Imports only the standard library's core, as it is started for every command. Numbers are from
linux/landlock.h, linux/seccomp.h, linux/capability.h and asm/unistd.h.
"""

import ctypes
import errno
import os
import signal
import struct
import sys
import time
from collections.abc import Iterator, Sequence

NEEDED_ABI = 3  # before Linux 6.2 files could be emptied by truncate
SIGNAL_ABI = 6  # from Linux 6.12 on, processes outside cannot be signalled

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_TRUNCATE = 1 << 14
_HANDLED = (1 << 15) - 1  # all of ABI 3
_MAKE_DEVICES = 1 << 6 | 1 << 11
_ON_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_WRITE = _HANDLED & ~_MAKE_DEVICES
_SCOPES = 3  # abstract sockets and signals
_TCP = 3  # bind and connect

_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_KEPT_CAPABILITIES = 1 << 0 | 1 << 1 | 1 << 3 | 1 << 4  # chown, DAC override, fowner, fsetid
_GRACE = 1.5  # seconds from TERM to KILL; the caller kills this process after two

# architecture as seccomp names it, the number of socket(2)
_MACHINES = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
_IO_URING_SETUP = 425


class _Ruleset(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("access", ctypes.c_uint64), ("fd", ctypes.c_int32))


def abi() -> int:
    """The version of landlock that this kernel offers; 0 when there is none, or when seccomp could not complete it."""
    if sys.platform != "linux" or os.uname().machine not in _MACHINES:
        return 0
    return max(_libc().syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(1)), 0)


def run() -> None:
    """Run the command in this process's arguments, end with its exit code."""
    try:
        code = main(sys.argv[1:])
    except Exception as error:
        os.write(2, f"The command could not be confined: {error}\n".encode())
        code = 126
    os._exit(code)  # taking the interpreter down would cost as much again


def main(arguments: Sequence[str]) -> int:
    """Run the command confined; returns its exit code, 128 + n when a signal ended it."""
    options: dict[str, list[str]] = {"--hide": [], "--guard": [], "--show": [], "--write": []}
    net = False
    words = iter(arguments)
    for word in words:
        if word == "--":
            break
        if word == "--net":
            net = True
        else:
            options[word].append(next(words))
    return _supervise(list(words), options, net)


# --- The command and all it leaves behind ---------------------------------------------------------------------------


def _supervise(command: list[str], options: dict[str, list[str]], net: bool) -> int:
    """Nothing outlives this process: what the command started comes back to it when its parent ends."""
    libc = _libc()
    _prctl(libc, 36, 1)  # PR_SET_CHILD_SUBREAPER
    _prctl(libc, 1, signal.SIGTERM)  # PR_SET_PDEATHSIG

    def stop(number: int, frame: object) -> None:
        _signal_descendants(signal.SIGTERM)
        signal.setitimer(signal.ITIMER_REAL, _GRACE)

    def end(number: int, frame: object) -> None:
        _signal_descendants(signal.SIGKILL)

    signal.signal(signal.SIGALRM, end)
    signal.signal(signal.SIGTERM, stop)
    child = os.fork()
    if child == 0:
        _become(command, options, net)
    status = 0
    while True:
        pid, found = os.waitpid(-1, 0)
        if pid == child:
            status = found
            break
    while _left():
        _signal_descendants(signal.SIGKILL)
        time.sleep(0.001)
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code


def _left() -> bool:
    """Whether there are descendants; collects those that have ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def _signal_descendants(number: int) -> None:
    parents: dict[int, int] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208  (pathlib takes longer than the rest)
        if name.isdecimal():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123  (the same)
                    parents[int(name)] = int(file.read().rpartition(b")")[2].split()[1])
            except OSError:
                pass
    ours = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in ours} - ours:
        ours |= more
    for pid in ours - {os.getpid()}:
        try:
            os.kill(pid, number)
        except OSError:
            pass


def _become(command: list[str], options: dict[str, list[str]], net: bool) -> None:
    try:
        for number in (signal.SIGTERM, signal.SIGALRM, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)  # Python ignores some, and a command would inherit that
        confine(options, net)
        os.execvp(command[0], command)
    except BaseException as error:
        os.write(2, f"The command could not be confined: {error}\n".encode())
    finally:
        os._exit(126)


# --- The confinement ------------------------------------------------------------------------------------------------


def confine(options: dict[str, list[str]], net: bool) -> None:
    """Confine this process for good. Raises OSError when any part of it cannot be done."""
    libc = _libc()
    version = abi()
    if version < NEEDED_ABI:
        raise OSError(errno.ENOSYS, "landlock is missing or too old")
    handled_net = _TCP if version >= 4 and not net else 0
    ruleset = _Ruleset(_HANDLED, handled_net, _SCOPES if version >= SIGNAL_ABI else 0)
    size = 24 if version >= SIGNAL_ABI else 16 if version >= 4 else 8
    fd = _checked(libc.syscall(_CREATE_RULESET, ctypes.byref(ruleset), ctypes.c_size_t(size), ctypes.c_uint32(0)))
    for path, access in grants(options):
        _grant(libc, fd, path, access)
    _drop_capabilities(libc)
    _prctl(libc, 38, 1)  # PR_SET_NO_NEW_PRIVS
    _checked(libc.syscall(_RESTRICT_SELF, ctypes.c_int(fd), ctypes.c_uint32(0)))
    os.close(fd)
    _filter_sockets(libc, net)


def grants(options: dict[str, list[str]]) -> Iterator[tuple[str, int]]:
    """The rules. Landlock only grants, and for whole trees: around what is hidden or guarded every neighbour is named.

    So in a folder that holds such a thing, existing files can be changed but no new ones made.
    """
    hidden, guarded = set(options["--hide"]), set(options["--guard"])
    yield "/", _READ_DIR
    yield from ((path, _READ) for path in _around("/", hidden))
    for path in options["--show"]:
        yield from ((each, _READ) for each in _around(path, hidden - {path}))
    for path in options["--write"]:
        yield from ((each, _READ) for each in _around(path, hidden - {path}))
        yield from ((each, _WRITE) for each in _around(path, hidden - {path} | guarded))
    yield from ((f"/dev/{name}", _ON_FILES) for name in _DEVICES)


def _around(top: str, banned: set[str]) -> Iterator[str]:
    """The largest trees in `top` that hold nothing banned."""
    above = {parent for path in banned for parent in _parents(path)}
    waiting = [top]
    while waiting:
        path = waiting.pop()
        if path in banned:
            continue
        if path not in above:
            yield path
            continue
        try:
            with os.scandir(path) as entries:
                waiting += [entry.path for entry in entries if not entry.is_symlink()]
        except OSError:
            pass  # not readable: nothing in it is granted


def _parents(path: str) -> Iterator[str]:
    while path != "/":
        path = os.path.dirname(path)  # noqa: PTH120  (the same)
        yield path


def _grant(libc: ctypes.CDLL, ruleset: int, path: str, access: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return  # gone since
    try:
        folder = os.fstat(fd).st_mode & 0o170000 == 0o040000
        rule = _PathBeneath(access if folder else access & _ON_FILES, fd)
        _checked(
            libc.syscall(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(1), ctypes.byref(rule), ctypes.c_uint32(0))
        )
    finally:
        os.close(fd)


def _drop_capabilities(libc: ctypes.CDLL) -> None:
    """Of root's, keep what makes files of others usable; the rest could look round landlock (raw disks, modules)."""
    if os.geteuid() != 0:
        return
    for number in range(64):
        if not _KEPT_CAPABILITIES >> number & 1:
            libc.prctl(24, number, 0, 0, 0)  # PR_CAPBSET_DROP; EINVAL past the last one
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    kept = _KEPT_CAPABILITIES
    _checked(libc.capset(header, (ctypes.c_uint32 * 6)(kept, kept, 0, 0, 0, 0)))


def _filter_sockets(libc: ctypes.CDLL, net: bool) -> None:
    """Landlock knows TCP only, and no sockets with a path: new sockets are refused as a whole.

    Pairs of connected ones can still be made. With `net`, internet sockets can; local ones never, as docker, dbus and
    key agents listen there. Netlink only tells of interfaces. io_uring would make sockets past this filter.
    """
    machine, socket_call = _MACHINES[os.uname().machine]
    families = (16, 2, 10) if net else (16,)
    allow, refuse, unknown = 0x7FFF0000, 0x00050000 | errno.EACCES, 0x00050000 | errno.ENOSYS
    load, equal, at_least, give = 0x20, 0x15, 0x35, 0x06
    kept = len(families)
    program = [
        (load, 0, 0, 4),  # the architecture
        (equal, 1, 0, machine),
        (give, 0, 0, unknown),
        (load, 0, 0, 0),  # the number of the call
        (at_least, 0, 1, 0x40000000),  # x32
        (give, 0, 0, unknown),
        (equal, 0, 1, _IO_URING_SETUP),
        (give, 0, 0, unknown),
        (equal, 1, 0, socket_call),
        (give, 0, 0, allow),
        (load, 0, 0, 16),  # its first argument
        *((equal, kept - index, 0, family) for index, family in enumerate(families)),
        (give, 0, 0, refuse),
        (give, 0, 0, allow),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
    filter_ = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program), ctypes.addressof(code)))
    _prctl(libc, 22, 2, ctypes.addressof(filter_))  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _prctl(libc: ctypes.CDLL, option: int, value: int, pointer: int = 0) -> None:
    _checked(libc.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(pointer), ctypes.c_ulong(0), ctypes.c_ulong(0)))


def _checked(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
