"""Which addresses of servers and proxies can never work: known without asking anybody. Pure."""

from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")
_LONGEST_LABEL = 63  # of a host's name (RFC 1035)


def url_problem(url: str) -> str:
    """Why `url` can be no server's: the end of a sentence that begins with it; "" when it may be one."""
    parts = _split(url)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        return "is none: it must look like https://host/v1"
    if parts.username or parts.password:
        return "must not carry a password: use the key or a header"
    return ""


def without_password(url: str) -> str:
    """The URL as it may be shown."""
    scheme, separator, rest = url.rpartition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}"


def proxy_problem(environment: Mapping[str, str]) -> str:
    """What is wrong with the first proxy of the environment that can be none, named; "" when they may work."""
    for name in _PROXIES:
        # As urllib.request reads them: the small ones win.
        given = next((key for key in (name, name.upper()) if key in environment), "")
        address = environment.get(given, "").strip()
        if "://" in address:
            parts = _split(address)
            if parts is None or parts.scheme not in _PROXY_SCHEMES:
                return f"{given}: {without_password(address)!r} is no proxy: it must look like http://host:port"
    return ""


def _split(url: str) -> SplitResult | None:
    """The parts of a URL; None where no client could read them."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # which is read only now
        host = parts.hostname or ""
        labels = host.removesuffix(".").split(".") if host.isascii() else _encoded(host)
    except ValueError:
        return None
    return None if host and not all(0 < len(label) <= _LONGEST_LABEL for label in labels) else parts


def _encoded(host: str) -> list[str]:
    """The labels of a name in other letters, as it will be looked up. Raises ValueError."""
    return host.encode("idna").decode().removesuffix(".").split(".")
