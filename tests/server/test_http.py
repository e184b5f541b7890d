"""`POST /reset`, `POST /step`, `GET /state`, request by request: what is answered, and what is refused and how."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from supportbench import ComponentScore, Registry, Submission, SupportQueueEnvironment, structure, unstructure
from supportbench.evaluation.agents import ask, choose_agent
from supportbench.protocol import StepResult
from tests.server.packs import Moody, shop_of
from tests.server.playing import ACTION, PATIENCE_S, Playground, Turnstile, graded_by, playground
from tests.server.processes import until

TASKS = ("easy_inbox_cleanup", "medium_sla_defense", "hard_exec_escalations")
MAX_BODY = 1 << 20


@pytest.fixture(scope="module")
def running() -> Iterator[Playground]:
    with playground() as ground:
        yield ground


@pytest.fixture
def ground(running: Playground) -> Iterator[Playground]:
    yield running
    running.comes_to_rest()


@pytest.fixture
def client(ground: Playground) -> Iterator[httpx.Client]:
    """A client in the middle of an episode, which goes on by the session's id."""
    with httpx.Client(base_url=ground.url, timeout=PATIENCE_S) as client:
        answer = client.post("/reset", json={"task_id": "medium_sla_defense", "episode_id": "mine"})
        client.cookies.clear()
        client.headers["X-Session-ID"] = answer.headers["x-session-id"]
        assert client.post("/step", json={"action": ACTION}).status_code == 200
        yield client


@pytest.fixture
def turnstile() -> Turnstile:
    return Turnstile()


@pytest.fixture
def slow(turnstile: Turnstile) -> Iterator[Playground]:
    """A server whose only grader waits until the test lets it."""
    with playground(turnstile.registry()) as ground:
        yield ground
        turnstile.open.set()


def refused(client: httpx.Client, method: str, path: str, status: int = 422, **options: Any) -> dict[str, Any]:
    """Return the body of the refusal; nothing has changed."""
    before = client.get("/state").json()
    answer = client.request(method, path, **options)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert client.get("/state").json() == before
    body: dict[str, Any] = answer.json()
    return body


def faults(body: dict[str, Any]) -> dict[str, str]:
    """Return what each fault of a refusal says, by the place that it names."""
    return {".".join(map(str, fault["loc"])): fault["msg"] for fault in body["detail"]}


