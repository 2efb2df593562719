"""Which models see images, as their servers say; and chips whose images nobody knows any more."""

from pathlib import Path

from kimi_code.tui.input.images import Images
from tests.server import call, say
from tests.tui.conftest import Stage
from tests.unit.test_images import png


async def test_a_model_sees_when_its_server_says_so_and_the_server_is_asked_once(stage: Stage) -> None:
    stage.configure('sandbox = "off"\nmodel = "new-eyes"\n')
    stage.server.models = [{"id": "new-eyes", "supports_image_in": True}]
    (stage.project / "shot.png").write_bytes(png())
    stage.server.script(call("Read", {"path": "shot.png"}), say("Grey."), say("Grey again."))
    async with stage.open() as screen:
        await screen.ready()
        asked = len(stage.server.listings)
        await screen.ask("look at shot.png")
        assert "image_url" in str(stage.server.requests[-1].body)
        screen.main.prompt.paste("shot.png")
        await screen.ask(screen.main.prompt.text)
        assert stage.server.requests[-1].last["content"][-1]["type"] == "image_url"
        assert len(stage.server.listings) == asked + 1


async def test_a_chip_of_an_earlier_run_is_sent_as_words_and_that_is_said(stage: Stage) -> None:
    stage.server.script(say("Which?"))
    async with stage.open() as screen:
        await screen.ready()
        await screen.ask("[image #1: old.png] what is it?")
        assert "image_url" not in str(stage.server.requests[-1].body)
        assert any("[image #1: old.png]" in words for words in screen.toasts)


def test_a_chip_of_another_run_never_stands_for_this_runs_image() -> None:
    images = Images()
    chip = images.add(Path("/new.png"))
    assert images.named_in(f"{chip} [image #1: old.png]") == (Path("/new.png"),)
    assert images.lost_in(f"{chip} [image #1: old.png]") == ("[image #1: old.png]",)
