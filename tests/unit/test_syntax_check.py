import pytest

from kimi_code.repo.syntax_check import new_problem


@pytest.mark.parametrize(
    ("path", "good", "bad", "words"),
    [
        ("a.py", "x = 1\n", "x = 1\ny = (\n", r"'\('.* at line 2: y = \("),
        ("a.pyi", "x: int\n", "def f() -> int\n", "at line 1"),
        ("A.PY", "x = 1\n", "return 1\n", "outside function"),
        ("a.json", "{}", '{\n"a": 1\n"b": 2}', 'JSON: .* at line 3: "b"'),
        ("a.toml", "a = 1\n", "a = 1\na = 2\n", "TOML: Cannot overwrite a value"),
        ("a.yaml", "a: 1\n", "a: 1\nb: [2\n", "YAML: "),
        ("a.yml", "a: &x 1\nb: *x\n", "b: *y\n", "undefined alias"),
        ("a.js", "let a = [1];\n", "let a = 1;\nlet b = [1;\n", "JavaScript: .* at line 2: let b"),
        ("a.ts", "let a: number = 1;\n", "let a: = 1;\n", "TypeScript: .* at line 1"),
        ("a.go", "package a\n", "package a\n\nfunc f() {\n", "Go: .* at line 3"),
        ("a.rs", "fn f() {}\n", "fn f( {}\n", "Rust: "),
        ("A.java", "class A {}\n", "class A { int ; }\n", "Java: "),
        ("a.c", "int a;\n", "int f( { }\n", "C: "),
        ("a.sh", "if true; then ls; fi\n", "if true; then ls\n", "bash: "),
    ],
)
def test_a_change_that_breaks_the_syntax_is_told_with_its_line(path: str, good: str, bad: str, words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        assert not new_problem(path, good, bad), new_problem(path, good, bad)
    assert new_problem(path, None, bad)
    assert not new_problem(path, bad, good)
    assert not new_problem(path, bad, bad + "\n")


def test_what_no_parser_here_knows_is_not_judged() -> None:
    assert not new_problem("a.txt", "(", "((")
    assert not new_problem("a.json", "{}", "[" * 200_000)
    assert not new_problem("a.py", "", "(" * 2_000_000)
    assert not new_problem("a.yml", "", "a: !Ref b\n---\nc: !!python/object:os.system {}\n")


@pytest.mark.filterwarnings("error")
def test_warnings_of_the_compiler_are_nobodys_business() -> None:
    assert not new_problem("a.py", "", "x = '\\d' is 'y'\n")


def test_a_file_that_never_parsed_is_judged_by_the_count_of_its_errors() -> None:
    macro = "BEGIN_THINGS(\nint a;\n"
    assert not new_problem("a.c", macro, macro + "int b;\n")
    assert new_problem("a.go", "package a\nfunc f( {}\n", "package a\nfunc f( {}\n\nvar x = = 2\n")


def test_a_grammar_that_takes_too_long_says_nothing() -> None:
    new_problem("a.ts", "", "<a>" * 200_000)
    new_problem("a.js", "", "(" * 200_000 + "\ud800")
