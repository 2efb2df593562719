"""The command line as a whole: usage errors, every command, and the ends that only a real process has."""

import json
import os
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Any

import pytest

from kimi_code import __version__
from kimi_code.cli.app import main
from tests.program import PATIENCE, Process, finish, start
from tests.repository import git
from tests.server import FakeServer, Reply, say


@dataclass(frozen=True, slots=True)
class Done:
    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class Cli:
    """Runs the program in a folder and with an environment of its own: called in this process, `spawn`ed in another."""

    cwd: Path
    env: dict[str, str]

    def __call__(self, *args: str, env: Mapping[str, str] | None = None) -> Done:
        with (
            pytest.MonkeyPatch.context() as patch,
            redirect_stdout(StringIO()) as out,
            redirect_stderr(StringIO()) as err,
        ):
            patch.chdir(self.cwd)
            for name in set(os.environ) - set(self.env):
                patch.delenv(name)
            for name, value in {**self.env, **(env or {})}.items():
                patch.setenv(name, value)
            code = main(args)
        return Done(code, out.getvalue(), err.getvalue())

    def start(self, *args: str, env: Mapping[str, str] | None = None, fresh: bool = False, **streams: Any) -> Process:
        return start(args, cwd=self.cwd, env={**self.env, **(env or {})}, fresh=fresh, **streams)

    def spawn(self, *args: str, input: str = "", env: Mapping[str, str] | None = None, fresh: bool = False) -> Done:
        process = self.start(*args, env=env, fresh=fresh, stdin=PIPE, stdout=PIPE, stderr=PIPE)
        out, err = ((said or b"").decode() for said in process.communicate(input.encode(), PATIENCE))
        assert "Traceback" not in out + err
        return Done(process.wait(), out, err)


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    (tmp_path / "work").mkdir()
    (tmp_path / "home").mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KIMI_", "MOONSHOT_", "OPENAI_"))}
    home = str(tmp_path / "home")
    # No local server is looked for: what runs on this machine is none of a test's business.
    (tmp_path / "kimi").mkdir()
    (tmp_path / "kimi" / "config.toml").write_text("local_servers = []\n", encoding="utf-8")
    return Cli((tmp_path / "work").resolve(), {**kept, "HOME": home, "KIMI_CODE_DIR": str(tmp_path / "kimi")})


def user_file(cli: Cli) -> Path:
    return Path(cli.env["KIMI_CODE_DIR"]) / "config.toml"


@pytest.fixture
def script(tmp_path: Path) -> str:
    file = tmp_path / "hello.yaml"
    file.write_text("steps:\n  - text: '**hello** sk-abcdefghijklmnopqrstuvwx'\n", encoding="utf-8")
    return f"scripted:{file}"


# --- Usage errors ---------------------------------------------------------------------------------------------------


def test_every_usage_error_exits_2_with_one_or_two_lines_and_json_where_asked(
    capsys: pytest.CaptureFixture[str],
) -> None:
    wrong: list[tuple[list[str], tuple[str, ...]]] = [
        (["--promt", "x"], ("--promt", "--prompt")),
        (["-p"], ("-p", "requires an argument")),
        (["-y", "--permission-mode", "plan", "-p", "x"], ("-y/--yolo", "--permission-mode")),
        (["-c", "-r", "abc", "-p", "x"], ("-c/--continue", "-r/--resume")),
        (["--no-session", "-c", "-p", "x"], ("--no-session", "-c/--continue")),
        (["--no-session", "-r", "a", "-p", "x"], ("--no-session", "-r/--resume")),
        (["--thinking", "very", "-p", "x"], ("--thinking", "'off', 'on', 'low', 'high', 'max'")),
        (["--permission-mode", "yolo", "-p", "x"], ("--permission-mode", "'plan'")),
        (["--max-steps", "-1", "-p", "x"], ("--max-steps", "greater than or equal to 0")),
        (["--max-cost", "ten", "-p", "x"], ("--max-cost", "number")),
        (["doctr"], ("'doctr'", "did you mean 'doctor'?")),
        (["write me a poem"], ("'write me a poem'", 'kimi-code -p "write me a poem"')),
        (["-p", "write", "me"], ("'me'", "quotes")),
        (["-p", "x", "doctor"], ("-p and the command doctor",)),
        (["sessions"], ("Missing command", "kimi-code sessions --help")),
        (["sessions", "list", "--what"], ("--what", "kimi-code sessions list --help")),
        (["completions", "show", "tcsh"], ("tcsh",)),
    ]
    for number, (argv, expected) in enumerate(wrong):
        form = ("json", "jsonl", "stream-json")[number % 3]
        assert main(["--output-format", form, *argv]) == 2, argv
        captured = capsys.readouterr()
        assert all(part in captured.err for part in expected), (argv, captured.err)
        assert len(captured.err.splitlines()) <= 2
        result = json.loads(captured.out)
        assert (result["type"], result["status"], result["exit_code"]) == ("result", "usage_error", 2)
        assert result["session_id"] is None
        assert f"kimi-code: {result['error']}\n" == captured.err


