"""The command line as a person and a shell meet it: mistakes, exit statuses, completion, pipes."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from inspect import unwrap
from pathlib import Path

import pytest

from dicom_ai_node.cli.app import command_line
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import schema
from dicom_ai_node.database.engine import Database
from tests.database.made import enqueued
from tests.operator import Operator

PROGRAM = [sys.executable, "-m", "dicom_ai_node"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A node with two jobs and a peer, which does not run."""
    (tmp_path / "config").mkdir()
    content = {
        "node": {
            "ae_title": "AI",
            "spool": str(tmp_path / "spool"),
            "database": f"sqlite:///{tmp_path}/node.db",
            "models": str(tmp_path / "models"),
        },
        "accept": [{"ae_title": "PACS", "from": ["127.0.0.1"]}],
        "peers": {
            "pacs": {"kind": "folder", "path": str(tmp_path / "results")},
            "partner": {"kind": "folder", "path": str(tmp_path / "partner")},
        },
    }
    (tmp_path / "config" / "node.yaml").write_text(json.dumps(content))
    database = Database(f"sqlite:///{tmp_path}/node.db")
    schema.require_current(database)
    with closing(database), database.write() as connection:
        enqueued(connection)
        enqueued(connection, "other")
    return tmp_path


def ran(*words: object, home: Path | None = None) -> tuple[int, str, str]:
    """Exit status, stdout, stderr."""
    config = ["--config", str(home / "config")] if home else []
    command = [*PROGRAM, *map(str, words), *config]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def completed(home: Path, line: str) -> list[str]:
    """What bash is offered for the last word of this line."""
    words = line.split(" ")
    environ = {
        **os.environ,
        "_DICOM_AI_NODE_COMPLETE": "complete_bash",
        "COMP_WORDS": line.replace(" ", "\n"),
        "COMP_CWORD": str(len(words) - 1),
    }
    done = subprocess.run(
        PROGRAM, cwd=home, env=environ, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["jbos"], "Did you mean 'jobs'?"),
        (["jobs", "lst"], "Did you mean 'list'?"),
        (["jobs", "list", "--limt", "3"], "--limit"),
        (["jobs", "show", "first"], "integer"),
        (["jobs", "show"], "Missing argument"),
        (["jobs", "list", "--state", "lost"], "'quarantined'"),
    ],
)
def test_a_mistake_on_the_line_is_one_sentence_and_a_hint(words: list[str], said: str) -> None:
    status, out, error = ran(*words)
    assert (status, out) == (2, "")
    assert said in error
    assert error.startswith("dicom-ai-node: ")
    assert len(error.splitlines()) == 1
    assert error.rstrip().endswith("--help`.")


