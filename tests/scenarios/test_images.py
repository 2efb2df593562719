"""Images on their way to the model: with the prompt, by Read, after a resume, and not to one that cannot see."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kimi_code.config import ModelSettings
from kimi_code.session.store import Store
from tests.harness import Lab
from tests.server import call, say
from tests.unit.test_images import png


def seeing(lab: Lab, *, vision: bool = True) -> None:
    lab.configure(model="eye", models={"eye": ModelSettings("eye", "kimi-k3", "fake", {"vision": vision})})


def pictures(message: Mapping[str, Any]) -> int:
    return str(message["content"]).count("data:image/png;base64,")


async def test_an_image_goes_with_the_prompt_and_again_after_a_resume(lab: Lab) -> None:
    seeing(lab)
    shot = lab.project / "shot.png"
    shot.write_bytes(png())
    lab.server.script(say("A grey one."), say("Still grey."))
    ran = await lab.run("What is it?", images=(shot,))
    assert ran.exit_code == 0
    assert pictures(lab.server.requests[0].last) == 1
    shot.unlink()
    again = await lab.run("And now?", continue_last=True)
    assert again.exit_code == 0
    assert sum(pictures(message) for message in lab.server.requests[1].messages if message["role"] == "user") == 1
    (meta,) = Store(lab.data).list()
    assert len(meta.journal.read_text()) < 60_000


async def test_a_model_that_cannot_see_is_not_asked(lab: Lab) -> None:
    seeing(lab, vision=False)
    (lab.project / "shot.png").write_bytes(png())
    ran = await lab.run("What is it?", images=(lab.project / "shot.png",))
    assert ran.exit_code == 2
    assert "cannot see images; nothing was sent" in ran.result["error"]
    assert lab.server.requests == []


async def test_read_shows_an_image_behind_the_results_of_its_step(lab: Lab) -> None:
    seeing(lab)
    (lab.project / "shot.png").write_bytes(png(30, 20))
    lab.server.script(call("Read", {"path": "shot.png"}), say("Grey."))
    ran = await lab.run()
    assert ran.exit_code == 0
    *_, result, shown = lab.server.requests[1].messages
    assert result["role"] == "tool"
    assert "30 x 20 pixels" in result["content"]
    assert shown["role"] == "user"
    assert pictures(shown) == 1


async def test_read_tells_a_model_without_eyes_what_the_file_is(lab: Lab) -> None:
    seeing(lab, vision=False)
    (lab.project / "shot.png").write_bytes(png())
    (lab.project / "notes.png").write_text("words after all")
    lab.server.script(call("Read", {"path": "shot.png"}), call("Read", {"path": "notes.png"}), say("Well."))
    await lab.run()
    assert "you cannot see images" in lab.server.requests[1].last["content"]
    assert "words after all" in lab.server.requests[2].last["content"]
    assert Path(lab.project / "notes.png").exists()