def test_without_asking_for_json_standard_output_stays_empty_on_a_usage_error(cli: Cli) -> None:
    done = cli("--output-format", "xml", "-p", "x")
    assert (done.code, done.out) == (2, "")


def test_broken_toml_is_told_with_its_place_also_as_json(cli: Cli) -> None:
    user_file(cli).write_text('model = "a"\nmax_steps = = 1\n')
    for args in (["-p", "x", "--output-format=json"], ["--output-format", "jsonl", "-p", "x"]):
        done = cli.spawn(*args)
        assert done.code == 2
        assert done.json()["status"] == "usage_error"
        assert f"{user_file(cli)}:2:13" in done.json()["error"]


def test_no_key_exits_3_with_the_three_ways_to_go_on(cli: Cli) -> None:
    done = cli.spawn("-p", "x", "--output-format", "json")
    assert (done.code, done.json()["exit_code"], done.json()["status"]) == (3, 3, "auth_failed")
    for way in ("export KIMI_API_KEY", "local server", "Ollama", "kimi-code demo"):
        assert way in done.json()["error"]


def test_a_pipe_without_p_is_the_prompt(cli: Cli, script: str) -> None:
    done = cli.spawn("-m", script, "--no-session", input="say hello")
    assert (done.code, done.out.startswith("**hello**")) == (0, True)


# --- Commands -------------------------------------------------------------------------------------------------------


def test_the_version_is_told_also_beside_other_flags(cli: Cli) -> None:
    for flag in ("--version", "-V"):
        assert cli.spawn(flag) == Done(0, f"kimi-code {__version__}\n", "")
        assert cli("-p", "x", flag) == Done(0, f"kimi-code {__version__}\n", "")


def test_help_groups_the_flags_and_names_every_command(cli: Cli) -> None:
    done = cli("--help")
    assert done.code == 0
    for heading in ("Commands:", "Prompt:", "Model:", "Session:", "Permissions:", "Limits:"):
        assert f"\n{heading}\n" in done.out
    for name in ("doctor", "models", "demo", "sessions", "config", "schema", "completions"):
        assert f"\n  {name}" in done.out
    assert "--install-completion" not in done.out


def test_config_show_tells_value_and_origin_and_masks_keys(cli: Cli) -> None:
    user_file(cli).write_text(
        "max_steps = 7\n[providers.work]\nbase_url = 'https://h/v1'\napi_key = 'sk-work-12345678'\n"
    )
    env = {"KIMI_API_KEY": "sk-secret-abcd1234"}
    shown = cli("-m", "k9", "config", "show", "--json", env=env).json()
    assert shown["model"] == {"value": "k9", "from": "flag --model"}
    assert shown["max_steps"] == {"value": 7, "from": str(user_file(cli))}
    assert shown["providers.moonshot.api_key"] == {"value": "…1234", "from": "environment KIMI_API_KEY"}
    assert shown["providers.work.api_key"] == {"value": "…5678", "from": str(user_file(cli))}
    table = cli("config", "show", env=env)
    assert "secret" not in table.out + str(shown)
    assert "…1234" in table.out


