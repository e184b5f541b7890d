"""JSON-RPC 2.0 (https://www.jsonrpc.org/specification): what a message may be, and what a refused one is answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar

import attrs

from supportbench import codec
from supportbench.errors import DecodeError, Fault, SupportbenchError
from supportbench.models.fields import EMPTY
from supportbench.server.refusals import Refusal, invalid_json, refusal_of

T = TypeVar("T")
Id = str | int | float | None

VERSION: Final = "2.0"
_LONGEST_ID: Final = 255
PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603
SERVER_ERROR: Final = -32000


class RpcError(SupportbenchError):
    """A refused message: JSON-RPC's number for the reason, and what else there is to say."""

    def __init__(self, number: int, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.number = number
        self.refusal = refusal


@attrs.frozen(kw_only=True)
class Request:
    """A message that wants an answer, which has the same `id`."""

    id: Id
    method: str
    params: Mapping[str, Any]


def read_request(message: object) -> Request | None:
    """Return the request, None for a notification or an answer: neither of them is ever answered.

    Raises:
        RpcError: the message is none of the three.
    """
    if not isinstance(message, dict):
        more = " Batches are not read: send one message at a time." if isinstance(message, list) else ""
        raise invalid_request(f"a message must be an object.{more}")
    if not _is_id(message.get("id")):
        raise invalid_request(f"id: must be a string of at most {_LONGEST_ID} characters, a number or null")
    if message.get("jsonrpc") != VERSION:
        raise invalid_request(f'jsonrpc: must be "{VERSION}"')
    if "method" not in message and ("result" in message or "error" in message):
        return None
    method, params = message.get("method"), message.get("params")
    if not isinstance(method, str):
        raise invalid_request("method: must be a string" if "method" in message else "method: required, but missing")
    if "id" not in message:
        return None
    if isinstance(params, list):
        raise invalid_params([Fault("params", "must be an object: these methods take their parameters by name")])
    if params is not None and not isinstance(params, dict):
        raise invalid_request("params: must be an object")
    return Request(id=message["id"], method=method, params=params or EMPTY)


def read_params(params: Mapping[str, Any], kind: type[T]) -> T:
    """Return what the attrs class names of the parameters; others may be from a later version, and are let be.

    Raises:
        RpcError: naming every parameter that is missing or impossible.
    """
    names = [field.name for field in attrs.fields(kind)]  # type: ignore[arg-type]
    try:
        return codec.structure({name: params[name] for name in names if name in params}, kind)
    except DecodeError as error:
        raise invalid_params(error.faults, where="params") from None


def id_of(message: object) -> Id:
    """Return the id of what may or may not be a valid request; None where there is none to be seen."""
    found = message.get("id") if isinstance(message, dict) else None
    return found if _is_id(found) else None


def answer_to(request_id: Id, result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer to a request that succeeded."""
    return {"jsonrpc": VERSION, "id": request_id, "result": result}


def refused(request_id: Id, error: RpcError) -> dict[str, Any]:
    """Return the answer to a message that was refused."""
    told = error.refusal.frame()["data"]
    particulars = {key: value for key, value in told.items() if key not in ("code", "message")}
    return {
        "jsonrpc": VERSION,
        "id": request_id,
        "error": {"code": error.number, "message": told["message"], "data": particulars or None},
    }


def rpc_error_of(error: SupportbenchError) -> RpcError:
    """Return any error as one of JSON-RPC's."""
    if isinstance(error, RpcError):
        return error
    refusal = refusal_of(error)
    if refusal.code == "CAPACITY_REACHED" or refusal.status == 409:
        return RpcError(SERVER_ERROR, refusal)
    return RpcError(INTERNAL_ERROR if refusal.status >= 500 else INVALID_PARAMS, refusal)


def parse_error(error: DecodeError, data: str | bytes) -> RpcError:
    """Return the error for bytes that are no JSON."""
    refusal = invalid_json(error, data)
    message = f"Parse error: {refusal.message.removeprefix('Invalid JSON: ')}"
    return RpcError(PARSE_ERROR, Refusal(status=422, code=refusal.code, message=message))


def invalid_request(problem: str) -> RpcError:
    """Return the error for JSON that is no message."""
    return RpcError(
        INVALID_REQUEST, Refusal(status=422, code="VALIDATION_ERROR", message=f"Invalid Request: {problem}")
    )


def invalid_params(faults: list[Fault] | tuple[Fault, ...], *, where: str = "") -> RpcError:
    """Return the error for parameters that a method does not take; `where` is the path of what was decoded."""
    refusal = refusal_of(DecodeError(faults), where=where)
    return RpcError(INVALID_PARAMS, attrs.evolve(refusal, message=f"Invalid params: {refusal.message}"))


def method_not_found(message: str) -> RpcError:
    """Return the error for a method that there is not."""
    return RpcError(METHOD_NOT_FOUND, Refusal(status=404, code="UNKNOWN_TYPE", message=f"Method not found: {message}"))


def _is_id(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= _LONGEST_ID  # it is sent back
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
