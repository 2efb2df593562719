"""Whether the map leads to the answer: thirty questions about installed libraries, the file of the answer looked up.

The map is asked with the words of the question alone. `-s` prints the hit rate; files are found by what the
question is about, imported if need be, so that other versions of a library are other trees, not other tests.
"""

import importlib
import inspect
import re
import shutil
import sysconfig
from importlib.util import find_spec
from pathlib import Path

import pytest

from kimi_code.repo.index import Index
from kimi_code.repo.outline import Focus, mentions
from kimi_code.values import frozen

BUDGET = 2_000
FLOOR = 0.95


@frozen
class Question:
    """`answer` is where the answer is: a module, or an object (`module:Object`) whose source says which file."""

    library: str
    text: str
    answer: str


QUESTIONS = (
    Question("pydantic", "Where does `model_validate` on BaseModel enter the core validator?",
             "pydantic.main:BaseModel"),
    Question("pydantic", "How does field_validator wrap a function into a PydanticDescriptorProxy?",
             "pydantic.functional_validators:field_validator"),
    Question("pydantic", "Why is a JsonSchemaValue for an enum missing its title in GenerateJsonSchema?",
             "pydantic.json_schema:GenerateJsonSchema"),
    Question("pydantic", "TypeAdapter rebuilds its schema lazily: where is the MockCoreSchema replaced?",
             "pydantic.type_adapter:TypeAdapter"),
    Question("pydantic", "Which alias generators exist, to_camel and to_snake?", "pydantic.alias_generators"),
    Question("pydantic", "How are ConfigDict defaults such as extra and frozen merged by ConfigWrapper?",
             "pydantic._internal._config:ConfigWrapper"),
    Question("pydantic", "where is FieldInfo.merge_field_infos", "pydantic.fields:FieldInfo"),
    Question("typer", "How does get_command turn the annotated parameters of a Typer callback into a group?",
             "typer.main:get_command"),
    Question("typer", "CliRunner.invoke swallows the exit code", "typer.testing:CliRunner"),
    Question("typer", "Where is the rich help panel printed, rich_format_help?", "typer.rich_utils"),
    Question("typer", "What does ParameterInfo keep for OptionInfo and ArgumentInfo?", "typer.models:ParameterInfo"),
    Question("aiohttp", "ClientSession._request follows redirects too often", "aiohttp.client:ClientSession"),
    Question("aiohttp", "Where does TCPConnector resolve hosts and keep the DNS cache?",
             "aiohttp.connector:TCPConnector"),
    Question("aiohttp", "UrlDispatcher does not find a route with a regex in DynamicResource",
             "aiohttp.web_urldispatcher:UrlDispatcher"),
    Question("aiohttp", "How does CookieJar.filter_cookies treat IP addresses?", "aiohttp.cookiejar:CookieJar"),
    Question("aiohttp", "StreamResponse.enable_compression picks deflate before gzip",
             "aiohttp.web_response:StreamResponse"),
    Question("aiohttp", "multipart BodyPartReader reads past its boundary", "aiohttp.multipart:BodyPartReader"),
    Question("jsonschema", "How is `best_match` choosing the relevance of errors?",
             "jsonschema.exceptions:best_match"),
    Question("jsonschema", "FormatChecker accepts a wrong date-time", "jsonschema._format:FormatChecker"),
    Question("jsonschema", "Where is the keyword additionalProperties checked?",
             "jsonschema._keywords:additionalProperties"),
    Question("jsonschema", "validators.extend and the create function lose the meta schema",
             "jsonschema.validators:create"),
    Question("rich", "Console.print wraps wide characters at the wrong cell", "rich.console:Console"),
    Question("rich", "A Table column with ratio ignores its min_width", "rich.table:Table"),
    Question("rich", "Where does Progress compute time remaining for TimeRemainingColumn?", "rich.progress:Progress"),
    Question("rich", "the markup parser: which tags does render accept, and how are escapes handled?", "rich.markup"),
    Question("rich", "cell_len is slow for long strings", "rich.cells:cell_len"),
    Question("rich", "Traceback rendering hides frames given in suppress", "rich.traceback:Traceback"),
    Question("rich", "LiveRender crops what is higher than the terminal: vertical_overflow", "rich.live_render"),
    Question("typer", "install_bash writes the completion script to the wrong place", "typer._completion_shared"),
    Question("jsonschema", "How does ErrorTree count errors below an instance?", "jsonschema.exceptions:ErrorTree"),
)  # fmt: skip


