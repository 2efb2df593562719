import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kimi_code.config.remember import choose_in, remember
from kimi_code.errors import ConfigError


def test_rules_are_added_and_everything_else_stays(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    text = '# mine\nmodel = "x"  # keep\nallow = [\n    "Bash(make)", # why\n]\n[models.x]\nid = "x"\n'
    file.write_text(text)
    assert remember(file, ["Bash(make)", "Bash(npm test)"]) == ("Bash(npm test)",)
    assert file.read_text() == text.replace("allow = [", 'allow = [\n    "Bash(npm test)",')
    assert remember(file, ["Bash(npm test)"]) == ()


def test_a_file_is_made_where_there_is_none(tmp_path: Path) -> None:
    file = tmp_path / "new" / "config.toml"
    remember(file, ["Bash(make test)"])
    assert tomllib.loads(file.read_text()) == {"allow": ["Bash(make test)"]}


@pytest.mark.parametrize(
    "text", ['"allow" = ["Bash(x)"]\n', "allow.x = 1\n", 'x = """\nallow = [\n"""\n', "broken = [\n"]
)
def test_a_file_of_an_unusual_form_is_left_alone(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text)
    with pytest.raises(ConfigError):
        remember(file, ["Bash(make)"])
    assert file.read_text() == text


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=20), unique=True))
def test_any_rule_comes_back_as_it_was(tmp_path: Path, rules: list[str]) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[providers.x]\nbase_url = 'http://x/v1'\n")
    assert remember(file, rules) == tuple(rules)
    assert tomllib.loads(file.read_text()).get("allow", []) == rules


def test_choices_are_set_in_their_tables_and_everything_else_stays(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(
        '# mine\nmodel = "old" # why\nallow = ["x"]\n\n[screen]\nnotify = false\n\n[providers.x]\nmodel = 1\n'
    )
    choose_in(file, {("model",): "new", ("provider",): "ollama", ("screen", "theme"): "dark"})
    assert file.read_text() == (
        'provider = "ollama"\n# mine\nmodel = "new" # why\nallow = ["x"]\n\n[screen]\n'
        'theme = "dark"\nnotify = false\n\n[providers.x]\nmodel = 1\n'
    )


def test_a_table_is_added_where_there_is_none(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    choose_in(file, {("providers", "my server", "base_url"): "http://x/v1", ("screen", "theme"): "light"})
    assert tomllib.loads(file.read_text()) == {
        "providers": {"my server": {"base_url": "http://x/v1"}},
        "screen": {"theme": "light"},
    }


@pytest.mark.parametrize(
    "text",
    ['model = """\nold"""\n', '"model" = "old"\n', "screen = { theme = 'x' }\n", 'screen.theme = "x"\n', "x = [\n"],
)
def test_a_choice_that_cannot_be_written_safely_is_not(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text)
    with pytest.raises(ConfigError):
        choose_in(file, {("model",): "new", ("screen", "theme"): "dark"})
    assert file.read_text() == text


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(st.text(st.characters(codec="utf-8"), max_size=20), st.text(st.characters(codec="utf-8"), max_size=20))
def test_any_choice_comes_back_as_it_was(tmp_path: Path, first: str, second: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[providers.x]\nbase_url = 'http://x/v1'\n")
    for value in (first, second):
        choose_in(file, {("model",): value, ("providers", "x", "base_url"): value})
        read = tomllib.loads(file.read_text())
        assert read == {"model": value, "providers": {"x": {"base_url": value}}}
