import os
from pathlib import Path
from subprocess import PIPE

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_code.cli.app import main
from kimi_code.cli.trust import visible
from kimi_code.config import load
from kimi_code.config.trust import Contents, Trust, read
from kimi_code.errors import ConfigError
from tests.program import Done, finish, start


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / ".git").mkdir(parents=True)
    (folder / ".kimi-code").mkdir()
    (folder / ".kimi-code" / "config.toml").write_text('deny = ["Bash(make deploy)"]\n')
    return folder.resolve()


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setenv("KIMI_CODE_DIR", str(tmp_path / "own"))
    monkeypatch.setenv("HOME", str(tmp_path))
    return dict(os.environ)


def run(*argv: str) -> int:
    return main(argv)


def run_answering(answer: str, env: dict[str, str], *argv: str) -> Done:
    """A process of its own, whose question is answered by a pipe."""
    paths = {**env, "PYTHONPATH": str(Path(__file__).parents[2])}
    return finish(start(argv, cwd=Path(env["HOME"]), env=paths, stdin=PIPE, stdout=PIPE, stderr=PIPE), answer.encode())


def test_trusted_content_is_used_until_it_changes(project: Path, env: dict[str, str]) -> None:
    assert load(None, env, project).deny == ()
    assert run("trust", "-y", str(project)) == 0
    settings = load(None, env, project)
    assert (settings.deny, settings.warnings) == (("Bash(make deploy)",), ())
    (project / ".kimi-code" / "config.toml").write_text("deny = []\n")
    changed = load(None, env, project)
    assert changed.deny == ()
    assert "changed since it was trusted" in changed.warnings[0]
    assert "kimi-code trust" in changed.warnings[0]


def test_any_other_file_of_the_folder_counts(project: Path, env: dict[str, str]) -> None:
    run("trust", "-y", str(project))
    hooks = project / ".kimi-code" / "hooks"
    hooks.mkdir()
    (hooks / "stop.sh").write_text("curl evil\n")
    assert load(None, env, project).deny == ()
    (hooks / "stop.sh").unlink()
    assert load(None, env, project).deny != ()


def test_a_subfolder_finds_the_projects_decision_and_a_copy_has_none(
    project: Path, env: dict[str, str], tmp_path: Path
) -> None:
    run("trust", "-y", str(project))
    (project / "src").mkdir()
    assert load(None, env, project / "src").deny != ()
    project.rename(tmp_path / "moved")
    assert load(None, env, tmp_path / "moved").deny == ()


def test_everything_is_shown_in_full_and_a_no_trusts_nothing(project: Path, env: dict[str, str]) -> None:
    (project / ".kimi-code" / "agent.md").write_text("be nice\x1b[2J \u202edne\n")
    refused = run_answering("\n", env, "trust", str(project))
    assert refused.code == 1
    assert 'deny = ["Bash(make deploy)"]' in refused.stdout
    assert "be nice\\x1b[2J \\u202edne" in refused.stdout
    assert load(None, env, project).deny == ()
    assert run_answering("y\n", env, "trust", str(project)).code == 0
    assert load(None, env, project).deny != ()


def test_decisions_are_listed_and_revoked(
    project: Path, env: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    run("trust", "-y", str(project))
    capsys.readouterr()
    assert run("trust", "--list") == 0
    assert str(project) in capsys.readouterr().out
    assert run("trust", "--revoke", str(project)) == 0
    assert load(None, env, project).deny == ()
    assert run("trust", "--revoke", str(project)) == 2
    assert run("trust", "--list", str(project)) == 2


def test_a_folder_without_settings_and_one_with_links_cannot_be_trusted(
    project: Path, env: dict[str, str], tmp_path: Path
) -> None:
    assert run("trust", "-y", str(tmp_path)) == 2
    (tmp_path / "outside").write_text("x")
    (project / ".kimi-code" / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(ConfigError, match="is a link"):
        read(project / ".kimi-code")
    assert run("trust", "-y", str(project)) == 2


def test_what_was_shown_is_trusted_and_not_what_came_after(project: Path, tmp_path: Path) -> None:
    folder, store = project / ".kimi-code", Trust(tmp_path / "data")
    shown = read(folder)
    (folder / "config.toml").write_text("worse = true\n")
    store.grant(shown)
    assert store.state(folder) == "changed"


def test_a_broken_store_trusts_nothing(project: Path, tmp_path: Path) -> None:
    folder, store = project / ".kimi-code", Trust(tmp_path / "data")
    store.grant(read(folder))
    [file] = (tmp_path / "data" / "trust").iterdir()
    for text in ("", "[]", "{}", "null", '{"folder": 1}', "\x00"):
        file.write_text(text)
        assert store.state(folder) == "unknown"
        assert store.granted() == []


NAMES = st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1, max_size=8)
FILES = st.dictionaries(NAMES, st.binary(max_size=12), max_size=4)


@given(FILES, FILES)
def test_different_files_have_different_hashes(one: dict[str, bytes], other: dict[str, bytes]) -> None:
    digests = [Contents(Path("/x"), tuple(sorted(files.items()))).digest for files in (one, other)]
    assert (digests[0] == digests[1]) == (one == other)


@given(st.text())
def test_nothing_shown_steers_a_terminal(text: str) -> None:
    assert all(char.isprintable() or char == "\t" for char in visible(text))
