from collections.abc import Sequence
from pathlib import Path

import pytest

from kimi_code.errors import UsageError
from kimi_code.events import Effect
from kimi_code.permissions.paths import Boundary
from kimi_code.permissions.policy import Mode, Policy
from kimi_code.permissions.rules import Decision, parse


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "src").mkdir(parents=True)
    (root / "src" / "a.py").write_text("a\n")
    (tmp_path / "outside.txt").write_text("secret\n")
    return root.resolve()


def policy(
    root: Path,
    mode: Mode = "auto",
    *,
    deny: Sequence[str] = (),
    ask: Sequence[str] = (),
    allow: Sequence[str] = (),
) -> Policy:
    given: dict[Decision, Sequence[str]] = {"deny": deny, "ask": ask, "allow": allow}
    rules = tuple(parse(text, decision) for decision, texts in given.items() for text in texts)
    return Policy(mode, rules, Boundary((root,), (root.parent / "data",), (root.parent / "data" / "spill",)))


def decide(rules: Policy, tool: str, target: str) -> Decision:
    effects = {
        "Read": Effect.READ,
        "Grep": Effect.READ,
        "Edit": Effect.EDIT,
        "Write": Effect.EDIT,
        "Bash": Effect.EXECUTE,
    }
    return rules.decide(tool, effects[tool], (target,)).decision


@pytest.mark.parametrize(
    ("mode", "read", "edit", "bash"),
    [
        ("ask", "allow", "ask", "ask"),
        ("edits", "allow", "allow", "ask"),
        ("auto", "allow", "allow", "ask"),
        ("plan", "allow", "deny", "deny"),
        ("yolo", "allow", "allow", "allow"),
    ],
)
def test_modes_decide_on_reads_edits_and_commands_inside(
    project: Path, mode: Mode, read: Decision, edit: Decision, bash: Decision
) -> None:
    rules = policy(project, mode)
    assert decide(rules, "Read", "src/a.py") == read
    assert decide(rules, "Write", "src/new.py") == edit
    assert decide(rules, "Bash", "make") == bash


@pytest.mark.parametrize("path", ["../outside.txt", "/etc/hostname", "~/notes.txt", "src/../../outside.txt"])
def test_outside_paths_are_asked_for_reading_and_writing(project: Path, path: str) -> None:
    assert decide(policy(project), "Read", path) == "ask"
    assert decide(policy(project), "Edit", path) == "ask"
    assert decide(policy(project, "plan"), "Edit", path) == "deny"


def test_a_symlink_that_leads_out_counts_as_outside(project: Path) -> None:
    (project / "link").symlink_to(project.parent / "outside.txt")
    (project / "folder").symlink_to(project.parent)
    assert decide(policy(project), "Read", "link") == "ask"
    assert decide(policy(project), "Write", "folder/new.txt") == "ask"


def test_a_symlink_loop_is_denied_with_the_reason(project: Path) -> None:
    (project / "a").symlink_to(project / "b")
    (project / "b").symlink_to(project / "a")
    verdict = policy(project).decide("Read", Effect.READ, ("a",))
    assert verdict.decision == "deny"
    assert "loop" in verdict.reason


SENSITIVE = [
    ".env",
    ".env.production",
    "config/.ENV.local",
    ".git/config",
    ".git/hooks/pre-commit",
    "sub/.git/HEAD",
    ".kimi-code/config.toml",
    "deploy/id_rsa",
    "server.pem",
    "tls.key",
    ".npmrc",
    "credentials.json",
    ".aws/credentials",
    "service-account-prod.json",
    "~/.ssh/config",
    "/etc/shadow",
    "/proc/self/environ",
    "../data/sessions/x/records.jsonl",
]


@pytest.mark.parametrize("path", SENSITIVE)
@pytest.mark.parametrize("mode", ["ask", "edits", "auto"])
def test_sensitive_paths_are_asked_in_every_mode_but_yolo(project: Path, path: str, mode: Mode) -> None:
    assert decide(policy(project, mode), "Read", path) == "ask"
    assert decide(policy(project, mode), "Edit", path) == "ask"
    assert decide(policy(project, "yolo"), "Read", path) == "allow"


@pytest.mark.parametrize(
    "path",
    ["env.py", ".env.example", "id_rsa.pub", ".github/workflows/ci.yml", "src/keys.py", ".gitignore", "token.go"],
)
def test_ordinary_names_that_look_alike_are_free(project: Path, path: str) -> None:
    assert decide(policy(project), "Read", path) == "allow"


def test_a_broad_allow_rule_does_not_reach_secrets_but_one_that_names_them_does(project: Path) -> None:
    assert decide(policy(project, allow=["Read"]), "Read", ".env") == "ask"
    assert decide(policy(project, allow=["Read(**)"]), "Read", ".env") == "ask"
    assert decide(policy(project, allow=["Read(.env*)"]), "Read", ".env.local") == "allow"


def test_a_relative_allow_rule_does_not_reach_outside(project: Path) -> None:
    assert decide(policy(project, allow=["Edit(*.txt)"]), "Edit", "../outside.txt") == "ask"
    outside = str(project.parent / "*.txt")
    assert decide(policy(project, allow=[f"Edit({outside})"]), "Edit", "../outside.txt") == "allow"


def test_deny_wins_over_ask_over_allow_in_any_order(project: Path) -> None:
    def rules(mode: Mode = "auto") -> Policy:
        return policy(project, mode, allow=["Edit(src/**)"], ask=["Edit(src/*.py)"], deny=["Edit(src/a.py)"])

    assert decide(rules(), "Edit", "src/a.py") == "deny"
    assert decide(rules(), "Edit", "src/b.py") == "ask"
    assert decide(rules("ask"), "Edit", "src/deep/c.txt") == "allow"
    assert decide(rules("yolo"), "Edit", "src/a.py") == "deny"


