"""Sessions in a Redis (6 or later) or Valkey that several workers and hosts share."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, TypeVar
from urllib.parse import parse_qs, quote, urlsplit

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import FullJitterBackoff
from redis.exceptions import AuthenticationError, AuthorizationError, InvalidResponse, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from supportbench.errors import SettingsError, StoreError, text_of
from supportbench.server.store import Stored

T = TypeVar("T")

# A value stands behind its version, 16 hexadecimal digits, in one string. The new version is drawn by the client, so
# that a script whose answer was lost with the connection can be sent again: if it was carried out, it says so again.
_COMPARE_AND_SET: Final = """
local current = redis.call('GETRANGE', KEYS[1], 0, 15)
if current == ARGV[2] then return 1 end
if current ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2] .. ARGV[3], 'PX', ARGV[4])
return 1
"""
_DIGITS: Final = 16
_LONGEST_S: Final = 100 * 365 * 86_400.0

_SCHEMES: Final = {"valkey": "redis", "valkeys": "rediss"}
_FORMS: Final = (
    "Write redis://[:PASSWORD@]HOST[:PORT][/DATABASE], or rediss:// for TLS, valkey:// and valkeys:// likewise, or "
    "unix:///PATH/TO/SOCKET; a password's special characters percent-encoded (@ is %40, / is %2F)."
)
_UNREACHABLE: Final = (RedisConnectionError, RedisTimeoutError, OSError)


class RedisStore(Generic[T]):
    """Keeps each value as one string, written and read by `encode` and `decode`, under the prefix and its key.

    Lost connections are tried anew, with growing pauses, for `timeout_s` at most; then `StoreError` is raised. At most
    `connections` are open at once; who finds them all busy waits for one. Options of redis-py may stand in the URL's
    query and win: `?max_connections=50&socket_timeout=1`.

    Cost: one round trip a call. On the client's side a load takes some 55 µs of CPU and a replacement 70 µs; with WATCH
    and MULTI instead of the script it took 190 µs and three round trips.

    Raises:
        SettingsError: the URL is no good. Nothing is connected yet.
    """

    def __init__(
        self,
        url: str,
        encode: Callable[[T], bytes],
        decode: Callable[[bytes], T],
        prefix: str = "supportbench:",
        *,
        timeout_s: float = 5.0,
        connections: int = 16,
    ) -> None:
        options = _options_of(url)
        self._encode = encode
        self._decode = decode
        self._prefix = prefix.encode()
        self._timeout_s = timeout_s
        self._place = _place_of(url, options)
        self._secrets = [str(options[name]) for name in ("password", "ssl_password") if options.get(name)]
        usual: dict[str, Any] = {
            "max_connections": connections,
            "timeout": timeout_s,
            "protocol": 2,  # all that is needed, and what every server speaks
            "health_check_interval": 30,
            "socket_connect_timeout": timeout_s / 2,
            "socket_timeout": timeout_s / 2,
            "retry": Retry(FullJitterBackoff(cap=timeout_s / 5, base=0.05), retries=5),
        }
        if "path" not in options:
            usual["socket_keepalive"] = True
        try:
            pool: Any = BlockingConnectionPool(**{**usual, **options, "decode_responses": False})
            pool.make_connection()  # it connects later; what it cannot be made of shows now
        except (RedisError, ValueError, TypeError, OSError):
            raise SettingsError(
                f"The URL of the session store at {self._place} has an option behind its ? that redis-py does not "
                f"take. {_FORMS}"
            ) from None
        # Typed loosely: redis-py's answers are "this or an awaitable of it", for its two clients at once.
        self._redis: Any = Redis.from_pool(pool)
        self._compare_and_set: Any = self._redis.register_script(_COMPARE_AND_SET)

    def __repr__(self) -> str:
        return f"RedisStore({self._place!r})"

    async def load(self, key: str) -> Stored[T] | None:
        """Return the value, as the protocol has it."""
        data: bytes | None = await self._answer(self._redis.get(self._name_of(key)), key)
        if data is None:
            return None
        try:
            return Stored(int(data[:_DIGITS].decode("ascii"), 16), self._decode(data[_DIGITS:]))
        except Exception as error:  # whatever a decoder says to bytes that are not ours
            raise StoreError(
                f"The session store at {self._place} holds something else than a session of this version of "
                f"supportbench under {self._shown(key)} ({type(error).__name__}). Delete that key, or give this server "
                "a database of its own."
            ) from None

    async def replace(self, key: str, expected_version: int | None, value: T, *, ttl_s: float) -> int | None:
        """Compare and set, as the protocol has it: atomically, by a script on the server."""
        return await self._replace(key, expected_version, self._encode(value), ttl_s)

    async def touch(self, key: str, ttl_s: float) -> bool:
        """Set the time that is left, as the protocol has it."""
        return bool(await self._answer(self._redis.pexpire(self._name_of(key), _milliseconds(ttl_s)), key))

    async def expires_in(self, key: str) -> float | None:
        """Return the time that is left, as the protocol has it."""
        left_ms: int = await self._answer(self._redis.pttl(self._name_of(key)), key)
        if left_ms == -1:  # somebody has made it permanent
            return _LONGEST_S
        return None if left_ms < 0 else left_ms / 1000

    async def delete(self, key: str) -> bool:
        """Forget the value, as the protocol has it; False also when a lost connection hides that it was there."""
        return bool(await self._answer(self._redis.delete(self._name_of(key)), key))

    async def check(self) -> None:
        """Keep a value, read it and delete it; raises `StoreError` with the reason when that cannot be done."""
        key = f"check:{secrets.token_hex(16)}"
        await self._replace(key, None, b"", ttl_s=self._timeout_s)
        await self._answer(self._redis.get(self._name_of(key)), key)
        await self.touch(key, self._timeout_s)
        await self.expires_in(key)
        await self.delete(key)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def _replace(self, key: str, expected_version: int | None, data: bytes, ttl_s: float) -> int | None:
        version = 1 + secrets.randbelow(2**53 - 1)
        expected = b"" if expected_version is None else _digits_of(expected_version)
        arguments = [expected, _digits_of(version), data, _milliseconds(ttl_s)]
        done = await self._answer(self._compare_and_set(keys=[self._name_of(key)], args=arguments), key)
        return version if done else None

    def _name_of(self, key: str) -> bytes:
        return self._prefix + key.encode("utf-8", "surrogatepass")  # a client may ask for any key

    def _shown(self, key: str) -> str:
        name = self._name_of(key).decode("utf-8", "backslashreplace")
        return repr(name if len(name) <= 120 else f"{name[:117]}...")

    async def _answer(self, asked: Awaitable[Any], key: str) -> Any:
        """Return what Redis answers to a command about the key, or raise `StoreError`."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await asked
        # The cause is told in our words and not chained: it may repeat what was sent, the password among it.
        except (AuthenticationError, AuthorizationError) as error:
            told = f"The session store at {self._place} refuses the sign-in: {self._reason(error)}. {_FORMS}"
            raise StoreError(told) from None
        except _UNREACHABLE as error:
            told = f"Cannot reach the session store at {self._place}: {self._reason(error)}; is it running?"
            raise StoreError(told) from None
        except InvalidResponse as error:
            told = f"What answers at {self._place} is neither Redis nor Valkey: {self._reason(error)}"
            raise StoreError(told) from None
        except RedisError as error:
            told = f"The session store at {self._place} refuses to work on {self._shown(key)}: {self._reason(error)}"
            raise StoreError(told) from None

    def _reason(self, error: Exception) -> str:
        reason = " ".join(text_of(error).split()) or f"no answer within {self._timeout_s:g} s"
        for secret in self._secrets:
            reason = reason.replace(secret, "***").replace(quote(secret, safe=""), "***")
        return reason[:200].rstrip(".")