def test_every_setting_that_has_a_flag_takes_it_and_says_so(cli: Cli) -> None:
    given: dict[str, tuple[str, str, object]] = {
        "--model": ("model", "moonshot/kimi-k2.5", "moonshot/kimi-k2.5"),
        "--thinking": ("thinking", "max", "max"),
        "--permission-mode": ("permission_mode", "edits", "edits"),
        "--allow": ("allow", "Bash(ls)", ["Bash(ls)"]),
        "--deny": ("deny", "Read(x)", ["Read(x)"]),
        "--add-dir": ("add_dirs", str(cli.cwd.parent), [str(cli.cwd.parent)]),
        "--max-steps": ("max_steps", "7", 7),
        "--max-tokens": ("max_tokens", "8", 8),
        "--max-cost": ("max_cost", "1.5", 1.5),
        "--max-session-tokens": ("max_session_tokens", "9", 9),
        "--max-session-cost": ("max_session_cost", "2.5", 2.5),
        "--timeout": ("timeout", "9", 9.0),
    }
    flags = [word for flag, (_, word, _) in given.items() for word in (flag, word)]
    shown = cli(*flags, "config", "show", "--json").json()
    for flag, (name, _, value) in given.items():
        assert shown[name] == {"value": value, "from": f"flag {flag}"}
    assert shown["silence_timeout"] == {"value": 120.0, "from": "default"}
    assert cli("-y", "config", "show", "--json").json()["permission_mode"]["value"] == "yolo"


def test_config_path_and_schema(cli: Cli) -> None:
    paths = cli("config", "path", "--json").json()
    assert paths["user"] == str(user_file(cli))
    assert paths["project"] == str(cli.cwd / ".kimi-code" / "config.toml")
    assert paths["data"] == str(user_file(cli).parent / "data")
    assert "max_steps" in cli("config", "schema").json()["properties"]


def test_the_folder_flag_holds_for_every_command_and_must_exist(cli: Cli) -> None:
    (cli.cwd / "sub folder 文").mkdir()
    paths = cli("-C", "sub folder 文", "config", "path", "--json").json()
    assert paths["project"] == str(cli.cwd / "sub folder 文" / ".kimi-code" / "config.toml")
    assert cli("-C", "nowhere", "config", "path").code == 2


def test_schema_events_is_a_json_schema_of_every_event(cli: Cli) -> None:
    schema = cli("schema", "events").json()
    assert {"TurnStarted", "TurnEnded", "ToolEnded"} <= set(schema["$defs"])


def test_models_are_listed_with_what_the_server_and_the_profiles_know(cli: Cli, server: FakeServer) -> None:
    server.models = [{"id": "kimi-k3", "context_length": 1_000}, {"id": "odd\x1b[31m name"}]
    env = {"KIMI_BASE_URL": server.url}
    rows = cli("models", "--json", env=env).json()
    assert (rows[0]["id"], rows[0]["context"], rows[0]["chosen"]) == ("kimi-k3", 1_000, True)
    table = cli("models", env=env)
    assert "kimi-k3 *" in table.out
    assert "\x1b" not in table.out


def test_a_page_in_place_of_models_is_no_api(cli: Cli, server: FakeServer) -> None:
    server.models = Reply((b"<html>hello</html>",), content_type="text/html")
    done = cli("models", env={"KIMI_BASE_URL": server.url})
    assert (done.code, done.out) == (1, "")


def test_doctor_is_content_with_a_server_that_offers_the_model(cli: Cli, server: FakeServer) -> None:
    done = cli("doctor", "--json", env={"KIMI_BASE_URL": server.url, "KIMI_API_KEY": "sk-secret-abcd1234"})
    found = {check["name"]: check for check in done.json()["checks"]}
    assert (done.code, done.json()["ok"]) == (0, True)
    assert (found["server"]["state"], "kimi-k3" in found["server"]["text"]) == ("ok", True)
    assert "…1234" in found["key"]["text"]
    assert "confined" in found["sandbox"]["text"] or "cannot stop" in found["sandbox"]["text"]
    assert set(found) >= {"configuration", "git", "ripgrep", "data folder", "terminal"}


def test_doctor_notes_a_model_that_the_server_does_not_offer(cli: Cli, server: FakeServer) -> None:
    done = cli("-m", "kimi-k99", "doctor", env={"KIMI_BASE_URL": server.url})
    assert done.code == 0
    assert "not kimi-k99" in done.out


