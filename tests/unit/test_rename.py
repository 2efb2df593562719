"""Renames over small real trees: done wherever every use is known, refused with the reason where one is not."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from kimi_code.errors import ToolError
from kimi_code.repo.index import Index
from kimi_code.repo.indexing.rename import plan_rename

Tree = Mapping[str, str]

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Index]:
    """One for all tests: starting a parser takes longer than they do."""
    folder = tmp_path_factory.mktemp("rename")
    (folder / "project").mkdir()
    index = Index(folder / "project", folder / "cache")
    yield index
    await index.close()


@pytest.fixture
def index(shared: Index) -> Index:
    """The index of a project without files."""
    shutil.rmtree(shared.root)
    shared.root.mkdir()
    return shared


async def rename(index: Index, files: Tree, symbol: str, new: str, path: str = "") -> dict[str, str]:
    """The files that a rename changes, with their new texts."""
    write(index.root, files)
    return await renamed(index, files, symbol, new, path)


def write(root: Path, files: Tree) -> None:
    for name, text in files.items():
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text.encode())


async def renamed(index: Index, files: Tree, symbol: str, new: str, path: str = "") -> dict[str, str]:
    async def read(name: str) -> bytes | None:
        await asyncio.sleep(0)
        return (index.root / name).read_bytes()

    plan = await plan_rename(index, symbol, new, path, read)
    changed: dict[str, str] = {}
    for name, edits in plan.edits.items():
        text = files[name].encode()
        for start, end, put in sorted(edits, reverse=True):
            text = text[:start] + put.encode() + text[end:]
        changed[name] = text.decode()
    return changed


async def refused(index: Index, files: Tree, symbol: str, new: str, path: str = "") -> str:
    with pytest.raises(ToolError) as caught:
        await renamed(index, files, symbol, new, path)
    assert "Nothing was" in str(caught.value) or "defined in" in str(caught.value)
    return str(caught.value)


async def all_refused(index: Index, files: Tree, symbol: str, new: str, cases: Sequence[Sequence[str]]) -> None:
    """Each case is a file's name, its text and the reason for which its being there forbids the rename."""
    write(index.root, files)
    for name, text, reason in cases:
        write(index.root, {name: text})
        assert reason in await refused(index, files, symbol, new), (name, text)
        (index.root / name).unlink()
        write(index.root, {name: files[name]} if name in files else {})
    assert await renamed(index, files, symbol, new), "what was refused above was refused for those files alone"


STORE = "def open_store(path):\n    return open_store\n"


async def test_a_python_function_is_renamed_where_it_is_imported_and_called_and_mentions_are_left(
    index: Index,
) -> None:
    files = {
        "app/__init__.py": 'from .store import open_store\n\n__all__ = ["open_store"]\n',
        "app/store.py": STORE + "# open_store is old\n",
        "README.md": "Call open_store.\n",
        "app/one.py": "from app.store import open_store as o, other\n\no()\n",
        "app/two.py": "from . import store\nimport app.store\n\nstore.open_store()\napp.store.open_store()\n",
        "app/three.py": "from app import open_store\n\n\ndef f(x: 'open_store', open=1):\n"
        "    g(open_store=open_store(x))\n",
        "unrelated.py": "def f(open_store):\n    return open_store.open_store\n",
    }
    changed = await rename(index, files, "open_store", "make_store")
    assert changed == {
        "app/__init__.py": 'from .store import make_store\n\n__all__ = ["make_store"]\n',
        "app/store.py": "def make_store(path):\n    return make_store\n# open_store is old\n",
        "app/one.py": "from app.store import make_store as o, other\n\no()\n",
        "app/two.py": "from . import store\nimport app.store\n\nstore.make_store()\napp.store.make_store()\n",
        "app/three.py": "from app import make_store\n\n\ndef f(x: 'make_store', open=1):\n"
        "    g(open_store=make_store(x))\n",
    }


async def test_a_python_rename_is_refused_where_a_use_is_open(index: Index) -> None:
    cases = [
        ("a.py", "from store import open_store\n\ndef f(open_store):\n    pass\n", "bound again"),
        ("a.py", "from store import open_store\n\nx = [open_store for open_store in y]\n", "bound again"),
        ("a.py", "import store\n\ngetattr(store, 'open_store')\nstore.open_store\n", "a string there"),
        ("a.py", "patch('store.open_store')\n", "a string there leads to it"),
        ("a.py", "from store import *\n\nopen_store()\n", "imports everything"),
        ("a.py", "from store import open_store\n\nmake_store = 1\nopen_store()\n", "make_store is in use"),
        ("a.py", "from store import open_store\n\nopen_store(\n", "syntax errors"),
        ("setup.cfg", "[x]\nrun = store:open_store\n", "not analysed"),
        ("a.vue", "<script>\nopen_store()\n</script>\n", "not analysed"),
    ]
    await all_refused(index, {"store.py": STORE}, "open_store", "make_store", cases)


async def test_names_that_cannot_be_and_symbols_that_are_not_are_refused(index: Index) -> None:
    files = {"store.py": STORE, "b.py": "def twice(): pass\n", "c.py": "def twice(): pass\n"}
    write(index.root, files)
    assert "cannot be a name" in await refused(index, files, "open_store", "class")
    assert "cannot be a name" in await refused(index, files, "open_store", "a.b")
    assert "defined in 2 places" in await refused(index, files, "twice", "thrice")
    assert list(await renamed(index, files, "twice", "thrice", "b.py")) == ["b.py"]