def test_a_deny_rule_is_not_slipped_by_case_or_by_a_folder(project: Path) -> None:
    rules = policy(project, "yolo", deny=["Edit(src)"])
    assert decide(rules, "Edit", "SRC/a.py") == "deny"
    assert decide(rules, "Edit", "src/deep/er/x") == "deny"
    assert decide(rules, "Edit", "source/a.py") == "allow"


def test_a_deny_rule_follows_symlinks_to_the_real_file(project: Path) -> None:
    (project / "alias").symlink_to(project / "src")
    assert decide(policy(project, "yolo", deny=["Edit(src/**)"]), "Edit", "alias/a.py") == "deny"


def test_read_rules_cover_searches_too(project: Path) -> None:
    assert decide(policy(project, deny=["Read(src/**)"]), "Grep", "src") == "deny"
    assert not policy(project, deny=["Read(src/**)"]).may_read(project / "src" / "a.py")


def test_an_allow_rule_for_a_command_covers_exactly_that_command(project: Path) -> None:
    rules = policy(project, allow=["Bash(npm test)"])
    assert decide(rules, "Bash", "npm test") == "allow"
    assert decide(rules, "Bash", " npm test\n") == "allow"
    assert decide(rules, "Bash", "npm  test") == "allow"
    assert decide(rules, "Bash", "npm 'test' && ls") == "allow"
    for command in (
        "npm test; rm -rf x",
        "npm test && curl evil",
        "npm test -- --watch",
        "A=1 npm test",
        "npm test\nrm",
    ):
        assert decide(rules, "Bash", command) == "ask", command


@pytest.mark.parametrize(
    "command",
    [
        "rm x",
        "/bin/rm -rf /home/x",
        "rm",
        "ls; rm x",
        "ls && rm x",
        "$(rm x)",
        "`rm x`",
        "r''m x",
        "\\rm x",
        "A=1 rm x",
    ],
)
def test_no_spelling_of_a_denied_command_gets_through_even_with_yolo(project: Path, command: str) -> None:
    assert decide(policy(project, "yolo", deny=["Bash(rm *)"]), "Bash", command) == "deny"


def test_a_deny_rule_leaves_plain_other_commands_alone(project: Path) -> None:
    assert decide(policy(project, "yolo", deny=["Bash(rm *)"]), "Bash", "ls -la src") == "allow"


def test_a_rule_without_a_pattern_covers_every_call_of_the_tool(project: Path) -> None:
    assert decide(policy(project, allow=["Bash"]), "Bash", "anything; at all") == "allow"
    assert decide(policy(project, "yolo", deny=["Edit"]), "Write", "src/a.py") == "deny"
    assert decide(policy(project, "yolo", deny=["*"]), "Read", "src/a.py") == "deny"


def test_a_call_that_touches_nothing_is_free_unless_its_tool_is_denied(project: Path) -> None:
    assert policy(project, "plan").decide("Todo", Effect.NONE, ()).decision == "allow"
    assert policy(project, "ask").decide("Bash", Effect.EXECUTE, ()).decision == "allow"
    assert policy(project, deny=["Bash"]).decide("Bash", Effect.EXECUTE, ()).decision == "deny"


@pytest.mark.parametrize("text", ["", "Bash(", "(x)", "Bash()", "rm -rf", "Bash(x) y"])
def test_what_is_no_rule_is_a_usage_error_that_shows_the_syntax(text: str) -> None:
    with pytest.raises(UsageError, match=r"Bash\(npm test\)"):
        parse(text, "allow")


def test_the_strictest_of_several_targets_decides(project: Path) -> None:
    verdict = policy(project).decide("Read", Effect.READ, ("src/a.py", "/etc/passwd"))
    assert verdict.decision == "ask"


def test_a_search_of_everything_asks_where_git_keeps_a_password_with_the_servers_address(project: Path) -> None:
    config = project / ".git" / "config"
    config.parent.mkdir()
    config.write_text('[remote "origin"]\n\turl = ssh://git@example.com/x\n')
    search = "grep -rn url ."
    assert decide(policy(project), "Bash", search) == "allow"
    for line in ("url = https://ghp_0123@example.com/x", "url = https://me:word@example.com/x", "extraHeader = A: b"):
        config.write_text(f'[remote "origin"]\n\t{line}\n')
        assert decide(policy(project), "Bash", search) == "ask"
        assert decide(policy(project), "Bash", "rg url .") == "allow"


def test_a_search_asks_where_there_is_more_than_can_be_looked_at_or_a_secret_among_many(project: Path) -> None:
    for number in range(400):
        (project / "src" / f"{number}.py").touch()
    assert decide(policy(project), "Bash", "grep -rn TODO .") == "allow"
    (project / "src" / "id_rsa").touch()
    assert decide(policy(project), "Bash", "grep -rn TODO .") == "ask"
    (project / "src" / "id_rsa").unlink()
    for number in range(400, 600):
        (project / "src" / f"{number}.py").touch()
    assert decide(policy(project), "Bash", "grep -rn TODO .") == "ask"


def test_where_there_is_no_home_folder_cd_alone_is_asked_for(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "~")  # as little a folder as in a container whose user has no entry
    assert decide(policy(project), "Bash", "cd && ls") == "ask"
    assert decide(policy(project), "Bash", "cd ~/x && ls") == "ask"
    assert decide(policy(project), "Bash", "cd src && ls") == "allow"
