"""The screen as a person meets it: the real program in a pty, timed from outside, beside the limits it must keep.

python -m benchmarks.tui [--rounds N]
"""

import argparse
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

import psutil

from benchmarks.laboratory import Laboratory, laboratory
from kimi_code.events import MessageCompleted, Outcome, Record, SessionOpened, TurnEnded, TurnStarted
from kimi_code.messages import Message
from kimi_code.session.codec import encode
from kimi_code.session.store import Store

TOKENS = 20_000
TURNS = (10, 200, 2_000)
_IDLE = 5.0  # seconds over which idling is watched
_KEY_PAUSE = 0.1
_PATIENCE = 60.0
_MIB = 1024 * 1024


@dataclass(slots=True)
class Screen:
    """The running program and what it printed so far."""

    pid: int
    fd: int
    started: float
    printed: bytes = b""

    def until(self, condition: Callable[[bytes], object]) -> float:
        """Take in output until it holds; returns the monotonic time of that moment."""
        deadline = time.monotonic() + _PATIENCE
        while not condition(self.printed):
            if not self.read(deadline - time.monotonic()):
                raise RuntimeError(f"the screen said nothing more: {self.printed[-400:]!r}")
        return time.monotonic()

    def read(self, seconds: float) -> bool:
        """Take in what comes within `seconds`; False when nothing did."""
        if not select.select([self.fd], [], [], max(seconds, 0))[0]:
            return False
        try:
            data = os.read(self.fd, 1 << 16)
        except OSError:  # Linux tells the end of the other side so
            return False
        if b"\x1b]11;?" in data:
            os.write(self.fd, b"\x1b]11;rgb:1414/1616/1b1b\x1b\\\x1b[?62c")
        self.printed += data
        return bool(data)

    def type(self, text: str) -> float:
        """Type; returns the monotonic time."""
        os.write(self.fd, text.encode())
        return time.monotonic()

    @property
    def memory(self) -> float:
        """Resident MiB."""
        return psutil.Process(self.pid).memory_info().rss / _MIB

    @property
    def cpu(self) -> float:
        """User and system seconds so far."""
        times = psutil.Process(self.pid).cpu_times()
        return times.user + times.system


