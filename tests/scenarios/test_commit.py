"""`--commit`: exactly the agent's changes, in the user's name, with the user's hooks; all else stays as it was."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kimi_code.errors import UsageError
from kimi_code.events import CommitCreated
from kimi_code.headless.run import OutputFormat
from tests.harness import Lab, Ran
from tests.server import Reply, calls, error, say

TWENTY = "".join(f"{n}\n" for n in range(1, 21))


def git(folder: Path, *args: str, input: str | None = None) -> str:
    done = subprocess.run(["git", *args], cwd=folder, input=input, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture
def repository(lab: Lab) -> Path:
    """A project with one commit and an identity of its own."""
    project = lab.project
    git(project, "init", "-q", "--template=", "-b", "main")
    (project / ".git" / "hooks").mkdir()
    (project / ".git" / "config").open("a").write("[user]\n\tname = Ann Example\n\temail = ann@example.org\n")
    (project / "a.txt").write_text(TWENTY)
    (project / "b.txt").write_text("b\n")
    git(project, "add", ".")
    git(project, "-c", "maintenance.auto=false", "commit", "-q", "-m", "First")
    lab.configure(commit=True, permission_mode="yolo")
    return project


def shell(command: str) -> Reply:
    return calls(("Bash", {"command": command}))


async def committed(
    lab: Lab, command: str, *, message: str = "Change things", output_format: OutputFormat = "json", branch: str = ""
) -> Ran:
    """A turn that runs one command, and then writes a commit message."""
    lab.server.script(shell(command), say("All done."), say(message))
    return await lab.run("Change the things.", output_format, branch=branch)


async def test_the_agents_changes_become_a_commit_in_the_users_name(lab: Lab, repository: Path) -> None:
    ran = await committed(lab, "echo new > 'ü 漢.txt'; rm b.txt; sed -i s/^3$/three/ a.txt; chmod +x a.txt")
    assert ran.exit_code == 0
    assert git(repository, "log", "-1", "--format=%an <%ae> %cn") == "Ann Example <ann@example.org> Ann Example\n"
    body = git(repository, "log", "-1", "--format=%B")
    assert body.startswith("Change things\n\nGenerated-by: kimi-code ")
    assert body.rstrip().endswith("(kimi-k3)")
    changed = git(repository, "-c", "core.quotePath=false", "show", "--format=", "--name-status", "--no-renames")
    assert changed.splitlines() == ["M\ta.txt", "D\tb.txt", "A\tü 漢.txt"]
    assert git(repository, "ls-tree", "HEAD", "a.txt").startswith("100755")
    assert git(repository, "status", "--porcelain") == ""
    assert ran.result["commit"] == {
        "id": git(repository, "rev-parse", "HEAD").strip(),
        "branch": "main",
        "files": ["a.txt", "b.txt", "ü 漢.txt"],
        "left_out": [],
    }
    assert ran.result["text"] == "All done."
    assert "-3\n+three" in lab.server.requests[-1].last["content"]
    git(repository, "fsck", "--strict")


async def test_the_users_other_changes_are_neither_committed_nor_touched(lab: Lab, repository: Path) -> None:
    (repository / "b.txt").write_text("mine\n")
    (repository / "mine.txt").write_text("untracked\n")
    (repository / "staged.txt").write_text("staged\n")
    git(repository, "add", "staged.txt")
    before = git(repository, "status", "--porcelain")
    await committed(lab, "echo new > new.txt")
    assert git(repository, "show", "--format=", "--name-only") == "new.txt\n"
    assert git(repository, "status", "--porcelain") == before
    assert git(repository, "diff", "--cached", "--name-only") == "staged.txt\n"


async def test_of_a_dirty_file_only_the_agents_lines_are_committed(lab: Lab, repository: Path) -> None:
    (repository / "a.txt").write_text(TWENTY.replace("20\n", "mine\n"))
    await committed(lab, "sed -i s/^3$/three/ a.txt")
    assert git(repository, "show", "HEAD:a.txt") == TWENTY.replace("3\n", "three\n", 1)
    assert (repository / "a.txt").read_text() == TWENTY.replace("3\n", "three\n", 1).replace("20\n", "mine\n")
    assert git(repository, "diff", "--cached") == ""
    assert "+mine" in git(repository, "diff")


async def test_staged_lines_of_the_same_file_stay_staged(lab: Lab, repository: Path) -> None:
    (repository / "a.txt").write_text(TWENTY.replace("20\n", "staged\n"))
    git(repository, "add", "a.txt")
    (repository / "a.txt").write_text(TWENTY.replace("20\n", "staged\n").replace("10\n", "dirty\n"))
    await committed(lab, "sed -i s/^3$/three/ a.txt")
    assert git(repository, "show", "HEAD:a.txt") == TWENTY.replace("3\n", "three\n", 1)
    staged = git(repository, "diff", "--cached", "-U0")
    assert "-20\n+staged" in staged
    assert "+three" not in staged
    assert "dirty" not in staged
    assert "-10\n+dirty" in git(repository, "diff", "-U0")


async def test_a_file_whose_lines_cannot_be_told_apart_is_left_out_and_said(lab: Lab, repository: Path) -> None:
    (repository / "a.txt").write_text(TWENTY.replace("3\n", "mine\n", 1))
    (repository / "untracked.txt").write_text("mine\n")
    ran = await committed(lab, "sed -i s/^mine$/three/ a.txt; echo more >> untracked.txt; echo x > new.txt")
    assert git(repository, "show", "--format=", "--name-only") == "new.txt\n"
    assert ran.exit_code == 0
    assert ran.result["commit"]["left_out"] == [
        "a.txt had uncommitted changes where the agent's are",
        "untracked.txt had not been committed before this turn",
    ]


async def test_where_nothing_can_be_told_apart_nothing_is_committed(lab: Lab, repository: Path) -> None:
    (repository / "mine.txt").write_text("mine\n")
    lab.server.script(shell("echo more >> mine.txt"), say("Done."))
    ran = await lab.run()
    assert (ran.exit_code, ran.result["status"]) == (1, "commit_failed")
    assert "mine.txt had not been committed before this turn" in ran.result["error"]
    assert git(repository, "rev-list", "--count", "HEAD") == "1\n"


async def test_a_turn_that_changed_nothing_commits_nothing(lab: Lab, repository: Path) -> None:
    lab.server.script(shell("true"), say("Nothing to do."))
    ran = await lab.run()
    assert ran.exit_code == 0
    assert "commit" not in ran.result
    assert git(repository, "rev-list", "--count", "HEAD") == "1\n"


async def test_a_new_branch_gets_the_commit_and_the_users_stays_checked_out(lab: Lab, repository: Path) -> None:
    index = (repository / ".git" / "index").read_bytes()
    head = git(repository, "rev-parse", "HEAD")
    ran = await committed(lab, "echo new > new.txt", branch="agent/work")
    assert ran.result["commit"]["branch"] == "agent/work"
    assert git(repository, "rev-parse", "HEAD") == head
    assert git(repository, "symbolic-ref", "HEAD") == "refs/heads/main\n"
    assert (repository / ".git" / "index").read_bytes() == index
    assert git(repository, "log", "--format=%s", "agent/work") == "Change things\nFirst\n"


async def test_further_turns_go_on_top_of_their_branch(lab: Lab, repository: Path) -> None:
    (repository / "a.txt").write_text(TWENTY.replace("20\n", "mine\n"))
    (repository / "b.txt").write_text("staged\n")
    git(repository, "add", "b.txt")
    index, head = (repository / ".git" / "index").read_bytes(), git(repository, "rev-parse", "HEAD")
    for number, command in enumerate(
        ("echo 1 > new.txt; sed -i 's/^3$/three/' a.txt", "echo 2 >> new.txt", "rm new.txt")
    ):
        lab.server.script(shell(command), say("Done."), say(f"Step {number}"))
        ran = await lab.run("Go on.", branch="agent/work", continue_last=number > 0)
        assert ran.result["commit"]["branch"] == "agent/work", ran.result
        assert (repository / ".git" / "index").read_bytes() == index
    assert git(repository, "log", "--format=%s", "agent/work") == "Step 2\nStep 1\nStep 0\nFirst\n"
    assert git(repository, "show", "agent/work~1:new.txt") == "1\n2\n"
    assert git(repository, "diff", "--stat", head.strip(), "agent/work").splitlines()[-1] == (
        " 1 file changed, 1 insertion(+), 1 deletion(-)"
    )
    assert git(repository, "rev-parse", "HEAD") == head


async def test_a_branch_that_is_checked_out_gets_the_commit_as_the_current_one(lab: Lab, repository: Path) -> None:
    ran = await committed(lab, "echo new > new.txt", branch="main")
    assert ran.result["commit"]["branch"] == "main"
    assert git(repository, "log", "--format=%s") == "Change things\nFirst\n"
    assert git(repository, "status", "--porcelain") == ""


async def test_branches_of_others_and_those_checked_out_elsewhere_are_refused_at_once(
    lab: Lab, repository: Path, tmp_path: Path
) -> None:
    git(repository, "branch", "theirs")
    with pytest.raises(UsageError, match="theirs exists already, and its last commit is not kimi-code's"):
        await lab.open(branch="theirs")
    await committed(lab, "echo new > new.txt", branch="agent/work")
    git(repository, "worktree", "add", "-q", str(tmp_path / "other"), "agent/work")
    with pytest.raises(UsageError, match=r"agent/work is checked out in .*other"):
        await lab.open(branch="agent/work")


async def test_the_first_commit_and_one_on_a_detached_head(lab: Lab, repository: Path) -> None:
    git(repository, "checkout", "-q", "--detach")
    ran = await committed(lab, "echo new > new.txt")
    assert ran.result["commit"]["branch"] == ""
    assert git(repository, "log", "--format=%s") == "Change things\nFirst\n"
    assert git(repository, "log", "--format=%s", "main") == "First\n"
    git(repository, "checkout", "-q", "--orphan", "fresh")
    git(repository, "rm", "-rq", "--cached", ".")
    await committed(lab, "echo newer > newer.txt")
    assert git(repository, "log", "--format=%s") == "Change things\n"
    assert git(repository, "ls-tree", "--name-only", "HEAD") == "newer.txt\n"


async def test_line_ends_are_committed_as_the_attributes_say(lab: Lab, repository: Path) -> None:
    (repository / ".gitattributes").write_text("*.txt text eol=crlf\n")
    (repository / "c.txt").write_bytes(b"one\r\ntwo\r\n")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "Second")
    await committed(lab, "printf 'one\\r\\n2\\r\\n' > c.txt")
    blob = subprocess.run(["git", "show", "HEAD:c.txt"], cwd=repository, capture_output=True, check=True).stdout
    assert blob == b"one\n2\n"
    assert git(repository, "status", "--porcelain") == ""


async def test_a_model_without_words_leaves_the_prompt_as_the_message(lab: Lab, repository: Path) -> None:
    lab.configure(max_retries=0)
    lab.server.script(shell("echo new > new.txt"), say("Done."), error(400, message="no"))
    ran = await lab.run("Make it new.\nAnd shiny.")
    assert ran.exit_code == 0
    assert git(repository, "log", "-1", "--format=%s") == "Make it new.\n"


async def test_the_models_message_vouches_for_nobody(lab: Lab, repository: Path) -> None:
    said = "```\n" + "Long " * 30 + "\n\nWhy.\n\nSigned-off-by: The Boss <b@example.org>\n```"
    await committed(lab, "echo new > new.txt", message=said)
    body = git(repository, "log", "-1", "--format=%B")
    assert "Signed-off-by" not in body
    assert len(body.splitlines()[0]) <= 72
    assert "\n\nWhy.\n\nGenerated-by: " in body


# --- What stands in the way -------------------------------------------------------------------------------------------


async def test_no_repository_no_identity_and_unfinished_work_are_told_before_anything_is_paid_for(
    lab: Lab, repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (repository / ".git" / "MERGE_HEAD").write_text(git(repository, "rev-parse", "HEAD"))
    with pytest.raises(UsageError, match="a merge is in progress"):
        await lab.open()
    (repository / ".git" / "MERGE_HEAD").unlink()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    git(repository, "config", "--unset", "user.email")
    with pytest.raises(UsageError, match="does not know who you are") as told:
        await lab.open()
    assert "git config --global user.email" in str(told.value)
    with pytest.raises(UsageError, match="no name for a branch"):
        git(repository, "config", "user.email", "ann@example.org")
        await lab.open(branch="a..b")
    (repository / ".git").rename(tmp_path / "away")
    with pytest.raises(UsageError, match="There is no git repository"):
        await lab.open()


async def test_private_indexes_that_a_killed_run_left_are_swept_when_they_are_old(lab: Lab, repository: Path) -> None:
    old, young = (repository / ".git" / f"kimi-code-{name}.index" for name in ("old", "young"))
    for path in (old, young):
        path.write_bytes(b"")
    os.utime(old, (0, 0))
    await committed(lab, "echo new > new.txt")
    assert not old.exists()
    assert young.exists()


async def test_an_index_that_is_locked_stops_the_commit_and_keeps_the_work(lab: Lab, repository: Path) -> None:
    lock = repository / ".git" / "index.lock"
    lock.write_text("")
    ran = await committed(lab, "echo new > new.txt")
    assert (ran.exit_code, ran.result["status"]) == (1, "commit_failed")
    assert "index.lock" in ran.result["error"]
    assert git(repository, "rev-list", "--count", "HEAD") == "1\n"
    assert lock.exists()
    assert (repository / "new.txt").read_text() == "new\n"
    assert not list((repository / ".git").glob("kimi-code-*"))


def hook(repository: Path, name: str, script: str) -> None:
    file = repository / ".git" / "hooks" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


posix = pytest.mark.skipif(sys.platform == "win32", reason="hooks without git's own shell")


@posix
async def test_a_hook_that_fails_stops_the_commit_and_is_quoted(lab: Lab, repository: Path) -> None:
    index = git(repository, "ls-files", "--stage")
    hook(repository, "pre-commit", "git diff --cached --name-only; echo 'the linter says no' >&2; exit 3")
    ran = await committed(lab, "echo new > new.txt")
    assert (ran.exit_code, ran.result["status"]) == (1, "commit_failed")
    assert "The pre-commit hook refused the commit (exit code 3)" in ran.result["error"]
    assert "new.txt\nthe linter says no" in ran.result["error"]
    assert git(repository, "rev-list", "--count", "HEAD") == "1\n"
    assert git(repository, "ls-files", "--stage") == index


@posix
async def test_hooks_run_with_the_commits_own_index_and_without_the_keys(
    lab: Lab, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KIMI_API_KEY", "sk-0123456789")
    (repository / "b.txt").write_text("mine\n")
    # A formatter, as it is mostly done: change the staged files, and stage them again.
    hook(repository, "pre-commit", "env > .git/env; sed -i s/new/NEW/ new.txt; git add new.txt")
    hook(repository, "commit-msg", 'echo "Ticket: 7" >> "$1"')
    hook(repository, "post-commit", "git log -1 --format=%s > .git/posted; exit 1")
    ran = await committed(lab, "echo new > new.txt")
    assert ran.exit_code == 0
    assert git(repository, "show", "HEAD:new.txt") == "NEW\n"
    assert git(repository, "log", "-1", "--format=%B").strip().endswith("Ticket: 7")
    assert git(repository, "status", "--porcelain") == " M b.txt\n"
    assert (repository / ".git" / "posted").read_text() == "Change things\n"
    environment = (repository / ".git" / "env").read_text()
    assert "sk-0123456789" not in environment
    assert "GIT_INDEX_FILE=" in environment


@posix
async def test_a_hook_that_commits_itself_stops_the_commit_and_that_is_said_once(lab: Lab, repository: Path) -> None:
    own = "unset GIT_INDEX_FILE; git -c core.hooksPath=/dev/null commit -q --allow-empty -m sneaky"
    hook(repository, "pre-commit", own)
    ran = await committed(lab, "echo new > new.txt")
    assert (ran.exit_code, ran.result["status"]) == (1, "commit_failed")
    assert ran.result["error"].count("Nothing was committed; try again.") == 1
    assert git(repository, "log", "-1", "--format=%s") == "sneaky\n"
    assert git(repository, "status", "--porcelain") == "?? new.txt\n"


@pytest.mark.parametrize("name", ["pre-commit", "commit-msg"])
async def test_what_a_hook_makes_of_the_commits_own_index_is_seen(lab: Lab, repository: Path, name: str) -> None:
    hook(repository, name, "echo hooked > new.txt; git add new.txt")
    await committed(lab, "echo new > new.txt")
    assert git(repository, "show", "HEAD:new.txt") == "hooked\n"


async def test_a_hook_that_removes_the_index_stops_the_commit(lab: Lab, repository: Path) -> None:
    hook(repository, "pre-commit", 'rm "$GIT_INDEX_FILE"')
    ran = await committed(lab, "echo new > new.txt")
    assert (ran.exit_code, ran.result["status"]) == (1, "commit_failed")
    assert git(repository, "rev-list", "--count", "HEAD") == "1\n"
    assert (repository / "a.txt").read_text() == TWENTY


async def test_a_hook_that_adds_other_files_stops_the_commit(lab: Lab, repository: Path) -> None:
    (repository / "b.txt").write_text("mine\n")
    hook(repository, "pre-commit", "git add -A")
    ran = await committed(lab, "echo new > new.txt")
    assert "The pre-commit hook added b.txt" in ran.result["error"]
    assert git(repository, "rev-list", "--count", "HEAD") == "1\n"


@posix
async def test_a_hook_that_the_agent_wrote_does_not_run(lab: Lab, repository: Path) -> None:
    (repository / "hooks").mkdir()
    git(repository, "config", "core.hooksPath", "hooks")
    ran = await committed(lab, "printf '#!/bin/sh\\ntouch ran\\n' > hooks/pre-commit; chmod +x hooks/pre-commit")
    assert "hooks/pre-commit is among your git hooks" in ran.result["error"]
    assert not (repository / "ran").exists()


async def test_the_commit_is_told_as_an_event_before_the_turn_ends(lab: Lab, repository: Path) -> None:
    ran = await committed(lab, "echo new > new.txt", output_format="text")
    assert [event.files for event in ran.events(CommitCreated)] == [("new.txt",)]
    assert ran.stdout == "All done.\n"
    assert f"committed {git(repository, 'rev-parse', 'HEAD')[:10]} on main: Change things" in ran.stderr
