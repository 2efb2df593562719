"""Where a path really leads: symlinks followed, inside the workspace or not, sensitive or not."""

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path, PurePath

from kimi_code.values import frozen

# Names that hold secrets wherever they are. Matched on each part of the path, without regard to case.
_SENSITIVE_NAME = re.compile(
    r"""^(?:
        \.env(?:\..+)? | .+\.env | \.envrc | \.netrc | _netrc | \.pgpass | \.my\.cnf | \.htpasswd | \.npmrc | \.pypirc
      | \.git-credentials | \.dockercfg | \.vault-token | \.kube | \.ssh | \.gnupg | \.aws | \.azure | \.gcloud
      | id_(?:rsa|dsa|ecdsa|ed25519)(?:_sk)? (?:\..+)? | .+\.(?:pem|key|p12|pfx|jks|keystore|kdbx|ppk|asc)
      | credentials(?:\.(?:json|ya?ml|toml|ini|xml|txt|db))? | secrets?\.(?:json|ya?ml|toml|ini|env|txt)
      | service[-_]account.*\.json | client_secret.*\.json | \.docker
    )$""",
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)
# Examples and public halves of the same shape are no secrets.
_HARMLESS_NAME = re.compile(r"^(?:\.env\.(?:example|sample|template|dist|defaults?)|.+\.pub)$", re.IGNORECASE)
_HOME_PARTS = ((".config", "gh"), (".config", "gcloud"), (".config", "op"), (".local", "share", "keyrings"))
_SYSTEM = re.compile(r"^/(?:etc/(?:shadow|gshadow|sudoers)|proc/(?:\d+|self|thread-self)/(?:environ|mem|fd|root)\b)")


@frozen
class Boundary:
    """What the agent may work in. All paths absolute with symlinks resolved.

    `roots` are the workspace's folders, `own` are folders of this program (data, configuration), of which only
    those in `readable` may be read freely (the session's own spill files). `follow` resolves a path where not the
    system's own files are meant but those of an isolated copy; it raises as `resolve` does.
    """

    roots: tuple[Path, ...]
    own: tuple[Path, ...] = ()
    readable: tuple[Path, ...] = ()
    follow: Callable[[str], Path] | None = None


@frozen
class Place:
    """What is known about a path: `real` has every symlink followed; `sensitive` says why, "" if it is not."""

    real: Path
    inside: bool
    sensitive: str = ""
    readable: bool = False


def resolve(path: str, base: Path) -> Path:
    """`path` as the system would reach it from `base`: ~ expanded, every symlink followed; it need not exist.

    Raises OSError for a symlink loop and ValueError for NUL bytes.
    """
    if "\0" in path:
        raise ValueError("the path contains a NUL byte")
    joined = base / os.path.expanduser(path)
    real = Path(os.path.realpath(joined))
    if real.is_symlink():  # realpath gives up on a loop and returns a link
        raise OSError(f"{path} is a loop of symbolic links")
    return real


def locate(path: str, boundary: Boundary) -> Place:
    """Resolve `path` (relative ones against the first root) and say where it is."""
    lexical = PurePath(os.path.normpath(boundary.roots[0] / os.path.expanduser(path)))
    real = boundary.follow(path) if boundary.follow else resolve(path, boundary.roots[0])
    inside = any(_within(real, root) for root in boundary.roots)
    readable = any(_within(real, folder) for folder in boundary.readable)
    sensitive = "" if readable else _sensitive(real, boundary)
    if not readable and not sensitive and str(lexical) != str(real):
        sensitive = _sensitive(lexical, boundary)
    return Place(real, inside, sensitive, readable)


def _within(path: PurePath, folder: PurePath) -> bool:
    if os.name == "nt":  # without regard to case
        return path == folder or folder in path.parents
    # As text: a hundred agents ask this a dozen times for each call.
    inner, outer = str(path), str(folder)
    return inner == outer or inner.startswith(outer if outer == "/" else f"{outer}/")


def _sensitive(path: PurePath, boundary: Boundary) -> str:
    if any(_within(path, folder) for folder in boundary.own):
        return "this program's own data"
    if _SYSTEM.match(path.as_posix()):
        return "a system secret"
    parts = _below_roots(path, boundary)
    for part in parts:
        # On file systems without case, .GIT/hooks is .git/hooks.
        folded = part.casefold()
        if folded == ".git":
            return "git's internals"
        if folded == ".kimi-code":
            return "this program's project settings"
    name = find_secret(parts)
    if name:
        return f"{name} may hold secrets"
    if any(_contains(path.parts, run) for run in _HOME_PARTS):
        return "a credential store"
    return ""


def _below_roots(path: PurePath, boundary: Boundary) -> tuple[str, ...]:
    # A workspace that itself lies below, say, ~/.aws was chosen by the user; only what is inside it is judged.
    for root in boundary.roots:
        if _within(path, root):
            return path.relative_to(root).parts
    return path.parts


def may_hold_secrets(name: str) -> bool:
    """Whether a file or folder of this name may hold secrets wherever it is."""
    return find_secret((name,)) != ""


def find_secret(names: Iterable[str]) -> str:
    """The first of these names that may hold secrets, else ""; fast for many names."""
    return next(
        (found[0] for found in _SENSITIVE_NAME.finditer("\n".join(names)) if not _HARMLESS_NAME.match(found[0])), ""
    )


def _contains(parts: tuple[str, ...], run: tuple[str, ...]) -> bool:
    return any(parts[i : i + len(run)] == run for i in range(len(parts) - len(run) + 1))
