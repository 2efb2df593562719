"""A hundred agents at once against a server in a process of its own: wall time against the ideal, and where it went.

python benchmarks/swarm.py [AGENTS] [CALLS] [LATENCY_MS] [FILES]
"""

import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from multiprocessing import Process, Queue
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.server import FakeServer, Received, Reply, answer, call, say
from tests.swarm_world import who


class Slow(FakeServer):
    """Answers after a while, as a model does."""

    latency = 0.3

    async def prepare(self, request: Received) -> None:
        if request.messages:
            await asyncio.sleep(self.latency)


def serve(addresses: "Queue[str]", agents: int, calls: int, latency: float) -> None:
    """The model: an orchestrator that cuts, agents that read, and write one file each."""
    server = Slow()
    server.latency = latency

    def reply(request: Received) -> Reply:
        name = who(request)
        said = sum(message["role"] == "assistant" for message in request.messages)
        alone = name == ""
        if alone and "alone" in str(request.messages[1]["content"]):
            number, step = divmod(said, calls)
            return say("done") if number >= max(agents // 10, 1) else work(number, step, calls)
        if alone:
            tasks = [{"id": f"t{n}", "task": f"Do {n}", "scope": [f"made/{n}.txt"]} for n in range(agents)]
            return call("Swarm", {"goal": "bench", "tasks": tasks}) if said == 0 else say("done")
        return say("done") if said >= calls else work(int(name[1:].partition("~")[0]), said, calls)

    server.always(reply)
    with server:
        addresses.put(server.url)
        server.wait_until_stopped()


def work(number: int, step: int, calls: int) -> Reply:
    """A step of one agent: reads, and at last a file of its own."""
    tool, arguments = "Read", {"path": f"src/f{(number * 15 + step) % 200}.py"}
    if step == calls - 1:
        tool, arguments = "Write", {"path": f"made/{number}.txt", "content": f"{number}\n"}
    return answer([(f"call_{step}", tool, arguments)], text="a few words " * 4)


def cpu_of_children() -> float:
    """CPU seconds of the processes that ended, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run(project: Path, url: str, prompt: str) -> tuple[float, dict[str, Any], list[dict[str, Any]], float, float]:
    """Wall seconds, the result, the records, peak megabytes, CPU seconds of the program and its processes."""
    env = {
        **os.environ,
        "KIMI_CODE_DIR": str(project.parent / "kimi"),
        "KIMI_BASE_URL": url,
        "KIMI_API_KEY": "sk-bench-0123456789",
        "PYTHONPATH": str(Path(__file__).resolve().parent.parent),
    }
    command = [sys.executable, "-m", "kimi_code", "-y", "-p", prompt, "--output-format", "jsonl"]
    started, before = time.monotonic(), cpu_of_children()
    done = subprocess.run(command, cwd=project, env=env, capture_output=True, check=False)
    wall, cpu = time.monotonic() - started, cpu_of_children() - before
    if done.stderr:
        print(done.stderr.decode()[-2000:])
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return wall, lines[-1], lines[:-1], peak, cpu


def make_project(folder: Path, files: int) -> None:
    """A repository of that many small files."""
    (folder / "src").mkdir(parents=True)
    for number in range(files):
        (folder / "src" / f"f{number}.py").write_text(f"def f{number}():\n    return {number}\n" * 10)
    git = ("git", "-C", str(folder), "-c", "user.name=B", "-c", "user.email=b@example.org")
    for args in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", "First")):
        subprocess.run([*git, *args], check=True)


def tell(agents: int, calls: int, latency: float, outcome: tuple[Any, ...]) -> float:
    """Print what one swarm came to; returns its wall time."""
    wall, result, records, peak, cpu = outcome
    ended = next(r for r in records if r["type"] == "swarm_ended")
    at = {kind: [r["at"] for r in records if r["type"] == kind] for kind in ("agent_spawned", "agent_finished")}
    planned = next(r["at"] for r in records if r["type"] == "swarm_planned")
    opened = next(r["at"] for r in records if r["type"] == "session_opened")
    merged = sum(r["type"] == "task_state_changed" and r["state"] == "merged" for r in records)
    made = sum(r["type"] == "tool_ended" and r["agent"] != "main" and r["status"] == "done" for r in records)
    ideal = (calls + 1) * latency
    swarm = ended["at"] - planned
    print(f"{agents} agents x {calls} calls at {latency * 1000:g} ms: exit {result['exit_code']}")
    print(f"  swarm {swarm:.1f} s, ideal critical path {ideal:.1f} s: {swarm / ideal:.2f}x; whole run {wall:.1f} s")
    print(f"  calls {made} of {agents * calls}, merged {merged} of {agents}, peak {peak:.0f} MB")
    print(f"  start to plan {planned - opened:.2f} s; first agent {at['agent_spawned'][0] - planned:.2f} s after it")
    waiting = {cause: seconds / agents for cause, seconds in ended["metrics"]["waiting"].items()}
    begun, over = (sum(times) / len(times) for times in at.values())
    causes = {
        "before an agent begins": begun - planned,
        **{cause.replace("_", " "): waiting[cause] for cause in ("rate_limit", "merge", "lock", "cpu", "person")},
        "after an agent's end": ended["at"] - over,
    }
    causes["no core is free"] = swarm - ideal - sum(causes.values())
    print(
        "  the excess, mean of the agents: " + ", ".join(f"{name} {s:.1f} s" for name, s in causes.items() if s > 0.05)
    )
    print(f"  CPU {cpu:.1f} s with all processes, {cpu * 1000 / (agents * (calls + 1)):.1f} ms a request")
    print(f"  {'; '.join(ended['metrics']['verdicts'])}")
    return wall


def main() -> None:
    agents, calls, latency_ms, files = [*map(int, sys.argv[1:]), *(100, 15, 300, 2000)[len(sys.argv) - 1 :]]
    latency = latency_ms / 1000
    addresses: Queue[str] = Queue()
    server = Process(target=serve, args=(addresses, agents, calls, latency), daemon=True)
    server.start()
    url = addresses.get(timeout=20)
    try:
        with tempfile.TemporaryDirectory() as name:
            make_project(Path(name, "project"), files)
            wall = tell(agents, calls, latency, run(Path(name, "project"), url, "Do it with a swarm."))
            few = max(agents // 10, 1)
            alone = run(Path(name, "project"), url, f"Do it alone: {few} of them.")[0] * agents / few
            print(f"  {few} of the tasks by one agent, times {agents // few}: {alone:.0f} s, {alone / wall:.1f}x")
    finally:
        before = cpu_of_children()
        server.terminate()
        server.join()
        print(f"  the server took {cpu_of_children() - before:.1f} s of CPU for both")


if __name__ == "__main__":
    main()
