"""The map's choice and layout, the ranks behind it: pure functions."""

import math
import re

from hypothesis import given
from hypothesis import strategies as st

from kimi_code.repo.indexing.answers import Definition
from kimi_code.repo.indexing.catalog import Catalog
from kimi_code.repo.indexing.facts import Facts, kind_letter
from kimi_code.repo.indexing.rank import make_graph, pagerank
from kimi_code.repo.indexing.reference_graph import Uses, connect, is_resolved, unpack
from kimi_code.repo.indexing.relevance import is_test, rank_files
from kimi_code.repo.outline import NOTHING, Candidate, Focus, draw, mentions


def words(text: str) -> int:
    return len(text.split())


def define(name: str, line: int, *, container: str = "", end: int = 0, path: str = "a.py") -> Definition:
    kind = "method" if container else "class" if name[0].isupper() else "function"
    return Definition(name, kind, path, line, end or line, container, f"{kind} {name}")


STORE = Candidate(
    "store.py",
    0.5,
    (define("Store", 1, end=9), define("put", 2, container="Store"), define("get", 5, container="Store")),
    (0.3, 0.1, 0.4),
)
MAIN = Candidate("main.py", 0.2, (define("main", 3),), (0.2,))
README = Candidate("README", 0.1, (), ())


def test_the_map_shows_definitions_in_what_they_stand_in_with_their_lines() -> None:
    drawn = draw([README, MAIN, STORE], 1000, words)
    assert drawn.text == (
        "store.py\n     1 class Store\n     2   method put\n     5   method get\nmain.py\n     3 function main\nREADME"
    )
    assert drawn.tokens == words(drawn.text)
    assert [(file.path, file.rank) for file in drawn.files] == [("store.py", 0.5), ("main.py", 0.2), ("README", 0.1)]
    assert [(each.name, each.depth) for each in drawn.files[0].symbols] == [("Store", 0), ("put", 1), ("get", 1)]


def test_a_small_budget_keeps_the_most_used_definition_and_its_class() -> None:
    drawn = draw([README, MAIN, STORE], 7, words)
    assert drawn.text == "store.py\n     1 class Store\n     5   method get"


def test_no_budget_is_no_map() -> None:
    assert draw([STORE], 0, words).text == ""
    assert draw([], 100, words).files == ()


NUMBERS = st.floats(0, 1, allow_nan=False)


def make_candidate(number: int, rank: float, scores: list[float]) -> Candidate:
    definitions = (define(f"d{n}", n + 1, container="" if n % 3 == 0 else f"d{n - 1}") for n in range(len(scores)))
    return Candidate(f"f{number}.py", rank, tuple(definitions), tuple(scores))


CANDIDATES = st.lists(
    st.builds(make_candidate, st.integers(0, 50), NUMBERS, st.lists(NUMBERS, max_size=8)),
    max_size=6,
    unique_by=lambda each: each.path,
)


@given(CANDIDATES, st.integers(0, 60))
def test_the_map_never_exceeds_its_budget_and_does_not_depend_on_the_order_of_its_input(
    candidates: list[Candidate], budget: int
) -> None:
    drawn = draw(candidates, budget, words)
    assert words(drawn.text) == drawn.tokens <= budget
    assert draw(list(reversed(candidates)), budget, words) == drawn


def test_the_words_of_a_prompt_that_may_be_names_come_first_and_small_words_never() -> None:
    found = mentions(
        "Please fix the crash in QuerySet.filter when kimi_code/repo/index.py is empty, see parse_header()"
    )
    assert found == ("QuerySet.filter", "kimi_code/repo/index.py", "parse_header", "crash", "empty")


# --- Ranks ---


def test_rank_flows_to_what_is_used_and_starts_where_we_are() -> None:
    graph = make_graph(4, [{1: 1.0}, {2: 1.0}, {}, {2: 3.0}])
    ranks = pagerank(graph, {})
    assert math.isclose(sum(ranks), 1, rel_tol=1e-6)
    assert max(ranks) == ranks[2]
    near = pagerank(graph, {0: 1.0})
    assert near[0] > near[1] > near[2] > near[3] == 0


GRAPHS = st.lists(st.dictionaries(st.integers(0, 7), st.floats(0.1, 10), max_size=4), min_size=8, max_size=8)