def test_doctor_describes_the_repository_without_addresses_of_remotes(cli: Cli) -> None:
    def told() -> str:
        return next(line for line in cli("doctor").out.splitlines() if line.startswith("repository"))

    assert "none around this folder" in told()
    git(cli.cwd, "init", "-q", "-b", "topic")
    git(cli.cwd, "remote", "add", "up", "https://me:secret@example.org/x.git")
    assert told().endswith(", on topic, remotes: up")


def test_doctor_goes_on_after_what_is_broken_and_exits_1(cli: Cli) -> None:
    unreachable = cli("doctor", env={"KIMI_BASE_URL": "http://127.0.0.1:9/v1"})
    assert (unreachable.code, "Broken: server" in unreachable.out) == (1, True)
    no_key = cli("doctor")
    assert (no_key.code, "Broken: key" in no_key.out) == (1, True)
    user_file(cli).write_text("= nonsense")
    no_configuration = cli("doctor", "--json").json()
    broken = [check["name"] for check in no_configuration["checks"] if check["state"] == "broken"]
    assert broken == ["configuration"]
    assert "git" in [check["name"] for check in no_configuration["checks"]]


def test_doctor_says_when_the_data_folder_cannot_be_written(cli: Cli, server: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    env = {"KIMI_BASE_URL": server.url, "KIMI_CODE_DIR": str(tmp_path / "file" / "below")}
    done = cli("doctor", env=env)
    assert (done.code, "Broken: data folder" in done.out) == (1, True)


# --- Sessions -------------------------------------------------------------------------------------------------------


def test_a_session_is_listed_shown_exported_without_secrets_and_deleted(cli: Cli, script: str, tmp_path: Path) -> None:
    key = "sk-secret-abcd1234"
    assert cli.spawn("-p", f"fix \x1b[31mthis\nwith {key}", "-m", script).code == 0
    (listed,) = cli("sessions", "list", "--json").json()
    assert (listed["cwd"], listed["turns"]) == (str(cli.cwd), 1)
    id = listed["id"]
    head, row = cli("sessions", "list").out.splitlines()
    assert head.split() == ["ID", "AGE", "TURNS", "COST", "FOLDER", "TITLE"]
    assert row.split()[1:5] == ["now", "1", "-", str(cli.cwd)]
    assert ("fix this" in row, "\x1b" in row) == (True, False)
    shown = cli("sessions", "show", id[:4])
    assert "**hello**" in shown.out
    assert "\x1b" not in shown.out
    for form in ("markdown", "jsonl"):
        exported = cli("sessions", "export", id, "--format", form, env={"KIMI_API_KEY": key})
        assert (exported.code, "hello" in exported.out) == (0, True)
        assert "sk-" not in exported.out
        if form == "jsonl":
            assert all(json.loads(line)["seq"] for line in exported.out.splitlines())
    file = tmp_path / "out.md"
    assert cli("sessions", "export", id, "-o", str(file)).out == ""
    assert file.read_text(encoding="utf-8").startswith("# fix")
    forked = cli("sessions", "fork", id[:4]).out.strip()
    assert {each["id"] for each in cli("sessions", "list", "--json").json()} == {id, forked}
    assert cli("sessions", "delete", "--yes", forked).code == 0
    assert cli.spawn("sessions", "delete", id, input="no\n").code == 1
    assert cli.spawn("sessions", "delete", id).code == 1
    assert cli.spawn("sessions", "delete", id, input="y\n").code == 0
    assert cli("sessions", "list", "--json").json() == []


def test_sessions_of_other_folders_are_listed_with_all(cli: Cli, script: str) -> None:
    (cli.cwd / "other").mkdir()
    assert cli.spawn("-C", "other", "-p", "x", "-m", script).code == 0
    here = cli("sessions", "list")
    assert (here.out, "sessions list --all" in here.err) == ("", True)
    assert len(cli("sessions", "list", "--all", "--json").json()) == 1


def test_an_unknown_session_is_a_usage_error(cli: Cli) -> None:
    for command in ("show", "export", "fork", "delete"):
        done = cli("sessions", command, "zzzz")
        assert (done.code, "'zzzz'" in done.err) == (2, True)
    resumed = cli.spawn(
        "-r", "zzzz", "-p", "x", "--output-format", "json", env={"KIMI_BASE_URL": "http://127.0.0.1:9/v1"}
    )
    assert (resumed.code, resumed.json()["status"]) == (2, "usage_error")


# --- The process ----------------------------------------------------------------------------------------------------


def test_a_reader_that_leaves_early_is_no_reason_to_complain(cli: Cli) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = cli.start("config", "schema", stdin=DEVNULL, stdout=writer, stderr=PIPE)
    os.close(writer)
    done = finish(process)
    assert (done.code, done.stderr) == (141, "")


def test_a_bug_leaves_a_traceback_in_a_file_and_no_secret_anywhere(cli: Cli, tmp_path: Path) -> None:
    # The seam is a module on the path that is not what the program expects: here a broken pydantic_core.
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "pydantic.py").write_text("raise RuntimeError('bug with sk-secret-abcd1234')")
    env = {"PYTHONPATH": str(tmp_path / "broken"), "KIMI_API_KEY": "sk-secret-abcd1234"}
    done = cli.spawn("--output-format", "json", "config", "show", env=env, fresh=True)
    assert done.code == 1
    assert done.json()["status"] == "failed"
    assert "RuntimeError: bug with [secret]" in done.err
    (file,) = (user_file(cli).parent / "data" / "crashes").iterdir()
    assert str(file) in done.err
    text = file.read_text(encoding="utf-8")
    assert "Traceback (most recent call last)" in text
    assert "sk-secret" not in text