def expected_source(answer: str) -> str:
    """The file that a module or an object is written in; what is re-exported is imported to find it."""
    module, _, name = answer.partition(":")
    package, *rest = module.split(".")
    spec = find_spec(package)
    assert spec and spec.origin
    file = Path(spec.origin).parent.joinpath(*rest).with_suffix(".py")
    if file.exists() and (not name or re.search(rf"^(class|def) {name}\b", file.read_text("utf-8"), re.MULTILINE)):
        return str(file)
    loaded = importlib.import_module(module)
    source = inspect.getsourcefile(inspect.unwrap(getattr(loaded, name)) if name else loaded)
    assert source
    return source


def expected_path(question: Question) -> str:
    """The file of the answer, relative to the folder that holds the library."""
    package = find_spec(question.library)
    assert package and package.origin
    # Bytecode remembers the path by which the file was compiled: through another link, maybe.
    source = Path(expected_source(question.answer)).resolve()
    return source.relative_to(Path(package.origin).resolve().parent.parent).as_posix()


def count(text: str) -> int:
    """As the model's tokens are estimated."""
    plain = len(text.encode("ascii", "ignore"))
    return (plain + 3) // 4 + len(text) - plain


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All the libraries as one project: as they lie, below site-packages, they would be other people's code."""
    site = Path(sysconfig.get_paths()["purelib"])
    root = tmp_path_factory.mktemp("libraries")
    ignored = shutil.ignore_patterns("__pycache__", "*.so", "*.pyd", "_unicode_data", "_vendor", "benchmarks")
    for library in sorted({each.library for each in QUESTIONS}):
        shutil.copytree(site / library, root / library, ignore=ignored)
    return root


async def test_the_file_with_the_answer_is_in_the_map(tree: Path, tmp_path: Path) -> None:
    missed: list[str] = []
    index = Index(tree, tmp_path / "cache")
    try:
        assert await index.wait(120)
        for question in QUESTIONS:
            drawn = await index.map(BUDGET, count, Focus(mentions(question.text)))
            assert drawn.tokens <= BUDGET
            if expected_path(question) not in [file.path for file in drawn.files]:
                missed.append(f"{question.library}: {question.text} ({expected_path(question)})")
    finally:
        await index.close()
    rate = 1 - len(missed) / len(QUESTIONS)
    print(
        f"\nthe map of {BUDGET} tokens holds the file of the answer for {rate:.0%} of {len(QUESTIONS)}",
        *missed,
        sep="\n",
    )
    assert rate >= FLOOR


async def test_no_minified_vendored_or_generated_file_is_in_any_map(tmp_path: Path) -> None:
    root = tmp_path / "project"
    (root / "rich").mkdir(parents=True)
    shutil.copy(expected_source("rich.console"), root / "rich" / "console.py")
    (root / "static").mkdir()
    (root / "static" / "bundle.js").write_text("function Console(){};" * 4000)
    (root / "node_modules" / "console").mkdir(parents=True)
    (root / "node_modules" / "console" / "index.js").write_text("class Console {}\n")
    (root / "rich" / "console_pb2.py").write_text(
        "# Generated by the protocol buffer compiler.  DO NOT EDIT!\nclass Console: pass\n"
    )
    index = Index(root, tmp_path / "cache")
    try:
        assert await index.wait(120)
        drawn = await index.map(20_000, count, Focus(("Console",)))
        assert {file.path.partition("/")[0] for file in drawn.files} == {"rich"}
        assert "rich/console_pb2.py" not in drawn.text
    finally:
        await index.close()
