"""What models get wrong in an edit's old text: each level lands on the span that was meant, or nothing is changed."""

from collections.abc import Callable

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kimi_code.errors import PatchError
from kimi_code.repo.patch import Edit, apply

CODE = """\
class A:
    def f(self):
        return “one”  \n\n    def g(self):
        return 2
"""


def level(text: str, old: str, new: str) -> str:
    return apply(text, [Edit(old, new)]).levels[0]


@pytest.mark.parametrize(
    ("name", "old", "new", "expected"),
    [
        ("exact", "return 2", "return 3", CODE.replace("2", "3")),
        (
            "line endings",
            "    def g(self):\r\n        return 2\r\n",
            "    x\r\n",
            CODE[: CODE.index("    def g")] + "    x\n",
        ),
        ("line endings", "\ufeffclass A:", "\ufeffclass B:", CODE.replace("A:", "B:")),
        (
            "trailing blanks",
            "    def g(self): \n        return 2",
            "    def g(self):\n        return 3",
            CODE.replace("2", "3"),
        ),
        ("punctuation", 'return "one"', 'return "two"', CODE.replace("one", "two")),
        (
            "indentation",
            "def g(self):\n    return 2\n",
            "def g(self):\n    x\n    return 3\n",
            CODE.replace("        return 2", "        x\n        return 3"),
        ),
        (
            "indentation",
            "      def g(self):\n          return 2",
            "      def h(self):\n          return 2",
            CODE.replace("g(", "h("),
        ),
        (
            "line numbers",
            "5\t    def g(self):\n6\t        return 2",
            "5\t    def h(self):\n6\t        return 2",
            CODE.replace("g(", "h("),
        ),
        ("line numbers", "6: \t        return 2".replace("\t", ""), "        return 4", CODE.replace("2", "4")),
        (
            "blank lines",
            "\n\n\n    def g(self):\n        return 2\n\n\n",
            "\n\n\n    def g(self):\n        return 7\n\n\n",
            CODE.replace("2", "7"),
        ),
        (
            "escapes",
            "    def g(self):\\n        return 2",
            "    def g(self):\\n        return 8",
            CODE.replace("2", "8"),
        ),
        (
            "elision",
            "class A:\n    ...\n        return 2\n",
            "class B:\n    ...\n        return 9\n",
            CODE.replace("A", "B").replace("2", "9"),
        ),
        (
            "elision",
            "class A:\n    # ... rest of it ...\n        return 2\n",
            "class B:\n    # ...\n        return 9\n",
            CODE.replace("A", "B").replace("2", "9"),
        ),
    ],
)
def test_each_level_lands_and_is_named(name: str, old: str, new: str, expected: str) -> None:
    # What the old text has beyond the file is what the level overlooks.
    patched = apply(CODE, [Edit(old, new)])
    assert (patched.levels, patched.text) == ((name,), expected)


def test_two_places_that_differ_in_line_endings_only_are_two_places() -> None:
    with pytest.raises(PatchError, match=r"2 times.*at lines 1, 3"):
        apply("a\nb\na\r\nb\r\n", [Edit("a\nb\n", "x\n")])


def test_every_level_refuses_two_places() -> None:
    twice = "if x:  \n    “y”\n" * 2
    for old in (
        'if x:\n    "y"',
        "  if x:\n      “y”",
        "if x:\\n    “y”",
        "1\tif x:\n2\t    “y”",
        "\n\n\nif x:\n    “y”",
    ):
        with pytest.raises(PatchError, match=r"2 times.*at lines 1, 3\."):
            apply(twice, [Edit(old, "z")])
    with pytest.raises(PatchError, match="at lines 1-2, 1-4, 3-4"):
        apply(twice, [Edit("if x:\n...\n    “y”\n", "if z:\n...\n    “y”\n")])


def test_replace_all_takes_the_first_level_with_a_hit_and_each_place_its_own_shift() -> None:
    text = "if a:\n    x = 1\n    y = 2\nelse:\n        x = 1\n        y = 2\n"
    patched = apply(text, [Edit("x = 1\ny = 2\n", "x = 3\ny = 2\n", replace_all=True)])
    assert (patched.levels, patched.text) == (("indentation",), text.replace("1", "3"))


def test_lines_that_the_new_text_takes_over_stay_as_the_file_has_them() -> None:
    text = "“a”  \r\nb\n“c” — d\n"
    assert apply(text, [Edit('"a"\nb\n"c" - d\n', '"a"\nB\n"c" - e\n')]).text == "“a”  \r\nB\n“c” — e\n"


def test_a_new_text_that_cannot_be_shifted_is_refused() -> None:
    with pytest.raises(PatchError, match="Give both with the indentation of the file"):
        apply("a:\n  b\n", [Edit("    a:\n      b\n", "x\n")])


def test_a_new_text_with_some_line_numbers_is_refused() -> None:
    with pytest.raises(PatchError, match="Some lines of new_string have line numbers"):
        apply("a\nb\n", [Edit("1\ta\n2\tb", "1\ta\nnew\n2\tb")])


def test_numbers_before_a_colon_have_to_be_the_lines_own() -> None:
    text = 'x = {\n    1: "a",\n}\n"b",\n'
    with pytest.raises(PatchError):
        apply(text, [Edit('1: "b",', '1: "c",')])
    assert level(text, '4: "b",', '4: "c",') == "line numbers"


def test_an_elision_that_is_not_in_both_texts_or_at_an_edge_with_news_is_refused() -> None:
    for old, new in (("a\n...\nd\n", "a\nd\n"), ("...\nd\n", "x\n...\ny\n"), ("a\n...\n...\nd\n", "a\n...\nd\n")):
        with pytest.raises(PatchError):
            apply("a\nb\nc\nd\n", [Edit(old, new)])


