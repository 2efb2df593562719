"""Bytes to text and back without losing one: encodings, line endings, binary files, what others print."""

import codecs
import re
from typing import Literal

from kimi_code.values import frozen

EncodingName = Literal["utf-8", "utf-16-le", "utf-16-be", "latin-1"]


@frozen
class Encoding:
    """How a file's text is stored; `bom` is the byte order mark it starts with, or nothing."""

    name: EncodingName = "utf-8"
    bom: bytes = b""

    @property
    def label(self) -> str:
        """The name for people and models; empty for plain UTF-8, which needs no mention."""
        if self.name == "utf-8":
            return "UTF-8 with BOM" if self.bom else ""
        return "Latin-1" if self.name == "latin-1" else "UTF-16"


@frozen
class Decoded:
    """A file's text, and what is needed to turn it back into the same bytes."""

    text: str
    encoding: Encoding


UTF8 = Encoding()

_BOMS = (
    Encoding("utf-8", codecs.BOM_UTF8),
    Encoding("utf-16-le", codecs.BOM_UTF16_LE),
    Encoding("utf-16-be", codecs.BOM_UTF16_BE),
)

# What text in an 8-bit encoding does not contain: C0 controls but tab, line feed, form feed, return, backspace, escape.
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\f\r\b\x1b")) + b"\x7f"

_SIGNATURES = (
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"RIFF", "a media file"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive (or a document or package built as one)"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"\x7fELF", "an ELF executable or library"),
    (b"MZ", "a Windows executable"),
    (b"\xcf\xfa\xed\xfe", "a macOS executable or library"),
    (b"\xca\xfe\xba\xbe", "a Java class or macOS executable"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"\x00asm", "a WebAssembly module"),
    (b"wOF", "a web font"),
)


def decode(content: bytes, *, whole: bool = True) -> Decoded | None:
    """The text of `content`, None when it is binary. `encode(text, encoding)` gives the same bytes again.

    Tried in this order: byte order marks, UTF-8, UTF-16 told by its zero bytes, Latin-1. NUL characters mean binary,
    and so does a known signature in front of what is not UTF-8. Without `whole`, the last character may be cut.
    """
    for encoding in (*(e for e in _BOMS if content.startswith(e.bom)), UTF8, *_bare_utf16(content, whole)):
        text = _decode_as(content, encoding, whole)
        if text is not None:
            return None if "\0" in text else Decoded(text, encoding)
    if not _is_latin(content):
        return None
    return Decoded(content.decode("latin-1"), Encoding("latin-1"))


def detect(head: bytes) -> Encoding | None:
    """The encoding of a file too big to read whole, by its first kilobytes (cut anywhere); None when it is binary."""
    decoded = decode(head, whole=False)
    return decoded.encoding if decoded else None


def encode(text: str, encoding: Encoding) -> bytes:
    """`text` as bytes; raises UnicodeEncodeError for characters that `encoding` does not have."""
    return encoding.bom + text.encode(encoding.name)


def binary_kind(head: bytes) -> str:
    """What a binary file seems to be, with its article."""
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "a WebP image"
    return next((kind for signature, kind in _SIGNATURES if head.startswith(signature)), "a binary file")


def line_ending(text: str) -> str:
    """The line ending most lines of `text` have: LF where there is none or as many."""
    crlf = text.count("\r\n")
    return "\r\n" if crlf * 2 > text.count("\n") else "\n"


def with_line_ending(text: str, ending: str) -> str:
    """`text` with its bare line feeds written as `ending`."""
    return text if ending == "\n" else re.sub(r"(?<!\r)\n", ending, text)


def _decode_as(content: bytes, encoding: Encoding, whole: bool) -> str | None:
    try:
        return codecs.getincrementaldecoder(encoding.name)().decode(content[len(encoding.bom) :], whole)
    except UnicodeDecodeError:
        return None


def _bare_utf16(content: bytes, whole: bool) -> tuple[Encoding, ...]:
    """UTF-16 without a mark, where one byte of most pairs is zero and the other never is."""
    if (whole and len(content) % 2) or len(content) < 4 or b"\0" not in content:
        return ()
    even, odd = content[::2].count(0), content[1::2].count(0)
    if even == 0 and odd * 5 > len(content):
        return (Encoding("utf-16-le"),)
    if odd == 0 and even * 5 > len(content):
        return (Encoding("utf-16-be"),)
    return ()


def _is_latin(content: bytes) -> bool:
    if b"\0" in content or binary_kind(content) != "a binary file":
        return False
    controls = len(content) - len(content.translate(None, _CONTROLS))
    return controls * 20 <= len(content)