class TestAnEpisode:
    @pytest.mark.parametrize("task_id", TASKS)
    async def test_is_what_the_environment_gives_in_process(
        self, ground: Playground, registry: Registry, task_id: str
    ) -> None:
        environment, agent = SupportQueueEnvironment(registry), choose_agent(registry, "heuristic")
        observation = await environment.reset(task_id=task_id, episode_id="same", seed=5)
        async with httpx.AsyncClient(base_url=ground.url) as client:
            asked = {"task_id": task_id, "episode_id": "same", "seed": 5}
            answer = await client.post("/reset", json=asked)
            session_id = answer.headers["x-session-id"]
            while True:
                assert answer.status_code == 200
                body = answer.json()
                assert list(body) == ["observation", "reward", "done", "metadata"]
                assert body["metadata"] == body["observation"]["metadata"] == {"session_id": session_id}
                expected = unstructure(observation)
                reward, done = expected.pop("reward"), expected.pop("done")
                expected["metadata"] = body["metadata"]
                assert json.dumps(body["observation"]) == json.dumps(expected)
                assert (body["reward"], body["done"]) == (reward, done)
                state = await client.get("/state")
                assert state.json() == json.loads(json.dumps(unstructure(environment.state)))
                assert state.headers["x-session-id"] == session_id
                if done:
                    break
                action = (await ask(agent.agent, agent.label, observation)).action
                observation = await environment.step(action)
                answer = await client.post("/step", json={"action": unstructure(action)})

    def test_can_be_looked_at_before_the_first_step(self, ground: Playground) -> None:
        with httpx.Client(base_url=ground.url) as client:
            client.post("/reset", json={"seed": 2, "episode_id": "e"})
            state = client.get("/state").json()
        assert (state["episode_id"], state["seed"], state["step_count"], state["done"]) == ("e", 2, 0, False)
        assert (state["action_history"], state["cumulative_reward"]) == ([], 0.0)

    def test_walks_through_the_tasks_where_nothing_is_asked_for(self, client: httpx.Client) -> None:
        seen = [client.post("/reset").json()["observation"]["task_id"] for _ in range(4)]
        assert seen == [*TASKS, TASKS[0]]

    def test_tells_its_session_in_the_header_and_the_metadata(self, client: httpx.Client) -> None:
        session_id = client.headers["X-Session-ID"]
        for answer in (
            client.post("/reset"),
            client.post("/step", json={"action": ACTION, "request_id": "r-1"}),
        ):
            assert answer.headers["x-session-id"] == session_id
            body = answer.json()
            assert body["metadata"] == body["observation"]["metadata"]
            assert body["metadata"]["session_id"] == session_id
        assert answer.json()["metadata"]["request_id"] == "r-1"
        assert client.get("/state").headers["x-session-id"] == session_id

    def test_is_answered_as_the_document_says(self, client: httpx.Client) -> None:
        begun = client.post("/reset", json={"task_id": TASKS[0]})
        for answer in (begun, client.post("/step", json={"action": ACTION})):
            assert structure(answer.json(), StepResult).observation.task_id == TASKS[0]

    def test_goes_on_after_whatever_was_refused(self, client: httpx.Client) -> None:
        for body in (b"{", b"[]", b"\xff", b'{"action":{}}', b"[" * 100_000):
            refused(client, "POST", "/step", content=body)
        assert client.post("/step", json={"action": ACTION}).json()["reward"] is not None
        assert client.get("/state").json()["step_count"] == 2


