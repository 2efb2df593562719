"""Shell mode: the user's own command, run as they typed it; its output becomes part of what the model knows."""

import asyncio
import time

from kimi_code.agent.environment import Agent
from kimi_code.errors import ToolError
from kimi_code.events import CallStatus, Effect, MessageCompleted, Output, ToolEnded, ToolProgressed, ToolStarted
from kimi_code.messages import Message
from kimi_code.tools.background import Running, describe_exit
from kimi_code.tools.output import spill_file

TOOL = "Shell"


async def run_shell(agent: Agent, command: str, call_id: str) -> None:
    """Run `command` to its end or until cancelled, unconfined and unasked: it is the user's own.

    Publishes ToolStarted, ToolProgressed and ToolEnded like a call, then the message that tells the model.
    """
    scope = agent.scope
    scope.publish(ToolStarted(call_id, TOOL, command, Effect.EXECUTE, {"command": command}))
    started = time.monotonic()
    text, summary, code = "", "", None
    status: CallStatus = "interrupted"
    running: Running | None = None
    try:
        process = await scope.workspace.start(command, cwd=scope.workspace.root)
        spill = spill_file(scope.spill, f"{call_id}-{process.pid}")
        running = Running(
            command, process, spill, lambda more: _ignore(scope.publish(ToolProgressed(call_id, scope.scrub(more))))
        )
        await running.follow()
        assert running.exit is not None
        status = "done" if running.exit.code == 0 else "failed"
        code, summary = running.exit.code, describe_exit(running.exit)
    except ToolError as error:
        status, summary = "failed", str(error)
    except asyncio.CancelledError:
        summary = "interrupted"
        raise
    finally:
        text = scope.scrub(running.take()) if running is not None else ""
        seconds = round(time.monotonic() - started, 3)
        scope.publish(
            ToolEnded(call_id, TOOL, command, status, summary, (Output(command, text, code),), duration_s=seconds)
        )
        _tell(agent, command, text, summary)


def _ignore(_: object) -> None:
    return None


def _tell(agent: Agent, command: str, text: str, summary: str) -> None:
    ending = f"\n[{summary}]" if summary else ""
    said = f"The user ran a command in the workspace:\n$ {command}\n{text or '(no output)'}{ending}"
    message = Message("user", agent.scope.scrub(said), source="shell")
    agent.context.add(message)
    agent.publish(MessageCompleted(message))
