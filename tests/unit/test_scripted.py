"""The scripted model: what a script may say, how it checks the agent, what mistakes in it look like; recordings."""

import json
import subprocess
import sys
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import pytest

from kimi_code.errors import AuthError, ConfigError, ContextFull, ModelError, RateLimited
from kimi_code.llm.model import Chunk, Completion, Model, ModelRequest, TextChunk, ThoughtChunk
from kimi_code.llm.recording import RecordingModel
from kimi_code.llm.scripted import ScriptedModel
from kimi_code.messages import Message, ToolCall, Usage
from kimi_code.secrets import Scrubber


def script(tmp_path: Path, content: object, name: str = "script.json") -> Path:
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


async def ask(model: Model, *messages: Message) -> list[Chunk]:
    return [chunk async for chunk in model.stream(ModelRequest("system", messages or (Message("user", "hi"),)))]


async def hear(model: Model) -> tuple[list[Chunk], str]:
    heard: list[Chunk] = []
    stream = model.stream(ModelRequest("s", (Message("user", "hi"),)))
    try:
        while True:
            heard.append(await anext(stream))
    except StopAsyncIteration:
        return heard, ""
    except ModelError as error:
        return heard, f"{type(error).__name__} {error} {error.status} {getattr(error, 'retry_after', None)}"


async def test_a_yaml_script_plays_step_by_step_and_says_how_much_is_left(tmp_path: Path) -> None:
    path = script(
        tmp_path,
        """
model: demo
context: 1000
steps:
  - thinking: Look first.
    text: 读一下。
    tool_calls:
      - {name: Read, arguments: {path: a.py, when: 2026-01-01}}
      - {name: Read, arguments: '{"path": "brok'}
    usage: {input: 100, cached: 50, output: 7}
  - text: Done.
    chunk: 2
""",
        "script.yaml",
    )
    model = ScriptedModel(path)
    assert (model.profile.id, model.profile.context, model.remaining) == ("demo", 1000, 2)
    calls = (
        ToolCall("call_1_1", "Read", '{"path": "a.py", "when": "2026-01-01"}'),
        ToolCall("call_1_2", "Read", '{"path": "brok'),
    )
    assert await ask(model) == [
        ThoughtChunk("Look first."),
        TextChunk("读一下。"),
        Completion("读一下。", "Look first.", calls, "tool_calls", Usage(100, 50, 7)),
    ]
    assert await ask(model) == [TextChunk("Do"), TextChunk("ne"), TextChunk("."), Completion("Done.")]
    assert model.remaining == 0
    with pytest.raises(ModelError, match=r"used up: the agent asked for more than 2 answers") as caught:
        await ask(model)
    assert not caught.value.retryable


async def test_a_step_may_fail_in_every_way_a_server_can(tmp_path: Path) -> None:
    steps = [
        {"error": {"type": "rate_limited", "message": "slow down", "retry_after": 1.5}},
        {"text": "half an ans", "error": {"type": "unavailable"}},
        {"error": {"type": "auth", "hint": "get a key"}},
        {"error": {"type": "context_full"}},
    ]
    model = ScriptedModel(script(tmp_path, {"steps": steps}))
    with pytest.raises(RateLimited, match="slow down") as limited:
        await ask(model)
    assert (limited.value.retry_after, limited.value.status) == (1.5, 429)
    heard, failure = await hear(model)
    assert heard == [TextChunk("half an ans")]
    assert failure.startswith("ModelUnavailable")
    with pytest.raises(AuthError, match="get a key"):
        await ask(model)
    with pytest.raises(ContextFull):
        await ask(model)


@pytest.mark.parametrize(
    ("cut", "expected"),
    [
        (0, []),
        (3, [ThoughtChunk("thi")]),
        (7, [ThoughtChunk("think"), TextChunk("an")]),
    ],
)
async def test_a_cut_loses_the_rest_of_the_answer(tmp_path: Path, cut: int, expected: Sequence[Chunk]) -> None:
    step = {"thinking": "think", "text": "answer", "tool_calls": [{"name": "Read"}], "cut_after": cut}
    model = ScriptedModel(script(tmp_path, {"steps": [step]}))
    heard, failure = await hear(model)
    assert heard == expected
    assert "broke" in failure


