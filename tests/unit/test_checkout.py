"""Isolated working copies, made in every way that works here: nothing done in one reaches the user or a sibling."""

import asyncio
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TypeVar

import pytest
import pytest_asyncio

from kimi_code.errors import ToolError
from kimi_code.permissions.blocked import blocked
from kimi_code.permissions.confinement import Confinement, Mounts, find_mounts
from kimi_code.permissions.paths import Boundary, locate
from kimi_code.permissions.sandbox import Found, Wanted, find
from kimi_code.repo.checkout import Checkout, CheckoutError, Checkouts, Files, Options, freeze
from kimi_code.repo.checkpoints import swap
from kimi_code.repo.checkpoints.states import Node
from kimi_code.repo.checkpoints.steps import prepare
from kimi_code.repo.merge import apply, merge
from kimi_code.repo.search import Query
from kimi_code.repo.snapshot import Snapshots
from kimi_code.values import frozen
from tests.repository import copy_tree
from tests.unit.test_sandbox import NOBODY, SETPRIV, interpreter

Test = TypeVar("Test", bound=Callable[..., Awaitable[None]])


@frozen
class Way:
    """One way to make copies. `mounts` False: as on a machine where bwrap confines and makes no mounts for us."""

    wanted: Wanted
    files: Files
    isolation: str


WAYS = {
    "overlay": Way("bwrap", "overlay", "overlay+bwrap"),
    "mounted-copy": Way("bwrap", "copy", "copy+bwrap"),
    "landlock": Way("landlock", "copy", "copy+landlock"),
    "unconfined": Way("off", "copy", "copy only"),
}


@cache
def confining(wanted: Wanted, outside: Path) -> tuple[Found, Mounts]:
    """What confines here, and which mounts work, found out once."""
    with tempfile.TemporaryDirectory(prefix="kimi-code-test-", dir=outside) as name:
        found = find(wanted, Path(name))
        return found, find_mounts(found, Path(name))


def git(folder: Path, *args: str) -> str:
    fast = (
        "-c",
        "user.name=User",
        "-c",
        "user.email=u@example.org",
        "-c",
        "commit.gpgsign=false",
        "-c",
        "maintenance.auto=false",
    )
    return subprocess.run(["git", *fast, *args], cwd=folder, capture_output=True, text=True, check=True).stdout


def photograph(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file, folder and link below, with mode and content: the repository included."""
    seen: dict[str, tuple[int, bytes]] = {}
    for path in sorted(folder.rglob("*")):
        content = os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        seen[str(path.relative_to(folder))] = (path.lstat().st_mode, content)
    return seen


@dataclass(slots=True)
class Scene:
    """A user's project with a history, uncommitted work, a stash, and the folder of our data."""

    place: Path
    way: Way
    opened: list[Checkouts] = field(default_factory=list[Checkouts])

    @property
    def top(self) -> Path:
        return self.place / "project"

    @property
    def data(self) -> Path:
        return self.place / "data"

    def plant(self) -> None:
        for folder in ("home", "data", "config", "project/src", "project/node_modules/lib"):
            (self.place / folder).mkdir(parents=True)
        for name, text in {
            "a.txt": "committed\n",
            "src/b.py": "print('b')\n",
            "run.sh": "#!/bin/sh\necho ran\n",
            ".gitignore": "node_modules/\n*.log\n",
            "node_modules/lib/m.js": "module\n",
        }.items():
            (self.top / name).write_text(text)
        (self.top / "run.sh").chmod(0o755)
        (self.top / "link").symlink_to("src/b.py")
        git(self.place, "init", "-q", "--template=", "-b", "trunk", "project")
        git(self.top, "add", ".")
        git(self.top, "commit", "-qm", "first")
        git(self.top, "branch", "other")
        (self.top / "a.txt").write_text("stashed\n")
        git(self.top, "stash", "-q")
        (self.top / "a.txt").write_text("staged\n")
        git(self.top, "add", "a.txt")
        (self.top / "a.txt").write_text("dirty\n")
        (self.top / "new.txt").write_text("untracked\n")

    def confinement(self) -> Confinement:
        found, mounts = confining(self.way.wanted, self.place.parent)
        if found.mechanism is None and self.way.wanted != "off":
            pytest.skip(f"NOT TESTED: no {self.way.wanted} here: {'; '.join(found.reasons)}")
        if self.way.files == "overlay" and not mounts.overlay:
            pytest.skip(f"NOT TESTED: no overlays here: {mounts.reason}")
        env = {"PATH": os.environ["PATH"], "HOME": str(self.place / "home")}
        return Confinement(found, mounts, (self.data, self.place / "config"), environment=env)

    async def freeze(
        self, cwd: Path | None = None, linked: Sequence[str] = ("node_modules",), copied: Sequence[str] = ()
    ) -> Checkouts:
        snapshots = Snapshots(cwd or self.top, self.data / "snapshots")
        env = {"PATH": os.environ["PATH"], "HOME": str(self.place / "home")}
        options = Options(linked, copied, files=self.way.files, environment=env)
        made = await freeze(snapshots, self.data / "checkouts", self.confinement(), options)
        self.opened.append(made)
        return made

    async def create(self, name: str = "one") -> Checkout:
        """A copy of the files as they are now."""
        return await (await self.freeze()).create(name)

    async def another(self) -> Checkout:
        """A copy of the files as they were when they were frozen."""
        return await self.opened[0].create("another")


def outside() -> Path:
    """Not in /tmp, which is another one inside a sandbox: a mistake must not be hidden by that."""
    return next(path for path in (Path("/var/lib"), Path.home(), Path("/tmp")) if os.access(path, os.W_OK))


@pytest.fixture(scope="module")
def planted() -> Iterator[Path]:
    """A scene to copy."""
    with tempfile.TemporaryDirectory(prefix="kimi-code-test-", dir=outside()) as name:
        scene = Scene(Path(name).resolve(), WAYS["unconfined"])
        scene.plant()
        yield scene.place


@pytest.fixture
def place(planted: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="kimi-code-test-", dir=planted.parent) as name:
        yield copy_tree(planted, Path(name).resolve())


@pytest.fixture(params=WAYS)
async def scene(request: pytest.FixtureRequest, place: Path) -> AsyncIterator[Scene]:
    made = Scene(place, WAYS[request.param])
    yield made
    for checkouts in made.opened:
        await checkouts.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=WAYS)
