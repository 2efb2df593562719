import os
import stat
from pathlib import Path

import pytest

from kimi_code.errors import ToolError
from kimi_code.repo.workspace import LocalWorkspace
from tests.small_disk import small_disk


@pytest.fixture
def workspace(tmp_path: Path) -> LocalWorkspace:
    (tmp_path / "project").mkdir()
    return LocalWorkspace(tmp_path / "project")


def test_paths_are_resolved_from_the_root_with_every_symlink_followed(
    workspace: LocalWorkspace, tmp_path: Path
) -> None:
    (workspace.root / "out").symlink_to(tmp_path / "elsewhere")
    outside = Path(os.path.realpath(tmp_path))
    assert workspace.resolve("a/../b.txt") == workspace.root / "b.txt"
    assert workspace.resolve("out/x") == outside / "elsewhere" / "x"
    assert workspace.resolve("../y") == outside / "y"
    assert workspace.resolve("~") == Path(os.path.realpath(Path.home()))
    assert workspace.resolve("") == workspace.root


def test_a_symlink_loop_is_a_clear_error(workspace: LocalWorkspace) -> None:
    (workspace.root / "loop").symlink_to("loop")
    (workspace.root / "ping").symlink_to("pong")
    (workspace.root / "pong").symlink_to("ping")
    for path in ("loop", "loop/below", "ping", "ping/a/b"):
        with pytest.raises(ToolError, match="leads to itself"):
            workspace.resolve(path)


def test_what_cannot_be_a_path_is_a_clear_error(workspace: LocalWorkspace) -> None:
    with pytest.raises(ToolError, match="no path"):
        workspace.resolve("a\0b")
    with pytest.raises(ToolError, match="cannot be used"):
        workspace.resolve("x" * 5000)


def test_paths_are_shown_relative_inside_and_absolute_outside(workspace: LocalWorkspace) -> None:
    assert workspace.display(workspace.root / "a" / "b.txt") == "a/b.txt"
    assert workspace.display(workspace.root) == "."
    assert workspace.display(Path("/etc/hosts")) == str(Path("/etc/hosts"))


async def test_a_write_makes_folders_keeps_the_mode_and_leaves_nothing_else(workspace: LocalWorkspace) -> None:
    path = workspace.root / "new" / "deep" / "run.sh"
    await workspace.write(path, b"one")
    path.chmod(0o751)
    await workspace.write(path, b"two")
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o751
    assert [entry.name for entry in path.parent.iterdir()] == ["run.sh"]


async def test_a_new_file_gets_the_mode_the_umask_leaves(workspace: LocalWorkspace) -> None:
    (workspace.root / "plain").touch()
    await workspace.write(workspace.root / "ours", b"x")
    assert (workspace.root / "ours").stat().st_mode == (workspace.root / "plain").stat().st_mode


async def test_what_the_system_refuses_is_told_and_leaves_nothing_behind(workspace: LocalWorkspace) -> None:
    (workspace.root / "folder").mkdir()
    (workspace.root / "file").write_text("x")
    with pytest.raises(ToolError, match="Cannot write folder: Is a directory"):
        await workspace.write(workspace.root / "folder", b"x")
    with pytest.raises(ToolError, match="Cannot write file/below"):
        await workspace.write(workspace.root / "file" / "below", b"x")
    with pytest.raises(ToolError, match="too long"):
        await workspace.write(workspace.root / ("n" * 300), b"x")
    assert sorted(entry.name for entry in workspace.root.iterdir()) == ["file", "folder"]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permissions do not bind root; run as a user to see")
async def test_a_read_only_file_or_folder_is_not_overwritten(workspace: LocalWorkspace) -> None:
    path = workspace.root / "locked"
    path.write_text("old")
    path.chmod(0o444)
    with pytest.raises(ToolError, match="read-only"):
        await workspace.write(path, b"new")
    workspace.root.chmod(0o555)
    with pytest.raises(ToolError, match="Permission denied"):
        await workspace.write(workspace.root / "other", b"new")
    workspace.root.chmod(0o755)
    assert path.read_text() == "old"


async def test_a_full_disk_leaves_the_old_file_and_no_temporary_one(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "64k") as disk:
        (disk / "file").write_bytes(b"old")
        with pytest.raises(ToolError, match=r"No space left on device\. The file is as it was"):
            await LocalWorkspace(disk).write(disk / "file", b"x" * 1_000_000)
        assert {entry.name: entry.read_bytes() for entry in disk.iterdir()} == {"file": b"old"}


async def test_pipes_are_not_files_and_never_opened(workspace: LocalWorkspace) -> None:
    os.mkfifo(workspace.root / "pipe")
    status = await workspace.status(workspace.root / "pipe")
    assert status is not None
    assert status.kind == "other"
    with pytest.raises(ToolError, match="not a regular file"):
        await workspace.read(workspace.root / "pipe")


async def test_files_are_read_whole_or_in_pieces(workspace: LocalWorkspace) -> None:
    content = os.urandom(3 << 20)
    (workspace.root / "big").write_bytes(content)
    assert await workspace.read(workspace.root / "big") == content
    pieces = [piece async for piece in workspace.chunks(workspace.root / "big")]
    assert b"".join(pieces) == content
    assert max(map(len, pieces)) <= 1 << 20
    with pytest.raises(ToolError, match="Cannot read gone: No such file"):
        await workspace.read(workspace.root / "gone")


async def test_names_with_spaces_line_feeds_and_cjk_are_ordinary(workspace: LocalWorkspace) -> None:
    for name in ("a b", "a\nb", "日本語"):
        await workspace.write(workspace.resolve(name), name.encode())
        assert await workspace.read(workspace.resolve(name)) == name.encode()
    assert await workspace.names(workspace.root) == ["a\nb", "a b", "日本語"]


async def test_commands_run_in_a_folder_that_exists(workspace: LocalWorkspace) -> None:
    with pytest.raises(ToolError, match="gone is not a folder"):
        await workspace.start("true", cwd=workspace.root / "gone")


def test_roots_are_resolved_and_named_once(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    workspace = LocalWorkspace(tmp_path / "link", [tmp_path / "real", tmp_path])
    assert workspace.roots == (Path(os.path.realpath(tmp_path / "real")), Path(os.path.realpath(tmp_path)))