async def test_a_script_checks_what_the_agent_sent_since_the_last_answer(tmp_path: Path) -> None:
    steps = [{"expect": "fix it"}, {"expect": ["FAILED", "exit 1"]}, {"expect": "fix it"}]
    model = ScriptedModel(script(tmp_path, {"steps": steps}))
    history = [Message("user", "please fix it", preface="today")]
    await ask(model, *history)
    history += [Message("assistant"), Message("tool", "FAILED", call_id="1"), Message("tool", "exit 1", call_id="2")]
    await ask(model, *history)
    with pytest.raises(ModelError, match=r"Step 3 .* expected 'fix it'") as caught:
        await ask(model, *history)
    assert "FAILED\n\nexit 1" in caught.value.message


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("s.json", "{", r"is no JSON: .*line 1.*\nYAML files end in .yaml"),
        ("s.yaml", "steps:\n  - text: [", r"s\.yaml, line 2 is no YAML"),
        ("s.yaml", "a: \0", r"is no YAML"),
        ("s.yaml", "", r"at its top"),
        ("s.json", "{}", r"at steps: Field required"),
        ("s.json", '{"steps": [{}, {"txt": 1}]}', r"at steps\[2\]\.txt: unknown key txt; known here: text, "),
        ("s.json", '{"steps": [], "modle": "m"}', r"at modle: unknown key modle; known here: model, "),
        (
            "s.json",
            '{"steps": [{"tool_calls": [{"name": "Read", "args": {}}]}]}',
            r"at steps\[1\]\.tool_calls\[1\]\.args: unknown key args; known here: arguments, name, id\.",
        ),
        (
            "s.json",
            '{"steps": [{"usage": {"in": 1}}]}',
            r"at steps\[1\]\.usage\.in: unknown key in; known here: input, ",
        ),
        ("s.json", '{"steps": [{"tool_calls": [{}]}]}', r"at steps\[1\]\.tool_calls\[1\]\.name: Field required"),
        ("s.json", '{"steps": [{"error": {"type": "boom"}}]}', r"at steps\[1\]\.error\.type: Input should be"),
        ("s.json", '{"steps": [{"delay": -1}]}', r"at steps\[1\]\.delay"),
        ("s.jsonl", "", r"is empty"),
        ("s.jsonl", '{"type": "recording", "version": 2, "model": "m", "context": 1}', r"line 1 .* at version"),
        (
            "s.jsonl",
            '{"type": "recording", "version": 1, "model": "m", "context": 1}\n\n{"type": "answer"}',
            r"line 3 has a mistake at request",
        ),
    ],
)
def test_a_mistake_in_the_file_is_named_with_its_place(tmp_path: Path, name: str, content: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ScriptedModel(script(tmp_path, content, name))
    assert name in str(caught.value)
    caught.match(complaint)


def test_a_file_that_is_missing_a_folder_or_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "none.json", tmp_path, tmp_path / "binary.json"):
        with pytest.raises(ConfigError, match=str(path.name)):
            ScriptedModel(path)