async def unchanged(request: pytest.FixtureRequest, planted: Path) -> AsyncIterator[Scene]:
    """A scene that was frozen once, for tests that leave the user's files alone: each makes a copy of its own."""
    with tempfile.TemporaryDirectory(prefix="kimi-code-test-", dir=planted.parent) as name:
        made = Scene(copy_tree(planted, Path(name).resolve()), WAYS[request.param])
        await made.freeze()
        yield made
        for checkouts in made.opened:
            await checkouts.close()


# For what depends on how files are laid out, and not on what confines commands.
either_way = pytest.mark.parametrize("scene", ["overlay", "unconfined"], indirect=True)
# For what depends on where paths lead as well: commands see copies at the user's own path, or where they are.
every_layout = pytest.mark.parametrize("scene", ["overlay", "mounted-copy", "unconfined"], indirect=True)


def sharing(*ways: str) -> Callable[[Test], Test]:
    """For tests that take `unchanged`, in these ways."""

    def mark(test: Test) -> Test:
        found = pytest.mark.parametrize("unchanged", ways or tuple(WAYS), indirect=True)(test)
        return pytest.mark.asyncio(loop_scope="module")(found)

    return mark


@pytest.fixture
async def any_scene(place: Path) -> AsyncIterator[Scene]:
    """For what does not depend on how copies are made."""
    made = Scene(place, WAYS["unconfined"])
    yield made
    for checkouts in made.opened:
        await checkouts.close()


async def sh(checkout: Checkout, command: str) -> str:
    workspace = checkout.workspace
    process = await workspace.start(command, cwd=workspace.root)
    said = b"".join([chunk async for chunk in process.output()])
    await process.wait()
    return said.decode()


async def put(checkout: Checkout, path: str, text: str) -> None:
    await checkout.workspace.write(checkout.workspace.resolve(path), text.encode())


async def get(checkout: Checkout, path: str) -> str:
    return (await checkout.workspace.read(checkout.workspace.resolve(path))).decode()


def descriptors_open() -> set[str]:
    folder = Path("/proc/self/fd")
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


async def changed(checkout: Checkout) -> dict[str, str]:
    return {change.path: change.change for change in await checkout.changes()}


# --- A copy is as the user's tree is ---------------------------------------------------------------------------------


@sharing()
async def test_a_copy_begins_as_the_users_files_are_and_commands_and_tools_change_it_alone(unchanged: Scene) -> None:
    before = photograph(unchanged.top)
    checkout = await unchanged.another()
    assert checkout.isolation == unchanged.way.isolation
    assert await sh(checkout, "cat a.txt new.txt link; ./run.sh") == "dirty\nuntracked\nprint('b')\nran\n"
    assert await sh(checkout, "git status --short; git stash list; git config --get-regexp 'remote|hook'") == ""
    assert await sh(checkout, "git branch; git log --format=%s") == (
        "  other\n* trunk\nThe files as they were, uncommitted changes included\nfirst\n"
    )
    assert await changed(checkout) == {}
    assert await checkout.commit("nothing") == checkout.start

    # Commands and tools see the same files, and what either does is told.
    await put(checkout, "src/b.py", "by a tool\n")
    await put(checkout, "deep/new/file", "x")
    assert await sh(checkout, "cat src/b.py; ls deep/new; echo more >> a.txt; rm new.txt; chmod -x run.sh") == (
        "by a tool\nfile\n"
    )
    assert await get(checkout, "a.txt") == "dirty\nmore\n"
    workspace = checkout.workspace
    await workspace.remove(workspace.root / "link")
    assert await workspace.status(workspace.resolve("new.txt")) is None
    assert "link" not in await workspace.names(workspace.root)
    wanted = {"a.txt": "modified", "deep/new/file": "created", "link": "deleted", "new.txt": "deleted"}
    assert await changed(checkout) == {**wanted, "run.sh": "modified", "src/b.py": "modified"}
    assert photograph(unchanged.top) == before


