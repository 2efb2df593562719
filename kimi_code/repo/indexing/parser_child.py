"""The child of `parser_process`: reads and parses the files it is told, until its standard input ends.

A frame is two lengths (big-endian, 4 bytes each), that many bytes of JSON, then that many bytes of anything. A file
that crashes it takes nothing else along.
"""

import gc
import json
import os
import stat
import struct
import sys
import time
from dataclasses import replace
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from kimi_code.repo.indexing.facts import make_facts, pack_facts
from kimi_code.repo.symbols import LARGEST, SLOWEST, FileSymbols, analyse

LENGTHS = struct.Struct(">II")
_ENCODER = json.JSONEncoder(separators=(",", ":"), check_circular=False)
_PRIORITY = 10
_HELD_BACK = 0.03  # seconds that answers are collected: each piece wakes our parent up
_SETTLED_NS = 50_000_000  # a clock of files ticks every few milliseconds
_COARSE_NS = 2_000_000_000  # and some file systems count only seconds
_OPEN = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def pack(header: object, body: bytes = b"") -> bytes:
    """A frame."""
    encoded = _ENCODER.encode(header).encode()
    return LENGTHS.pack(len(encoded), len(body)) + encoded + body


def fingerprint(content: bytes) -> str:
    """What tells one content from another."""
    return sha256(content).hexdigest()[:32]  # processors have instructions for it


def settled_mtime(mtime: int, now_ns: int) -> int:
    """The time of a file's change, 0 when it could change again without being given another time."""
    return 0 if now_ns - mtime < (_SETTLED_NS if mtime % 1_000_000_000 else _COARSE_NS) else mtime


def describe_content(path: Path) -> tuple[int, int, str]:
    """Size, settled time of change and digest of a regular file. Raises OSError."""
    status, mtime_ns, content = _read(str(path))
    return status.st_size, mtime_ns, str(status.st_size) if content is None else fingerprint(content)


def main() -> None:
    """Answer batches of files, one by one; the first frame says that it is ready.

    A file is its path, the digest that is known, and where its content is in the frame, the length of that.
    """
    frames_out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # whoever prints does not break a frame
    if hasattr(os, "nice"):
        os.nice(_PRIORITY)
    gc.freeze()
    gc.set_threshold(50_000)  # what a file leaves behind has no circles
    root = sys.argv[-1]
    _send(frames_out, pack({"ready": True}))
    while (batch := _receive(sys.stdin.buffer)) is not None:
        answers, since = bytearray(), time.monotonic()
        for path, known, content in batch:
            answers += pack(*_answer(root, path, known, content))
            if time.monotonic() - since > _HELD_BACK:
                _send(frames_out, answers)
                answers, since = bytearray(), time.monotonic()
        _send(frames_out, answers)


def _receive(stream: BinaryIO) -> list[tuple[str, str, bytes | None]] | None:
    lengths = stream.read(LENGTHS.size)
    if len(lengths) < LENGTHS.size:
        return None
    head, tail = LENGTHS.unpack(lengths)
    encoded, body = stream.read(head), BytesIO(stream.read(tail))
    if len(encoded) + len(body.getbuffer()) < head + tail:
        return None
    return [(path, known, body.read(*given) if given else None) for path, known, *given in json.loads(encoded)]


def _send(stream: Any, frame: bytes | bytearray) -> None:
    view = memoryview(frame)
    while view:
        view = view[stream.write(view) :]


def _answer(root: str, path: str, known: str, content: bytes | None) -> tuple[dict[str, Any], bytes]:
    size, mtime_ns = 0, 0
    if content is not None:
        size = len(content)
    else:
        try:
            status, mtime_ns, content = _read(os.path.join(root, path))  # noqa: PTH118  (another system's bytes)
        except (OSError, ValueError):
            return {"path": path, "gone": True}, b""
        size = status.st_size
    if content is None:
        facts, detail = make_facts(path, size, mtime_ns, f"{size}", FileSymbols("", problem="too large"))
    elif (digest := fingerprint(content)) == known:
        return {"path": path, "size": size, "mtime_ns": mtime_ns}, b""
    else:
        try:
            facts, detail = make_facts(path, size, mtime_ns, digest, analyse(path, content, SLOWEST))
        except Exception as error:  # a bug of ours: it costs one file, not the process
            facts, detail = make_facts(path, size, mtime_ns, digest, FileSymbols(""))
            facts = replace(facts, problem=f"not parsed: {type(error).__name__}")
    return pack_facts(facts, detail)


def _read(path: str) -> tuple[os.stat_result, int, bytes | None]:
    """A regular file's status, settled time and content, None when that is too large. Raises OSError."""
    with open(os.open(path, _OPEN), "rb", buffering=0) as file:  # noqa: PTH123  (a descriptor)
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError("not a regular file")
        mtime_ns = settled_mtime(status.st_mtime_ns, time.time_ns())
        return status, mtime_ns, file.read() if status.st_size <= LARGEST else None


if __name__ == "__main__":
    main()
