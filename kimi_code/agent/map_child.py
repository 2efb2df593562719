"""The process of `first_map`: reads a prompt, writes the map for it as a line of JSON, goes on to read the tree."""

import asyncio
import json
import os
import sys
import threading
from pathlib import Path

from kimi_code.llm.tokens import estimate_tokens
from kimi_code.repo.index import Index
from kimi_code.repo.outline import Focus, mentions, render_file

_PRIORITY = 10


def main() -> None:
    """Ends when the tree is read, or with its standard input: when nobody is there any more."""
    if hasattr(os, "nice"):
        os.nice(_PRIORITY)  # where cores are scarce, the session comes first and goes without a map
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # nobody listens
    *_, root, folder, tokens, most = sys.argv
    asyncio.run(_serve(Path(root), Path(folder), int(tokens), int(most)))
    os._exit(0)  # whatever still waits for input


async def _serve(root: Path, folder: Path, tokens: int, most: int) -> None:
    prompts: asyncio.Queue[str | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def listen() -> None:
        for line in sys.stdin.buffer:
            loop.call_soon_threadsafe(prompts.put_nowait, json.loads(line))
        loop.call_soon_threadsafe(prompts.put_nowait, None)

    threading.Thread(target=listen, daemon=True).start()
    index = Index(root, folder)
    try:
        reading = asyncio.create_task(index.wait())
        prompt = await prompts.get()
        if prompt is None or index.status.files > most:
            return
        drawn = await index.map(tokens, estimate_tokens, Focus(mentions(prompt)))
        files = [(file.path, render_file(file).partition("\n")[2]) for file in drawn.files]
        sys.stdout.write(json.dumps(files) + "\n")
        sys.stdout.flush()
        gone = asyncio.create_task(prompts.get())
        await asyncio.wait({reading, gone}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await index.close()