@sharing("overlay", "unconfined")
async def test_folders_can_be_moved_removed_and_made_again(unchanged: Scene) -> None:
    checkout = await unchanged.another()
    assert await sh(checkout, "mv src moved && rm -rf moved && mkdir src && echo again > src/c.py && ls src") == (
        "c.py\n"
    )
    assert await checkout.workspace.names(checkout.workspace.resolve("src")) == ["c.py"]
    await put(checkout, "src/b.py", "back\n")
    assert await sh(checkout, "cat src/*.py") == "back\nagain\n"
    assert await changed(checkout) == {"src/b.py": "modified", "src/c.py": "created"}


@sharing("overlay", "mounted-copy", "unconfined")
async def test_a_folder_that_an_overlay_cannot_rename_is_explained_to_the_model(unchanged: Scene) -> None:
    checkout = await unchanged.another()
    said = await sh(checkout, "git mv src moved && ls moved")
    assert said == "b.py\n" or "use mv" in blocked(said, net=False)


@sharing("overlay", "unconfined")
async def test_searches_look_into_the_copy_and_honour_its_ignore_files(unchanged: Scene) -> None:
    checkout = await unchanged.another()
    await put(checkout, "src/deep/x.py", "needle\n")
    await put(checkout, "src/deep/x.log", "needle\n")
    await sh(checkout, "rm a.txt")
    root = checkout.workspace.root
    assert [hit.path for hit in (await checkout.search.grep(root, Query("needle|dirty"))).hits] == ["src/deep/x.py"]
    assert (await checkout.search.files(checkout.workspace.resolve("src/deep"), "*")).paths == ("x.py",)
    found = await checkout.search.grep(checkout.workspace.resolve("src/deep/x.py"), Query("needle"))
    assert [hit.text for hit in found.hits] == ["needle"]


@sharing("overlay", "unconfined")
async def test_paths_are_the_users_own_and_lead_into_the_copy(unchanged: Scene) -> None:
    checkout = await unchanged.another()
    workspace = checkout.workspace
    await put(checkout, str(unchanged.top / "a.txt"), "by its absolute path\n")
    assert await get(checkout, "a.txt") == "by its absolute path\n"
    assert workspace.display(workspace.resolve(str(unchanged.top / "src" / "b.py"))) == "src/b.py"
    if unchanged.way.wanted == "bwrap":
        assert workspace.root == unchanged.top
        assert await sh(checkout, f"pwd; echo x > {unchanged.top}/a.txt; cat a.txt") == f"{unchanged.top}\nx\n"
    assert (unchanged.top / "a.txt").read_text() == "dirty\n"


@sharing("overlay", "mounted-copy", "unconfined")
async def test_a_background_command_and_tools_work_on_the_same_files_at_once(unchanged: Scene) -> None:
    checkout = await unchanged.another()
    wait = "mkfifo go; cat go > /dev/null; cat a.txt"
    running = await checkout.workspace.start(wait, cwd=checkout.workspace.root)
    await put(checkout, "a.txt", "written while it runs\n")
    assert await sh(checkout, "while ! test -p go; do :; done; echo > go; echo told") == "told\n"
    assert b"".join([chunk async for chunk in running.output()]) == b"written while it runs\n"


# --- Attacks ---------------------------------------------------------------------------------------------------------

ATTACKS = (
    "git reset -q --hard HEAD~1",
    "git clean -fdxq",
    "git stash -u",
    "git checkout -q other",
    "git branch -D other; git update-ref -d refs/heads/trunk; git tag evil",
    "git -C {top} reset -q --hard; git -C {top} clean -fdxq; git -C {top} stash drop; git -C {top} branch -D other",
    "GIT_DIR={top}/.git git branch -D other; GIT_DIR={top}/.git GIT_WORK_TREE={top} git reset -q --hard",
    "git config core.hooksPath /evil; git --git-dir={top}/.git config user.name evil",
    "echo evil > {top}/a.txt; rm -rf {top}/src {top}/.git; mv {top}/run.sh {top}/gone",
    "ln -s {top} way; echo evil > way/a.txt; rm -f way/new.txt",
    "cd ..; rm -rf project; cd {top} && rm -rf ./* .git",
    "echo evil >> node_modules/lib/m.js; rm -rf node_modules/lib; chmod -R 0 node_modules/lib",
    "git gc -q --prune=now; git prune --expire=now; find .git/objects {data} -type f -exec chmod +w {{}} + -delete",
    "rm -rf {data}/* {place}/config; echo evil > {data}/snapshots/evil",
    "git worktree add -q ../evil; git push -q {top} HEAD:refs/heads/evil; git fetch -q {top}",
)