def test_an_old_text_of_blanks_alone_is_never_stretched() -> None:
    for old in ("  \n", "\\n\\n", "1\t\n2\t", "\n\n\n\n"):
        with pytest.raises(PatchError):
            apply("a\n\n\nb\n", [Edit(old, "x")])


def test_likeness_alone_never_edits() -> None:
    with pytest.raises(PatchError, match="The nearest lines are"):
        apply("total = compute(items)\n", [Edit("total = compute(item)\n", "x\n")])


# --- Whatever is corrupted, the span that was meant is edited or nothing is ----------------

WORDS = st.sampled_from(["a", "b", "if x:", "“q”", 'say("hi")', "x — y", "", "1: a", "é", "end"])
INDENTS = st.sampled_from(["", "  ", "    "])


@st.composite
def line_texts(draw: st.DrawFn) -> str:
    text = draw(WORDS)
    return (draw(INDENTS) + text if text else "") + draw(st.sampled_from(["", "", " "]))


LINE = line_texts()
LINES = st.lists(LINE, max_size=6)
ENDINGS = st.sampled_from(["\n", "\r\n"])

_ASCII = str.maketrans({"“": '"', "”": '"', "—": "-"})

Corruption = Callable[[list[str], int], list[str]]
CORRUPTIONS: dict[str, Corruption] = {
    "none": lambda lines, _: lines,
    "CRLF": lambda lines, _: [f"{line}\r" for line in lines[:-1]] + lines[-1:],
    "trailing blanks": lambda lines, _: [f"{line}  " for line in lines],
    "no trailing blanks": lambda lines, _: [line.rstrip() for line in lines],
    "ASCII": lambda lines, _: [line.translate(_ASCII) for line in lines],
    "deeper": lambda lines, _: [f"   {line}" if line.strip() else line for line in lines],
    "shallower": lambda lines, _: [line.removeprefix("  ") for line in lines],
    "numbers": lambda lines, first: [f"{n}\t{line}" for n, line in enumerate(lines, first)],
    "colon numbers": lambda lines, first: [f"{n}: {line}" for n, line in enumerate(lines, first)],
    "blank lines": lambda lines, _: ["", *lines, "", ""],
    "escapes": lambda lines, _: ["\n".join(lines).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")],
}

MARK = "<unique>"


@pytest.mark.parametrize("corruption", [*CORRUPTIONS])
@settings(max_examples=15)
@given(head=LINES, body=LINES, tail=LINES, ending=ENDINGS, final=st.booleans())
def test_a_corrupted_old_text_edits_its_own_span_or_nothing(
    corruption: str, head: list[str], body: list[str], tail: list[str], ending: str, final: bool
) -> None:
    marked = [*body, f"    {MARK}"]
    lines = [*head, *marked, *tail]
    text = ending.join(lines) + (ending if final else "")
    corrupt = CORRUPTIONS[corruption]
    old = "\n".join(corrupt(marked, len(head) + 1))
    new = "\n".join(corrupt([*marked[:-1], "    <new>"], len(head) + 1))
    assume(old != new)
    try:
        patched = apply(text, [Edit(old, new)])
    except PatchError:
        return
    before = ending.join([*head, ""]) if head else ""
    after = "".join(ending + line for line in tail) + (ending if final else "")
    assert patched.text.startswith(before)
    assert patched.text.endswith(after)
    middle = patched.text[len(before) : len(patched.text) - len(after)]
    assert middle.split(ending)[-1].strip() == "<new>"
    # Lines that the new text takes over are as they were, to the byte.
    assert MARK not in patched.text
    assert len(middle.split(ending)) == len(marked)
    if corruption not in ("none", "CRLF"):
        assert middle.split(ending)[:-1] == body


@settings(max_examples=30)
@given(head=LINES, first=LINE, hidden=LINES, tail=LINES)
def test_an_elision_edits_around_what_it_leaves_out_or_nothing(
    head: list[str], first: str, hidden: list[str], tail: list[str]
) -> None:
    assume(first.strip())
    text = "".join(f"{line}\n" for line in [*head, first, *hidden, f"  {MARK}", *tail])
    try:
        patched = apply(text, [Edit(f"{first}\n...\n  {MARK}\n", f"{first}\n<more>\n...\n  <new>\n")])
    except PatchError:
        return
    expected = [*head, first, "<more>", *hidden, "  <new>", *tail]
    assert patched.text == "".join(f"{line}\n" for line in expected)


@pytest.mark.parametrize("corruption", [*CORRUPTIONS])
@settings(max_examples=8)
@given(lines=LINES, wanted=LINES)
def test_a_text_that_is_nowhere_is_never_edited(corruption: str, lines: list[str], wanted: list[str]) -> None:
    old = "\n".join(CORRUPTIONS[corruption]([*wanted, MARK], 1))
    with pytest.raises(PatchError):
        apply("\n".join(lines), [Edit(old, "x")])


@pytest.mark.parametrize("corruption", [*CORRUPTIONS])
@settings(max_examples=8)
@given(between=LINES, body=LINES)
def test_two_places_are_always_refused_with_their_lines(corruption: str, between: list[str], body: list[str]) -> None:
    marked = [*body, f"    {MARK}"]
    text = "".join(f"{line}\n" for line in [*marked, *between, *marked])
    old = "\n".join(CORRUPTIONS[corruption](marked, 1))
    with pytest.raises(PatchError, match=r"2 times.* at lines \d+, \d+|is not in the file") as caught:
        apply(text, [Edit(old, "<new>")])
    assert corruption != "none" or "2 times" in caught.value.message
