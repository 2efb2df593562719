"""What a session may spend in all: over its turns, its processes, its kills and what is asked beside it."""

from tests.harness import Lab
from tests.server import say, usage_of

MUCH = usage_of(2_000, 1_000)


async def test_what_was_asked_beside_the_conversation_counts_in_the_next_process_too(lab: Lab) -> None:
    lab.configure(model="fake/kimi-k2.5", max_session_tokens=8_000)
    lab.server.script(say("one", usage=MUCH), say("beside it", usage=MUCH), say("a summary", usage=MUCH))
    opened = await lab.open()
    opened.session.open(opened.opened)
    await opened.session.prompt("Do it.")
    assert await opened.session.aside("And why?") == "beside it"
    await opened.session.compact()
    spent = opened.session.standing
    assert (spent.tokens, round(spent.cost_usd or 0, 6)) == (9_000, 0.0126)
    await opened.session.close()
    (opened.session.meta.path / "meta.json").unlink()  # what the journal says is what holds

    ran = await lab.run(continue_last=True)
    assert (ran.exit_code, ran.result["status"]) == (4, "budget_exceeded")
    assert "9,000 of 8,000 tokens" in ran.result["error"]
