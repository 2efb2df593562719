"""Precedence, provenance, what a project may say, and every kind of mistake in a configuration."""

import os
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from kimi_code.addresses import proxy_problem
from kimi_code.cli.run import RunFlags
from kimi_code.config import choose, find_places, is_unconfigured, load
from kimi_code.config.file import ThinkingStyle
from kimi_code.config.settings import CheckoutSettings, CheckpointSettings
from kimi_code.errors import AuthError, ConfigError, KimiError, UsageError
from kimi_code.llm import model as llm
from kimi_code.repo.checkout import LINKED

ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project" / ".git").mkdir(parents=True)
    return tmp_path / "project"


def environment(home: Path, **more: str) -> dict[str, str]:
    return {"HOME": str(home), "KIMI_CODE_DIR": str(home / "kimi"), **more}


def write_user(home: Path, text: str) -> Path:
    return write(home / "kimi" / "config.toml", text)


def write_project(project: Path, text: str) -> Path:
    return write(project / ".kimi-code" / "config.toml", text)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def message(error: pytest.ExceptionInfo[KimiError]) -> str:
    return str(error.value)


def test_nothing_configured_gives_defaults_and_no_warnings(home: Path, project: Path) -> None:
    settings = load(None, environment(home), project)
    assert (settings.model, settings.permission_mode, settings.warnings) == ("", "auto", ())
    assert settings.origins == {}
    assert settings.data_dir == home / "kimi" / "data"
    assert settings.local_servers[0] == "http://127.0.0.1:11434/v1"
    assert is_unconfigured(settings)


def test_each_layer_wins_over_the_one_below_and_says_where_the_value_is_from(home: Path, project: Path) -> None:
    user = write_user(home, 'model = "of-user"\nmax_steps = 9\nthinking = "low"\nmax_retries = 2')
    repository = write_project(project, 'model = "of-project"\nmax_steps = 8\nthinking = "high"')
    env = environment(home, KIMI_MODEL="of-environment")
    without = load(RunFlags(), env, project, trusted=True)
    assert (without.model, without.max_steps, without.thinking) == ("of-environment", 8, "high")
    settings = load(RunFlags(model="of-flag", max_steps=90), env, project, trusted=True)
    assert (settings.model, settings.max_steps, settings.thinking, settings.max_retries) == ("of-flag", 90, "high", 2)
    assert settings.origins == {
        "model": "flag --model",
        "max_steps": "flag --max-steps",
        "thinking": str(repository),
        "max_retries": str(user),
    }


def test_rules_of_all_layers_add_up(home: Path, project: Path) -> None:
    write_user(home, 'allow = ["Bash(make test)"]\ndeny = ["Read(.env)"]')
    write_project(project, 'deny = ["Bash(git push)"]\nask = ["Edit(docs/**)"]')
    flags = RunFlags(allow=("Bash(ls)",), deny=("Bash(rm)",))
    settings = load(flags, environment(home), project, trusted=True)
    assert settings.allow == ("Bash(make test)", "Bash(ls)")
    assert settings.deny == ("Read(.env)", "Bash(git push)", "Bash(rm)")
    assert settings.ask == ("Edit(docs/**)",)


def test_an_untrusted_project_is_not_even_parsed_and_one_warning_says_how_to_trust_it(
    home: Path, project: Path
) -> None:
    write_project(project, "this is = = no TOML")
    settings = load(None, environment(home), project)
    assert len(settings.warnings) == 1
    assert "--trust" in settings.warnings[0]


@pytest.mark.parametrize(
    "line",
    [
        'allow = ["Bash(curl evil)"]',
        'permission_mode = "yolo"',
        'provider = "openai"',
        'add_dirs = ["/"]',
        'model = "openai/gpt-5"',
        'model = "scripted:evil.yaml"',
        "max_cost = 100.0",
        "max_retries = 99",
        'local_servers = ["http://evil.example/v1"]',
        '[providers.moonshot]\nbase_url = "http://evil.example/v1"',
        '[providers.moonshot]\napi_key = "sk-not-yours"',
        '[models.mine]\nprovider = "openai"',
    ],
)
def test_a_trusted_project_cannot_widen_anything_and_is_told_so(home: Path, project: Path, line: str) -> None:
    write_user(home, "max_cost = 1.0")
    before = load(None, environment(home), project)
    write_project(project, line)
    after = load(None, environment(home), project, trusted=True)
    assert len(after.warnings) == 1
    assert "is ignored" in after.warnings[0]
    for name in ("allow", "permission_mode", "provider", "providers", "models", "add_dirs", "model", "max_cost"):
        assert getattr(after, name) == getattr(before, name)
    assert (after.max_retries, after.local_servers) == (before.max_retries, before.local_servers)


