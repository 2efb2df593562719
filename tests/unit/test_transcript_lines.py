"""Text to lines: widths, wrapping, Markdown whole and in pieces, what is copied."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from kimi_code.tui.strips.line import Line, Span, copied, exact, fit, fit_end, indent, plain, restyle, wrap
from kimi_code.tui.strips.markdown import MarkdownFlow, render

WORDS = st.lists(st.sampled_from([*"ab (,.）。你好あカ -שלום ", "👍🏽", "👩‍👩‍👧", "e\u0301"]), max_size=60).map("".join)
PIECES = (
    "a word;\n;\n\n;- ;  - ;1. ;7) ;# ;> ;```;```py\n;~~~;    ;*x*;**b;`c`;| a | b |;|---|---|;---;***;"
    "[l](http://x.y);[x] ;http://a.b;你好;\t;\\;<b>;[/];\x1b[31m"
)
SOURCE = st.lists(st.sampled_from(PIECES.split(";")), max_size=30).map("".join)


def shown(lines: list[Line]) -> list[str]:
    return [line.text.rstrip() for line in lines]


def styles(lines: list[Line], text: str) -> str:
    return next(span.style for line in lines for span in line.spans if span.text.strip() == text)


@given(WORDS, st.integers(4, 30), st.booleans())
@example("aa） ", 4, False)
def test_wrapped_lines_fit_and_nothing_is_lost(text: str, width: int, hard: bool) -> None:
    lines = wrap([Span(text)], width, hard=hard)
    assert all(cell_len(line.text) <= width for line in lines)
    whole = lines[0].text + "".join((line.glue or "") + line.text for line in lines[1:])
    assert whole.rstrip() == text.rstrip()


@given(st.lists(WORDS, min_size=1, max_size=30), st.integers(4, 30))
def test_words_keep_their_styles_wherever_lines_are_broken(words: list[str], width: int) -> None:
    spans = [Span(word, f"s{number}") for number, word in enumerate(words)]
    lines = wrap(spans, width)
    for number, word in enumerate(words):
        pieces = [span.text for line in lines for span in line.spans if span.style == f"s{number}"]
        assert "".join("".join(pieces).split()) == "".join(word.split())


@given(SOURCE, st.lists(st.integers(1, 12), min_size=1, max_size=40))
@settings(deadline=None)
def test_markdown_in_pieces_ends_as_markdown_whole(source: str, sizes: list[int]) -> None:
    flow, at = MarkdownFlow(60), 0
    while at < len(source):
        size = sizes[at % len(sizes)]
        flow.feed(source[at : at + size])
        flow.lines()
        at += size
    flow.finish()
    assert flow.lines() == render(source, 60)


@given(SOURCE)
@settings(deadline=None)
def test_markdown_fits_and_steers_no_terminal(source: str) -> None:
    for line in render(source, 60):
        assert cell_len(line.text) <= 60
        assert line.text.isprintable() or not any(ord(character) < 32 for character in line.text)


def test_blocks_that_are_over_keep_their_lines() -> None:
    flow = MarkdownFlow(40)
    flow.feed("# Title\n\nA paragraph.\n\nAnother\n")
    before = flow.lines()
    flow.feed("one.\n\nmore")
    after = flow.lines()
    assert all(old is new for old, new in zip(before[:3], after[:3], strict=True))


def test_markdown_of_every_kind() -> None:
    source = """\
