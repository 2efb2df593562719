"""Which language a file is coloured as."""

from kimi_code.tui.strips.code import language_of


def test_a_files_name_tells_its_language_as_pygments_would_and_a_whole_name_more_than_its_end() -> None:
    named = {
        "src/a.py": "python", "C:\\x\\a.TS": "", "a.ts": "typescript", "a.h": "c", "a.php5": "php", "Makefile": "make",
        "CMakeLists.txt": "cmake", "a.txt": "text", "home/.bashrc": "bash", "page.html.j2": "html+django",
        "Makefile.am": "make", "poetry.lock": "toml", "nobody.knows": "", "LICENSE": "", "": "",
    }  # fmt: skip
    assert {name: language_of(name) for name in named} == named