def attacks(scene: Scene) -> str:
    """All of them, each from the top of the copy."""
    lines = (attack.format(top=scene.top, data=scene.data, place=scene.place) for attack in ATTACKS)
    return "".join(f"(\n{line}\n)\n" for line in lines)


@pytest.mark.parametrize("scene", [way for way in WAYS if way != "unconfined"], indirect=True)
async def test_no_command_reaches_the_user_or_a_sibling(scene: Scene) -> None:
    checkouts = await scene.freeze()
    sibling = await checkouts.create("sibling")
    await put(sibling, "a.txt", "the sibling's\n")
    attacker = await checkouts.create("attacker")
    before = photograph(scene.top)
    others = photograph(sibling.ground.at(sibling.ground.top))
    await sh(attacker, attacks(scene))
    assert photograph(scene.top) == before
    assert photograph(sibling.ground.at(sibling.ground.top)) == others
    # What they did is all in the copy, and can be told and made again all the same.
    await attacker.changes()
    fresh = await checkouts.create("fresh")
    assert await sh(fresh, "git status --short; cat a.txt src/b.py node_modules/lib/m.js") == (
        "dirty\nprint('b')\nmodule\n"
    )
    assert await changed(sibling) == {"a.txt": "modified"}


@every_layout
async def test_tools_do_not_leave_the_copy_by_dots_or_links_or_absolute_paths(scene: Scene) -> None:
    (scene.top / "absolute").symlink_to(scene.top / "src")
    (scene.top / "climbing").symlink_to("../home")
    (scene.top / "system").symlink_to("/etc")
    (scene.place / "home" / "secret").write_text("tiger")
    checkout = await scene.create()
    before = photograph(scene.top)
    # A link to the user's own absolute path means the same file here.
    await put(checkout, "absolute/b.py", "through the link\n")
    assert await get(checkout, "src/b.py") == "through the link\n"
    for path in ("climbing/secret", "system/passwd", "../home/secret", "/etc/passwd", str(scene.place), "~/x"):
        with pytest.raises(ToolError, match="outside this working copy"):
            checkout.workspace.resolve(path)
    for path in (scene.place / "home" / "secret", Path("/etc/passwd")):
        with pytest.raises(ToolError, match="outside this working copy"):
            await checkout.workspace.read(path)
        with pytest.raises(ToolError, match="outside this working copy"):
            await checkout.workspace.write(path, b"evil")
        with pytest.raises(ToolError, match="outside this working copy"):
            await checkout.workspace.start("ls", cwd=path)
    await sh(checkout, "ln -s loop loop")
    with pytest.raises(ToolError, match="leads to itself"):
        checkout.workspace.resolve("loop/x")
    assert photograph(scene.top) == before


@pytest.mark.skipif(sys.platform != "linux", reason="NOT TESTED: needs /proc")
@sharing("overlay", "mounted-copy", "unconfined")
async def test_a_folder_that_becomes_a_link_between_look_and_use_leads_nowhere(unchanged: Scene) -> None:
    checkout = await unchanged.another()
    before = photograph(unchanged.top)
    path = checkout.workspace.resolve("src/b.py")
    await sh(checkout, f"mv src old; ln -s {unchanged.top}/src src; ln -s /etc/passwd here")
    for use in (
        checkout.workspace.read(path),
        checkout.workspace.write(path, b"evil"),
    ):
        with pytest.raises(ToolError, match="Cannot use src"):
            await use
    await checkout.workspace.remove(path)
    with pytest.raises(ToolError, match="Cannot read here"):
        await checkout.workspace.read(checkout.workspace.root / "here")
    assert photograph(unchanged.top) == before


@sharing("overlay", "mounted-copy", "unconfined")
async def test_what_a_copys_repository_says_is_neither_run_nor_believed_outside(
    unchanged: Scene, tmp_path: Path
) -> None:
    checkout = await unchanged.another()
    proof = tmp_path / "proof"
    await sh(
        checkout,
        f"git config filter.x.clean 'touch {proof}'; "
        f"echo '* filter=x' > .gitattributes; git config alias.add '!touch {proof}'; mkdir -p .git/hooks; "
        f"printf '#!/bin/sh\\ntouch {proof}\\n' > .git/hooks/post-index-change; chmod +x .git/hooks/*; "
        "git update-index --assume-unchanged a.txt; echo hidden > a.txt; echo a.txt >> .git/info/exclude; "
        f"git config core.fsmonitor 'touch {proof}'",
    )
    proof.unlink(missing_ok=True)
    assert await changed(checkout) == {"a.txt": "modified", ".gitattributes": "created"}
    assert not proof.exists()