# Title
Some **bold** and *thin*, ~~gone~~, `code`,
a [link](https://x.y).
- one
- two
  - nested
- [ ] open
- [x] closed

3. three
3. four

> quoted
> words

---

| a | 数 |
|---|--:|
| x | 100 |
"""
    assert shown(render(source, 40)) == [
        "Title",
        "",
        "Some bold and thin, gone, code, a link.",
        "• one",
        "• two",
        "  • nested",
        "☐ open",
        "☑ closed",
        "",
        "3. three",
        "4. four",
        "",
        "▎ quoted words",
        "",
        "─" * 40,
        "",
        "a   数",
        "─  ───",
        "x  100",
    ]


def test_styles_and_links_are_names_and_addresses() -> None:
    lines = render("**b *bi*** `c` [l](https://x.y/z) https://a.b/c. [here](#top)", 80)
    assert [styles(lines, text) for text in ("b", "bi", "c")] == ["strong", "strong emphasis", "code"]
    links = {span.text: span.link for line in lines for span in line.spans if span.style == "link"}
    assert links == {"l": "https://x.y/z", "https://a.b/c": "https://a.b/c", "here": ""}


def test_a_link_leads_to_the_web_or_nowhere() -> None:
    source = "[a](file:///etc/passwd) [b](vscode://x/y) [c](mailto:a@b.c) [d](HTTP-ish:x)"
    assert {span.link for line in render(source, 80) for span in line.spans} == {"", "mailto:a@b.c"}


def test_a_link_to_an_escape_sequence_is_no_link() -> None:
    spans = [
        span for line in render("[x](https://a.b/\x1b]8;;evil\x07) [y](<https://a.b/ c>)", 80) for span in line.spans
    ]
    assert all("\x1b" not in span.link and "\x07" not in span.link and " " not in span.link for span in spans)


def test_markup_and_html_are_text() -> None:
    assert shown(render("[bold]x[/bold] <b>y</b> [/] [@click=quit]z[/]", 80)) == [
        "[bold]x[/bold] <b>y</b> [/] [@click=quit]z[/]"
    ]


def test_code_keeps_its_blanks_and_has_colours() -> None:
    lines = render('```python\ndef f():\n    return "x"  # why\n\n```', 40)
    assert shown(lines) == ["  def f():", '      return "x"  # why', ""]
    assert styles(lines, '"x"') == "string"
    assert styles(lines, "# why") == "comment"


def test_code_too_long_for_a_line_goes_on_behind_a_sign_that_is_not_copied() -> None:
    lines = render("```\nabcdefghijkl\nm\n```", 8)
    assert shown(lines) == ["  abcdef", "↳ ghijkl", "  m"]
    assert copied(lines) == "abcdefghijkl\nm"


def test_a_fence_that_is_being_written_is_shown_without_its_closing_mark() -> None:
    flow = MarkdownFlow(40)
    flow.feed("```py\nx = 1\ny")
    assert shown(flow.lines()) == ["  x = 1", "  y"]
    flow.feed(" = 2\n``")
    assert shown(flow.lines()) == ["  x = 1", "  y = 2"]
    flow.feed("`\nafter")
    assert shown(flow.lines()) == ["  x = 1", "  y = 2", "", "after"]


@pytest.mark.parametrize("width", [12, 16, 24])
def test_a_table_too_wide_for_the_screen_is_wrapped_or_becomes_a_list(width: int) -> None:
    source = "| name | what it does |\n|---|---|\n| retry | asks the model once more after a while |\n"
    lines = render(source, width)
    assert all(cell_len(line.text) <= width for line in lines)
    assert "retry" in " ".join(shown(lines))


def test_what_is_copied_is_what_was_written() -> None:
    rendered = render("A long line that is wrapped at thirty cells.\n\n```\ndef f():\n    pass\n```", 30)
    lines = indent(rendered, (Span(" ● "),), (Span("   "),))
    assert shown(lines)[:2] == [" ● A long line that is wrapped at", "   thirty cells."]
    assert copied(lines) == "A long line that is wrapped at thirty cells.\n\ndef f():\n    pass"


def test_wide_characters_are_never_cut_in_half() -> None:
    assert shown(wrap([Span("你好世界，很高兴")], 9)) == ["你好世", "界，很高", "兴"]


def test_text_is_made_to_fit_by_cells() -> None:
    assert (fit("hello world", 8), fit("你好世界", 5), fit("short", 9)) == ("hello w…", "你好…", "short")
    assert (fit_end("kimi_code/tui/app.py", 9), fit_end("你好世界", 5)) == ("…i/app.py", "…世界")


def test_plain_text_has_no_tricks() -> None:
    assert plain("a\x1b[31mb\x1b]0;t\x07\tc\u202egnp.exe\u2069\ud800\u2028") == "ab  cgnp.exe\ufffd "


def test_what_is_asked_about_hides_nothing() -> None:
    assert exact("r\u200bm -rf ~ #\recho hi\x1b]0;x\x07") == "r‹U+200B›m -rf ~ #‹U+000D›echo hi‹U+001B›]0;x‹U+0007›"
    assert exact("if x:\n\treturn 'où 你好 👩‍👩‍👧'  # \u202etxt") == "if x:\n    return 'où 你好 👩‍👩‍👧'  # ‹U+202E›txt"


def test_a_style_is_laid_over_others() -> None:
    assert restyle([Span("abcd", "x")], 1, 3, "y") == (Span("a", "x"), Span("bc", "x y"), Span("d", "x"))
