"""`--review turn`: a turn in an isolated copy, its diff approved as a whole or in part, merged into the user's tree."""

import hashlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kimi_code.config.settings import CheckoutSettings
from kimi_code.errors import UsageError
from kimi_code.events import (
    Allow,
    AllowEdited,
    AllowHunks,
    Approval,
    Deny,
    Diff,
    Record,
    Reply,
    RequestOpened,
    TurnEnded,
    TurnReviewed,
)
from kimi_code.headless.run import TurnDiff
from kimi_code.permissions.sandbox import find
from kimi_code.session.session import Session
from tests.harness import Lab, Ran
from tests.server import call, calls, error, say

TWENTY = "".join(f"{n}\n" for n in range(1, 21))
BOTH_ENDS = TWENTY.replace("2\n3\n", "two\n3\n", 1).replace("20\n", "xx\n")
EDIT = (
    "Edit",
    {
        "path": "a.txt",
        "edits": [{"old_string": "2\n3", "new_string": "two\n3"}, {"old_string": "20", "new_string": "xx"}],
    },
)
READ = ("Read", {"path": "a.txt"})


def git(folder: Path, *args: str, input: bytes | None = None) -> bytes:
    return subprocess.run(["git", *args], cwd=folder, input=input, capture_output=True, check=True).stdout


@pytest.fixture
def project(lab: Lab) -> Path:
    """A repository with a dirty file and an untracked one."""
    folder = lab.project
    git(folder, "init", "-q", "--template=", "-b", "main")
    (folder / ".git" / "config").open("a").write("[user]\n\tname = Ann\n\temail = ann@example.org\n")
    (folder / "a.txt").write_text("committed\n")
    git(folder, "add", ".")
    git(folder, "-c", "maintenance.auto=false", "commit", "-q", "-m", "First")
    (folder / "a.txt").write_text(TWENTY)
    (folder / "mine.txt").write_text("mine\n")
    lab.configure(review="turn")
    return folder