class TestAReset:
    @pytest.mark.parametrize("options", [{}, {"json": {}}, {"content": b""}, {"content": b" {} "}])
    def test_needs_no_body(self, client: httpx.Client, options: Any) -> None:
        answer = client.post("/reset", **options)
        assert (answer.status_code, answer.json()["reward"], answer.json()["done"]) == (200, None, False)

    @pytest.mark.parametrize(
        "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "nonsense", ""]
    )
    def test_is_read_as_json_whatever_the_content_type_says(self, client: httpx.Client, content_type: str) -> None:
        headers = {"Content-Type": content_type}
        answer = client.post("/reset", content='{"task_id": "hard_exec_escalations"}', headers=headers)
        assert answer.json()["observation"]["task_id"] == "hard_exec_escalations"
        body = refused(client, "POST", "/reset", content="task_id=hard_exec_escalations", headers=headers)
        assert body["code"] == "INVALID_JSON"

    @pytest.mark.parametrize(
        ("body", "place", "told"),
        [
            ({"seed": "abc"}, "body.seed", "expected a whole number, got a string"),
            ({"seed": "7"}, "body.seed", "expected a whole number, got a string"),
            ({"seed": -1}, "body.seed", "must be from 0 to 2^63-1"),
            ({"episode_id": "x" * 300}, "body.episode_id", "must have at most 255 characters, it has 300"),
            ({"session_id": ""}, "body.session_id", "must not be empty"),
            ({"session_id": 5}, "body.session_id", "expected a string, got a number"),
            ([1], "body", "expected an object, got a list"),
            (None, "body", "expected an object, got null"),
            ("{}", "body", "expected an object, got a string"),
            (
                {"colour": "blue"},
                "body.colour",
                "unknown key. Known: 'episode_id', 'index', 'provider', 'seed', 'session_id', 'split', 'task_id'.",
            ),
        ],
    )
    def test_is_refused_with_the_place_and_what_is_allowed(
        self, client: httpx.Client, body: Any, place: str, told: str
    ) -> None:
        told_back = refused(client, "POST", "/reset", content=json.dumps(body))
        assert told_back == {
            "detail": [{"loc": place.split("."), "msg": told, "type": "value_error"}],
            "code": "VALIDATION_ERROR",
            "message": f"{place}: {told}",
        }

    @pytest.mark.parametrize(
        ("body", "told"),
        [
            ({"task_id": "easy_inbox"}, "There is no task 'easy_inbox'. Did you mean 'easy_inbox_cleanup'? Known: "),
            ({"provider": "tirage"}, "There is no task provider 'tirage'. Did you mean 'triage'?"),
            ({"index": 3}, "Split 'test' of provider 'triage' has no index 3. Allowed: from 0 to 2."),
        ],
    )
    def test_to_what_does_not_exist_is_refused_with_what_does(
        self, client: httpx.Client, body: dict[str, Any], told: str
    ) -> None:
        told_back = refused(client, "POST", "/reset", json=body)
        assert told_back["code"] == "VALIDATION_ERROR"
        assert told_back["detail"] == told_back["message"]
        assert told_back["message"].startswith(told)

    def test_that_is_refused_leaves_no_session_behind(self, ground: Playground) -> None:
        before = ground.sessions.active
        for body in ("{", "[]", '{"seed": -1}', '{"task_id": "nope"}', '{"session_id": "nope"}'):
            answer = ground.http.post("/reset", content=body)
            assert answer.is_client_error
            assert "set-cookie" not in answer.headers
            assert "x-session-id" not in answer.headers
        assert ground.sessions.active == before

    def test_whose_provider_fails_names_it_and_leaves_no_session_behind(self) -> None:
        with playground(shop_of(Moody("task", name="triage"))) as ground:
            answer = ground.http.post("/reset")
            assert answer.status_code == 502
            assert answer.json()["code"] == "EXECUTION_ERROR"
            assert answer.json()["message"] == (
                "task provider 'triage' failed at index 0 of split 'test': ZeroDivisionError"
            )
            assert ground.sessions.active == 0
            assert len(ground.complaints.taken()) == 1

    def test_beyond_capacity_is_refused_with_when_to_come_again(self) -> None:
        with playground(max_sessions=1, default_session=False) as ground:
            assert ground.http.post("/reset").status_code == 200
            answer = ground.http.post("/reset")
            assert (answer.status_code, answer.json()["code"]) == (503, "CAPACITY_REACHED")
            assert int(answer.headers["retry-after"]) > 0


