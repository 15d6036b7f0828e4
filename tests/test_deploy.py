"""deploy/: the script against a stand-in docker, and the image and services against what the package needs.

No Docker engine runs where these tests do, so nothing is built here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from medbench.cli import cli

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"

pytestmark = pytest.mark.skipif(not DEPLOY.is_dir(), reason="deploy/ is not in the wheel")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A copy of the repository's deploy/ with a docker that notes its arguments and does nothing."""
    shutil.copytree(DEPLOY, tmp_path / "repo" / "deploy", ignore=shutil.ignore_patterns(".env"))
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "docker").write_text('#!/bin/sh\necho "$@" >> "$CALLS"\n[ "$1" != "${BROKEN:-}" ]\n')
    (tools / "curl").write_text("#!/bin/sh\nexit ${CURL_FAILS:-0}\n")
    for tool in tools.iterdir():
        tool.chmod(0o755)
    return tmp_path


def run(place: Path, *words: str, **variables: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """What the script prints, and the calls of docker that are not questions about docker itself."""
    environment = {"PATH": f"{place / 'bin'}:{os.environ['PATH']}", "CALLS": str(place / "calls"), **variables}
    script = place / "repo" / "deploy" / "medbench.sh"
    done = subprocess.run([str(script), *words], capture_output=True, text=True, env=environment, timeout=60)
    calls = (place / "calls").read_text().splitlines() if (place / "calls").is_file() else []
    return done, [call for call in calls if call not in ("info", "compose version")]


def test_up_builds_starts_and_waits(place: Path) -> None:
    done, calls = run(place, "up")
    assert done.returncode == 0, done.stderr
    deploy = place / "repo" / "deploy"
    assert calls == [f"compose --project-directory {deploy} -f {deploy}/compose.yaml up --detach --build"]
    assert "The API answers at http://127.0.0.1:8000" in done.stdout


def test_up_makes_one_key_that_only_its_owner_reads(place: Path) -> None:
    run(place, "up")
    settings = place / "repo" / "deploy" / ".env"
    first = settings.read_text()
    assert first.startswith("MEDBENCH_API_KEY=") and len(first.strip().partition("=")[2]) == 48
    assert settings.stat().st_mode & 0o077 == 0
    run(place, "up")
    assert settings.read_text() == first


def test_a_key_of_the_environment_is_used(place: Path) -> None:
    run(place, "up", MEDBENCH_API_KEY="of-the-user")
    assert not (place / "repo" / "deploy" / ".env").exists()


def test_settings_of_the_file_count(place: Path) -> None:
    (place / "repo" / "deploy" / ".env").write_text("DEVICE=cuda\nAPI_PORT=9000\nMEDBENCH_API_KEY=k\n")
    done, calls = run(place, "up")
    assert "compose.cuda.yaml" in calls[0] and "http://127.0.0.1:9000/docs" in done.stdout


def test_another_device_is_refused(place: Path) -> None:
    done, calls = run(place, "up", DEVICE="tpu")
    assert (done.returncode, calls) == (1, [])
    assert "DEVICE is 'tpu'" in done.stderr


def test_an_api_that_does_not_answer_is_an_error(place: Path) -> None:
    done, _ = run(place, "up", CURL_FAILS="7", WAIT_SECONDS="0")
    assert done.returncode == 1 and "does not answer" in done.stderr and "logs api" in done.stderr


@pytest.mark.parametrize(("broken", "says"), [("compose", "no Compose plugin"), ("info", "daemon does not answer")])
def test_a_docker_that_cannot_be_used_is_an_error(place: Path, broken: str, says: str) -> None:
    done, _ = run(place, "up", BROKEN=broken)
    assert done.returncode == 1 and says in done.stderr


def test_down_keeps_the_volumes(place: Path) -> None:
    _, calls = run(place, "down")
    assert calls[0].endswith("down") and "--volumes" not in calls[0]


def test_logs_of_one_service(place: Path) -> None:
    _, calls = run(place, "logs", "api")
    assert calls[0].endswith("logs --follow api")


def test_an_export_becomes_an_ollama_model(place: Path) -> None:
    done, _ = run(place, "ollama", "mine")
    assert done.returncode == 1 and "there is no exports/mine/Modelfile" in done.stderr
    folder = place / "repo" / "exports" / "mine"
    folder.mkdir(parents=True)
    (folder / "Modelfile").write_text("FROM ./mine.gguf\n")
    _, calls = run(place, "ollama", "mine")
    assert calls[0].endswith("exec ollama ollama create mine -f /exports/mine/Modelfile")


def test_help_and_wrong_usage(place: Path) -> None:
    assert run(place, "--help")[0].returncode == 0
    done, _ = run(place, "restart")
    assert done.returncode == 2 and "Usage:" in done.stderr


# The image and the services


def test_the_image_gets_every_file_of_the_package() -> None:
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    rooms = {package.split(".")[1] for package in tool["packages"] if "." in package}
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    admitted = {line[1:] for line in lines if line.startswith("!")}
    assert "*" in lines
    assert rooms <= admitted
    assert {
        "__init__.py",
        "__main__.py",
        "py.typed",
        "pyproject.toml",
        "constraints.txt",
        "README.md",
        "LICENSE",
    } <= admitted
    assert [name for name in admitted if not (ROOT / name).exists()] == []


def test_the_image_runs_as_an_ordinary_user_and_stops_gracefully() -> None:
    lines = [line for line in (DEPLOY / "Dockerfile").read_text().splitlines() if line and not line.startswith("#")]
    instructions = [line.split()[0] for line in lines if line[0].isupper()]
    assert instructions.index("USER") < instructions.index("ENTRYPOINT")
    assert "STOPSIGNAL SIGTERM" in lines and "HEALTHCHECK" in instructions
    assert [line for line in lines if line.startswith("FROM") and ":latest" in line] == []


def commands() -> list[list[str]]:
    """The commands that the image and the services start medbench with."""
    dockerfile = (DEPLOY / "Dockerfile").read_text().splitlines()
    (written,) = [line.removeprefix("CMD ") for line in dockerfile if line.startswith("CMD ")]
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    return [yaml.safe_load(written), services["api"]["command"]]


@pytest.mark.parametrize("command", commands() if DEPLOY.is_dir() else [])
def test_medbench_knows_every_option_of_the_image(command: list[str]) -> None:
    shown = CliRunner().invoke(cli, [command[0], "--help"]).output
    assert [word for word in command if word.startswith("--") and word not in shown] == []


def test_only_this_machine_reaches_the_services() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    ports = [port for service in services.values() for port in service["ports"]]
    assert len(ports) == 2 and all(port.startswith("127.0.0.1:") for port in ports)


def test_both_services_get_the_gpu() -> None:
    services = yaml.safe_load((DEPLOY / "compose.cuda.yaml").read_text())["services"]
    assert set(services) == set(yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"])
    for service in services.values():
        (device,) = service["deploy"]["resources"]["reservations"]["devices"]
        assert device["capabilities"] == ["gpu"]