def test_a_trusted_project_may_narrow(home: Path, project: Path) -> None:
    write_user(home, 'permission_mode = "edits"\nmax_cost = 1.0')
    write_project(project, 'permission_mode = "plan"\nmax_cost = 0.5\nmax_tokens = 0')
    settings = load(None, environment(home), project, trusted=True)
    assert (settings.permission_mode, settings.max_cost, settings.max_tokens) == ("plan", 0.5, 0)
    assert settings.warnings == ()


def test_a_flag_wins_over_a_projects_narrowing(home: Path, project: Path) -> None:
    write_project(project, 'permission_mode = "plan"')
    assert load(RunFlags(yolo=True), environment(home), project, trusted=True).permission_mode == "yolo"


def test_the_project_file_is_found_from_a_folder_below_the_repositorys_root(home: Path, project: Path) -> None:
    file = write_project(project, "")
    below = project / "src" / "deep"
    below.mkdir(parents=True)
    assert find_places(environment(home), below).project_file == file


def test_without_a_repository_a_file_of_a_parent_folder_is_not_used(home: Path, tmp_path: Path) -> None:
    write(tmp_path / ".kimi-code" / "config.toml", "")
    (tmp_path / "loose").mkdir()
    assert find_places(environment(home), tmp_path / "loose").project_file is None


def test_the_home_folders_dot_kimi_code_belongs_to_another_product(home: Path) -> None:
    write(home / ".kimi-code" / "config.toml", "")
    (home / ".git").mkdir()
    assert find_places(environment(home), home).project_file is None
    with pytest.raises(ConfigError, match="another product"):
        find_places({"HOME": str(home), "KIMI_CODE_DIR": str(home / ".kimi-code")}, home)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('model = "a"\nmax_steps = = 3\n', ":2:13: Invalid value"),
        ('model = "open', ":1:14: "),
        ("[providers\n", ":1:11: "),
        ("model = 1\nmodel = 2\n", ":2:"),
        pytest.param("max_steps = " + "9" * 5000, ": a number in it is too long", id="long number"),
        pytest.param("x = " + "[" * 3000 + "]" * 3000, ": it is nested too deeply", id="deep"),
    ],
)
def test_broken_toml_names_file_line_and_column(home: Path, project: Path, text: str, place: str) -> None:
    file = write_user(home, text)
    with pytest.raises(ConfigError) as error:
        load(None, environment(home), project)
    assert f"{file}{place}" in message(error)


def test_a_file_that_is_not_utf8_names_the_line(home: Path, project: Path) -> None:
    file = write_user(home, "")
    file.write_bytes(b'model = "a"\nprovider = "\xff\xfe"\n')
    with pytest.raises(ConfigError, match=r"config.toml:2: not UTF-8"):
        load(None, environment(home), project)


def test_a_byte_order_mark_is_no_mistake(home: Path, project: Path) -> None:
    write_user(home, "").write_bytes(b'\xef\xbb\xbfmodel = "a"\r\n')
    assert load(None, environment(home), project).model == "a"


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no devices here")
def test_a_device_in_place_of_the_file_is_not_read_to_its_end(home: Path, project: Path) -> None:
    write_user(home, "").unlink()
    (home / "kimi" / "config.toml").symlink_to("/dev/zero")
    with pytest.raises(ConfigError, match="not a file"):
        load(None, environment(home), project)


def test_a_folder_in_place_of_the_file_is_a_clear_error(home: Path, project: Path) -> None:
    (home / "kimi" / "config.toml").mkdir(parents=True)
    with pytest.raises(ConfigError, match="cannot be read"):
        load(None, environment(home), project)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="needs a user whom permissions bind")
