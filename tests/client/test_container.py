"""A server in a container: started, healthy, played on, and gone afterwards in every case; docker is a stand-in."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import httpx
import pytest

from supportbench.client import Container, SupportQueueClient
from supportbench.errors import ContainerError, ServerConnectionError, SettingsError
from tests.offering import an_action
from tests.stubs.docker import IMAGE, DockerStub

KEY = "a-secret-of-the-container"


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[DockerStub]:
    """A docker with the trouble that the test is about, if any."""
    with DockerStub(tmp_path, monkeypatch, trouble=getattr(request, "param", "")) as stub:
        yield stub


def trouble(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("docker", [name], indirect=True)


def assert_gone(docker: DockerStub) -> None:
    assert docker.containers() == []
    assert docker.running() == []


async def test_a_client_plays_on_a_container_of_its_own_which_is_gone_afterwards(docker: DockerStub) -> None:
    client = SupportQueueClient.from_docker_image(IMAGE)
    assert repr(client) == f"<SupportQueueClient <Container '{IMAGE}' not started> not connected>"
    async with client as env:
        assert len(docker.containers()) == len(docker.running()) == 1
        assert str(env.base_url).startswith("http://127.0.0.1:")
        result = await env.reset(task_id="easy_inbox_cleanup")
        result = await env.step(an_action())
        assert result.reward is not None
    assert_gone(docker)
    assert env.base_url is None
    assert [call[0] for call in docker.calls() if call[0] != "inspect"] == ["run", "stop", "rm"]


def test_it_does_so_for_code_that_is_not_async(docker: DockerStub) -> None:
    with SupportQueueClient.from_docker_image(IMAGE).sync() as env:
        assert env.reset(seed=0).done is False
        assert len(docker.running()) == 1
    assert_gone(docker)


async def test_the_port_can_be_chosen_and_the_client_can_be_started_again(docker: DockerStub) -> None:
    client = SupportQueueClient.from_docker_image(IMAGE, port=free_port())
    for _ in range(2):
        async with client:
            await client.reset()
    assert_gone(docker)
    (published,) = {call[call.index("-p") + 1] for call in docker.calls("run")}
    assert published.startswith("127.0.0.1:")


async def test_the_server_finds_its_variables_and_no_command_line_has_their_values(docker: DockerStub) -> None:
    env = {"SUPPORTBENCH_FEEDBACK": "none"}
    client = SupportQueueClient.from_docker_image(IMAGE, env=env, token=KEY)
    async with client:
        await client.reset()
        result = await client.step(an_action())
        assert result.observation.last_feedback == {}
        with pytest.raises(ServerConnectionError, match="It wants a token, and none was given"):
            await SupportQueueClient(str(client.base_url)).connect()
    assert KEY not in repr(client)
    assert KEY not in str(docker.calls())
    assert "SUPPORTBENCH_TOKEN" in str(docker.calls("run"))


@trouble("dies")
async def test_a_container_that_dies_says_its_last_words_but_no_secret(docker: DockerStub) -> None:
    with pytest.raises(ContainerError) as caught:
        await SupportQueueClient.from_docker_image(IMAGE, env={"SECRET": KEY}).connect()
    assert f"The server of image '{IMAGE}' ended before it was healthy. Its last words:" in str(caught.value)
    assert "cannot open the tasks …\nbroken image" in str(caught.value)
    assert_gone(docker)


@trouble("sick")
async def test_a_container_that_does_not_come_up_in_time_says_what_it_does_instead(docker: DockerStub) -> None:
    with pytest.raises(ContainerError, match=r"not healthy within 3 s: GET /health is answered with status 503"):
        await Container(IMAGE, health_timeout_s=3).start()
    assert_gone(docker)


@pytest.mark.parametrize(
    ("docker", "told"),
    [
        ("daemon", "The docker daemon does not run: start it"),
        ("permission", "This user may not use docker: add it to the group `docker`"),
    ],
    indirect=["docker"],
)
async def test_what_docker_complains_of_is_told_with_the_next_move(
    docker: DockerStub, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ContainerError, match=told):
        await Container(IMAGE).start()
    assert caplog.records == []


async def test_an_image_that_is_not_there_is_told_with_the_next_move(docker: DockerStub) -> None:
    with pytest.raises(ContainerError, match="There is no such image on this machine: `docker build"):
        await Container("supportbench:nowhere").start()
    assert_gone(docker)


async def test_without_docker_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ContainerError, match=r"There is no `docker` on the PATH\. Install it"):
        await Container(IMAGE).start()


@trouble("port-once")
async def test_a_port_that_somebody_took_meanwhile_is_left_to_them(docker: DockerStub) -> None:
    async with Container(IMAGE):
        assert len(docker.calls("run")) == 2
        assert len(docker.containers()) == 1
    assert_gone(docker)


@trouble("port")
async def test_a_port_that_was_asked_for_and_is_taken_is_told(docker: DockerStub) -> None:
    with pytest.raises(ContainerError, match="Port 4711 of this machine is taken"):
        await Container(IMAGE, port=4711).start()
    assert_gone(docker)


@trouble("rm")
async def test_a_container_that_cannot_be_removed_is_told_of(
    docker: DockerStub, caplog: pytest.LogCaptureFixture
) -> None:
    async with Container(IMAGE):
        pass
    (record,) = caplog.records
    assert "may still be there. Remove it: docker rm -f" in record.getMessage()
    assert "resource busy" in record.getMessage()


@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt(), SystemExit(3)], ids=repr)
async def test_it_is_gone_whatever_ends_the_block(docker: DockerStub, error: BaseException) -> None:
    with pytest.raises(type(error)):
        async with Container(IMAGE):
            raise error
    assert_gone(docker)


async def test_it_is_gone_when_the_server_does_not_let_the_client_in(docker: DockerStub) -> None:
    client = SupportQueueClient.from_docker_image(IMAGE, env={"SUPPORTBENCH_TOKEN": KEY})
    with pytest.raises(ServerConnectionError, match="It wants a token"):
        await client.connect()
    assert_gone(docker)


@trouble("slow-run")
async def test_it_is_gone_when_the_start_is_cancelled_while_docker_makes_it(docker: DockerStub) -> None:
    starting = asyncio.create_task(SupportQueueClient.from_docker_image(IMAGE).connect())
    await asyncio.to_thread(docker.wait_until, "run")
    await asyncio.sleep(0.3)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert_gone(docker)


@trouble("slow-server")
@pytest.mark.parametrize("by", ["task", "timeout", "scope"])
async def test_it_is_gone_when_the_start_is_cancelled_while_it_comes_up(docker: DockerStub, by: str) -> None:
    client = SupportQueueClient.from_docker_image(IMAGE)
    if by == "scope":
        with anyio.move_on_after(2) as scope:
            await client.connect()
        assert scope.cancelled_caught
    elif by == "timeout":
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.connect(), 2)
    else:
        starting = asyncio.create_task(client.connect())
        await asyncio.to_thread(docker.wait_until, "inspect")
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
    assert len(docker.calls("run")) == 1
    assert_gone(docker)


SCRIPT = """
import asyncio, sys
from supportbench.client import Container, SupportQueueClient

