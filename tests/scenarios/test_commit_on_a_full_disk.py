"""`--commit` where the disk is full by then: nothing is lost, the repository is as it was, the words say what to do."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import make_lab
from tests.scenarios.test_commit import TWENTY, git
from tests.server import FakeServer, calls, say
from tests.small_disk import PAGE, small_disk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    with small_disk(tmp_path / "disk", "512k") as disk:
        yield disk


def fill_page(log: Path) -> None:
    """Make a log of a ref so long that another line needs another page."""
    text = log.read_text()
    log.write_text(f"{text[:-1]} {'.' * (PAGE - len(text) - 5)}\n")


def state(project: Path) -> dict[str, bytes]:
    """The repository but for objects, which nobody has to see: HEAD, index, refs, logs, configuration, locks."""
    own = project / ".git"
    found = (path for path in own.rglob("*") if path.is_file() and path.relative_to(own).parts[0] != "objects")
    return {str(path.relative_to(own)): path.read_bytes() for path in found}


# How many pages are left decides how far it comes: objects, indexes, the ref's lock, its log.
@pytest.mark.parametrize(
    ("pages", "branch"), [(0, ""), (3, ""), (5, ""), (8, ""), (9, ""), (1, "side"), (5, "side"), (6, "side")]
)
async def test_a_full_disk_leaves_the_repository_as_it_was_and_the_work_in_the_tree(
    server: FakeServer, disk: Path, tmp_path: Path, pages: int, branch: str
) -> None:
    lab = make_lab(server, disk)
    project, filler = lab.project, disk / "filler"
    lab.data = tmp_path / "data"
    lab.configure(data_dir=lab.data, commit=True, permission_mode="yolo")
    git(project, "init", "-q", "--template=", "-b", "main")
    (project / ".git" / "config").open("a").write("[user]\n\tname = Ann Example\n\temail = ann@example.org\n")
    (project / "a.txt").write_text(TWENTY)
    git(project, "add", ".")
    git(project, "-c", "maintenance.auto=false", "commit", "-q", "-m", "First")
    for name in ("HEAD", "refs/heads/main"):
        fill_page(project / ".git" / "logs" / name)
    (project / "staged.txt").write_text("staged\n")
    git(project, "add", "staged.txt")
    before, status = state(project), git(project, "status", "--porcelain")

    fill = f"head -c 2000000 /dev/zero > {filler} 2>/dev/null; truncate -s -{pages * PAGE} {filler}"
    server.script(
        calls(("Bash", {"command": f"sed -i s/^3$/three/ a.txt; echo new > new.txt; {fill}"})), say("All done.")
    )
    server.script(say("Change things"))
    ran = await lab.run("Change the things.", branch=branch)

    assert (project / "a.txt").read_text() == TWENTY.replace("3\n", "three\n", 1)
    assert (project / "new.txt").read_text() == "new\n"
    if ran.exit_code == 0:
        assert git(project, "show", "--format=", "--name-only", branch or "HEAD") == "a.txt\nnew.txt\n"
        return
    assert (ran.exit_code, ran.result["status"]) == (1, "commit_failed")
    assert state(project) == before
    assert (
        "Make room on the disk, then commit yourself: the agent's changes are in your working tree."
        in ran.result["error"]
    )
    filler.unlink()
    assert git(project, "status", "--porcelain") == status.replace("A  ", " M a.txt\nA  ") + "?? new.txt\n"
    git(project, "fsck", "--strict")