def _digits_of(version: int) -> bytes:
    return b"%0*x" % (_DIGITS, version)


def _milliseconds(ttl_s: float) -> int:
    """Return the time as Redis counts it: at least 1, since 0 would delete the key, and no more than it can hold."""
    return max(1, round(min(ttl_s, _LONGEST_S) * 1000))


def _options_of(url: str) -> dict[str, Any]:
    """Return what the URL says of the connection; whatever redis-py would silently read otherwise is refused.

    A password with special characters moves what stands behind it: the reasons given name no part of the URL.
    """
    try:
        parts = urlsplit(url)
        behind = parts.path + parts.query + parts.fragment
        if not parts.scheme or not url[len(parts.scheme) :].startswith("://"):
            why = "it does not begin like one"
        elif "@" in behind or parts.fragment:
            why = "there is an @ or a # where none may be"
        elif parts.scheme == "unix" and not parts.path.strip("/"):
            why = "it has no path"
        elif parts.scheme != "unix" and parts.path.strip("/") and not parts.path.strip("/").isdecimal():
            why = "its database is no number"
        else:
            parse_qs(parts.query, strict_parsing=bool(parts.query))
            scheme = _SCHEMES.get(parts.scheme, parts.scheme)
            return dict(parse_url(scheme + url[len(parts.scheme) :]))
    except ValueError:
        why = "its port is no number from 0 to 65535, or what stands behind the ? is not NAME=VALUE"
    raise SettingsError(f"The URL of the session store is no good: {why}. {_FORMS}") from None


def _place_of(url: str, options: dict[str, Any]) -> str:
    """Return the URL without anything that could be secret."""
    scheme = urlsplit(url).scheme
    if "path" in options:
        return f"{scheme}://{options['path']}"
    host = options.get("host", "localhost")
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{options.get('port', 6379)}"