def state(folder: Path) -> dict[str, str]:
    """Every file of the tree and of the repository, by its content."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha1(path.read_bytes()).hexdigest() for path in files}


def replying(reply: Callable[[Approval], Reply]) -> Callable[[Session], None]:
    def meanwhile(session: Session) -> None:
        def listen(record: Record) -> None:
            if isinstance(record.event, RequestOpened) and isinstance(record.event.request, Approval):
                session.reply(record.event.request_id, reply(record.event.request))

        session.subscribe(listen)

    return meanwhile


def diffs(approval: Approval) -> list[Diff]:
    return [block for block in approval.blocks if isinstance(block, Diff)]


def script(lab: Lab) -> None:
    lab.server.script(call(*READ), calls(EDIT, ("Write", {"path": "new.txt", "content": "new\n"})), say("Done."))


async def reviewed(lab: Lab, reply: Callable[[Approval], Reply]) -> Ran:
    script(lab)
    return await lab.run(meanwhile=replying(reply), diff=TurnDiff())


async def test_the_turn_is_shown_and_nothing_is_touched(lab: Lab, project: Path) -> None:
    before = state(project)
    script(lab)
    ran = await lab.run(diff=TurnDiff(), output_format="text")
    assert ran.exit_code == 0
    assert state(project) == before
    assert "Done." in ran.stderr
    assert "Not applied." in ran.stderr
    # Standard output is the patch alone.
    git(project, "apply", input=ran.stdout.encode())
    assert (project / "a.txt").read_text() == BOTH_ENDS
    assert (project / "new.txt").read_text() == "new\n"


async def test_the_result_holds_the_patch_and_what_became_of_it(lab: Lab, project: Path) -> None:
    script(lab)
    ran = await lab.run(diff=TurnDiff())
    assert (ran.exit_code, ran.result["status"], ran.result["files_changed"]) == (0, "done", [])
    review = ran.result["review"]
    assert review["status"] == "shown"
    assert [(file["path"], file["change"]) for file in review["files"]] == [
        ("a.txt", "modified"),
        ("new.txt", "created"),
    ]
    git(project, "apply", "--check", input=review["patch"].encode())
    kinds = [type(record.event) for record in ran.records]
    assert kinds.index(TurnReviewed) < kinds.index(TurnEnded)


async def test_applied_as_a_whole_it_is_the_users_tree_that_has_changed(lab: Lab, project: Path) -> None:
    script(lab)
    head, index = git(project, "rev-parse", "HEAD"), (project / ".git" / "index").read_bytes()
    ran = await lab.run(diff=TurnDiff(apply=True), output_format="json")
    assert (ran.exit_code, ran.result["review"]["status"]) == (0, "applied")
    assert (project / "a.txt").read_text() == BOTH_ENDS
    assert (project / "new.txt").read_text() == "new\n"
    assert [change["path"] for change in ran.result["files_changed"]] == ["a.txt", "new.txt"]
    assert (git(project, "rev-parse", "HEAD"), (project / ".git" / "index").read_bytes()) == (head, index)


async def test_hunks_of_the_whole_turn_are_picked_and_the_next_turn_knows(lab: Lab, project: Path) -> None:
    def second_hunk(approval: Approval) -> Reply:
        a, new = diffs(approval)
        assert (a.path, len(a.hunks), new.path) == ("a.txt", 2, "new.txt")
        return AllowHunks((a.hunks[1].id,), "No new files.")

    await reviewed(lab, second_hunk)
    assert (project / "a.txt").read_text() == TWENTY.replace("20\n", "xx\n")
    assert not (project / "new.txt").exists()
    lab.server.script(say("I see."))
    await lab.run("And now?", continue_last=True, diff=TurnDiff())
    told = "\n".join(str(message.get("content")) for message in lab.server.requests[-1].messages)
    assert "The user applied only part" in told
    assert "No new files." in told
    assert "-two\n+2" in told
    assert "new.txt was not created." in told


async def test_a_denied_turn_changes_nothing_and_says_so_to_the_model(lab: Lab, project: Path) -> None:
    before = state(project)
    ran = await reviewed(lab, lambda _: Deny("Not like this."))
    assert state(project) == before
    assert ran.exit_code == 0
    lab.server.script(say("I see."))
    await lab.run("And now?", continue_last=True, diff=TurnDiff())
    told = "\n".join(str(message.get("content")) for message in lab.server.requests[-1].messages)
    assert "The user applied nothing" in told
    assert "Not like this." in told


async def test_the_users_own_text_goes_in_place_of_the_models(lab: Lab, project: Path) -> None:
    await reviewed(lab, lambda _: AllowEdited("all mine\n", "a.txt"))
    assert (project / "a.txt").read_text() == "all mine\n"
    assert (project / "new.txt").read_text() == "new\n"


async def test_what_the_user_changed_meanwhile_is_merged(lab: Lab, project: Path) -> None:
    def change_the_middle(approval: Approval) -> Reply:
        (project / "a.txt").write_text(TWENTY.replace("10\n", "ten\n"))
        return Allow()

    ran = await reviewed(lab, change_the_middle)
    assert ran.exit_code == 0
    assert (project / "a.txt").read_text() == BOTH_ENDS.replace("10\n", "ten\n")


async def test_a_conflict_is_shown_and_nothing_is_written_over(lab: Lab, project: Path, tmp_path: Path) -> None:
    def change_the_same(approval: Approval) -> Reply:
        (project / "a.txt").write_text(TWENTY.replace("20\n", "twenty\n"))
        return Allow()

    script(lab)
    out = tmp_path / "out.patch"
    ran = await lab.run(meanwhile=replying(change_the_same), diff=TurnDiff(apply=True, patch_out=out))
    assert (ran.exit_code, ran.result["status"]) == (1, "conflict")
    assert ran.result["review"]["problems"] == ["a.txt: contents"]
    assert "a.txt" in ran.result["error"]
    assert (project / "a.txt").read_text() == TWENTY.replace("20\n", "twenty\n")
    assert not (project / "new.txt").exists()
    (project / "a.txt").write_text(TWENTY)
    git(project, "apply", str(out))
    assert (project / "a.txt").read_text() == BOTH_ENDS


async def test_everything_git_can_hold_goes_through_patch_and_pick(lab: Lab, project: Path, tmp_path: Path) -> None:
    (project / "old name.txt").write_text(TWENTY)
    (project / "binary").write_bytes(bytes(range(256)))
    (project / "crlf.txt").write_bytes(b"one\r\ntwo")
    (project / "run.sh").write_text("echo\n")
    command = (
        "git mv -f 'old name.txt' '漢字.txt' 2>/dev/null || mv 'old name.txt' '漢字.txt'; "
        "printf '\\000\\001' > binary; printf 'one\\r\\n2' > crlf.txt; chmod +x run.sh; ln -s a.txt link; rm mine.txt"
    )
    lab.configure(allow=("Bash(*)",))
    lab.server.script(call("Bash", {"command": command}), say("Done."))
    shown: list[Diff] = []

    def mode_and_binary(approval: Approval) -> Reply:
        shown.extend(diffs(approval))
        return AllowHunks(tuple(diff.id for diff in shown if diff.path in ("run.sh", "binary")))

    out = tmp_path / "out.patch"
    ran = await lab.run(meanwhile=replying(mode_and_binary), diff=TurnDiff(patch_out=out))
    assert ran.result["review"]["status"] == "applied"
    details = {diff.path: diff.detail for diff in shown if diff.detail}
    assert details == {
        "binary": "file, 256 bytes → file, 2 bytes",
        "link": "symlink to a.txt",
        "run.sh": "file → executable",
    }
    assert (project / "binary").read_bytes() == b"\x00\x01"
    assert (project / "run.sh").stat().st_mode & 0o111
    assert (project / "crlf.txt").read_bytes() == b"one\r\ntwo"
    assert (project / "mine.txt").exists()
    # The patch holds all of it, whatever was picked.
    (project / "binary").write_bytes(bytes(range(256)))
    (project / "run.sh").chmod(0o644)
    git(project, "apply", str(out))
    assert (project / "漢字.txt").read_text() == TWENTY
    assert (project / "crlf.txt").read_bytes() == b"one\r\n2"
    assert (project / "link").is_symlink()
    assert not (project / "mine.txt").exists()


async def test_a_turn_that_failed_applies_nothing_and_keeps_its_diff(lab: Lab, project: Path, tmp_path: Path) -> None:
    before = state(project)
    lab.configure(max_retries=0)
    lab.server.script(call(*READ), calls(EDIT), error(400, message="no more"))
    out = tmp_path / "out.patch"
    ran = await lab.run(diff=TurnDiff(apply=True, patch_out=out))
    assert ran.exit_code == 1
    assert state(project) == before
    assert ran.result["review"]["status"] == "declined"
    git(project, "apply", str(out))
    assert (project / "a.txt").read_text() == BOTH_ENDS


async def test_a_turn_that_changed_nothing_asks_nothing(lab: Lab, project: Path, tmp_path: Path) -> None:
    lab.server.script(call(*READ), say("Nothing to do."))
    ran = await lab.run(diff=TurnDiff(patch_out=tmp_path / "out.patch"))
    assert ran.result["review"] == {"status": "unchanged", "files": [], "patch": "", "problems": []}
    assert (tmp_path / "out.patch").read_bytes() == b""
    assert ran.events(RequestOpened) == []


async def test_the_check_runs_in_the_copy(lab: Lab, project: Path) -> None:
    script(lab)
    ran = await lab.run(verify="grep -q xx a.txt && test -f new.txt", diff=TurnDiff())
    assert (ran.exit_code, ran.result["review"]["status"]) == (0, "shown")
    assert (project / "a.txt").read_text() == TWENTY


async def test_what_was_applied_can_be_committed_and_is_all_that_is(lab: Lab, project: Path) -> None:
    git(project, "commit", "-q", "-am", "Second")
    lab.configure(commit=True)
    lab.server.script(call(*READ), calls(EDIT), say("Done."), say("Change both ends"))

    def first_hunk(approval: Approval) -> Reply:
        return AllowHunks((diffs(approval)[0].hunks[0].id,))

    ran = await lab.run(meanwhile=replying(first_hunk), diff=TurnDiff(apply=True))
    assert ran.exit_code == 0
    assert git(project, "show", "HEAD:a.txt").decode() == TWENTY.replace("2\n", "two\n", 1)
    assert ran.result["commit"]["files"] == ["a.txt"]
    assert git(project, "status", "--porcelain") == b"?? mine.txt\n"


async def test_full_permissions_and_a_review_contradict_each_other(lab: Lab, project: Path) -> None:
    lab.configure(permission_mode="yolo")
    with pytest.raises(UsageError, match="cannot be used together"):
        await lab.open()


async def test_confined_copies_are_reviewed_alike_and_their_commands_need_no_approval(lab: Lab, project: Path) -> None:
    if find("auto", lab.data).mechanism is None:
        pytest.skip("NOT TESTED: no sandbox works on this machine")
    lab.configure(sandbox="auto")
    before = state(project)
    absolute = project / "a.txt"
    lab.server.script(call("Bash", {"command": f"sed -i 's/^20$/xx/' a.txt; tail -1 {absolute}"}), say("Done."))
    ran = await lab.run(diff=TurnDiff())
    assert ran.result["denied"] == []
    assert state(project) == before
    assert "+xx" in ran.result["review"]["patch"]
    tool = next(m for m in lab.server.requests[-1].messages if m["role"] == "tool")
    assert json.dumps(tool["content"]).count("xx") == 1


async def test_in_a_confined_copy_nothing_runs_unconfined_and_the_model_is_told(lab: Lab, project: Path) -> None:
    if find("auto", lab.data).mechanism is None:
        pytest.skip("NOT TESTED: no sandbox works on this machine")
    lab.configure(sandbox="auto", allow=("Bash(touch *)",))
    free = {"command": "touch free", "unconfined": True}
    writing = "touch sealed; python3 -c \"open('/etc/no', 'w')\""
    lab.server.script(call("Bash", free), call("Bash", {"command": writing}), say("Done."))
    ran = await lab.run(diff=TurnDiff())
    assert (ran.exit_code, ran.result["denied"]) == (0, [])
    assert [file["path"] for file in ran.result["review"]["files"]] == ["sealed"]
    refused, blocked = (m["content"] for m in lab.server.requests[-1].messages if m["role"] == "tool")
    assert "In this isolated copy every command runs confined" in json.dumps(refused)
    assert "do without it" in json.dumps(blocked) and "unconfined: true" not in json.dumps(blocked)


async def test_ignored_folders_are_linked_or_copied_as_the_settings_say(lab: Lab, project: Path) -> None:
    if find("auto", lab.data).mechanism is None:
        pytest.skip("NOT TESTED: no sandbox works on this machine")
    (project / ".gitignore").write_text("vendor/\ncache/\nnode_modules/\n")
    for name in ("vendor", "cache", "node_modules"):
        (project / name).mkdir()
        (project / name / "file").write_text("theirs")
    lab.configure(sandbox="auto", checkouts=CheckoutSettings(linked=("vendor",), copied=("cache",)))
    look = "cat vendor/file; echo mine > cache/file && cat cache/file; echo x > vendor/file || echo refused; ls"
    lab.server.script(call("Bash", {"command": look}), say("Done."))
    ran = await lab.run(diff=TurnDiff())
    said = json.dumps(next(m for m in lab.server.requests[-1].messages if m["role"] == "tool")["content"])
    assert "theirsmine" in said and "refused" in said and "node_modules" not in said
    assert ran.result["review"]["status"] == "unchanged"
    assert {(project / name / "file").read_text() for name in ("vendor", "cache")} == {"theirs"}


async def test_what_nothing_allows_in_a_copy_is_not_said_to_be_allowed_by_full_permissions(
    lab: Lab, project: Path
) -> None:
    lab.server.script(call("Bash", {"command": "sed -i s/^2$/x/ a.txt"}), say("Done."))
    ran = await lab.run(diff=TurnDiff())
    assert ran.exit_code == 5
    assert "Nothing allows it in an isolated copy; without --review turn, -y does" in ran.result["error"]
