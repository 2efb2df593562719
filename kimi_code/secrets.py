"""Secrets taken out of text that is stored or shown: values known by heart, and whatever looks like a key."""

import json
import re
from collections.abc import Iterable

PLACEHOLDER = "[secret]"
_SHORTEST = 8  # shorter values are words or port numbers: replacing them would spoil the text

# A text with none of these holds no known shape, and most texts hold none: this is far cheaper than the pattern.
_MARKERS = (
    *("sk-", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "hf_", "xox"),
    *("AKIA", "ASIA", "AIza", "eyJ", "PRIVATE KEY-----", "earer ", "EARER "),
)

# A key begins where no word goes on; in JSON's text the `n` of an escaped newline is no word.
_SHAPES = re.compile(
    r"""
    (?: (?<![A-Za-z0-9]) | (?<=\\[nrt]) )
    (?:
      sk-[A-Za-z0-9_-]{16,}
    | gh[pousr]_[A-Za-z0-9]{20,}
    | github_pat_[A-Za-z0-9_]{20,}
    | glpat-[A-Za-z0-9_-]{16,}
    | hf_[A-Za-z0-9]{30,}
    | xox[a-z]-[A-Za-z0-9-]{10,}
    | (?:AKIA|ASIA)[A-Z0-9]{16}
    | AIza[A-Za-z0-9_-]{30,}
    | eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*
    | (?P<bearer>[Bb](?:earer|EARER)\s{1,8})[\w.~+/=-]{16,}
    | -----BEGIN\ (?:[A-Z]+\ ){0,3}PRIVATE\ KEY-----
      (?: (?:[^"-]|-(?!----)){0,16384}-----END\ (?:[A-Z]+\ ){0,3}PRIVATE\ KEY-----
        | (?:(?:\s|\\[nr])*[A-Za-z0-9+/=]{20,})* )
    )
    """,
    re.VERBOSE,
)

# Every length is bounded, or a long line without an end would cost its square.
_URL_PASSWORD = re.compile(r"""(://[^\s/:@"']{0,256}:)[^\s/@"']{1,512}(?=@)""")


class Scrubber:
    """Replaces `values` (of 8 characters or more) and known shapes of keys by `[secret]`.

    Known: keys of OpenAI-like APIs, GitHub, GitLab, Hugging Face, Slack, AWS and Google; web tokens (JWT), bearer
    tokens, private keys, passwords in URLs. Text that is JSON stays JSON. Scrubbing twice is scrubbing once.
    """

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values: tuple[str, ...] = ()
        self.learn(*values)

    def learn(self, *values: str) -> None:
        """Replace these too from now on."""
        known = {value for value in values if len(value) >= _SHORTEST and value not in PLACEHOLDER}
        # The same value looks different inside JSON when it has quotes, backslashes or letters beyond ASCII.
        known |= {json.dumps(value, ensure_ascii=ascii)[1:-1] for value in known for ascii in (True, False)}
        self._values = tuple(sorted({*self._values, *known}, key=lambda value: (-len(value), value)))

    def scrub(self, text: str) -> str:
        """`text` without its secrets."""
        for value in self._values:
            if value in text:
                text = text.replace(value, PLACEHOLDER)
        for marker in _MARKERS:  # no generator: every line of every agent comes by here
            if marker in text:
                text = _SHAPES.sub(lambda match: (match["bearer"] or "") + PLACEHOLDER, text)
                break
        if "://" in text and "@" in text:
            text = _URL_PASSWORD.sub(rf"\1{PLACEHOLDER}", text)
        return text