def test_an_unreadable_file_is_a_clear_error(home: Path, project: Path) -> None:
    write_user(home, "").chmod(0)
    with pytest.raises(ConfigError, match="cannot be read"):
        load(None, environment(home), project)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('max_steps = "ten"', "max_steps: must be a valid integer (it is of type str)"),
        ("max_steps = true", "max_steps: must be a valid integer (it is of type bool)"),
        ("max_steps = -1", "max_steps: must be greater than or equal to 0"),
        ("max_cost = nan", "max_cost: must be a finite number"),
        ('thinking = "very"', "thinking: must be 'off', 'on', 'low', 'high' or 'max'"),
        ('deny = "Bash"', "deny: must be a valid list (it is of type str)"),
        ("providers = 3", "providers: must be a valid dictionary (it is of type int)"),
        ('[providers.x]\nbase_url = "host/v1"', "providers.x.base_url: must match pattern"),
        ("[providers.x]\n", "providers.x: base_url is missing"),
        ('[models.m]\nprovider = "nowhere"', "models.m.provider: there is no provider 'nowhere'"),
        ('provider = "nowhere"', "provider: there is no provider 'nowhere'"),
        ("[models.m.price]\ninput = 1.0", "models.m.price.cached: Field required"),
    ],
)
def test_a_wrong_value_names_file_and_key(home: Path, project: Path, text: str, expected: str) -> None:
    file = write_user(home, text)
    with pytest.raises(ConfigError) as error:
        load(None, environment(home), project)
    assert f"{file}: {expected}" in message(error)


def test_a_wrong_key_is_never_shown_in_the_error(home: Path, project: Path) -> None:
    write_user(home, '[providers.x]\nbase_url = "http://h/v1"\napi_key = ["sk-very-secret"]')
    with pytest.raises(ConfigError) as error:
        load(None, environment(home), project)
    assert "sk-very-secret" not in message(error)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://[broken/v1", "'http://[broken/v1' is none: it must look like https://host/v1."),
        ("http://host:port/v1", "'http://host:port/v1' is none: it must look like https://host/v1."),
        (f"http://{'a' * 64}/v1", "is none: it must look like https://host/v1."),
        ("http://me:hunter2@host/v1", "'http://host/v1' must not carry a password: use the key or a header."),
    ],
)
def test_an_address_that_can_be_none_is_named_with_its_place(home: Path, project: Path, url: str, told: str) -> None:
    file = write_user(home, f'model = "x/m"\n[providers.x]\nbase_url = "{url}"\napi_key = "sk-12345678"')
    with pytest.raises(ConfigError) as error:
        choose(load(None, environment(home), project))
    assert message(error).startswith(f"{file}: providers.x.base_url: ")
    assert told in message(error)
    assert "hunter2" not in message(error)
    with pytest.raises(ConfigError) as error:
        choose(load(RunFlags(model="moonshot/m"), environment(home, KIMI_BASE_URL=url), project))
    assert message(error).startswith("environment KIMI_BASE_URL: ")
    # One that is not used hinders nobody.
    assert choose(load(RunFlags(model="moonshot/m"), environment(home, KIMI_API_KEY="sk-12345678"), project))


@pytest.mark.parametrize(
    "url", ["http://localhost", "https://[::1]:8000/v1", "http://10.0.0.1./v1", "https://例え.jp/v1"]
)
def test_an_address_that_may_work_is_taken(home: Path, project: Path, url: str) -> None:
    env = environment(home, KIMI_BASE_URL=url, KIMI_API_KEY="sk-12345678")
    assert choose(load(None, env, project)).provider.base_url == url


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"ALL_PROXY": "junk://me:hunter2@proxy"}, "ALL_PROXY: 'junk://proxy' is no proxy"),
        ({"https_proxy": "http://[proxy", "HTTPS_PROXY": "http://fine:1"}, "https_proxy: 'http://[proxy' is no proxy"),
        ({"http_proxy": "", "HTTP_PROXY": "junk://proxy"}, ""),
        ({"http_proxy": "proxy:8080", "all_proxy": "socks5h://10.0.0.1:1080"}, ""),
    ],
)
def test_a_proxy_that_can_be_none_is_named_without_its_password(environment: dict[str, str], told: str) -> None:
    assert proxy_problem(environment).startswith(told)
    assert bool(proxy_problem(environment)) == bool(told)


def test_an_unknown_key_is_a_warning_with_the_nearest_known_one(home: Path, project: Path) -> None:
    file = write_user(home, 'max_step = 3\nzzz = 1\n[providers.x]\nbase_url = "http://h/v1"\napikey = "k"')
    assert load(None, environment(home), project).warnings == (
        f"{file}: unknown key max_step; did you mean max_steps?",
        f"{file}: unknown key zzz, ignored; known here: model, provider, thinking, permission_mode, allow, ask, deny,"
        " add_dirs, ...",
        f"{file}: unknown key providers.x.apikey; did you mean api_key?",
    )


def test_an_unknown_key_that_is_like_none_is_told_the_nearest_of_its_table(home: Path, project: Path) -> None:
    file = write_user(home, "[checkpoints]\nmonths = 3")
    assert load(None, environment(home), project).warnings == (
        f"{file}: unknown key checkpoints.months, ignored; known here: keep_mb, file_mb, keep_days",
    )