@pytest.mark.parametrize(
    "words",
    [
        ["alarms", "acknowledge", "99999999999999999999"],
        ["jobs", "list", "--limit", "99999999999999999999"],
        ["studies", "show", b"1\xff"],
        ["audit", "list", "--study", b"\xff"],
    ],
)
def test_a_word_that_cannot_be_is_a_mistake_too(home: Path, words: list[str | bytes]) -> None:
    command = [*PROGRAM, *words, "--config", str(home / "config")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("dicom-ai-node: ")
    assert len(done.stderr.splitlines()) == 1


def test_a_shell_that_says_no_number_is_answered_all_the_same(home: Path) -> None:
    said = {"_DICOM_AI_NODE_COMPLETE": "complete_bash", "COMP_WORDS": "dicom-ai-node"}
    environ = {**os.environ, **said, "COMP_CWORD": "abc"}
    done = subprocess.run(
        PROGRAM, cwd=home, env=environ, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr


def test_each_exit_status_means_one_thing(home: Path) -> None:
    assert ran("version")[0] == 0
    status, _, error = ran("jobs", "show", "99", home=home)
    assert (status, error) == (
        1,
        "dicom-ai-node: there is no job 99: see `dicom-ai-node jobs list`\n",
    )
    with (home / "config" / "more.yaml").open("w") as file:
        file.write("nodes: {}\n")
    status, _, error = ran("status", home=home)
    assert status == 2
    assert "more.yaml:1: nodes" in error
    assert "Traceback" not in error
    (home / "config" / "more.yaml").unlink()
    spool = home / "spool"
    held = (
        "import sys, pathlib; from dicom_ai_node.spool import Spool\n"
        "with Spool(pathlib.Path(sys.argv[1])).lock('web'): print('held', flush=True); input()"
    )
    holder = [sys.executable, "-c", held, str(spool)]
    with subprocess.Popen(
        holder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        other.stdout.readline()
        status, _, error = ran("web", home=home)
        other.stdin.write("\n")
        other.stdin.close()
        other.wait()
    assert status == 3
    assert f"process {other.pid}" in error


def test_a_reader_that_wants_no_more_is_no_failure_to_be_told(home: Path) -> None:
    for words in (["jobs", "list", "--json"], ["status"], ["--help"]):
        config = [] if words == ["--help"] else ["--config", str(home / "config")]
        command = [*PROGRAM, *words, *config]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.close()
            assert process.stderr.read() == b""


def test_a_verb_is_found_without_reading_the_files_of_others() -> None:
    """Each by its first word, as among all of them."""
    everything = command_line()
    names = [command.name for command in everything.registered_commands]
    names += [group.name for group in everything.registered_groups]
    assert "jobs" in names
    for each in everything.registered_commands:
        assert each.callback is not None
        word = each.name or each.callback.__name__
        alone = command_line(word).registered_commands
        assert unwrap(each.callback) in [unwrap(one.callback) for one in alone if one.callback]
    for group in everything.registered_groups:
        assert [one.name for one in command_line(str(group.name)).registered_groups] == [group.name]


@pytest.mark.parametrize("words", [["version"], ["status"], ["jobs", "list"]])
def test_what_is_looked_at_often_starts_light(home: Path, words: list[str]) -> None:
    code = (
        "import sys; from dicom_ai_node.cli.app import main\n"
        "try: main()\n"
        "finally: print(*sys.modules, sep='\\n', file=sys.stderr)"
    )
    config = [] if words == ["version"] else ["--config", str(home / "config")]
    command = [sys.executable, "-c", code, *words, *config]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    heavy = {"torch", "monai", "highdicom", "pynetdicom", "alembic", "pydicom", "numpy"}
    assert heavy.isdisjoint(done.stderr.split())


def test_bash_completes_verbs_and_what_is_there(home: Path) -> None:
    assert completed(home, "dicom-ai-node stat") == ["status"]
    assert completed(home, "dicom-ai-node jobs ca") == ["cancel"]
    assert completed(home, "dicom-ai-node jobs show ") == ["2", "1"]
    assert completed(home, "dicom-ai-node studies show 1.") == ["1.2"]
    assert completed(home, "dicom-ai-node jobs cancel --peer par") == ["partner"]
    (home / "models" / "bright" / "1.0").mkdir(parents=True)
    (home / "models" / "bright" / "1.0" / "model.yaml").touch()
    assert completed(home, "dicom-ai-node models show ") == ["bright"]
    assert "--limit" in completed(home, "dicom-ai-node jobs list --l")


def test_completing_makes_nothing_and_says_nothing_of_mistakes(home: Path) -> None:
    (home / "node.db").unlink()
    before = sorted(home.rglob("*"))
    assert completed(home, "dicom-ai-node jobs show ") == []
    assert sorted(home.rglob("*")) == before
    (home / "config" / "node.yaml").write_text("node: [")
    assert completed(home, "dicom-ai-node jobs show ") == []


def test_the_script_for_the_shell_is_printed() -> None:
    environ = {**os.environ, "_DICOM_AI_NODE_COMPLETE": "source_bash"}
    done = subprocess.run(PROGRAM, env=environ, capture_output=True, text=True, check=True)
    assert "complete -o default -F" in done.stdout


def wait(test: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not test():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_watched_list_is_one_line_of_json_for_each_change(home: Path) -> None:
    command = [*PROGRAM, "jobs", "list", "--json", "--watch", "--config", str(home / "config")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert len(json.loads(process.stdout.readline())) == 2
        database = Database(f"sqlite:///{home}/node.db")
        with closing(database), database.write() as connection:
            enqueued(connection, "third")
        assert len(json.loads(process.stdout.readline())) == 3
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == ""
    assert process.returncode == 0


@pytest.mark.parametrize("words", [["jobs", "list"], ["status"]])
def test_a_watched_table_ends_by_ctrl_c_without_a_failure(home: Path, words: list[str]) -> None:
    """On a terminal; into a pipe it is printed once."""
    status, out, _ = ran(*words, "--watch", home=home)
    assert status == 0
    assert out
    leader, follower = pty.openpty()
    command = [*PROGRAM, *words, "--watch", "--config", str(home / "config")]
    with subprocess.Popen(command, stdout=follower, stderr=follower) as process:
        os.close(follower)
        shown = b""
        while b"queued" not in shown and b"balanced" not in shown:
            shown += os.read(leader, 10_000)
        process.send_signal(signal.SIGINT)
        try:
            while os.read(leader, 10_000):
                pass
        except OSError:  # the other end is closed
            pass
    os.close(leader)
    assert process.returncode == 0


@pytest.mark.parametrize("no_color", [True, False])
def test_states_have_colours_on_a_terminal_alone(home: Path, no_color: bool) -> None:
    assert "\x1b[" not in ran("jobs", "list", home=home)[1]
    leader, follower = pty.openpty()
    environ = {**os.environ, "TERM": "xterm", **({"NO_COLOR": "1"} if no_color else {})}
    environ.pop("COLUMNS", None)
    command = [*PROGRAM, "jobs", "list", "--config", str(home / "config")]
    with subprocess.Popen(command, stdout=follower, env=environ) as process:
        os.close(follower)
        shown = b""
        try:
            while piece := os.read(leader, 10_000):
                shown += piece
        except OSError:
            pass
    os.close(leader)
    assert process.returncode == 0
    assert (b"\x1b[33m" in shown) is not no_color


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        (["version"], {"version"}),
        (["status"], {"draining", "not_in_force", "balanced"}),
        (["jobs", "list"], None),
        (["studies", "list"], None),
        (["rescan"], {"instances", "results"}),
        (["purge"], {"studies"}),
        (["drain", "--off"], {"draining"}),
        (["models", "list"], None),
        (["doctor"], None),
    ],
)
def test_what_is_printed_is_there_for_programs(
    home: Path, words: list[str], keys: set[str] | None
) -> None:
    found = json.loads(ran(*words, "--json", home=None if words == ["version"] else home)[1])
    if keys is None:
        assert isinstance(found, list)
    else:
        assert keys <= found.keys()


def test_a_backup_says_what_is_in_it(home: Path) -> None:
    target = home / "backup"
    made = json.loads(ran("backup", target, "--json", home=home)[1])
    assert made["files"] > 1
    assert json.loads(ran("backup", target, "--verify", "--json", home=home)[1]) == made


def test_a_list_of_no_studies_has_no_heading(
    tmp_path: Path, config: Config, database: Database
) -> None:
    assert Operator(tmp_path, config).must("studies", "list") == "No study has come.\n"


def test_the_help_says_what_a_watched_table_is_in_a_pipe() -> None:
    assert "into a pipe or a file once" in " ".join(
        ran("status", "--help")[1].replace("│", " ").split()
    )
