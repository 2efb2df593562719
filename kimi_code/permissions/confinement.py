"""What isolates working copies on this machine: which bwrap makes mounts, tried once per boot, and their sandboxes."""

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kimi_code.permissions.findings import recall, remember
from kimi_code.permissions.paths import Boundary
from kimi_code.permissions.sandbox import Found, Mechanism, Sandbox, bwraps, machine
from kimi_code.repo.checkouts.ground import Ground, GroundError, mount_now
from kimi_code.values import frozen

_TIMEOUT = 10.0  # seconds


@frozen
class Mounts:
    """The bwrap that makes overlays, and one that makes bind mounts: () where there is none, and `reason` says why."""

    overlay: tuple[str, ...] = ()
    bind: tuple[str, ...] = ()
    reason: str = ""


@frozen
class Confinement:
    """How copies are isolated. `own` are this program's folders; the rest is as for `Sandbox`."""

    found: Found
    mounts: Mounts
    own: tuple[Path, ...]
    caches: Sequence[Path] = ()
    net: bool = False
    environment: Mapping[str, str] | None = None

    @property
    def mechanism(self) -> Mechanism | None:
        return self.found.mechanism

    def sandbox(self, ground: Ground, readable: Sequence[Path], hidden: Sequence[Path]) -> Sandbox | None:
        """The sandbox of one copy's commands; None where they cannot be confined."""
        boundary = Boundary((ground.top,), (*self.own, *hidden), tuple(readable))
        environment = os.environ if self.environment is None else self.environment
        sandbox = Sandbox(
            self.found, boundary, caches=self.caches, net=self.net, environment=environment, ground=ground
        )
        return sandbox if sandbox.usable else None


def find_mounts(found: Found, data_dir: Path) -> Mounts:
    """What works here together with the mechanism that was found; kept in `data_dir` until the next boot. Blocks."""
    if found.mechanism != "bwrap":
        return Mounts(reason=f"commands are confined by {found.mechanism or 'nothing'}")
    memory, key = data_dir / "mounts.json", f"{machine('bwrap')}\n{found.command}\n{data_dir}"
    mounts = recall(memory, key, _read)
    if mounts is None:
        mounts = _try_all(found, data_dir)
        remember(memory, key, {"overlay": mounts.overlay, "bind": mounts.bind, "reason": mounts.reason})
    return mounts


def _read(stored: Mapping[str, Any]) -> Mounts:
    return Mounts(tuple(stored["overlay"]), tuple(stored["bind"]), stored["reason"])


def _try_all(found: Found, data_dir: Path) -> Mounts:
    overlay: tuple[str, ...] = ()
    bind: tuple[str, ...] = ()
    reason = ""
    for program in bwraps():
        if not bind and not (reason := _trouble(found, program, data_dir, overlay=False)):
            bind = (program,)
        if not overlay and not (reason := _trouble(found, program, data_dir, overlay=True)):
            overlay = (program,)
    return Mounts(overlay, bind, "" if overlay else reason)


def _trouble(found: Found, program: str, data_dir: Path, *, overlay: bool) -> str:
    """Why a command confined in such a mount does not work here; "" when it writes where it should and only there."""
    data_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="kimi-code-probe-", dir=data_dir) as name:
        top = Path(os.path.realpath(name))
        for folder in ("base", "upper", "work", "seen"):
            (top / folder).mkdir()
        for path in (top / "base" / "file", top / "base" / "old", top / "seen" / "mine"):
            path.write_text("as it was")
        seen = top / "seen"
        words = ["--overlay-src", str(top / "base"), "--overlay", str(top / "upper"), str(top / "work"), str(seen)]
        try:
            ground = mount_now([program], words if overlay else ["--bind", str(top / "base"), str(seen)], seen)
        except GroundError as error:
            return str(error)
        try:
            return _try_command(found, ground, top, overlay=overlay)
        finally:
            ground.close()
            _open_up(top / "work")


def _try_command(found: Found, ground: Ground, top: Path, *, overlay: bool) -> str:
    sandbox = Sandbox(found, Boundary((ground.top,)), environment={"PATH": os.defpath, "HOME": str(top)}, ground=ground)
    script = f"echo new > file && rm old && echo x > made; echo x > '{top}/seen/deep'; echo x > '{top}/outer'; true"
    try:
        launch = sandbox.launch(["/bin/sh", "-c", script], ground.top, {"PATH": os.defpath})
        argv, cwd = ground.enter(launch.argv, ground.top)
        ran = subprocess.run(
            argv,
            env=dict(launch.env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    finally:
        sandbox.close()
    if ran.returncode:
        said = ran.stderr.decode(errors="replace").strip().splitlines()
        return said[0] if said else f"exit code {ran.returncode}"
    if [path.name for path in ground.top.iterdir()] != ["mine"] or (top / "outer").exists():
        return "a command could write outside its copy"
    if overlay and sorted(path.name for path in (top / "base").iterdir()) != ["file", "old"]:
        return "a command could write to the files that copies share"
    names = {path.name for path in ground.at(ground.top).iterdir()}
    return "" if names == {"file", "made", "deep"} else "a command's changes are not to be seen"


def _open_up(work: Path) -> None:
    """The kernel leaves a folder there that nobody may look into, so that it could not be removed."""
    for path in work.iterdir():
        path.chmod(0o700)
