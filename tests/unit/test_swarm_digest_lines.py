"""What came of a swarm, as a person reads it."""

import json

from kimi_code.swarm.digest import in_short
from kimi_code.tui.strips.digest import digest_lines
from kimi_code.tui.strips.line import Line, width_of

DIGEST = {
    "swarm": "s-1",
    "counts": {"merged": 1, "failed": 1},
    "verify": {"command": "make test", "exit_code": 1, "broken_by": "b", "broken": ["test_x"], "output": "1 failed"},
    "change": "All of it is in the tree now: 1 file.",
    "usage": "1870 tokens, 15 calls",
    "verdicts": ["2 tasks ran."],
    "tasks": [
        {
            "id": "auth",
            "status": "merged",
            "changed": {"stat": "1 file +3 -1", "files": ["auth.txt"]},
            "check": {"command": "grep -q better auth.txt", "exit_code": 0},
            "said": "auth is better now.",
        },
        {
            "id": "b",
            "status": "failed",
            "attempt": 3,
            "reason": "The check failed.",
            "outside_scope": "2 files +1 -0",
            "refused": ["Write /etc/passwd"],
            "questions": ["Which one?"],
        },
    ],
}


def shown(text: str, width: int = 80) -> list[str]:
    """The lines as plain text."""
    lines = digest_lines(text, width)
    assert lines is not None
    return [plain_of(line) for line in lines]


def plain_of(line: Line) -> str:
    """Its words."""
    return "".join(span.text for span in line.spans).rstrip()


def test_a_digest_is_a_list_of_tasks_with_their_evidence() -> None:
    assert shown(json.dumps(DIGEST, separators=(",", ":"))) == [
        "All of it is in the tree now: 1 file.",
        "verify: make test failed with exit code 1",
        "broken by b",
        "test_x",
        "1 failed",
        "2 tasks ran.",
        "1870 tokens, 15 calls",
        "",
        "auth  merged  1 file +3 -1: auth.txt",
        "  check: grep -q better auth.txt passed",
        "  auth is better now.",
        "b     failed at attempt 3",
        "  The check failed.",
        "  outside its scope: 2 files +1 -0",
        "  refused: Write /etc/passwd",
        "  asks: Which one?",
    ]
    assert in_short(json.dumps(DIGEST)) == "1 merged, 1 failed"


def test_no_line_is_wider_than_the_screen_whatever_agents_said() -> None:
    task = {
        "id": "ä" * 50,
        "status": "done",
        "said": "\x1b[31m[red]" + "字" * 200,
        "changed": 3,
        "check": {"exit_code": "x"},
    }
    text = json.dumps({"swarm": "s", "tasks": [task, 7, {}], "usage": None, "verdicts": "no"}, separators=(",", ":"))
    lines = digest_lines(text, 40)
    assert lines is not None
    assert all(width_of(plain_of(line)) <= 40 for line in lines)
    assert "\x1b" not in "".join(plain_of(line) for line in lines)


def test_other_words_are_no_digest() -> None:
    assert digest_lines("Swarm s-1 runs in the background.", 80) is None
    assert digest_lines('{"swarm":"s-1","tasks":', 80) is None
    assert digest_lines('{"swarm":"s-1"}', 80) is None
    assert in_short("Swarm s-1 runs in the background.") == in_short("[]") == "in the background"
