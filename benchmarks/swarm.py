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
from dataclasses import dataclass
from multiprocessing import Process, Queue
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import psutil

from kimi_code.llm.model import ModelRequest, Profile
from kimi_code.llm.openai_chat import OpenAIChat
from kimi_code.messages import Message
from tests.server import FakeServer, Received, Reply, answer, call, say
from tests.swarm_world import who

EXCESS = 0.6  # of the ideal: what the machine that the limits are for may take beyond it
MEMORY = 600  # MB
CLIENT = 2.0  # ms of CPU for a streamed call
_IMPORT = 0.5  # seconds of `import openai` on that machine
_TICKS = os.sysconf("SC_CLK_TCK")


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
        if str(request.messages[-1]["content"]).startswith("talk"):
            return say("word " * 86, chunk=8)  # 54 events of text
        name = who(request)
        said = sum(message["role"] == "assistant" for message in request.messages)
        alone = name == ""
        if alone and ": 0 of them" in str(request.messages[1]["content"]):
            return say("done")
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


@dataclass(slots=True)
class Ran:
    """A run of the program. Seconds; `own` is the CPU of its process, `others` of all that it started."""

    wall: float
    result: dict[str, Any]
    records: list[dict[str, Any]]
    peak: float  # MB
    own: float
    others: float
    busy: float  # core-seconds of the whole machine meanwhile


def environment(project: Path, url: str) -> dict[str, str]:
    """What the program runs in; with bytecode kept, as on any machine where it is installed."""
    env = {
        **os.environ,
        "KIMI_CODE_DIR": str(project.parent / "kimi"),
        "KIMI_BASE_URL": url,
        "KIMI_API_KEY": "sk-bench-0123456789",
        "PYTHONPATH": str(Path(__file__).resolve().parent.parent),
    }
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    return env


def busy() -> float:
    """CPU seconds that the whole machine was at work for."""
    times = psutil.cpu_times()
    return sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0)


def run(project: Path, url: str, prompt: str) -> Ran:
    """One prompt, to its end."""
    command = [sys.executable, "-m", "kimi_code", "-y", "-p", prompt, "--output-format", "jsonl"]
    with tempfile.TemporaryFile() as told:
        started, before = time.monotonic(), busy()
        program = subprocess.Popen(command, cwd=project, env=environment(project, url), stdout=told)
        # While nobody has taken its end, the system still tells what it used.
        os.waitid(os.P_PID, program.pid, os.WEXITED | os.WNOWAIT)
        wall, used = time.monotonic() - started, busy() - before
        fields = Path(f"/proc/{program.pid}/stat").read_text().rpartition(")")[2].split()
        user, system, users, systems = (int(ticks) / _TICKS for ticks in fields[11:15])
        program.wait()
        told.seek(0)
        lines = [json.loads(line) for line in told]
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return Ran(wall, lines[-1], lines[:-1], peak, user + system, users + systems, used)


def measure_machine() -> float:
    """How many times slower than the machine that the limits are for."""
    took: list[float] = []
    env = environment(Path.cwd(), "")
    for _ in range(4):  # the first one warms
        before = cpu_of_children()
        subprocess.run([sys.executable, "-c", "import openai"], env=env, check=True)
        took.append(cpu_of_children() - before)
    return median(took[1:]) / _IMPORT


