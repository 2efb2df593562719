"""Where secrets and sockets are that no confined command may reach: in the home folder, the system, the workspace."""

import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kimi_code.errors import ToolError
from kimi_code.permissions.paths import may_hold_secrets
from kimi_code.values import frozen

MOST_ENTRIES = 400_000  # of a workspace; a walk of more takes longer than a command may be kept waiting
_SETTLED = 1.0  # seconds after which a folder's unchanged modification time means an unchanged folder
_MOST_READ = 1 << 20

# Below a home folder. Folders are hidden whole; what does not exist costs a system call.
HOME_SECRETS = (
    ".ssh", ".gnupg", ".pki", ".age", ".netrc", "_netrc", ".git-credentials", ".config/git/credentials",
    ".vault-token", ".config/sops",
    ".aws", ".azure", ".kube", ".docker", ".config/gcloud", ".config/containers/auth.json", ".s3cfg", ".boto",
    ".databrickscfg", ".config/doctl", ".config/heroku", ".config/stripe", ".config/rclone", ".fly", ".terraformrc",
    ".terraform.d", ".config/pulumi", ".pulumi",
    ".npmrc", ".yarnrc.yml", ".pypirc", ".cargo/credentials", ".cargo/credentials.toml", ".gem/credentials",
    ".m2/settings.xml", ".m2/settings-security.xml", ".gradle/gradle.properties", ".composer/auth.json",
    ".config/composer", ".subversion/auth",
    ".pgpass", ".my.cnf", ".huggingface", ".cache/huggingface/token",
    ".config/gh", ".config/hub", ".config/glab-cli", ".config/github-copilot",
    ".password-store", ".1password", ".config/op", ".config/1Password", ".config/Bitwarden", ".config/keepassxc",
    ".local/share/keyrings", ".local/share/kwalletd",
    ".electrum", ".bitcoin", ".ethereum", ".config/solana",
    ".claude", ".claude.json", ".codex", ".gemini", ".kimi", ".kimi-code", ".config/anthropic", ".config/openai",
    ".mozilla", ".thunderbird", ".config/google-chrome", ".config/chromium", ".config/BraveSoftware",
    ".config/vivaldi", ".config/microsoft-edge", ".config/opera", ".config/Signal", ".config/Slack",
    ".config/discord", ".zoom",
    ".bash_history", ".zsh_history", ".local/share/fish/fish_history", ".python_history", ".node_repl_history",
    ".psql_history", ".mysql_history", ".rediscli_history", ".sqlite_history", ".lesshst", ".viminfo",
    ".Xauthority", ".ICEauthority", ".colima", ".lima", ".rd", ".minikube", ".tsh",
)  # fmt: skip
# Hidden only when a URL in them carries a user or a password: they also say which index to use.
_HOME_INDEXES = (".pip/pip.conf", ".config/pip/pip.conf", ".config/uv/uv.toml", ".config/pypoetry/auth.toml")
SYSTEM_SECRETS = (
    "/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/sudoers", "/etc/sudoers.d",
    "/etc/ssl/private", "/etc/krb5.keytab", "/etc/NetworkManager/system-connections", "/etc/wireguard",
    "/etc/openvpn", "/etc/letsencrypt",
    "/etc/kubernetes", "/etc/docker/key.json", "/etc/rancher", "/var/lib/docker", "/var/lib/containerd",
    "/var/lib/kubelet", "/var/spool/cron",
)  # fmt: skip
_SOCKET_VARIABLES = ("SSH_AUTH_SOCK", "DOCKER_HOST", "DBUS_SESSION_BUS_ADDRESS", "GPG_AGENT_INFO", "CONTAINER_HOST")


def places(homes: Iterable[Path], env: Mapping[str, str]) -> tuple[str, ...]:
    """Where secrets and sockets may be that are not of the workspace."""
    named = [Path(path) for path in SYSTEM_SECRETS]
    named += Path("/etc/ssh").glob("ssh_host_*_key") if _reachable(Path("/etc/ssh")) else ()
    for home in homes:
        named += [home / name for name in HOME_SECRETS]
        named += [home / name for name in _HOME_INDEXES if _mentions(home / name, b"@")]
        for folder in (home, home / ".config"):
            named += [folder / name for name in _names(folder) if may_hold_secrets(name)]
    return tuple(dict.fromkeys(str(path) for path in (*named, *_sockets(env))))


def present(places: Iterable[str]) -> Iterator[Path]:
    """Those that are there now and this user could reach, resolved."""
    return (Path(os.path.realpath(path)) for path in places if _reachable(path))


def homes(env: Mapping[str, str]) -> tuple[Path, ...]:
    """The user's home folder by every way it is known; for root everybody's, as root reads them all."""
    found = [Path(env["HOME"])] if env.get("HOME") else []
    found.append(Path(os.path.expanduser("~")))
    if hasattr(os, "getuid"):
        import pwd

        try:
            found.append(Path(pwd.getpwuid(os.getuid()).pw_dir))
        except KeyError:  # a container's user without an entry
            pass
        if os.getuid() == 0:
            found += [Path("/root"), *(Path("/home", name) for name in _names(Path("/home")))]
    resolved = (Path(os.path.realpath(path)) for path in found if path.is_absolute())
    return tuple(dict.fromkeys(path for path in resolved if path != Path(path.anchor)))