class TestAStep:
    @pytest.mark.parametrize(
        ("body", "places"),
        [
            ({}, ["body.action"]),
            ([], ["body"]),
            ({"action": "x"}, ["body.action"]),
            ({"action": None}, ["body.action"]),
            ({"action": {}}, [f"body.action.{name}" for name in list(ACTION)[:6]]),
            (ACTION, ["body.action", *(f"body.{name}" for name in sorted(ACTION))]),
            ({"action": {**ACTION, "priority": "P9"}}, ["body.action.priority"]),
            ({"action": {**ACTION, "extra": 1}}, ["body.action.extra"]),
            ({"action": {**ACTION, "confidence": 2}}, ["body.action.confidence"]),
            ({"action": {**ACTION, "confidence": True}}, ["body.action.confidence"]),
            ({"action": {**ACTION, "summary": 5, "metadata": []}}, ["body.action.summary", "body.action.metadata"]),
            ({"action": ACTION, "timeout_s": 0}, ["body.timeout_s"]),
            ({"action": ACTION, "timeout_s": "1"}, ["body.timeout_s"]),
            ({"action": ACTION, "request_id": 7}, ["body.request_id"]),
            ({"action": ACTION, "request_id": "x" * 256}, ["body.request_id"]),
            ({"action": ACTION, "render": True, "verbose": 1}, ["body.render", "body.verbose"]),
            (
                {"action": {**ACTION, "queue": 1}, "timeout_s": "1", "x": 2},
                ["body.action.queue", "body.timeout_s", "body.x"],
            ),
        ],
        ids=lambda value: str(value)[:40],
    )
    def test_is_refused_with_the_place_of_each_fault(self, client: httpx.Client, body: Any, places: list[str]) -> None:
        told = refused(client, "POST", "/step", json=body)
        assert told["code"] == "VALIDATION_ERROR"
        assert list(faults(told)) == places
        first = f"{places[0]}: {told['detail'][0]['msg']}"
        assert told["message"] == (first if len(places) == 1 else f"{first} (and {len(places) - 1} more)")

    @pytest.mark.parametrize(
        ("content", "told"),
        [
            (b"", "there is nothing"),
            (b"{", "Input data was truncated"),
            (b"\xff", "byte 0 is no UTF-8"),
            (b"[" * 100_000, "JSON nested too deeply"),
            (json.dumps({"action": ACTION}).replace("0.5", "NaN").encode(), "JSON is malformed: invalid character"),
        ],
    )
    def test_that_is_no_json_is_refused(self, client: httpx.Client, content: bytes, told: str) -> None:
        body = refused(client, "POST", "/step", content=content)
        assert body["code"] == "INVALID_JSON"
        assert body["message"].startswith(f"Invalid JSON: {told}")
        assert body["detail"][0]["loc"] == ["body"]

    def test_after_the_end_and_before_a_reset_is_refused(self, client: httpx.Client, ground: Playground) -> None:
        while not client.post("/step", json={"action": ACTION}).json()["done"]:
            pass
        body = refused(client, "POST", "/step", 409, json={"action": ACTION})
        assert body["code"] == "EXECUTION_ERROR"
        assert body["detail"] == body["message"] == "The episode is done: call reset to begin another."
        client.headers["X-Session-ID"] = ground.do(ground.sessions.create(""))
        body = refused(client, "POST", "/step", 409, json={"action": ACTION})
        assert body["message"] == "No episode is open: call reset first."

    def test_beyond_its_timeout_is_refused_and_can_be_sent_again(self, slow: Playground, turnstile: Turnstile) -> None:
        with httpx.Client(base_url=slow.url, timeout=PATIENCE_S) as client:
            client.post("/reset")
            body = refused(client, "POST", "/step", 504, json={"action": ACTION, "timeout_s": 0.01})
            assert body["code"] == "EXECUTION_ERROR"
            assert body["message"] == (
                "Grading took longer than 0.01 s. The episode stands where it stood; send it again."
            )
            assert turnstile.cancelled == 1
            turnstile.open.set()
            answer = client.post("/step", json={"action": ACTION, "timeout_s": 60})
            assert (answer.status_code, answer.json()["reward"]) == (200, 0.5)

    def test_that_comes_second_is_refused(self, slow: Playground, turnstile: Turnstile) -> None:
        with httpx.Client(base_url=slow.url, timeout=PATIENCE_S) as client, ThreadPoolExecutor(1) as pool:
            session_id = client.post("/reset").headers["x-session-id"]
            first = pool.submit(client.post, "/step", json={"action": ACTION})
            until(lambda: turnstile.waiting == 1)
            for path, body in (("/step", {"action": ACTION}), ("/reset", {})):
                second = client.post(path, json=body)
                assert second.status_code == 409
                assert second.json()["code"] == "EXECUTION_ERROR"
                assert second.json()["message"] == (
                    f"Another request of session {session_id} came first. Wait for its answer, then look at the state."
                )
            assert client.get("/state").json()["step_count"] == 0
            turnstile.open.set()
            assert first.result().json()["reward"] == 0.5
            state = client.get("/state").json()
            assert (state["step_count"], state["cumulative_reward"], turnstile.came) == (1, 0.5, 1)
            assert client.post("/step", json={"action": ACTION}).status_code == 200

    def test_whose_client_goes_is_given_up_and_the_session_is_free(
        self, slow: Playground, turnstile: Turnstile
    ) -> None:
        session_id = slow.http.post("/reset").headers["x-session-id"]
        with slow.dialled() as connection:
            connection.sendall(request("POST", "/step", {"action": ACTION}, f"X-Session-ID: {session_id}"))
            until(lambda: turnstile.waiting == 1)
        until(lambda: turnstile.cancelled == 1)
        with httpx.Client(base_url=slow.url, headers={"X-Session-ID": session_id}) as client:
            assert client.get("/state").json()["step_count"] == 0
            turnstile.open.set()
            assert client.post("/step", json={"action": ACTION}).json()["reward"] == 0.5

    def test_whose_grader_fails_names_it_and_can_be_sent_again(self) -> None:
        with playground(graded_by(FailsOnce())) as ground, httpx.Client(base_url=ground.url) as client:
            client.post("/reset")
            body = refused(client, "POST", "/step", 502, json={"action": ACTION})
            assert body["code"] == "EXECUTION_ERROR"
            assert body["message"].endswith(
                "'fails' of plugin 'house' failed at ticket 'wait-0' of task 'wait': KeyError"
            )
            assert "answer key" not in json.dumps(body)
            assert client.post("/step", json={"action": ACTION}).json()["reward"] == 1.0
            assert len(ground.complaints.taken()) == 1