def test_a_start_with_a_configuration_does_not_read_what_its_fields_mean(home: Path, project: Path) -> None:
    write_user(home, "max_steps = 3")
    script = (
        "import pathlib, sys; from kimi_code.config import load; from kimi_code.config.file import ConfigFile, schema;"
        f"load(None, {environment(home)!r}, pathlib.Path({str(project)!r}));"
        "print(ConfigFile.model_fields['max_steps'].description);"
        "print(schema()['properties']['max_steps']['description'])"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["None", "The most requests to the model in a turn."]


def test_the_first_of_the_two_key_variables_wins_and_blank_ones_do_not_count(home: Path, project: Path) -> None:
    env = environment(home, KIMI_API_KEY=" \n", MOONSHOT_API_KEY="sk-moonshot-0001\n")
    settings = load(None, env, project)
    assert settings.providers["moonshot"].api_key == "sk-moonshot-0001"
    assert settings.origins["providers.moonshot.api_key"] == "environment MOONSHOT_API_KEY"
    assert choose(settings).model_id == "kimi-k3"


def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(home: Path, project: Path) -> None:
    with pytest.raises(ConfigError, match="KIMI_API_KEY") as error:
        load(None, environment(home, KIMI_API_KEY="sk-one sk-two"), project)
    assert "sk-one" not in message(error)


def test_the_environments_key_wins_over_the_files(home: Path, project: Path) -> None:
    write_user(home, '[providers.moonshot]\napi_key = "sk-of-the-file"')
    env = environment(home, KIMI_API_KEY="sk-of-the-environment")
    settings = load(None, env, project)
    assert settings.providers["moonshot"].api_key == "sk-of-the-environment"
    assert "sk-of" not in repr(settings)


def test_a_base_url_in_the_environment_chooses_moonshot_and_needs_no_key_when_it_is_local(
    home: Path, project: Path
) -> None:
    write_user(home, 'provider = "ollama"')
    settings = load(None, environment(home, KIMI_BASE_URL="http://127.0.0.1:4000/v1/"), project)
    choice = choose(settings)
    assert (choice.provider.name, choice.provider.base_url) == ("moonshot", "http://127.0.0.1:4000/v1")
    with pytest.raises(ConfigError, match="KIMI_BASE_URL is no URL"):
        load(None, environment(home, KIMI_BASE_URL="127.0.0.1:4000"), project)


@pytest.mark.parametrize(
    ("url", "needed"),
    [
        ("http://localhost:8000/v1", False),
        ("http://[::1]:8000/v1", False),
        ("http://192.168.1.9/v1", False),
        ("http://10.0.0.2:1/v1", False),
        ("https://host.docker.internal/v1", False),
        ("https://8.8.8.8/v1", True),
        ("https://localhost.example.com/v1", True),
    ],
)
def test_only_private_addresses_need_no_key(home: Path, project: Path, url: str, needed: bool) -> None:
    settings = load(None, environment(home, KIMI_BASE_URL=url), project)
    if needed:
        with pytest.raises(AuthError):
            choose(settings)
    else:
        assert choose(settings).provider.base_url == url


def test_no_key_names_the_three_ways_to_go_on(home: Path, project: Path) -> None:
    with pytest.raises(AuthError) as error:
        choose(load(None, environment(home), project))
    for way in ("export KIMI_API_KEY=", "Ollama", "kimi-code demo"):
        assert way in message(error)


def test_the_hint_knows_of_another_providers_key(home: Path, project: Path) -> None:
    settings = load(None, environment(home, OPENAI_API_KEY="sk-openai-000"), project)
    with pytest.raises(AuthError, match="-m openai/MODEL"):
        choose(settings)
    assert choose(load(RunFlags(model="openai/gpt-5"), environment(home, OPENAI_API_KEY="sk-o"), project)).model_id


def test_openais_variables_serve_openai_only(home: Path, project: Path) -> None:
    env = environment(home, OPENAI_API_KEY="sk-openai-000", OPENAI_BASE_URL="https://proxy.example/v1")
    providers = load(None, env, project).providers
    assert (providers["openai"].api_key, providers["openai"].base_url) == ("sk-openai-000", "https://proxy.example/v1")
    assert providers["moonshot"].api_key == ""
    assert providers["moonshot"].base_url == "https://api.moonshot.ai/v1"


MODELS = """
provider = "work"
[providers.work]
base_url = "https://llm.example/v1"
api_key_env = "WORK_KEY"
headers = { X-Team = "blue", Authorization-Extra = "very-secret-token" }
[models.fast]
id = "vendor/fast-1"
context = 32000
thinking_style = "reasoning_effort"
price = { input = 1, cached = 0.1, output = 2.5, noted = "2026-11-01" }
[models.elsewhere]
provider = "ollama"
"""


@pytest.mark.parametrize(
    ("name", "provider", "model_id"),
    [
        ("fast", "work", "vendor/fast-1"),
        ("elsewhere", "ollama", "elsewhere"),
        ("ollama/qwen3:8b", "ollama", "qwen3:8b"),
        ("vendor/other", "work", "vendor/other"),
        ("plain", "work", "plain"),
        ("scripted:a b.yaml", "scripted", "a b.yaml"),
    ],
)
def test_a_model_is_a_configured_name_or_a_provider_and_an_id_or_an_id(
    home: Path, project: Path, name: str, provider: str, model_id: str
) -> None:
    write_user(home, MODELS)
    settings = load(RunFlags(model=name), environment(home, WORK_KEY="work-key-1234"), project)
    choice = choose(settings)
    assert (choice.provider.name, choice.model_id) == (provider, model_id)


def test_a_models_profile_carries_the_names_of_the_profiles_fields(home: Path, project: Path) -> None:
    write_user(home, MODELS)
    choice = choose(load(RunFlags(model="fast"), environment(home, WORK_KEY="work-key-1234"), project))
    price = {"input": 1.0, "cached": 0.1, "output": 2.5, "noted": "2026-11-01"}
    assert choice.profile == {"context": 32000, "thinking": "reasoning_effort", "price": price}
    assert set(choice.profile) <= set(llm.Profile.__dataclass_fields__)
    assert get_args(ThinkingStyle) == get_args(llm.ThinkingStyle)


def test_a_provider_whose_key_variable_is_empty_says_which_one(home: Path, project: Path) -> None:
    write_user(home, MODELS)
    with pytest.raises(AuthError, match="export WORK_KEY="):
        choose(load(RunFlags(model="fast"), environment(home), project))


def test_a_provider_without_a_default_model_asks_for_one(home: Path, project: Path) -> None:
    write_user(home, MODELS)
    with pytest.raises(UsageError, match="-m work/ID"):
        choose(load(None, environment(home, WORK_KEY="k"), project))
    with pytest.raises(UsageError, match="-m work/ID"):  # as from a variable that is not set
        choose(load(RunFlags(model="work/ "), environment(home, WORK_KEY="k"), project))
    write_user(home, 'provider = "ollama"')
    assert choose(load(None, environment(home), project)).model_id == ""


def test_secrets_are_all_keys_and_secret_headers_but_no_short_placeholders(home: Path, project: Path) -> None:
    write_user(home, MODELS + '[providers.ollama]\napi_key = "ollama"')
    env = environment(home, WORK_KEY="work-key-1234", MOONSHOT_API_KEY="sk-moonshot-0001")
    assert set(load(None, env, project).secrets) == {"very-secret-token", "sk-moonshot-0001", "work-key-1234"}


def test_a_folder_to_add_must_exist_and_starts_at_the_working_folder(home: Path, project: Path) -> None:
    (project / "lib").mkdir()
    assert load(RunFlags(add_dirs=("lib",)), environment(home), project).add_dirs == (project / "lib",)
    with pytest.raises(UsageError, match="--add-dir nowhere"):
        load(RunFlags(add_dirs=("nowhere",)), environment(home), project)


def test_what_is_kept_for_undo_is_set_one_by_one_and_by_no_project(home: Path, project: Path) -> None:
    user = write_user(home, "[checkpoints]\nkeep_days = 7\nkeep_dais = 8")
    write_project(project, "[checkpoints]\nfile_mb = 100_000")
    settings = load(None, environment(home), project, trusted=True)
    assert settings.checkpoints == CheckpointSettings(keep_days=7)
    assert settings.origins["checkpoints"] == str(user)
    unknown, refused = settings.warnings
    assert "unknown key checkpoints.keep_dais; did you mean keep_days?" in unknown
    assert "checkpoints is ignored" in refused


def test_what_isolated_copies_have_of_ignored_folders_is_set_by_name(home: Path, project: Path) -> None:
    assert load(None, environment(home), project).checkouts.linked == LINKED
    write_user(home, '[checkouts]\ncopied = ["target"]')
    assert load(None, environment(home), project).checkouts == CheckoutSettings(copied=("target",))
    write_user(home, '[checkouts]\nlinked = ["web/node_modules"]')
    with pytest.raises(ConfigError, match=r"checkouts\.linked\.0"):
        load(None, environment(home), project)
