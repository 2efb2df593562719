"""Generated files say what the code says."""

from pathlib import Path

from kimi_code.cli import reference
from kimi_code.cli.tree import build_tree

ROOT = Path(__file__).resolve().parents[2]


def test_generated_files_are_fresh() -> None:
    assert reference.stale(ROOT) == [], "run `python -m kimi_code.cli.reference`"


def test_a_missing_and_a_changed_page_are_stale(tmp_path: Path) -> None:
    made = reference.pages()
    for path, text in made.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    assert reference.stale(tmp_path) == []
    (tmp_path / "docs" / "tools.md").unlink()
    (tmp_path / "docs" / "settings.md").write_text("old", encoding="utf-8")
    assert reference.stale(tmp_path) == ["docs/settings.md", "docs/tools.md"]


def test_every_command_has_a_sentence_and_every_flag_a_help_text() -> None:
    for command in build_tree().walk():
        assert command.summary, command.path
        assert all(option.help for option in command.options), command.path