async def played():
    async with SupportQueueClient.from_docker_image(sys.argv[2]) as env:
        print("ready", flush=True)
        await asyncio.sleep(60)

if sys.argv[1] == "async":
    asyncio.run(played())
elif sys.argv[1] == "sync":
    import time
    with SupportQueueClient.from_docker_image(sys.argv[2]).sync() as env:
        print("ready", flush=True)
        time.sleep(60)
elif sys.argv[1] == "forgotten":
    env = SupportQueueClient.from_docker_image(sys.argv[2]).sync()
    env.connect()
    print("ready", flush=True)
"""


@pytest.mark.parametrize("kind", ["async", "sync"])
def test_it_is_gone_after_ctrl_c(docker: DockerStub, kind: str) -> None:
    with subprocess.Popen([sys.executable, "-c", SCRIPT, kind, IMAGE], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert len(docker.running()) == 1
        process.send_signal(signal.SIGINT)
        process.wait(30)
    assert_gone(docker)


@trouble("slow-server")
@pytest.mark.parametrize("kind", ["async", "sync"])
def test_it_is_gone_after_ctrl_c_while_it_comes_up(docker: DockerStub, kind: str) -> None:
    with subprocess.Popen([sys.executable, "-c", SCRIPT, kind, IMAGE], process_group=0) as process:
        docker.wait_until("inspect")
        assert len(docker.running()) == 1
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: docker itself must not die of it
        process.wait(30)
    assert_gone(docker)


@trouble("hangs")
def test_it_is_gone_after_a_second_ctrl_c_while_it_is_stopped(docker: DockerStub) -> None:
    with subprocess.Popen([sys.executable, "-c", SCRIPT, "async", IMAGE], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        docker.wait_until("stop")
        process.send_signal(signal.SIGINT)
        process.wait(30)
    assert_gone(docker)


def test_it_is_gone_at_the_end_of_a_program_that_forgot_it(docker: DockerStub) -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT, "forgotten", IMAGE], capture_output=True, check=False)
    assert done.stdout == b"ready\n"
    assert len(docker.calls("run")) == 1
    assert_gone(docker)


@pytest.mark.parametrize("image", ["", "  ", "--privileged", "a\nb"])
def test_what_is_no_name_of_an_image_is_refused(image: str) -> None:
    with pytest.raises(ContainerError, match="no name of a docker image"):
        SupportQueueClient.from_docker_image(image)


@pytest.mark.parametrize(
    ("env", "told"),
    [
        ({"A B": "1"}, "no name of an environment variable"),
        ({"A=B": "1"}, "no name of an environment variable"),
        ({"DOCKER_HOST": "tcp://elsewhere"}, "the docker command itself would obey it"),
        ({"PATH": "/nowhere"}, "the docker command itself would obey it"),
        ({"A": "1\0"}, "no text that an environment variable can have"),
        ({"A": 1}, "no text that an environment variable can have"),
    ],
)
def test_variables_that_cannot_be_handed_on_are_refused(env: dict[str, str], told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        Container(IMAGE, env=env)


async def test_a_container_can_be_had_without_a_client(docker: DockerStub) -> None:
    container = Container(IMAGE)
    url = await container.start()
    assert await container.start() == url
    async with httpx.AsyncClient() as http:
        assert (await http.get(f"{url}/health")).json() == {"status": "healthy"}
    await container.stop()
    await container.stop()
    assert_gone(docker)


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