class TestARequest:
    @pytest.mark.parametrize("path", ["/reset", "/step"])
    def test_with_a_body_that_is_too_large_is_refused(self, client: httpx.Client, path: str) -> None:
        told = {"detail": f"The body has more than {MAX_BODY} bytes, which is the most."}
        assert refused(client, "POST", path, 413, content=b"x" * (MAX_BODY + 1)) == told
        assert refused(client, "POST", path, 413, content=(b"x" * 65_536 for _ in range(17))) == told

    def test_may_have_a_body_as_large_as_the_limit(self, client: httpx.Client) -> None:
        empty = len(json.dumps({"action": {**ACTION, "summary": ""}}))
        body = json.dumps({"action": {**ACTION, "summary": "x" * (MAX_BODY - empty)}})
        assert len(body) == MAX_BODY
        assert client.post("/step", content=body).status_code == 200

    def test_that_is_large_and_wrong_gets_a_small_answer(self, client: httpx.Client) -> None:
        for body in (
            {"x" * 500_000: 1},
            {"seed": "x" * 500_000},
            {"task_id": "x" * 500_000},
            {"session_id": "x" * 500_000},
        ):
            assert len(json.dumps(refused(client, "POST", "/reset", json=body))) < 1000
        for action in ({**ACTION, "priority": "x" * 500_000}, {**ACTION, "x" * 500_000: 1}):
            assert len(json.dumps(refused(client, "POST", "/step", json={"action": action}))) < 1000

    @pytest.mark.parametrize(
        ("path", "methods", "allowed"),
        [
            ("/reset", ["GET", "HEAD", "PUT", "PATCH", "DELETE"], "OPTIONS, POST"),
            ("/step", ["GET", "HEAD", "PUT", "PATCH", "DELETE"], "OPTIONS, POST"),
            ("/state", ["POST", "PUT", "PATCH", "DELETE"], "GET, HEAD, OPTIONS"),
        ],
    )
    def test_with_another_method_is_told_the_allowed_ones(
        self, client: httpx.Client, path: str, methods: list[str], allowed: str
    ) -> None:
        for method in methods:
            answer = client.request(method, path)
            assert (answer.status_code, answer.headers["allow"]) == (405, allowed), method
        answer = client.options(path)
        assert (answer.status_code, answer.headers["allow"], answer.content) == (204, allowed, b"")

    def test_for_the_head_of_the_state_is_answered_like_one_for_all_of_it(self, client: httpx.Client) -> None:
        whole, head = client.get("/state"), client.head("/state")
        assert (head.status_code, head.content) == (200, b"")
        for name in ("content-length", "content-type", "x-session-id"):
            assert head.headers[name] == whole.headers[name]

    @pytest.mark.parametrize("cut", [0.0, 0.5, 1.0])
    def test_that_is_not_finished_leaves_nothing(self, ground: Playground, cut: float) -> None:
        before = ground.sessions.active
        whole = request("POST", "/reset", {"seed": 1})
        with ground.dialled() as connection:
            connection.sendall(whole[: round(len(whole) * cut) - 1])
        ground.comes_to_rest()
        assert ground.sessions.active == before

    def test_may_follow_others_before_they_are_answered(self, ground: Playground) -> None:
        with ground.dialled() as connection:
            connection.sendall(request("POST", "/reset") + request("GET", "/state") * 3)
            answers = b""
            while answers.count(b"HTTP/1.1 200 OK") < 4:
                answers += connection.recv(65_536)


