import base64
import os
import struct
import sys
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_code.agent.compaction import compact
from kimi_code.agent.context import estimate, is_whole, repair, strict
from kimi_code.errors import UsageError
from kimi_code.events import MessageCompleted, Record
from kimi_code.llm.wire import message_fields
from kimi_code.messages import Image, Message
from kimi_code.repo.images import BYTES_MOST, dimensions, keep, media_type, read
from kimi_code.session.codec import decode, encode
from kimi_code.tui.input.images import Images, images_in
from kimi_code.tui.outside.clipboard import save_image


def png(width: int = 2, height: int = 1) -> bytes:
    """A whole PNG, grey."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + b"\x80" * width for _ in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def riff(kind: bytes, data: bytes) -> bytes:
    body = b"WEBP" + kind + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize(
    ("content", "kind", "size"),
    [
        (png(300, 200), "image/png", (300, 200)),
        (b"GIF89a" + struct.pack("<HH", 7, 9) + b"\0\0\0", "image/gif", (7, 9)),
        (
            b"\xff\xd8\xff\xe0\x00\x04ab\xff\xff\xc2\x00\x0b\x08" + struct.pack(">HH", 200, 300) + b"\1\1\1\1",
            "image/jpeg",
            (300, 200),
        ),
        (
            riff(b"VP8X", b"\0\0\0\0" + (299).to_bytes(3, "little") + (199).to_bytes(3, "little")),
            "image/webp",
            (300, 200),
        ),
        (riff(b"VP8L", b"\x2f" + (299 | 199 << 14).to_bytes(4, "little")), "image/webp", (300, 200)),
        (riff(b"VP8 ", b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 300, 200)), "image/webp", (300, 200)),
        (b"%PDF-1.7", "", (0, 0)),
        (b"\x89PNG\r\n\x1a\n", "image/png", (0, 0)),
    ],
)
def test_kind_and_size_are_told_by_the_first_bytes(content: bytes, kind: str, size: tuple[int, int]) -> None:
    assert media_type(content) == kind
    assert dimensions(content) == size


@given(st.sampled_from([b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"RIFF0000WEBPVP8X"]), st.binary(max_size=60))
def test_no_broken_header_breaks_anything(head: bytes, rest: bytes) -> None:
    width, height = dimensions(head + rest)
    assert width >= 0
    assert height >= 0


def test_an_image_is_kept_once_and_outlives_its_file(tmp_path: Path) -> None:
    file = tmp_path / "shot.png"
    file.write_bytes(png())
    first, second = read(file, tmp_path / "blobs"), read(file, tmp_path / "blobs")
    file.unlink()
    assert first == second == Image(first.file, "image/png", "shot.png", 2, 1)
    assert Path(first.file).read_bytes() == png()
    assert len(list((tmp_path / "blobs").iterdir())) == 1


def test_what_cannot_be_sent_is_refused_with_words(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is no image"):
        keep(b"text", "a.png", tmp_path)
    with pytest.raises(UsageError, match=r"5000 x 1 pixels"):
        keep(png(5000, 1), "a.png", tmp_path)
    with pytest.raises(UsageError, match=r"5\.2 MB"):
        keep(png() + b"\0" * BYTES_MOST, "a.png", tmp_path)
    with pytest.raises(UsageError, match="cannot be read"):
        read(tmp_path / "none.png", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_sees_gets_the_image_and_another_is_told_of_it(tmp_path: Path) -> None:
    image = keep(png(), "shot.png", tmp_path)
    message = Message("user", "look", preface="before", images=(image,))
    url = f"data:image/png;base64,{base64.b64encode(png()).decode()}"
    assert message_fields(message, vision=True)["content"] == [
        {"type": "text", "text": "before\n\nlook"},
        {"type": "image_url", "image_url": {"url": url}},
    ]
    assert "cannot be seen by this model" in str(message_fields(message)["content"])
    Path(image.file).unlink()
    assert "is not there any more" in str(message_fields(message, vision=True)["content"])


def test_images_count_survive_repair_and_leave_with_compaction(tmp_path: Path) -> None:
    image = keep(png(), "shot.png", tmp_path)
    bare = Message("user", images=(image,))
    assert estimate(bare) > 2_000
    assert is_whole([bare])
    assert repair([bare]) == [bare]
    assert strict([bare, Message("user", "two", images=(image,))])[0].images == (image, image)
    history = [Message("user", "look", images=(image,)), Message("assistant", "x" * 9_000), Message("user", "on")]
    short = compact(history, state="s", todo=(), limit=4_000)
    assert not [message for message in short if message.images]
    assert any("look\n[no longer shown here: shot.png]" in message.text for message in short)


def test_a_message_with_an_image_comes_back_from_the_journal() -> None:
    message = Message("user", "look", images=(Image("/b/x.png", "image/png", "x.png", 3, 4),))
    record = Record(1, "main", 1.0, MessageCompleted(message))
    assert decode(encode(record)) == record


# --- In the prompt ----------------------------------------------------------------------------------------------------


def test_pasted_paths_of_images_are_found_however_terminals_write_them(tmp_path: Path) -> None:
    one, two = tmp_path / "a shot.png", tmp_path / "b.JPG"
    one.write_bytes(png())
    two.write_bytes(png())
    for text in (str(one), f"'{one}' ", f'"{one}"', one.as_uri(), "a shot.png", str(one).replace(" ", "\\ ")):
        assert images_in(text, tmp_path) == [one], text
    assert images_in(f"{one.as_uri()}\n{two.as_uri()}", tmp_path) == [one, two]
    assert images_in(f"'{one}' {two}", tmp_path) == [one, two]
    for text in ("", "see b.JPG", "none.png", f"{two} please", "it's.png", "x" * 9_000 + ".png", "\0.png"):
        assert images_in(text, tmp_path) == [], text


def test_chips_stand_for_their_files_as_long_as_they_are_in_the_text(tmp_path: Path) -> None:
    images = Images()
    first, second = images.add(Path("a].png")), images.add(Path("b.png"))
    assert first == "[image #1: a).png]"
    assert images.named_in(f"compare {second} and {first}, {second}") == (Path("b.png"), Path("a].png"))
    assert images.named_in("[image #9: x.png]") == ()


@pytest.mark.skipif(sys.platform == "win32", reason="the tool is a shell script")
def test_the_clipboards_image_comes_by_the_desktops_tool_and_its_lack_is_said(tmp_path: Path) -> None:
    (tmp_path / "image.png").write_bytes(png())
    tool = tmp_path / "xclip"
    tool.write_text(f"#!/bin/sh\ncat {tmp_path}/image.png\n")
    tool.chmod(0o755)
    env = {"DISPLAY": ":0", "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    file = save_image(env, "linux")
    assert file is not None
    assert file.read_bytes() == png()
    file.unlink()
    tool.write_text("#!/bin/sh\nexit 1\n")
    assert save_image(env, "linux") is None
    with pytest.raises(UsageError, match="pngpaste"):
        save_image({"PATH": ""}, "darwin")
