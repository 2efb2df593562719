"""The daily tidying of checkpoints is started once a day, and nobody waits for it."""

import os
import sys
from pathlib import Path

from kimi_code.session.checkpoints import tidy_if_due

DAY = 86_400.0


def test_it_is_started_once_a_day_and_not_on_the_first(tmp_path: Path) -> None:
    data, now = tmp_path / "data", 1_800_000_000.0
    command = (sys.executable, "-c", "open('started', 'a').close()")
    started = [tidy_if_due(data, tmp_path, command, now=now + days * DAY) for days in (0, 0.5, 0.99, 1.01, 1.5, 2.1)]
    assert started == [False, False, False, True, False, True]


def test_what_cannot_be_started_is_no_reason_to_fail(tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert tidy_if_due(data, tmp_path, ("no-such-program",), now=0.0) is False
    assert tidy_if_due(data, tmp_path, ("no-such-program",), now=2 * DAY) is False
    (tmp_path / "file").write_text("")
    assert tidy_if_due(tmp_path / "file", tmp_path, (os.devnull,), now=0.0) is False