class TestTheShortWay:
    def test_answers_as_litestars_own_does(self) -> None:
        asked: list[tuple[str, str, dict[str, Any]]] = [
            ("POST", "/step", {"json": {"action": ACTION}}),
            ("POST", "/reset", {"json": {"task_id": TASKS[0], "episode_id": "e", "session_id": "unknown"}}),
            ("POST", "/reset", {"json": {"task_id": TASKS[0], "episode_id": "e"}}),
            ("POST", "/step", {"json": {"action": {**ACTION, "queue": "oven"}}}),
            ("POST", "/step", {"json": {"action": ACTION, "request_id": "r"}}),
            ("POST", "/step", {"content": b"{"}),
            ("POST", "/step", {"content": b"x" * (MAX_BODY + 1)}),
            ("GET", "/state", {}),
            ("GET", "/state?session_id=other", {}),
            ("HEAD", "/state", {}),
            ("GET", "/step", {}),
            ("OPTIONS", "/step", {}),
            ("DELETE", "/reset", {}),
        ]
        seen: list[list[Any]] = []
        ways: tuple[dict[str, Any], ...] = ({}, {"allowed_origins": ("http://page.example",)})
        for settings in ways:
            with playground(**settings) as ground, httpx.Client(base_url=ground.url) as client:
                told = []
                for method, path, options in asked:
                    answer = client.request(method, path, **options)
                    text = answer.text
                    for session_id in client.cookies.values():
                        text = text.replace(session_id, "ID")
                    told.append((method, path, answer.status_code, sorted(set(answer.headers) - {"vary"}), text))
                seen.append(told)
        assert seen[0] == seen[1]


class TestAPath:
    def test_that_there_is_not_is_told_of(self, client: httpx.Client) -> None:
        told = "There is nothing at '/rest'. GET /openapi.json lists what there is."
        assert (answer := client.post("/rest")).json() == {"detail": told}
        assert answer.status_code == 404

    def test_that_takes_another_method_says_which(self, client: httpx.Client) -> None:
        answer = client.get("/step")
        assert (answer.status_code, answer.json()) == (405, {"detail": "'/step' takes POST."})


class TestInProductionMode:
    def test_nothing_of_this_exists(self) -> None:
        with playground(mode="production") as ground, httpx.Client(base_url=ground.url) as client:
            for method, path in (("POST", "/reset"), ("POST", "/step"), ("GET", "/state")):
                answer = client.request(method, path)
                told = f"'{path}' is hidden: this server is in production mode (OPENENV_MODE). Play over /ws or /mcp."
                assert (answer.status_code, answer.json()) == (404, {"detail": told}), path
            assert client.get("/health").json() == {"status": "healthy"}
            paths = client.get("/openapi.json").json()["paths"]
            assert not {"/reset", "/step", "/state"} & set(paths)
            with ground.player() as player:
                assert player.reset()["done"] is False


def request(method: str, path: str, body: object = None, *headers: str) -> bytes:
    """Return the bytes of a request."""
    content = b"" if body is None else json.dumps(body).encode()
    head = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(content)}", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + content


class FailsOnce:
    """A component that raises, and the next time does not."""

    name = "fails"

    def __init__(self) -> None:
        self._faults = [KeyError("the answer key is P1")]

    async def score(self, submission: Submission) -> ComponentScore:
        if self._faults:
            raise self._faults.pop()
        return ComponentScore(score=1.0)
