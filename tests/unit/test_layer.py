"""What an overlay's layer says of the changes in a copy is what git finds by a look at all files."""

# A copy chooses between the two by itself, and lets nobody else.
# pyright: reportPrivateUsage=false

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kimi_code.repo.checkout import Checkout
from kimi_code.repo.checkouts.layer import Unclear, read, survey
from kimi_code.repo.merge import merge
from tests.unit.test_checkout import WAYS, Scene, git, place, planted, put, sh

__all__ = ["place", "planted"]


@pytest.fixture
async def scene(place: Path) -> AsyncIterator[Scene]:
    made = Scene(place, WAYS["overlay"])
    yield made
    for checkouts in made.opened:
        await checkouts.close()


async def agreed(checkout: Checkout) -> str:
    """The tree by the layer, which is also git's."""
    assert checkout._layer is not None
    layer, moment = checkout._layer, checkout._moment
    tree = await layer.take(moment.trees, checkout.start, checkout.ground, checkout._left_out)
    assert await checkout._take_by_index() == tree
    return tree


COMMANDS = (
    "true",
    "mkdir -p made/deep && echo 1 > made/deep/a && chmod +x made/deep/a && ln -s nowhere made/dangling",
    "rm -r src && mkdir src && echo other > src/c.py",
    "rm -r src && echo 'now a file' > src",
    "rm a.txt && mkdir a.txt && echo 1 > a.txt/inside && rm new.txt",
    "mv src lib && ln -s lib src",
    "echo noise > x.log && mkdir logs && echo noise > logs/y.log && echo kept > logs/kept",
    "chmod -x run.sh && rm link && cp run.sh link",
    "mkdir empty && rm -r node_modules 2>/dev/null; printf 'a\\0b' > 'odd [name]*' && echo 1 > ':(top)x'",
    "rm run.sh && cp src/b.py run.sh && touch a.txt",
)


async def test_the_layer_and_git_agree_on_whatever_commands_do(scene: Scene) -> None:
    checkouts = await scene.freeze()
    for number, command in enumerate(COMMANDS):
        checkout = await checkouts.create(str(number))
        assert await sh(checkout, command) == "", command
        await agreed(checkout)
        await checkout.remove()


async def test_they_agree_in_a_copy_that_began_with_what_others_made(scene: Scene) -> None:
    checkouts = await scene.freeze()
    first = await checkouts.create("first")
    await sh(first, "mkdir lib && mv src/b.py lib/b.py && rm a.txt && echo 1 > new.txt")
    second = await checkouts.create("second", start=await first.commit("made"))
    assert await agreed(second) == await checkouts.trees.tree(second.start)
    await put(second, "lib/b.py", "changed\n")
    await sh(second, "mkdir src && echo back > src/b.py && rm new.txt")
    await agreed(second)


async def test_what_the_layer_cannot_tell_is_left_to_git(scene: Scene) -> None:
    checkouts = await scene.freeze()
    top = scene.top
    for command, kept in (
        ("echo '*.py' > .gitignore; echo 1 > new.py; echo 1 > x.log", {"x.log"}),
        ("git init -q nested; echo 1 > nested/file", set[str]()),
        ("mkfifo pipe; echo 1 > beside", {"beside"}),
        ("head -c 1200000 /dev/zero > large", {"large"}),
    ):
        checkout = await checkouts.create("one")
        await sh(checkout, command)
        assert checkout._layer is not None
        with pytest.raises(Unclear):
            survey(checkout._layer.folder, checkout.ground.at(top), ())
        told = {change.path for change in await checkout.changes() if change.change == "created"}
        assert told == kept, command


async def test_a_file_that_became_a_link_meanwhile_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("outside")
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "folder").symlink_to(tmp_path)
    (copy / "file").symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match="folder"):
        read(copy, ["folder/secret"])
    assert read(copy, ["file"])["file"].content == str(tmp_path / "secret").encode()


async def test_files_can_be_brought_to_another_state_after_the_layer_was_asked(scene: Scene) -> None:
    checkouts = await scene.freeze()
    checkout = await checkouts.create("one")
    await put(checkout, "made.txt", "made\n")
    live = await checkout.take()
    await put(other := await checkouts.create("two"), "src/b.py", "theirs\n")
    both = await checkouts.trees.merge(checkouts.base, live, await other.take())
    assert both is not None
    await checkout.bring(live, both)
    assert await sh(checkout, "cat made.txt src/b.py") == "made\ntheirs\n"
    assert await checkout.take() == both


async def test_in_a_repository_with_ids_of_sha256_git_looks(scene: Scene) -> None:
    shutil.rmtree(scene.top / ".git")
    git(scene.place, "init", "-q", "--object-format=sha256", "project")
    git(scene.top, "add", ".")
    git(scene.top, "commit", "-qm", "first")
    checkouts = await scene.freeze()
    one, two = [await checkouts.create(name) for name in ("one", "two")]
    await put(one, "src/b.py", "changed\n")
    await put(two, "made/new.txt", "1\n")
    assert {change.path for change in await one.changes()} == {"src/b.py"}
    both = await merge(checkouts.trees, checkouts.base, await one.take(), await two.take())
    assert {change.path for change in await checkouts.trees.changes(checkouts.base, both.tree, renames=False)} == {
        "src/b.py",
        "made/new.txt",
    }
