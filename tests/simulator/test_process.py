"""The simulator as a process: starts, says where it is, and ends."""

import argparse
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.simulator.options import add_arguments, read_settings
from tests.simulator.raw import CHAT, connect, exchange, request_for
from tests.simulator_process import READY, ROOT, SimulatorProcess


def test_it_takes_its_options_from_the_command_line() -> None:
    with SimulatorProcess({"refusal": 1}, seed=7, markers=True, max_in_flight=3) as simulator:
        shown = simulator.set_faults()
        seen = exchange(simulator, request_for(CHAT, "hello"))
    assert shown["seed"] == 7
    assert shown["markers"] is True
    assert shown["max_in_flight"] == 3
    assert seen.json["choices"][0]["message"]["refusal"]


def test_it_reads_its_faults_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "faults.json"
    path.write_text('{"timeout": 0.1, "latency_ms": 5}')
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    options = parser.parse_args(["--faults", str(path), "--latency-ms", "2", "--rpm", "9"])
    settings = read_settings(vars(options))
    assert settings.faults == {"timeout": 0.1}
    assert (settings.latency_ms, settings.rpm) == (5, 9)


def test_it_ends_cleanly_with_calls_in_flight() -> None:
    simulator = SimulatorProcess(latency_ms=60_000).start()
    with connect(simulator) as connection:
        connection.sendall(request_for(CHAT, "hello"))
        while simulator.stats()["in_flight"] == 0:
            pass
        assert simulator.stop() == 0
        assert connection.recv(1) == b""


def test_it_says_in_a_sentence_that_its_port_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        command = [sys.executable, "-m", "jobs.simulator", "--port", str(port)]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 1
    words = f"simulator: cannot serve on 127.0.0.1:{port}: Address already in use\n"
    assert (ended.stdout, ended.stderr) == ("", words)


def test_it_ends_when_standard_input_does() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "jobs.simulator", "--until-stdin-closes"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith(READY)
    process.communicate()
    assert process.returncode == 0


@pytest.mark.parametrize("faults", ['{"earthquake": 1}', "{", "/no/such/file", '{"rpm": "many"}'])
def test_it_refuses_to_start_with_faults_it_does_not_understand(faults: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "jobs.simulator", "--faults", faults],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "error" in done.stderr


def test_it_runs_as_a_management_command() -> None:
    process = subprocess.Popen(
        [sys.executable, "manage.py", "simulator", "--port", "0", "--rpm", "10"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith(READY)
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 0