@contextmanager
def screen(lab: Laboratory, *arguments: str) -> Generator[Screen]:
    """The program on a terminal of 120 by 40; killed afterwards."""
    here = str(Path(__file__).parents[1])
    env = {**lab.environment, "PYTHONPATH": here, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    started = time.monotonic()
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(lab.project)
        os.execve(sys.executable, [sys.executable, "-m", "kimi_code", *arguments], env)
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    try:
        yield Screen(pid, fd, started)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(fd)


@dataclass(slots=True)
class Start:
    """Seconds from exec, and from Enter to the request."""

    paint: float
    typed: float
    ready: float
    enter: float
    imported: float


def measure_start(lab: Laboratory) -> Start:
    """From nothing to the first request."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", "import openai"], check=True)
    imported = time.monotonic() - began
    lab.take_log()
    with screen(lab) as shown:
        paint = shown.until(lambda said: "❯".encode() in said)
        shown.type("q")
        typed = shown.until(lambda said: b"q" in said.rpartition("❯".encode())[2])
        ready = shown.until(lambda said: b"% of context" in said)
        time.sleep(1.0)  # imports of the SDK go on in a thread
        entered = shown.type("\r")
        shown.until(lambda said: "✓".encode() in said)
        ((arrived, _),) = lab.take_log()
    return Start(paint - shown.started, typed - shown.started, ready - shown.started, arrived - entered, imported)


def measure_stream(lab: Laboratory) -> tuple[float, list[float]]:
    """CPU seconds of an answer at full speed, and the latencies of keys typed meanwhile."""
    latencies: list[float] = []
    with screen(lab) as shown:
        shown.until(lambda said: b"% of context" in said)
        time.sleep(1.0)
        before = shown.cpu
        shown.type(f"steps=0 tokens={TOKENS}\r")
        shown.until(lambda said: b"Writing" in said)
        while "✓".encode() not in shown.printed:
            mark, letter = len(shown.printed), "zj"[len(latencies) % 2].encode()
            pressed = shown.type(letter.decode())
            shown.until(lambda said, mark=mark, letter=letter: letter in _visible(said[mark:]))
            latencies.append(time.monotonic() - pressed)
            until = time.monotonic() + _KEY_PAUSE
            while (left := until - time.monotonic()) > 0:
                shown.read(left)
        return shown.cpu - before, latencies


def _visible(data: bytes) -> bytes:
    """What is text in it: the answer's words have neither z nor j."""
    return data.replace(b"\x1b", b"")


def measure_rest(lab: Laboratory, turns: int) -> tuple[float, float, float]:
    """Seconds to open a session of so many turns, MiB with it, and the share of a processor while nothing happens."""
    id = write_session(lab, turns)
    with screen(lab, "-r", id) as shown:
        opened = shown.until(lambda said: b"% of context" in said) - shown.started
        until = time.monotonic() + 3.0  # what is measured in idle moments is measured now
        while (left := until - time.monotonic()) > 0:
            shown.read(left)
        before, began = shown.cpu, time.monotonic()
        time.sleep(_IDLE)
        return opened, shown.memory, (shown.cpu - before) / (time.monotonic() - began)


def write_session(lab: Laboratory, turns: int) -> str:
    """A journal of so many turns; returns the session's id."""
    meta = Store(Path(lab.environment["KIMI_CODE_DIR"]) / "data").create()
    meta.path.mkdir(parents=True)
    answer = "An answer with **some** Markdown.\n\n- one\n- two\n\n```python\nprint(1)\n```\n" * 3
    events: list[object] = [SessionOpened(meta.id, str(lab.project), "bench", "auto", "0")]
    for turn in range(1, turns + 1):
        events += [
            TurnStarted(turn, f"question {turn}"),
            MessageCompleted(Message("user", f"question {turn}")),
            MessageCompleted(Message("assistant", answer)),
            TurnEnded(turn, Outcome.DONE, answer, steps=1),
        ]
    with meta.journal.open("w", encoding="ascii") as file:
        for seq, event in enumerate(events, 1):
            file.write(encode(Record(seq, "main", float(seq), event)) + "\n")  # pyright: ignore[reportArgumentType]
    return meta.id


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="starts, of which medians are shown (default 5)")
    rounds = parser.parse_args().rounds
    with laboratory() as lab:
        measure_start(lab)  # warm: bytecode, file cache
        starts = [measure_start(lab) for _ in range(rounds)]
        imported = median(start.imported for start in starts)
        scale = imported / 0.5  # the limits are for a machine on which openai imports in half a second
        print(f"import openai {imported * 1000:.0f} ms; limits of the start are scaled by {scale:.2f}")
        _print("first paint, ms", median(start.paint for start in starts) * 1000, 300 * scale)
        _print("typed, ms", median(start.typed for start in starts) * 1000, 600 * scale)
        _print("session open, ms", median(start.ready for start in starts) * 1000, None)
        _print("Enter to request, ms", median(start.enter for start in starts) * 1000, 30 * scale)
        cpu, latencies = measure_stream(lab)
        _print(f"CPU of {TOKENS:,} tokens, s", cpu, None)
        _print("key while streaming, p95, ms", quantiles(latencies, n=20)[-1] * 1000, 50 * scale)
        for turns in TURNS:
            opened, memory, share = measure_rest(lab, turns)
            _print(f"session of {turns:,} turns open, ms", opened * 1000, None)
            _print(f"memory with {turns:,} turns, MiB", memory, 250 if turns > 200 else 110)
            _print(f"idle with {turns:,} turns, % CPU", share * 100, 1)


def _print(what: str, figure: float, limit: float | None) -> None:
    verdict = "" if limit is None else f"   limit {limit:.0f}   {'ok' if figure <= limit else 'OVER'}"
    print(f"{what:<36}{figure:>9.1f}{verdict}", flush=True)


if __name__ == "__main__":
    main()