async def measure_client(url: str, calls: int = 300) -> float:
    """Milliseconds of CPU that the model's client takes for a streamed call of 54 events."""
    model = OpenAIChat(url, "sk-bench-0123456789", Profile("bench"))
    request = ModelRequest("", (Message("user", "talk"),))

    async def ask() -> None:
        async for _ in model.stream(request):
            pass

    await ask()  # imports, connects
    before = time.process_time()
    for _ in range(calls // 50):
        async with asyncio.TaskGroup() as group:
            for _ in range(50):
                group.create_task(ask())
    used = time.process_time() - before
    await model.close()
    return used * 1000 / calls


def make_project(folder: Path, files: int) -> None:
    """A repository of that many small files."""
    (folder / "src").mkdir(parents=True)
    for number in range(files):
        (folder / "src" / f"f{number}.py").write_text(f"def f{number}():\n    return {number}\n" * 10)
    git = ("git", "-C", str(folder), "-c", "user.name=B", "-c", "user.email=b@example.org")
    for args in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", "First")):
        subprocess.run([*git, *args], check=True)


def tell(agents: int, calls: int, latency: float, ran: Ran, scale: float) -> None:
    """Print what one swarm came to."""
    records = ran.records
    ended = next(r for r in records if r["type"] == "swarm_ended")
    at = {kind: [r["at"] for r in records if r["type"] == kind] for kind in ("agent_spawned", "agent_finished")}
    planned = next(r["at"] for r in records if r["type"] == "swarm_planned")
    opened = next(r["at"] for r in records if r["type"] == "session_opened")
    merged = sum(r["type"] == "task_state_changed" and r["state"] == "merged" for r in records)
    made = sum(r["type"] == "tool_ended" and r["agent"] != "main" and r["status"] == "done" for r in records)
    ideal = (calls + 1) * latency
    swarm, limit = ended["at"] - planned, ideal * (1 + EXCESS * scale)
    print(f"{agents} agents x {calls} calls at {latency * 1000:g} ms: exit {ran.result['exit_code']}")
    print(f"  swarm {swarm:.1f} s, ideal critical path {ideal:.1f} s: {swarm / ideal:.2f}x; whole run {ran.wall:.1f} s")
    print(
        f"  limit {1 + EXCESS:g}x on the machine it was set on; with this one's CPU {limit:.1f} s{_mark(swarm, limit)}"
    )
    print(f"  calls {made} of {agents * calls}, merged {merged} of {agents}")
    print(f"  peak memory {ran.peak:.0f} MB, limit {MEMORY}{_mark(ran.peak, MEMORY)}")
    print(f"  start to plan {planned - opened:.2f} s; first agent {at['agent_spawned'][0] - planned:.2f} s after it")
    waiting = {cause: seconds / agents for cause, seconds in ended["metrics"]["waiting"].items()}
    begun, over = (sum(times) / len(times) for times in at.values())
    causes = {
        "before an agent begins": begun - planned,
        **{cause.replace("_", " "): waiting[cause] for cause in ("rate_limit", "merge", "lock", "cpu", "person")},
        "after an agent's end": ended["at"] - over,
    }
    causes["the one thread is at work for others, or no core is free for it"] = swarm - ideal - sum(causes.values())
    print(f"  the excess of {swarm - ideal:.1f} s, mean of the agents:")
    for cause, seconds in causes.items():
        if abs(seconds) > 0.05:
            print(f"    {seconds:5.1f} s  {cause}")
    requests = agents * (calls + 1)
    print(
        f"  CPU: the program {ran.own:.1f} s ({ran.own * 1000 / requests:.1f} ms a request, all in one thread), ",
        end="",
    )
    print(f"its git, bwrap and others {ran.others:.1f} s ({ran.others * 1000 / agents:.0f} ms an agent)")
    strangers = max(ran.busy - ran.own - ran.others, 0.0) / (ran.wall * (os.cpu_count() or 1))
    print(f"  the server and other programs of this machine took {strangers:.0%} of its cores meanwhile")
    print(f"  {'; '.join(ended['metrics']['verdicts'])}")


def _mark(figure: float, limit: float) -> str:
    return ": ok" if figure <= limit else ": OVER"


def main() -> None:
    agents, calls, latency_ms, files = [*map(int, sys.argv[1:]), *(100, 15, 300, 2000)[len(sys.argv) - 1 :]]
    latency = latency_ms / 1000
    scale = measure_machine()
    print(f"import openai takes {scale * _IMPORT * 1000:.0f} ms of CPU: this machine is {scale:.1f} times slower")
    addresses: Queue[str] = Queue()
    server = Process(target=serve, args=(addresses, agents, calls, latency), daemon=True)
    server.start()
    url = addresses.get(timeout=20)
    try:
        with tempfile.TemporaryDirectory() as name:
            make_project(Path(name, "project"), files)
            run(Path(name, "project"), url, "Do it alone: 0 of them.")  # warm: bytecode
            together = run(Path(name, "project"), url, "Do it with a swarm.")
            tell(agents, calls, latency, together, scale)
            few = max(agents // 10, 1)
            alone = run(Path(name, "project"), url, f"Do it alone: {few} of them.").wall * agents / few
            print(f"  {few} of the tasks by one agent, times {agents // few}: {alone:.0f} s, ", end="")
            print(f"{alone / together.wall:.1f}x")
        client = asyncio.run(measure_client(url))
        print(
            f"  the model's client: {client:.2f} ms of CPU a streamed call, limit {CLIENT * scale:.1f} with this CPU",
            end="",
        )
        print(_mark(client, CLIENT * scale))
    finally:
        before = cpu_of_children()
        server.terminate()
        server.join()
        print(f"  the server took {cpu_of_children() - before:.1f} s of CPU for all")


if __name__ == "__main__":
    main()
