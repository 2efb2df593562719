"""Whole turns in `auto` with commands confined by whatever this machine has."""

import shutil
import sys
from pathlib import Path

import pytest

from kimi_code.errors import ExitCode
from kimi_code.events import Notice, ToolEnded
from kimi_code.permissions.sandbox import Mechanism, find
from tests.harness import Lab
from tests.server import call, calls, say

PYTHON = sys.executable


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What was found out about this machine, for each mechanism: it is tried once."""
    folder = tmp_path_factory.mktemp("found")
    for name in ("bwrap", "landlock"):
        (folder / name).mkdir()
    return folder


@pytest.fixture(params=["bwrap", "landlock"])
def confined(request: pytest.FixtureRequest, lab: Lab, memory: Path) -> Lab:
    mechanism: Mechanism = request.param
    found = find(mechanism, memory / mechanism)
    if found.mechanism is None:
        pytest.skip(f"NOT TESTED: no {mechanism} on this machine: {'; '.join(found.reasons)}")
    shutil.copytree(memory / mechanism, lab.data)
    lab.configure(sandbox=mechanism)
    return lab


async def test_a_command_no_rule_speaks_of_runs_confined_instead_of_being_denied(confined: Lab) -> None:
    (confined.project / "src").mkdir()
    outside = confined.project.parent / "outside"
    outside.mkdir()
    confined.server.script(
        calls(("Bash", {"command": "touch src/made"}), ("Bash", {"command": f"make -v; touch {outside}/made"})),
        say("done"),
    )
    ran = await confined.run()
    assert ran.result["denied"] == [] or "outside" in str(ran.result["denied"])
    assert (confined.project / "src" / "made").exists()
    assert not (outside / "made").exists()
    assert "onfined" in confined.server.requests[0].messages[1]["content"]


async def test_a_failure_by_confinement_says_so_and_unconfined_needs_permission(confined: Lab) -> None:
    command = f"{PYTHON} -c \"open('/usr/made', 'w')\""
    confined.server.script(
        call("Bash", {"command": command}), call("Bash", {"command": command, "unconfined": True}), say("I could not.")
    )
    ran = await confined.run()
    told = confined.server.requests[1].last["content"]
    assert "This ran confined" in told
    assert "unconfined: true" in told
    assert [event.status for event in ran.events(ToolEnded)] == ["failed", "denied"]
    assert not Path("/usr/made").exists()
    assert ran.exit_code == ExitCode.DENIED


async def test_a_rule_lets_a_command_run_unconfined(confined: Lab) -> None:
    outside = confined.project.parent / "made"
    confined.configure(allow=(f"Bash({PYTHON} make.py)",))
    (confined.project / "make.py").write_text(f"open({str(outside)!r}, 'w')\n")
    confined.server.script(call("Bash", {"command": f"{PYTHON} make.py"}), say("done"))
    await confined.run()
    assert outside.exists()


async def test_a_background_command_is_confined_and_dies_with_the_session(confined: Lab) -> None:
    (confined.project / "serve.py").write_text("import time\nprint('up', flush=True)\ntime.sleep(1000)\n")
    confined.server.script(
        call("Bash", {"command": f"{PYTHON} serve.py", "run_in_background": True}),
        call("Bash", {"id": "bg1", "stop": True}),
        say("done"),
    )
    ran = await confined.run()
    assert ran.exit_code == 0, ran.stderr


async def test_tools_that_need_caches_work_confined(confined: Lab) -> None:
    (confined.project / "tests").mkdir()
    (confined.project / "tests" / "test_a.py").write_text(
        "def test_a(tmp_path):\n    (tmp_path / 'x').write_text('')\n"
    )
    commands = [
        # Plugins of this machine's pytest are not what it needs.
        f"PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 {PYTHON} -m pytest -q tests",
        f"{PYTHON} -m pip cache dir",
        f'{PYTHON} -m venv --without-pip "$TMPDIR/v" && "$TMPDIR/v/bin/python" -c "print(1)"',
        *(["npm config list"] if shutil.which("npm") else []),
        *(["cargo --version"] if shutil.which("cargo") else []),
    ]
    confined.server.script(*[call("Bash", {"command": command, "timeout": 60}) for command in commands], say("done"))
    ran = await confined.run()
    told = [request.last["content"] for request in confined.server.requests[1:]]
    assert [event.status for event in ran.events(ToolEnded)] == ["done"] * len(commands), told


async def test_git_reads_confined_and_does_not_write(confined: Lab) -> None:
    import subprocess

    subprocess.run(["git", "init", "-q", confined.project], check=True)
    (confined.project / "a").write_text("x\n")
    reading = f"{PYTHON} -c \"import subprocess as s; s.run(['git', 'status', '--short'], check=True)\""
    confined.server.script(
        call("Bash", {"command": reading}),
        call("Bash", {"command": reading.replace("'status', '--short'", "'add', 'a'")}),
        say("done"),
    )
    ran = await confined.run()
    assert [event.status for event in ran.events(ToolEnded)] == ["done", "failed"]
    assert "?? a" in confined.server.requests[1].last["content"]
    assert "This ran confined" in confined.server.requests[2].last["content"]


async def test_without_a_sandbox_the_first_notice_says_what_to_allow(lab: Lab, tmp_path: Path) -> None:
    home = lab.project / "home"
    home.mkdir()
    lab.configure(sandbox="auto")
    lab.server.script(call("Bash", {"command": f"{PYTHON} -c 1"}), say("I could not."))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))  # in the workspace: what starts with the next login could be written
        ran = await lab.run()
    [notice] = [event for event in ran.events(Notice) if "confined" in event.text]
    assert notice.level == "warning"
    assert "holds the home folder" in notice.text
    assert "--allow" in notice.text
    assert ran.exit_code == ExitCode.DENIED


async def test_temporary_files_last_for_the_session_and_no_longer(confined: Lab) -> None:
    confined.server.script(
        call("Bash", {"command": f"{PYTHON} -c \"import os; open(os.environ['TMPDIR'] + '/x', 'w').write('kept')\""}),
        call("Bash", {"command": f"{PYTHON} -c \"import os; print(open(os.environ['TMPDIR'] + '/x').read())\""}),
        say("done"),
    )
    await confined.run()
    assert "kept" in confined.server.requests[2].last["content"]
