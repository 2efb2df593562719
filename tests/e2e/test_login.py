"""`kimi-code login` and `logout`: a key by a pipe, kept, used, shown by nobody, removed."""

import pytest

from tests.program import KEY, Program
from tests.server import error, say

CONFIG = """
local_servers = []
provider = "mine"
model = "mine/kimi-k3"
[providers.mine]
base_url = "{url}"
api_key_env = "MINE_API_KEY"
"""


@pytest.fixture
def program(program: Program) -> Program:
    del program.env["KIMI_API_KEY"], program.env["KIMI_BASE_URL"]
    program.data.parent.mkdir()
    (program.data.parent / "config.toml").write_text(CONFIG.format(url=program.server.url))
    return program


def test_a_key_that_was_kept_is_used_until_it_is_removed(program: Program) -> None:
    kept = program.run("login", input=f"{KEY}\n".encode())
    assert kept.code == 0, kept.stderr
    assert "Kept in" in kept.stderr
    assert program.server.listings[0].headers["authorization"] == f"Bearer {KEY}"
    program.server.script(say("Hello."))
    assert program.run("-p", "hi").stdout == "Hello.\n"
    assert program.server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    checked = program.run("doctor")
    assert "…6789 from" in checked.stdout
    assert "keys" in checked.stdout
    assert "mine" in program.run("login", "--list").stdout
    journals = [file for file in (program.data / "sessions").rglob("*") if file.is_file()]
    assert journals
    assert not [file for file in journals if KEY.encode() in file.read_bytes()]
    removed = program.run("logout")
    assert "Removed" in removed.stderr
    assert program.run("logout").code == 2
    assert program.run("login", "--list").stdout == ""


def test_the_environments_key_wins_over_the_kept_one(program: Program) -> None:
    program.run("login", "--no-check", input=b"sk-another-key-00001\n")
    program.server.script(say("Hello."))
    program.run("-p", "hi", env={"MINE_API_KEY": KEY})
    assert program.server.requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_a_key_in_the_environment_or_in_a_file_needs_no_keyring(program: Program) -> None:
    program.run("login", "--no-check", input=f"{KEY}\n".encode())
    broken = {"PYTHON_KEYRING_BACKEND": "no.such.Keyring"}  # whoever asks for it fails
    program.server.script(say("By the file."), say("By the environment."))
    assert program.run("-p", "hi", env=broken).stdout == "By the file.\n"
    assert program.run("-p", "hi", env={**broken, "MINE_API_KEY": KEY}).stdout == "By the environment.\n"


def test_a_key_that_the_server_refuses_is_not_kept(program: Program) -> None:
    program.server.models = error(401, message="Invalid Authentication")
    refused = program.run("login", input=f"{KEY}\n".encode())
    assert refused.code == 3
    assert "refused the API key" in refused.stderr
    assert "--no-check" in refused.stderr
    assert not (program.data / "keys").exists()
