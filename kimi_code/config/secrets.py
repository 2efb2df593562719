"""Which strings are secrets, and how they are hidden in what leaves the machine."""

import re
from collections.abc import Iterable, Mapping

HIDDEN = "[secret]"

_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL", re.IGNORECASE)
# Keys that are known by their form: OpenAI-like, GitHub, Slack, AWS, Google, bearer headers, private key blocks.
_FORM = re.compile(
    r"\bsk-[A-Za-z0-9_-]{16,}"
    r"|\bgh[pousr]_[A-Za-z0-9]{30,}|\bgithub_pat_[A-Za-z0-9_]{30,}"
    r"|\bxox[abprs]-[A-Za-z0-9-]{10,}"
    r"|\bAKIA[0-9A-Z]{16}\b"
    r"|\bAIza[0-9A-Za-z_-]{35}"
    r"|(?<=[Bb]earer )[A-Za-z0-9._~+/-]{16,}=*"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----",
    re.DOTALL,
)


def secrets_of(env: Mapping[str, str]) -> tuple[str, ...]:
    """Values of variables that are named like secrets, longest first; short ones are flags, not secrets."""
    values = {value.strip() for name, value in env.items() if _NAME.search(name)}
    return tuple(sorted((value for value in values if len(value) >= 8), key=len, reverse=True))


def hide(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without `secrets` and without anything that looks like a key."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return _FORM.sub(HIDDEN, text)


def mask(key: str) -> str:
    """A key so that its owner knows it again: the last four characters, of a key long enough to spare them."""
    return f"…{key[-4:]}" if len(key) >= 12 else "…"
