"""``cellwright serve`` as a process: where it listens, how it ends, what it refuses."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from typer.testing import CliRunner

from cellwright.cli import app

COMMAND = Path(sys.executable).parent / "cellwright"
TOKEN = "a-token-of-some-length"


@pytest.fixture
def serve(tmp_path):
    """Starts the command; gives its process and the address it prints."""
    started = []

    def start(*options, **environment):
        command = [COMMAND, "serve", "--port", "0", "--no-browser"]
        settings = {"CELLWRIGHT_CACHE_DIR": str(tmp_path), "CELLWRIGHT_OFFLINE": "1"}
        process = subprocess.Popen(
            [*command, *options],
            env={**os.environ, **settings, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        line = process.stdout.readline()
        address = re.search(r"http://\S+", line)
        assert address, line + process.stdout.read()
        return process, address[0]

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def test_it_serves_on_loopback_and_ends_quietly(serve):
    process, address = serve()
    assert address.startswith("http://127.0.0.1:")
    assert "Which cells?" in urlopen(address).read().decode()
    process.send_signal(signal.SIGINT)
    process.wait(20)
    assert "Traceback" not in process.stdout.read()


def test_a_token_is_asked_where_one_is_set(serve):
    _, address = serve(CELLWRIGHT_TOKEN=TOKEN)
    bare = address.partition("?")[0]
    assert address == f"{bare}?token={TOKEN}"
    with pytest.raises(HTTPError, match="401"):
        urlopen(bare)


def test_what_is_wrong_is_told_in_one_line(tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = CliRunner().invoke(app, ["serve", "--port", port, "--no-browser"])
    assert result.exit_code == 2
    assert "Give another --port" in result.output
    result = CliRunner().invoke(app, ["serve", str(tmp_path / "no.h5ad")])
    assert result.exit_code == 2
    assert "no such file" in result.output
    monkeypatch.setenv("CELLWRIGHT_TOKEN", "short")
    result = CliRunner().invoke(app, ["serve"])
    assert result.exit_code == 2
    assert "16 or more are needed" in result.output


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_completes_commands(shell):
    """What ``--install-completion`` installs asks the command for its words in this way."""
    environment = {
        "bash": {"COMP_WORDS": "cellwright se", "COMP_CWORD": "1"},
        "zsh": {"_TYPER_COMPLETE_ARGS": "cellwright se"},
        "fish": {
            "_TYPER_COMPLETE_ARGS": "cellwright se",
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        },
    }[shell]
    done = subprocess.run(
        [COMMAND],
        env={**os.environ, **environment, "_CELLWRIGHT_COMPLETE": f"complete_{shell}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "serve" in done.stdout
    assert "annotate" not in done.stdout


def test_the_completion_script_is_shown():
    environment = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    done = subprocess.run(
        [COMMAND, "--show-completion", "bash"],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "complete -o default -F" in done.stdout
