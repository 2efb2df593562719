"""Images in the prompt of a real screen: a pasted path becomes a chip, the chip's file reaches the model."""

import os
import sys

import pytest
from textual import events

from kimi_code.tui.widgets.prompt import Prompt
from tests.server import say
from tests.tui.conftest import Stage
from tests.unit.test_images import png

SEEING = 'sandbox = "off"\nmodel = "eye"\n[models.eye]\nid = "kimi-k3"\nvision = true\n'


async def test_a_pasted_path_is_a_chip_and_its_image_is_sent(stage: Stage) -> None:
    stage.configure(SEEING)
    shot = stage.project / "my shot.png"
    shot.write_bytes(png())
    stage.server.script(say("Grey."))
    async with stage.open() as screen:
        await screen.ready()
        prompt = screen.main.query_one(Prompt)
        prompt.post_message(events.Paste(f"'{shot}'"))
        await screen.until(lambda: prompt.text == "[image #1: my shot.png] ")
        await screen.pilot.press(*"what?", "enter")
        await screen.until(lambda: screen.shows("Grey."))
        await screen.until(lambda: screen.shows("[image #1: my shot.png] what?"))
    words, picture = stage.server.requests[0].last["content"]
    assert words["text"].endswith("[image #1: my shot.png] what?")
    assert picture["image_url"]["url"].startswith("data:image/png;base64,")


async def test_before_anything_is_sent_it_says_that_the_model_cannot_see_and_gives_the_words_back(stage: Stage) -> None:
    stage.configure(SEEING.replace("true", "false"))
    (stage.project / "shot.png").write_bytes(png())
    async with stage.open() as screen:
        await screen.ready()
        prompt = screen.main.query_one(Prompt)
        prompt.post_message(events.Paste("shot.png"))
        await screen.until(lambda: prompt.text)
        await screen.pilot.press("?", "enter")
        await screen.until(lambda: screen.shows("cannot see images"))
        await screen.until(lambda: prompt.text == "[image #1: shot.png] ?")
    assert stage.server.requests == []


@pytest.mark.skipif(sys.platform != "linux", reason="the clipboard's tool is a shell script here")
async def test_the_clipboards_image_is_a_chip_too(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    (stage.home / "image.png").write_bytes(png())
    (stage.home / "xclip").write_text(f"#!/bin/sh\ncat {stage.home}/image.png\n")
    (stage.home / "xclip").chmod(0o755)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setenv("PATH", f"{stage.home}{os.pathsep}{os.environ['PATH']}")
    async with stage.open() as screen:
        await screen.ready()
        await screen.pilot.press("ctrl+v")
        await screen.until(lambda: screen.main.prompt.text.startswith("[image #1: kimi-code-clipboard-"))
        stage.server.script(say("A square."))
        (pasted,) = screen.main.prompt.images
        await screen.ask(screen.main.prompt.text + "what is it?")
        assert stage.server.requests[-1].last["content"][-1]["type"] == "image_url"
        # The session has a copy of its own, but the words may be sent again.
        stage.server.script(say("Still a square."))
        await screen.pilot.press("up")
        await screen.ask(screen.main.prompt.text)
        assert stage.server.requests[-1].last["content"][-1]["type"] == "image_url"
        assert pasted.exists()
    assert not pasted.exists()
