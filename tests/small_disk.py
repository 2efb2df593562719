"""A disk that is soon full, where this machine lets us have one."""

import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

PAGE = 4096  # bytes; a tmpfs gives out whole ones


@contextmanager
def small_disk(place: Path, size: str) -> Generator[Path]:
    """Mounted at the folder `place`, made if need be; `size` as mount takes it. Skips the test where that cannot be."""
    place.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(place)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("NOT TESTED: a full disk; mounting a small tmpfs needs root")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)
