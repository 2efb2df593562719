"""Images for models that see: what a file is by its first bytes, how large it may be, and a copy that stays."""

import struct
from hashlib import blake2b
from pathlib import Path

from kimi_code.errors import UsageError
from kimi_code.messages import Image

# What providers take. Larger ones are refused with words: shrinking needs a library of its own.
BYTES_MOST = 5 * 1024 * 1024
SIDE_MOST = 4_096  # pixels
SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".webp")
_ENDINGS = {"image/png": ".png", "image/jpeg": ".jpg", "image/gif": ".gif", "image/webp": ".webp"}


def media_type(content: bytes) -> str:
    """image/png, image/jpeg, image/gif or image/webp by the first bytes; "" for anything else."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    return "image/webp" if content[:4] == b"RIFF" and content[8:12] == b"WEBP" else ""


def dimensions(content: bytes) -> tuple[int, int]:
    """Width and height in pixels as the header says; (0, 0) where it is broken."""
    try:
        match media_type(content):
            case "image/png":
                return struct.unpack(">II", content[16:24])
            case "image/gif":
                return struct.unpack("<HH", content[6:10])
            case "image/jpeg":
                return _jpeg(content)
            case "image/webp":
                return _webp(content)
            case _:
                return 0, 0
    except (struct.error, IndexError):
        return 0, 0


def _jpeg(content: bytes) -> tuple[int, int]:
    """Of the first frame header (SOF); ITU T.81, B.2.2."""
    at = 2
    while content[at] == 0xFF:
        marker = content[at + 1]
        if marker == 0xFF:  # fill bytes
            at += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", content[at + 5 : at + 9])
            return width, height
        at += 2 + struct.unpack(">H", content[at + 2 : at + 4])[0]
    return 0, 0


def _webp(content: bytes) -> tuple[int, int]:
    """RFC 9649, sections 2.5 to 2.7."""
    match content[12:16]:
        case b"VP8X":
            return 1 + int.from_bytes(content[24:27], "little"), 1 + int.from_bytes(content[27:30], "little")
        case b"VP8L":
            bits = int.from_bytes(content[21:25], "little")
            return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        case b"VP8 ":
            width, height = struct.unpack("<HH", content[26:30])
            return width & 0x3FFF, height & 0x3FFF
        case _:
            return 0, 0


def keep(content: bytes, name: str, folder: Path) -> Image:
    """A copy of the image in `folder`, which outlives the file it came from; `name` is how it is called.

    Raises:
        UsageError: it is no image that models take, or too large; OSError: it cannot be written.
    """
    kind, (width, height) = media_type(content), dimensions(content)
    if not kind or not width or not height:
        raise UsageError(f"{name} is no image that models can see.", hint="PNG, JPEG, GIF and WebP can be sent.")
    if len(content) > BYTES_MOST or max(width, height) > SIDE_MOST:
        size = f"{width} x {height} pixels and {len(content) / 1e6:.1f} MB"
        raise UsageError(
            f"{name} has {size}; images may have {SIDE_MOST} pixels a side and {BYTES_MOST / 1e6:.1f} MB.",
            hint="Make it smaller, or cut out what matters.",
        )
    file = folder / f"{blake2b(content, digest_size=12).hexdigest()}{_ENDINGS[kind]}"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        fresh = file.with_suffix(".new")
        fresh.write_bytes(content)
        fresh.replace(file)
    return Image(str(file), kind, name, width, height)


def read(path: Path, folder: Path) -> Image:
    """The image at `path`, kept in `folder`. Raises UsageError when it cannot be read or sent."""
    try:
        if path.stat().st_size > 20 * BYTES_MOST or not path.is_file():
            raise UsageError(f"{path} is no image file, or far too large.")
        return keep(path.read_bytes(), path.name, folder)
    except OSError as error:
        raise UsageError(f"The image {path} cannot be read: {error.strerror or error}.") from None