@pytest.mark.parametrize("scene", [way for way in WAYS if way != "unconfined"], indirect=True)
async def test_secrets_stay_hidden_in_a_copy(scene: Scene) -> None:
    (scene.top / "src" / ".env").write_text("PASSWORD=tiger\n")
    (scene.place / "home" / ".netrc").write_text("tiger\n")
    checkout = await scene.create()
    said = await sh(
        checkout, f"cat src/.env {scene.place}/home/.netrc {scene.data}/checkouts/*/*/*/*/src/.env; echo end"
    )
    assert "tiger" not in said and said.endswith("end\n")
    if scene.way.wanted == "landlock":
        return  # no new files above a secret
    assert (await sh(checkout, "echo SECRET=1 > made.env; mkdir -p x; echo y > x/.env; ls made.env")).endswith(
        "made.env\n"
    )
    assert "SECRET" not in await sh(checkout, "cat made.env")


@every_layout
async def test_permissions_judge_a_path_by_where_the_copys_own_links_lead(scene: Scene) -> None:
    (scene.top / ".env").write_text("PASSWORD=tiger\n")
    checkout = await scene.create()
    workspace = checkout.workspace
    await sh(checkout, "ln -s .env src/notes; ln -s ../src/notes src/again; ln -s / src/out")
    boundary = Boundary(workspace.roots, follow=workspace.follow)
    assert locate("src/again", boundary).sensitive == ".env may hold secrets"
    assert not locate("src/out/etc/passwd", boundary).inside
    place = locate("src/b.py", boundary)
    assert place.inside and not place.sensitive


# --- Ignored folders -------------------------------------------------------------------------------------------------


async def test_ignored_folders_that_builds_need_are_there_read_only(scene: Scene) -> None:
    (scene.top / "sub" / "node_modules").mkdir(parents=True)
    (scene.top / "sub" / "node_modules" / "n.js").write_text("nested\n")
    checkout = await scene.create()
    assert await sh(checkout, "cat node_modules/lib/m.js sub/node_modules/n.js") == "module\nnested\n"
    await sh(checkout, "echo '!node_modules' > .gitignore")
    assert await changed(checkout) == {".gitignore": "modified"}
    if scene.way.wanted != "off":
        assert "ead-only" in await sh(checkout, "echo x > node_modules/x") or scene.way.wanted == "landlock"
    with pytest.raises(ToolError):
        await put(checkout, "node_modules/x", "x")
    assert await get(checkout, "node_modules/lib/m.js") == "module\n"
    assert not (scene.top / "node_modules" / "x").exists()


@either_way
async def test_ignored_folders_can_be_copied_and_are_then_the_copys_own(scene: Scene) -> None:
    checkouts = await scene.freeze(copied=["node_modules"])
    checkout = await checkouts.create("one")
    assert await sh(checkout, "echo x > node_modules/x; cat node_modules/lib/m.js node_modules/x") == "module\nx\n"
    assert await changed(checkout) == {}
    assert not (scene.top / "node_modules" / "x").exists()


# --- The frozen files, from one moment to the next -------------------------------------------------------------------


async def kept(scene: Scene, *, alone: bool = True) -> tuple[Path, dict[str, tuple[int, bytes]]]:
    """The files that copies are made over, after a copy was; and what is in them."""
    checkouts = await scene.freeze()
    checkout = await checkouts.create("one")
    assert await sh(checkout, "cat a.txt") == (scene.top / "a.txt").read_text()
    base = await checkouts._base()  # pyright: ignore[reportPrivateUsage]  (where it is, is nobody else's affair)
    found = photograph(base)
    if alone:
        await checkouts.close()
    return base, found


def expected(scene: Scene) -> dict[str, tuple[int, bytes]]:
    names = [name for name in git(scene.top, "ls-files", "-z", "-c", "-o", "--exclude-standard").split("\0") if name]
    seen = photograph(scene.top)
    return {name: seen[name] for name in names if name in seen}


def files_of(found: dict[str, tuple[int, bytes]]) -> dict[str, tuple[int, bytes]]:
    return {name: look for name, look in found.items() if not stat.S_ISDIR(look[0])}


