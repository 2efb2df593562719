"""The fixture of tests that start the program."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.program import Program, make_program, take_interrupts
from tests.server import FakeServer


@pytest.fixture
def program(server: FakeServer, tmp_path: Path) -> Iterator[Program]:
    """The program in an empty project; every scripted reply must be used."""
    take_interrupts()
    yield make_program(server, tmp_path)
    server.assert_used_up()
