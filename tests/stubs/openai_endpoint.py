"""A stub of an OpenAI-compatible endpoint: a real HTTP server on loopback that plays a script and keeps the requests.

    with OpenAIStub(failure(429, "slow down", headers={"Retry-After": "1"}), completion("{…}")) as stub:
        …  # talk to stub.url
    assert stub.requests[1].body["model"] == "stub"

Each step of the script answers one request, the last one all that follow. A step is a `Reply`, or a function from the
request to one.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, TypeAlias

import attrs


@attrs.frozen(kw_only=True)
class Request:
    """A request as it came; header names are in lower case, `connection` is the client's port."""

    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]
    connection: int


@attrs.frozen(kw_only=True)
class Reply:
    """What is answered: after a delay, under a status, with these bytes."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = attrs.field(factory=dict)
    delay_s: float = 0.0


Step: TypeAlias = Reply | Callable[[Request], Reply]


def completion(
    content: object,
    *,
    finish_reason: str = "stop",
    refusal: str | None = None,
    tokens: tuple[int, int] | None = (100, 20),
    delay_s: float = 0.0,
) -> Reply:
    """Answer as the model: with the text, or with the JSON of anything else; `tokens` None reports no usage."""
    message = {"role": "assistant", "content": _text(content), "refusal": refusal}
    body: dict[str, Any] = {
        "id": "chatcmpl-stub",
        "object": "chat.completion",
        "created": 0,
        "model": "stub",
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason, "logprobs": None}],
    }
    if tokens is not None:
        body["usage"] = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)}
    return Reply(body=json.dumps(body).encode(), headers={"Content-Type": "application/json"}, delay_s=delay_s)


def failure(
    status: int,
    message: str,
    *,
    param: str | None = None,
    code: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Answer with an error in OpenAI's form."""
    body = {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}
    return Reply(
        status=status, body=json.dumps(body).encode(), headers={"Content-Type": "application/json", **(headers or {})}
    )


def refusing(parameter: str, reply: Reply, *, value: str = "") -> Callable[[Request], Reply]:
    """Answer as an endpoint that does not take a parameter, or not with that value in its JSON, and else the reply."""

    def answer(request: Request) -> Reply:
        if parameter in request.body and value in json.dumps(request.body[parameter]):
            return failure(400, f"Unsupported parameter: '{parameter}' is not supported with this model.")
        return reply

    return answer


class OpenAIStub:
    """The server; it listens within the `with` block, on a port that the system chooses."""

    def __init__(self, *script: Step) -> None:
        self._script = script
        self._requests: list[Request] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _handler_of(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="openai-stub")

    @property
    def url(self) -> str:
        """The base URL for clients."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @property
    def requests(self) -> tuple[Request, ...]:
        """The requests so far, in the order of their arrival."""
        with self._lock:
            return tuple(self._requests)

    def answer(self, request: Request) -> Reply:
        """Keep the request and return the reply to it, when it is due."""
        with self._lock:
            step = self._script[min(len(self._requests), len(self._script) - 1)]
            self._requests.append(request)
        reply = step if isinstance(step, Reply) else step(request)
        self._stopping.wait(reply.delay_s)
        return reply

    def __enter__(self) -> OpenAIStub:
        self._thread.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a connection that is kept alive ends when its client does
    request_queue_size = 128


def _handler_of(stub: OpenAIStub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # connections are kept alive
        wbufsize = -1

        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(path=self.path, headers=headers, body=json.loads(data), connection=self.client_address[1])
            reply = stub.answer(request)
            try:
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)
                self.wfile.flush()
            except ConnectionError:  # the client did not wait
                self.close_connection = True

        def log_message(self, *args: object) -> None:
            pass

    return Handler


def _text(content: object) -> str | None:
    return content if content is None or isinstance(content, str) else json.dumps(content)
