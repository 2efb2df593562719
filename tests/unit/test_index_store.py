"""The cache on disk: what is kept, and what it does when it cannot keep anything."""

import sqlite3
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from kimi_code.repo.indexing.catalog import Catalog
from kimi_code.repo.indexing.facts import Facts, make_facts, read_detail, read_imports
from kimi_code.repo.indexing.index_store import IndexStore, version
from kimi_code.repo.symbols import FileSymbols, Import, Symbol

FACTS = Facts("a.py", 3, 4, "d1", "python", "", "f\ng", "ha", "x", b"\x02")


def test_files_and_details_survive_and_are_forgotten(tmp_path: Path) -> None:
    store = IndexStore(tmp_path / "cache", tmp_path)
    store.save([(FACTS, b"[]")])
    store.close()
    again = IndexStore(tmp_path / "cache", tmp_path)
    assert again.load() == [FACTS]
    assert again.details(["a.py", "b.py"]) == {"a.py": ("d1", b"[]")}
    again.save([], {"a.py": (5, 6)})
    assert again.load()[0].mtime_ns == 6
    again.save([], gone=["a.py"])
    assert again.load() == [] and again.details(["a.py"]) == {}
    again.close()


def test_each_root_has_a_cache_of_its_own(tmp_path: Path) -> None:
    one, other = IndexStore(tmp_path / "cache", tmp_path / "x"), IndexStore(tmp_path / "cache", tmp_path / "y")
    one.save([(FACTS, b"")])
    assert other.load() == []
    one.close()
    other.close()


def test_only_the_latest_graph_is_kept(tmp_path: Path) -> None:
    store = IndexStore(tmp_path / "cache", tmp_path)
    store.keep_graph("one", b"1")
    store.keep_graph("two", b"2")
    assert (store.graph("one"), store.graph("two")) == (b"", b"2")
    store.close()


def test_a_cache_with_another_schema_is_made_anew(tmp_path: Path) -> None:
    store = IndexStore(tmp_path / "cache", tmp_path)
    store.save([(FACTS, b"[]")])
    store.close()
    (path,) = (tmp_path / "cache").rglob("*.db")
    with sqlite3.connect(path) as db:
        db.execute("DROP TABLE files")
        db.execute("CREATE TABLE files (path TEXT)")
    db.close()
    again = IndexStore(tmp_path / "cache", tmp_path)
    assert again.load() == []
    again.save([(FACTS, b"[]")])
    assert again.load() == [FACTS] and again.note == ""
    again.close()


def test_a_writer_that_never_lets_go_costs_the_cache_but_no_answer(tmp_path: Path) -> None:
    store = IndexStore(tmp_path / "cache", tmp_path, busy=0.05)
    assert store.load() == []
    (path,) = (tmp_path / "cache").rglob("*.db")
    other = sqlite3.connect(path)
    other.execute("BEGIN EXCLUSIVE")
    store.save([(FACTS, b"[]")])
    assert store.load() == [FACTS]
    assert "locked" in store.note
    other.rollback()
    other.close()
    store.close()


def test_the_version_does_not_change_by_itself() -> None:
    assert version() == version() != ""


TEXT = st.text(max_size=20)
SYMBOLS = st.builds(
    Symbol,
    *(TEXT, st.sampled_from(("class", "method", "heading")), TEXT, TEXT, TEXT),
    *(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99), st.integers(0, 99), st.booleans()),
)


@given(
    st.lists(SYMBOLS, max_size=4),
    st.dictionaries(
        TEXT, st.lists(st.integers(1, 99), min_size=1, max_size=4).map(lambda some: (*some,) * 90), max_size=4
    ),
    st.lists(
        st.builds(Import, TEXT, st.lists(st.tuples(TEXT, TEXT), max_size=2).map(tuple), st.integers(1, 9)), max_size=2
    ),
)
def test_what_is_found_in_a_file_comes_back_from_its_bytes(
    symbols: list[Symbol], references: dict[str, tuple[int, ...]], imports: list[Import]
) -> None:
    found = FileSymbols("python", tuple(symbols), references, tuple(imports))
    facts, encoded = make_facts("a.py", 1, 2, "d", found)
    detail = read_detail("a.py", encoded)
    assert [(each.name, each.signature, each.exported) for each in detail.definitions] == [
        (each.name, each.signature, each.exported) for each in symbols
    ]
    assert read_imports(facts.imports) == tuple(imports)
    catalog = Catalog()
    catalog.put(facts)
    entry = catalog.get("a.py")
    assert entry and len(entry.defined) == len(symbols)
