"""Copies that share blocks, on a real btrfs in a file, where there is room for one copy only."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kimi_code.repo.checkouts.reflink import can_reflink, copy_tree


@pytest.fixture
def btrfs(tmp_path: Path) -> Iterator[Path]:
    image, place = tmp_path / "image", tmp_path / "btrfs"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(160_000_000)
    make, mount = (["mkfs.btrfs", "-q", "-m", "single", str(image)], ["mount", "-o", "loop", str(image), str(place)])
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which(make[0]) is None:
        pytest.skip("NOT TESTED: copies that share blocks; needs root and btrfs-progs")
    if any(subprocess.run(command, check=False, capture_output=True).returncode for command in (make, mount)):
        pytest.skip("NOT TESTED: copies that share blocks; a btrfs cannot be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_copy_shares_blocks_and_is_independent(btrfs: Path) -> None:
    source, target = btrfs / "source", btrfs / "target"
    source.mkdir()
    part = os.urandom(1_000_000)
    content = part * (shutil.disk_usage(btrfs).free * 6 // 10 // len(part))
    (source / "big").write_bytes(content)
    (source / "run").write_text("#!/bin/sh\n")
    (source / "run").chmod(0o750)
    os.sync()
    assert can_reflink(btrfs)
    assert shutil.disk_usage(btrfs).free < len(content)
    copy_tree(source, target)
    assert (target / "big").read_bytes() == content
    assert (target / "run").stat().st_mode & 0o777 == 0o750
    with (target / "big").open("r+b") as file:
        file.write(b"changed")
    assert (source / "big").read_bytes() == content


def test_without_shared_blocks_a_copy_is_a_copy(tmp_path: Path) -> None:
    (tmp_path / "source/deep").mkdir(parents=True)
    (tmp_path / "source/deep/x").write_text("x\n")
    (tmp_path / "source/link").symlink_to("deep/x")
    copy_tree(tmp_path / "source", tmp_path / "target")
    assert (tmp_path / "target/link").read_text() == "x\n"