@pytest.mark.parametrize("scene", ["overlay"], indirect=True)
async def test_the_next_moment_writes_only_what_differs_from_the_last_one(scene: Scene) -> None:
    base, found = await kept(scene)
    assert files_of(found) == expected(scene)
    same = (base / "run.sh").stat().st_ino
    (scene.top / "a.txt").write_text("dirty too\n")
    (scene.top / "new.txt").unlink()
    (scene.top / "new.txt").mkdir()
    (scene.top / "new.txt" / "inside").write_text("x\n")
    shutil.rmtree(scene.top / "src")
    (scene.top / "src").symlink_to("new.txt")
    (scene.top / "tool").write_text("#!/bin/sh\n")
    (scene.top / "tool").chmod(0o755)
    again, found = await kept(scene)
    assert again == base and files_of(found) == expected(scene)
    assert (base / "run.sh").stat().st_ino == same
    assert (base / "tool").stat().st_mtime_ns == (scene.top / "tool").stat().st_mtime_ns


@pytest.mark.parametrize("scene", ["overlay"], indirect=True)
async def test_files_that_a_living_copy_stands_on_are_not_changed_for_another(scene: Scene) -> None:
    base, _ = await kept(scene, alone=False)
    (scene.top / "a.txt").write_text("later\n")
    other, found = await kept(scene)
    assert other != base and found["a.txt"][1] == b"later\n"
    assert (base / "a.txt").read_text() == "dirty\n"


@pytest.mark.parametrize("scene", ["overlay"], indirect=True)
async def test_kept_files_that_a_kill_left_half_way_or_nobody_uses_are_laid_out_anew(scene: Scene) -> None:
    base, _ = await kept(scene)
    base.with_name("base.index").rename(base.with_name("base.busy"))  # so it is while the files are being changed
    (base / "a.txt").write_text("half")
    (base / "stray").write_text("x")
    _, found = await kept(scene)
    assert files_of(found) == expected(scene)
    os.utime(base.with_name("base.lock"), (0, 0))
    checkouts = await scene.freeze()
    assert not base.exists()
    await checkouts.close()


# --- Results ---------------------------------------------------------------------------------------------------------


@either_way
async def test_results_are_merged_built_upon_and_applied_to_the_users_files(scene: Scene) -> None:
    (scene.top / "long").write_text("".join(f"{n}\n" for n in range(20)))
    checkouts = await scene.freeze()
    one, two = await checkouts.create("one"), await checkouts.create("two")
    await sh(one, "sed -i 's/^2$/two/' long; git add -A; git -c user.name=x -c user.email=y commit -qm mine")
    await sh(two, "sed -i 's/^17$/seventeen/' long; echo x > made")
    first, second = await one.commit("one"), await two.commit("two")
    merged = await merge(checkouts.trees, checkouts.base, first, second)
    assert merged.conflicts == ()
    third = await checkouts.create("three", start=await checkouts.trees.commit(merged.tree, "both", checkouts.base))
    assert await sh(third, "git status --short; grep -n '[a-z]' long; cat made a.txt") == (
        "3:two\n18:seventeen\nx\ndirty\n"
    )
    await sh(third, "echo third >> made")
    assert await changed(third) == {"made": "modified"}
    result = await third.commit("three")
    (scene.top / "long").write_text((scene.top / "long").read_text().replace("\n9\n", "\nnine\n"))
    index, head = (scene.top / ".git" / "index").read_bytes(), git(scene.top, "stash", "list")
    applied = await apply(checkouts.trees, Snapshots(scene.top, scene.data / "snapshots"), checkouts.base, result)
    assert applied.status == "applied" and set(applied.paths) == {"long", "made"}
    text = (scene.top / "long").read_text().splitlines()
    assert (text[2], text[9], text[17]) == ("two", "nine", "seventeen")
    assert ((scene.top / ".git" / "index").read_bytes(), git(scene.top, "stash", "list")) == (index, head)


@either_way
async def test_a_copy_is_never_made_of_files_that_a_killed_process_left_half_way(scene: Scene) -> None:
    snapshots = Snapshots(scene.top, scene.data / "snapshots")
    shadow = await snapshots.open()
    blob = (await shadow.ask("hash-object", "-w", "run.sh")).decode().strip()
    old = (await shadow.ask("hash-object", "-w", "a.txt")).decode().strip()
    changes = {"a.txt": Node("file", 0o644, blob), "added": Node("file", 0o644, blob)}
    steps = prepare(scene.top, "killed", changes, {"a.txt": Node("file", 0o644, old), "added": None})
    await swap.stage(shadow, steps)
    swap.swap_in(scene.top, steps)
    checkout = await scene.create()
    assert await sh(checkout, "cat a.txt; test ! -e added") == "dirty\n"
    assert (scene.top / "a.txt").read_text() == "dirty\n" and not (scene.top / "added").exists()
    assert not list(scene.top.glob(".*.kimi-code.tmp"))


