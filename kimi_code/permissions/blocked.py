"""What the output of a confined command that failed says was blocked. Loaded with the first failure."""

import re

_NETWORK = re.compile(
    r"network is unreachable|could ?n[o']t resolve|temporary failure in name resolution|name or service not known"
    r"|ENOTFOUND|EAI_AGAIN|ENETUNREACH|failed to resolve|no such host|nodename nor servname|dns error|getaddrinfo"
    r"|failed to establish a new connection|(?:failed|couldn't) to connect|couldn't connect"
    r"|cannot assign requested address",
    re.IGNORECASE,
)
_WRITING = re.compile(r"read-only file ?system|EROFS|Errno 30", re.IGNORECASE)
_FORBIDDEN = re.compile(r"permission denied|operation not permitted|EACCES|EPERM|Errno 13\b|Errno 1\b", re.IGNORECASE)
_MOVING = re.compile(r"invalid cross-device link|EXDEV|Errno 18\b", re.IGNORECASE)
_SHOWN = 160


def blocked(output: str, *, net: bool, enclosed: bool = False) -> str:
    """What the output of a confined command that failed says was blocked, in a line for the model; "" if nothing.

    It may ask to run the command unconfined, unless it is `enclosed`.
    """
    if _MOVING.search(output):
        return "[Folders of this working copy cannot be renamed in one step: use mv, then git add, and not git mv.]"
    for what, pattern in (
        ("writing there", _WRITING),
        ("the network", None if net else _NETWORK),
        ("that access", _FORBIDDEN),
    ):
        line = next((line for line in reversed(output.splitlines()) if pattern and pattern.search(line)), None)
        if line is not None:
            advice = (
                "Nothing runs unconfined in this isolated copy: do without it."
                if enclosed
                else "If the task needs it, send the command again with unconfined: true, which needs permission."
            )
            return f"[This ran confined, and {what} was blocked, it seems: {line.strip()[:_SHOWN]!r}. {advice}]"
    return ""