def _sockets(env: Mapping[str, str]) -> Iterator[Path]:
    for name in _SOCKET_VARIABLES:
        for part in env.get(name, "").replace(";", ",").split(","):
            path = part.rpartition("=")[2].removeprefix("unix://").partition(":")[0]
            if path.startswith("/"):
                yield Path(path)


def _names(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir())
    except OSError:
        return []


def _reachable(path: str | Path) -> bool:
    # A socket needs writing only. What this user cannot reach, a confined command cannot either.
    return os.access(path, os.R_OK) or os.access(path, os.W_OK)


def _mentions(path: Path, *words: bytes) -> bool:
    """Whether a file contains one of the words; yes for one too long to look through."""
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_READ + 1)
    except OSError:
        return False
    return len(content) > _MOST_READ or any(word in content for word in words)


# --- The workspace --------------------------------------------------------------------------------------------------


@frozen
class Found:
    """What is in a workspace: `hidden` may hold secrets, `guarded` may be read and not changed (.git, .kimi-code)."""

    hidden: tuple[Path, ...]
    guarded: tuple[Path, ...]


@frozen
class _Folder:
    changed: int
    folders: tuple[str, ...]
    hidden: tuple[str, ...]
    guarded: tuple[str, ...]
    entries: int


@dataclass(slots=True)
class Search:
    """Looks through a workspace; folders that did not change since are not read again (a stat of each suffices).

    `real` follows the symlinks of a path that was found, and says it as a command would.
    """

    roots: tuple[Path, ...]
    most: int = MOST_ENTRIES
    real: Callable[[str], str] = os.path.realpath
    _known: dict[str, _Folder] = field(default_factory=dict[str, _Folder])

    def look(self) -> Found:
        """What is there now. Blocks on the disk. Raises ToolError when the workspace is too large to be searched."""
        hidden: list[str] = []
        guarded: list[str] = []
        known: dict[str, _Folder] = {}
        waiting = [str(root) for root in self.roots]
        entries = 0
        while waiting:
            path = waiting.pop()
            folder = None if path in known else self._folder(path)
            if folder is None:
                continue
            known[path] = folder
            entries += folder.entries
            if entries > self.most:
                raise ToolError(
                    f"This cannot run confined: the workspace has more than {self.most} files, so what must be hidden "
                    "in it cannot be found. Work in a smaller folder, or ask for it with unconfined: true."
                )
            waiting += [f"{path}/{name}" for name in folder.folders]
            hidden += [f"{path}/{name}" for name in folder.hidden]
            guarded += [f"{path}/{name}" for name in folder.guarded]
        self._known = known
        files = [Path(self.real(path)) for path in hidden if _is_secret(path)]
        return Found(
            tuple(dict.fromkeys((*files, *self._other_names(files)))),
            tuple(Path(self.real(path)) for path in sorted(guarded)),
        )

    def _folder(self, path: str) -> _Folder | None:
        try:
            changed = os.stat(path).st_mtime_ns  # noqa: PTH116  (hot)
            known = self._known.get(path)
            if known is not None and known.changed == changed:
                return known
            folder = _read(path, changed)
        except OSError:
            return None  # gone, or not readable: then not by the command either
        if time.time_ns() - changed < _SETTLED * 1e9:
            # It may change once more within the clock's resolution: to be read again.
            return _Folder(0, folder.folders, folder.hidden, folder.guarded, folder.entries)
        return folder

    def _other_names(self, files: list[Path]) -> Iterator[Path]:
        """Hard links: other names of the same files."""
        linked = {
            (found.st_dev, found.st_ino)
            for path in files
            if (found := _status(path)) and stat.S_ISREG(found.st_mode) and found.st_nlink > 1
        }
        if not linked:
            return
        inodes = {inode for _, inode in linked}
        for folder in self._known:
            try:
                entries = list(os.scandir(folder))
            except OSError:
                continue
            for entry in entries:
                found = _status(Path(entry.path)) if entry.inode() in inodes else None
                if found is not None and (found.st_dev, found.st_ino) in linked:
                    yield Path(self.real(entry.path))


def _read(path: str, changed: int) -> _Folder:
    folders: list[str] = []
    hidden: list[str] = []
    guarded: list[str] = []
    count = 0
    with os.scandir(path) as entries:
        for entry in entries:
            count += 1
            name = entry.name
            folder = entry.is_dir(follow_symlinks=False)
            if name.lower() in (".git", ".kimi-code"):
                guarded.append(name)
            elif may_hold_secrets(name) and not (folder and _is_ordinary_folder(entry)):
                hidden.append(name)
            elif folder:
                folders.append(name)
    return _Folder(changed, tuple(folders), tuple(hidden), tuple(guarded), count)


def _is_ordinary_folder(entry: os.DirEntry[str]) -> bool:
    # A package called credentials, a certificate bundle called x.key, and the virtual environment called .env.
    return not entry.name.startswith(".") or Path(entry.path, "pyvenv.cfg").exists()


def _is_secret(path: str) -> bool:
    """Whether what `path` names may hold a secret."""
    if path.lower().endswith((".pem", ".asc")) and not _mentions(Path(path), b"PRIVATE KEY"):
        return False  # certificates and signatures are public, and tools need them
    return _reachable(path)


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except OSError:
        return None