def test_output_that_the_terminal_cannot_encode_is_escaped(cli: Cli) -> None:
    env = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "KIMI_API_KEY": "sk-secret-abcd1234"}
    done = cli.spawn("config", "show", env=env, fresh=True)
    assert (done.code, "\\u20261234" in done.out) == (0, True)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_with_half_a_terminal_and_no_prompt_the_short_help_says_what_to_do(cli: Cli) -> None:
    import pty

    outside, inside = pty.openpty()
    process = cli.start(stdin=inside, stdout=PIPE, stderr=PIPE)
    done = finish(process)
    os.close(outside)
    os.close(inside)
    assert (done.code, done.stdout) == (2, "")
    assert 'kimi-code -p "fix the failing test"' in done.stderr
    assert "the screen cannot be opened: there is no terminal" in done.stderr


def test_completions_install_writes_one_file_and_says_what_is_left_to_do(cli: Cli) -> None:
    home = Path(cli.env["HOME"])
    env = {"XDG_DATA_HOME": "", "XDG_CONFIG_HOME": "", "USERPROFILE": str(home)}
    (home / ".zshrc").write_text("mine")
    for shell, file in (
        ("bash", ".local/share/bash-completion/completions/kimi-code"),
        ("zsh", ".local/share/zsh/site-functions/_kimi-code"),
        ("fish", ".config/fish/completions/kimi-code.fish"),
        ("powershell", ".local/share/kimi-code/kimi-code.ps1"),
    ):
        done = cli("completions", "install", shell, env=env)
        assert (done.code, done.out.splitlines()[0]) == (0, f"Written: {home / file}")
        assert (home / file).read_text(encoding="utf-8") == cli("completions", "show", shell).out
    assert (home / ".zshrc").read_text() == "mine"
    assert cli("completions", "show", env={"SHELL": "/bin/tcsh"}).code == 2


def test_a_prompt_goes_to_the_server_and_the_answer_comes_back(cli: Cli, server: FakeServer) -> None:
    server.script(say("fine"))
    done = cli.spawn("-p", "how are you?", env={"KIMI_BASE_URL": server.url}, fresh=True)
    assert (done.code, done.out) == (0, "fine\n")
    server.assert_used_up()


@pytest.mark.parametrize("flag", ["--output-schema", "-C", "--patch-out"])
def test_a_file_of_somebody_who_is_not_here_is_a_usage_error(cli: Cli, flag: str) -> None:
    done = cli("-p", "hi", "--review", "turn", flag, "~nobody-of-this-name/file")
    assert (done.code, done.out) == (2, "")
    assert "~nobody-of-this-name" in done.err