async def test_files_folders_and_links_that_take_each_others_place_are_told_as_they_are(any_scene: Scene) -> None:
    for name in ("file", "folder/x", "linked/x", "gone", "-odd *name"):
        path = any_scene.top / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("1\n")
    checkout = await any_scene.create()
    await sh(checkout, "rm -r file folder gone -- '-odd *name'; mkdir file; echo 2 > file/y; echo 2 > folder")
    expected = {"-odd *name": "deleted", "file": "deleted", "file/y": "created"}
    expected |= {"folder": "created", "folder/x": "deleted", "gone": "deleted"}
    assert {path: change for path, change in (await changed(checkout)).items() if change != "renamed"} == expected
    await sh(checkout, "rm -r linked; ln -s folder linked; echo y > ':(top)y'")
    assert await changed(checkout) == expected | {"linked": "created", "linked/x": "deleted", ":(top)y": "created"}


async def test_a_look_at_the_files_that_was_broken_off_does_not_stop_the_next(any_scene: Scene) -> None:
    checkout = await any_scene.create()
    await put(checkout, "large", "\0" * 20_000_000)
    looking = asyncio.ensure_future(checkout.take())
    lock = next(any_scene.data.glob("checkouts/*/*/*/index")).with_name("index.lock")
    while not lock.exists() and not looking.done():
        await asyncio.sleep(0)
    looking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await looking
    assert await changed(checkout) == {"large": "created"}


async def test_nested_repositories_and_huge_files_are_named_and_left_out(any_scene: Scene) -> None:
    checkout = await any_scene.create()
    await sh(checkout, "git init -q nested; echo x > nested/x; truncate -s 60000000 huge; echo y > y")
    assert await changed(checkout) == {"y": "created"}
    assert sorted(checkout.notes) == [
        "huge is larger than 50 MB; it is not taken over.",
        "nested is a repository of its own; it is not taken over.",
    ]


# --- All sorts of working trees --------------------------------------------------------------------------------------


@either_way
async def test_a_folder_without_a_repository(scene: Scene) -> None:
    shutil.rmtree(scene.top / ".git")
    before = photograph(scene.top)
    checkout = await scene.create()
    assert await sh(checkout, "cat a.txt; git status --short; git log --format=%s") == (
        "dirty\nThe files as they were, uncommitted changes included\n"
    )
    await sh(checkout, "rm a.txt")
    assert await changed(checkout) == {"a.txt": "deleted"}
    assert photograph(scene.top) == before


async def test_a_detached_head_a_clean_tree_and_no_commit_yet(any_scene: Scene) -> None:
    git(any_scene.top, "stash", "-qu")
    git(any_scene.top, "checkout", "-q", "--detach")
    checkouts = await any_scene.freeze()
    assert checkouts.base == git(any_scene.top, "rev-parse", "HEAD").strip()
    checkout = await checkouts.create("detached")
    assert await sh(checkout, "git symbolic-ref -q HEAD; git log --format=%s; git status --short") == "first\n"
    shutil.rmtree(any_scene.top / ".git")
    git(any_scene.top, "init", "-q", "-b", "unborn")
    checkout = await any_scene.create()
    assert await sh(checkout, "git branch --show-current; git status --short; git log --format=%s | wc -l") == (
        "unborn\n1\n"
    )


@either_way
async def test_a_linked_worktree_and_a_subfolder_as_the_working_folder(scene: Scene) -> None:
    git(scene.top, "worktree", "add", "-q", str(scene.place / "second"), "other")
    (scene.place / "second" / "src" / "b.py").write_text("in the second\n")
    before = photograph(scene.top)
    checkouts = await scene.freeze(scene.place / "second" / "src")
    checkout = await checkouts.create("one")
    assert await sh(checkout, "cat b.py; git branch --show-current; git status --short") == "in the second\nother\n"
    await sh(checkout, "echo x > b.py; git commit -qam x; git branch -D trunk; echo up > ../a.txt")
    assert await changed(checkout) == {"src/b.py": "modified", "a.txt": "modified"}
    assert checkout.workspace.display(checkout.workspace.resolve("../a.txt")).endswith("/a.txt")
    assert await get(checkout, "../a.txt") == "up\n"
    assert photograph(scene.top) == before


@either_way
async def test_line_ends_and_filters_change_no_byte(scene: Scene) -> None:
    git(scene.top, "config", "core.autocrlf", "true")
    git(scene.top, "config", "filter.up.clean", "tr a-z A-Z")
    (scene.top / ".gitattributes").write_text("*.up filter=up\n*.txt text eol=crlf\n")
    (scene.top / "x.up").write_bytes(b"small\r\n")
    (scene.top / "y.txt").write_bytes(b"one\ntwo\r\n")
    (scene.top / "name\nwith \xe9").write_bytes(b"odd\n")
    checkout = await scene.create()
    assert await sh(checkout, "git status --short; cat x.up y.txt name*") == "small\r\none\ntwo\r\nodd\n"
    assert await changed(checkout) == {}