@given(GRAPHS, st.dictionaries(st.integers(0, 7), st.floats(0, 5), max_size=3))
def test_ranks_are_shares_of_one(edges: list[dict[int, float]], personal: dict[int, float]) -> None:
    ranks = pagerank(make_graph(8, edges), personal)
    assert math.isclose(sum(ranks), 1, rel_tol=1e-4)
    assert min(ranks) >= 0


# --- Edges ---


def facts(path: str, *, defines: str = "", uses: str = "", language: str = "python") -> Facts:
    defined, used = defines.split(), uses.split()
    kinds = kind_letter("function", True) * len(defined)
    return Facts(path, 1, 1, path, language, "", "\n".join(defined), kinds, "\n".join(used), bytes([1] * len(used)))


def catalog_of(*files: Facts) -> Catalog:
    catalog = Catalog()
    for each in files:
        catalog.put(each)
    return catalog


def edges(uses: Uses) -> set[tuple[str, str]]:
    return {
        (path, uses.files[target])
        for number, path in enumerate(uses.files)
        for target in uses.targets[uses.starts[number] : uses.starts[number + 1]]
    }


PROJECT = (
    facts("app/main.py", uses="load save Store"),
    facts("app/store.py", defines="load save Store", uses="Store"),
    facts("old/store.py", defines="load save"),
    facts("lib/__init__.py"),
    facts("lib/inner.py", defines="Store"),
)


def test_an_import_decides_which_of_two_definitions_is_meant() -> None:
    uses = connect(catalog_of(*PROJECT), {"app/main.py": {"old/store.py"}})
    assert ("app/main.py", "old/store.py") in edges(uses)


def test_without_an_import_what_lies_beside_is_meant() -> None:
    assert edges(connect(catalog_of(*PROJECT), {})) == {("app/main.py", "app/store.py")}


def test_a_package_hands_on_what_it_imports() -> None:
    imports = {"app/main.py": {"lib/__init__.py"}, "lib/__init__.py": {"lib/inner.py"}}
    assert ("app/main.py", "lib/inner.py") in edges(connect(catalog_of(*PROJECT), imports))


def test_edges_survive_being_bytes_and_bytes_of_others_are_refused() -> None:
    uses = connect(catalog_of(*PROJECT), {})
    assert unpack(uses.files, uses.pack()) == uses
    assert unpack(uses.files[1:], uses.pack()) is None
    assert unpack(uses.files, uses.pack()[:-1]) is None
    assert unpack(uses.files, b"") is None


def test_a_use_is_certain_where_the_definition_is_imported_and_a_guess_elsewhere() -> None:
    catalog = catalog_of(*PROJECT)
    main, store = catalog.get("app/main.py"), catalog.get("app/store.py")
    assert main and store
    assert is_resolved(store, [store], {})
    assert is_resolved(main, [store], {"app/main.py": {"app/store.py"}})
    assert not is_resolved(main, [store], {})
    catalog.put(facts("app/a.go", language="go"))
    beside = catalog.get("app/a.go")
    assert beside and is_resolved(beside, [store], {})


def test_files_are_ranked_by_the_words_of_the_question_and_by_what_was_read() -> None:
    catalog = catalog_of(*PROJECT, facts("tests/test_store.py", defines="test_load", uses="load"))
    uses = connect(catalog, {})
    assert rank_files(catalog, uses, uses.graph(), Focus(("inner",))).files[0][0].path == "lib/inner.py"
    assert rank_files(catalog, uses, uses.graph(), Focus((), ("old/store.py",))).files[0][0].path == "old/store.py"
    assert rank_files(catalog, uses, uses.graph(), NOTHING, within="lib").files[0][0].path == "lib/inner.py"
    assert "tests/test_store.py" in [
        entry.path for entry, _ in rank_files(catalog, uses, uses.graph(), Focus(("test_load",))).files
    ]


def test_tests_are_known_by_their_names_and_folders() -> None:
    assert all(map(is_test, ("tests/a.py", "src/test_a.py", "a_test.go", "a.spec.ts", "pkg/__tests__/a.js")))
    assert not any(map(is_test, ("src/contest.py", "latest/a.py", "attest.go")))


def test_signatures_are_cut_where_they_would_fill_the_screen() -> None:
    long = Definition("f", "function", "a.py", 1, 1, "", "def f(" + "x, " * 90 + ")")
    drawn = draw([Candidate("a.py", 1, (long,), (1,))], 500, words)
    assert re.search(r"…$", drawn.text) and len(drawn.text.splitlines()[1]) < 120