def test_the_scripted_model_needs_no_sdk_and_json_no_yaml(tmp_path: Path) -> None:
    path = script(tmp_path, {"steps": []})
    program = (
        "import sys, pathlib; from kimi_code.llm.scripted import ScriptedModel;"
        f"ScriptedModel(pathlib.Path({str(path)!r}));"
        "sys.exit(bool({'openai', 'yaml', 'git', 'rich'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


# --- Recordings ---------------------------------------------------------------------------------------------------


async def test_a_recording_plays_as_the_original_did(tmp_path: Path) -> None:
    steps = [
        {"thinking": "hm", "text": "answer", "chunk": 2, "tool_calls": [{"name": "Read", "arguments": '{"bro'}]},
        {"text": "part", "error": {"type": "rate_limited", "message": "later", "retry_after": 2}},
        {"error": {"type": "quota", "message": "empty", "hint": "pay", "status": 429}},
        {"thinking": "", "text": "", "finish": "length", "usage": {"input": 5, "output": 1}},
    ]
    source = script(tmp_path, {"model": "m", "context": 77, "steps": steps})
    recording = RecordingModel(ScriptedModel(source), tmp_path / "run.jsonl", str)
    heard = [await hear(recording) for _ in steps]
    replayed = ScriptedModel(tmp_path / "run.jsonl")
    assert replayed.profile == recording.profile
    assert [await hear(replayed) for _ in steps] == heard
    assert replayed.remaining == 0
    await recording.close()


async def test_secrets_do_not_reach_the_recording_even_when_cut_into_pieces(tmp_path: Path) -> None:
    secret, key = "correct horse battery", "sk-0123456789abcdefghij"
    step = {
        "thinking": f"the key is {key}",
        "text": f"say {secret} now",
        "chunk": 4,
        "tool_calls": [{"name": "Bash", "arguments": {"command": f"echo\n{key} '{secret}'"}}],
    }
    source = script(tmp_path, {"steps": [step, {"error": {"type": "auth", "message": f"bad key {key}"}}]})
    path = tmp_path / "run.jsonl"
    recording = RecordingModel(ScriptedModel(source), path, Scrubber([secret]).scrub)
    assert (await ask(recording, Message("user", f"use {key}")))[-1] == (await ask(ScriptedModel(source)))[-1]
    await hear(recording)
    written = path.read_text()
    assert secret not in written
    assert key not in written
    assert "battery" not in written
    replayed = (await ask(ScriptedModel(path)))[-1]
    assert isinstance(replayed, Completion)
    assert replayed.text == "say [secret] now"
    assert json.loads(replayed.tool_calls[0].arguments) == {"command": "echo\n[secret] '[secret]'"}


async def test_an_answer_the_client_hung_up_on_is_kept_but_not_played(tmp_path: Path) -> None:
    source = script(tmp_path, {"chunk": 1, "steps": [{"text": "long answer"}, {"text": "second"}]})
    path = tmp_path / "run.jsonl"
    recording = RecordingModel(ScriptedModel(source), path, str)
    stream = recording.stream(ModelRequest("", (Message("user", "hi"),)))
    assert await anext(stream) == TextChunk("l")
    assert isinstance(stream, AsyncGenerator)
    await stream.aclose()
    await ask(recording)
    assert json.loads(path.read_text().splitlines()[1])["chunks"] == [["text", "l"]]
    replayed = ScriptedModel(path)
    assert replayed.remaining == 1
    assert (await ask(replayed))[-1] == Completion("second")


async def test_equal_requests_have_equal_digests_and_their_words_are_not_kept(tmp_path: Path) -> None:
    source = script(tmp_path, {"steps": [{"text": str(number)} for number in range(3)]})
    path = tmp_path / "run.jsonl"
    recording = RecordingModel(ScriptedModel(source), path, str)
    for words in ("private words", "private words", "other \udcff words"):
        await ask(recording, Message("user", words))
    digests = [json.loads(line)["request"]["sha256"] for line in path.read_text().splitlines()[1:]]
    assert digests[0] == digests[1] != digests[2]
    assert "private" not in path.read_text()


@pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX")
def test_a_recording_is_for_its_owner_and_replaces_the_last_one(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    for _ in range(2):
        RecordingModel(ScriptedModel(script(tmp_path, {"steps": []})), path, str)
    assert len(path.read_text().splitlines()) == 1
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_recording_that_cannot_be_written_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="KIMI_CODE_RECORD"):
        RecordingModel(ScriptedModel(script(tmp_path, {"steps": []})), tmp_path / "none" / "run.jsonl", str)