async def test_times_are_the_users_own(any_scene: Scene) -> None:
    os.utime(any_scene.top / "src" / "b.py", ns=(10**18, 10**18 + 5))
    checkout = await any_scene.create()
    assert checkout.ground.at(checkout.workspace.resolve("src/b.py")).stat().st_mtime_ns == 10**18 + 5


# --- Beginning and end -----------------------------------------------------------------------------------------------


def claimed(scene: Scene) -> set[Path]:
    """What is in the project's folder but for the laid out files that are kept for the next time."""
    return {path for path in (scene.data / "checkouts").glob("*/*") if path.name.partition(".")[0] != "base"}


@either_way
async def test_nothing_is_left_when_all_is_closed(scene: Scene) -> None:
    checkouts = await scene.freeze()
    one = await checkouts.create("one")
    await sh(one, "mkdir -p shut/inner; chmod 0 shut")
    descriptors = descriptors_open()
    two = await checkouts.create("two")
    await two.remove()
    await two.remove()
    assert descriptors_open() == descriptors
    assert await sh(one, "cat a.txt") == "dirty\n"
    await checkouts.close()
    assert claimed(scene) == set()


async def test_a_copy_that_cannot_be_had_is_an_error_and_never_the_users_own_tree(any_scene: Scene) -> None:
    (any_scene.data / "checkouts").write_text("in the way")
    with pytest.raises(CheckoutError, match="No isolated working copy can be kept in"):
        await any_scene.freeze()
    found = find("auto", any_scene.data)
    if found.mechanism != "bwrap":
        pytest.skip("NOT TESTED: no bwrap here")
    wrong = Confinement(found, Mounts(("/nowhere/bwrap",), ("/nowhere/bwrap",)), (any_scene.data,))
    snapshots = Snapshots(any_scene.top, any_scene.data / "snapshots")
    checkouts = await freeze(snapshots, any_scene.data / "others", wrong)
    with pytest.raises(CheckoutError, match="No isolated working copy of"):
        await checkouts.create("one")
    await checkouts.close()


@sharing("overlay", "unconfined")
async def test_many_copies_at_once_are_all_of_their_own(unchanged: Scene) -> None:
    (checkouts,) = unchanged.opened
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(checkouts.create(str(n))) for n in range(6)]
    copies = [task.result() for task in tasks]
    for copy in copies:
        await put(copy, "a.txt", copy.name)
    assert [await sh(copy, "cat a.txt") for copy in copies] == [str(n) for n in range(6)]


# --- As another user -------------------------------------------------------------------------------------------------

_AS_NOBODY = """
import asyncio, json, sys
sys.path[:0] = {path!r}
from pathlib import Path
from tests.unit.test_checkout import WAYS, Scene, attacks, changed, claimed, photograph, put, sh
async def go(way):
    scene = Scene(Path({place!r}, way), WAYS[way])
    scene.plant()
    try:
        one = await scene.create()
    except BaseException as skipped:
        if type(skipped).__name__ != "Skipped":
            raise
        return str(skipped)
    before = photograph(scene.top)
    await put(one, "src/b.py", "x")
    said = await sh(one, "id -u; git status --short; cat src/b.py")
    told = await changed(one)
    await sh(one, attacks(scene))
    same = photograph(scene.top) == before
    await scene.opened[0].close()
    return [one.isolation, said, told, same, sorted(claimed(scene))]
async def main():
    print(json.dumps({{way: await go(way) for way in {ways!r}}}))
asyncio.run(main())
"""


@pytest.mark.skipif(
    os.name != "posix" or os.geteuid() != 0 or SETPRIV is None, reason="NOT TESTED: needs root, setpriv"
)
def test_it_holds_for_an_ordinary_user() -> None:
    assert SETPRIV is not None
    ways = [way for way in WAYS if way != "unconfined"]
    with tempfile.TemporaryDirectory(prefix="kimi-code-test-", dir="/var/tmp") as name:
        os.chown(name, NOBODY, NOBODY)
        become = (SETPRIV, "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups")
        path = [entry for entry in sys.path if entry] + [str(Path.cwd())]
        ran = subprocess.run(
            [*become, interpreter(), "-c", _AS_NOBODY.format(path=path, place=name, ways=ways)],
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": os.environ["PATH"], "HOME": name, "PYTHONDONTWRITEBYTECODE": "1"},
        )
    if "Permission denied" in ran.stderr:
        pytest.skip(f"NOT TESTED as an ordinary user: {ran.stderr.strip().splitlines()[-1]}")
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    missing = {way: found for way, found in told.items() if isinstance(found, str)}
    as_wanted: list[object] = ["65534\n M src/b.py\nx", {"src/b.py": "modified"}, True, []]
    assert told == {way: [WAYS[way].isolation, *as_wanted] for way in ways} | missing
    if missing:
        pytest.skip(f"NOT TESTED as an ordinary user: {missing}")