async def test_a_method_is_renamed_where_its_receiver_is_plain(index: Index) -> None:
    files = {
        "store.py": "class Store:\n    def put(self):\n        self.put()\n\nStore().put()\nStore.put\n",
        "sub.py": "from store import Store\n\nclass Sub(Store):\n"
        "    def f(self):\n        super().put()\n        self.put()\n",
        "use.py": "from store import Store\nimport queue\n\ndef f(a: Store):\n"
        "    a.put()\n    b = Store()\n    b.put()\n    queue.put\n",
    }
    changed = await rename(index, files, "Store.put", "insert")
    assert changed == {
        name: text.replace("put", "insert").replace("queue.insert", "queue.put") for name, text in files.items()
    }


async def test_a_method_rename_is_refused_where_a_receiver_is_open_or_it_may_override_a_librarys(
    index: Index,
) -> None:
    cases = [
        ("def f(x):\n    x.put()\n", "x.put at a.py:2"),
        ("class Other:\n    def put(self): pass\n", "other classes"),
        ("getattr(x, 'put')\n", "a string there"),
        ("class Other:\n    def insert(self): pass\n", "insert is a member already"),
    ]
    files = {"store.py": "class Store:\n    def put(self): pass\n"}
    library = ("store.py", "import lib\n\nclass Store(lib.Base):\n    def put(self): pass\n", "inherits from Base")
    await all_refused(index, files, "Store.put", "insert", [*(("a.py", *case) for case in cases), library])


async def test_typescript_is_followed_through_imports_exports_and_types(index: Index) -> None:
    files = {
        "src/store.ts": "export class Store { a = 1 }\nexport function make(): Store { return new Store() }\n",
        "src/index.ts": 'export { Store } from "./store";\n',
        "src/use.tsx": 'import { Store } from ".";\nconst x: Store = y as Store;\n'
        "const z = { Store, Store2: 1 };\n<Store a={1}/>;\n",
        "src/alias.ts": 'import { Store as S } from "./store";\nnew S();\n',
        "src/ns.ts": 'import * as st from "./store";\nlet q: st.Store = new st.Store();\n',
        "src/other.ts": 'import { Store } from "redux";\nnew Store();\n',
    }
    changed = await rename(index, files, "Store", "Shop")
    assert changed == {
        "src/store.ts": "export class Shop { a = 1 }\nexport function make(): Shop { return new Shop() }\n",
        "src/index.ts": 'export { Shop } from "./store";\n',
        "src/use.tsx": 'import { Shop } from ".";\nconst x: Shop = y as Shop;\n'
        "const z = { Store: Shop, Store2: 1 };\n<Shop a={1}/>;\n",
        "src/alias.ts": 'import { Shop as S } from "./store";\nnew S();\n',
        "src/ns.ts": 'import * as st from "./store";\nlet q: st.Shop = new st.Shop();\n',
    }


async def test_a_javascript_rename_is_refused_where_a_use_is_open(index: Index) -> None:
    cases = [
        ('import { make } from "./store";\nfunction f({ make }) {}\n', "bound again"),
        ('import * as s from "./store";\ns["make"]();\ns.make();\n', "a string there"),
        ('import { make } from "./store";\nconst fresh = 1;\nmake();\n', "fresh is in use"),
        ('export * from "./store";\nmake();\n', "imports everything"),
    ]
    files = {"store.js": "export function make() {}\n"}
    await all_refused(index, files, "make", "fresh", [("a.js", *case) for case in cases])


async def test_a_javascript_method_is_renamed_on_this_and_on_what_is_new(index: Index) -> None:
    text = "class A {\n  put() { this.put(); }\n}\nconst a = new A();\na.put();\nnew A().put();\n"
    files = {"a.js": text}
    write(index.root, files)
    assert await renamed(index, files, "A.put", "add") == {"a.js": text.replace("put", "add")}
    write(index.root, {"b.js": "const { put } = a;\n"})
    assert "depends on types" in await refused(index, files, "A.put", "add")


async def test_go_is_renamed_in_its_package_and_through_others_imports(index: Index) -> None:
    files = {
        "go.mod": "module example.com/m\n",
        "store/store.go": "package store\n\nfunc Open() int { return 1 }\n",
        "store/more.go": "package store\n\nvar x = Open()\n",
        "main.go": 'package main\n\nimport (\n\t"example.com/m/store"\n'
        '\t"os"\n)\n\nfunc main() { store.Open(); os.Open("x") }\n',
    }
    write(index.root, files)
    changed = await renamed(index, files, "Open", "Create")
    assert changed["main.go"] == files["main.go"].replace("store.Open", "store.Create")
    assert changed["store/more.go"] == "package store\n\nvar x = Create()\n"
    assert "not be exported" in await refused(index, files, "Open", "create")


async def test_a_go_method_is_renamed_by_the_types_of_its_receivers(index: Index) -> None:
    text = (
        "package p\n\ntype T struct{}\n\nfunc (t *T) put() { t.put() }\n\n"
        "func f(a *T) { a.put(); b := &T{}; b.put(); var c T; c.put() }\n"
    )
    files = {"a.go": text}
    write(index.root, files)
    assert await renamed(index, files, "T.put", "add") == {"a.go": text.replace("put", "add")}
    write(index.root, {"b.go": "package p\n\nfunc g() { h().put() }\n"})
    assert "h().put at b.go:3" in await refused(index, files, "T.put", "add")
