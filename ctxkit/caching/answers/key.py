"""The key of a request: equal for the very same request, and for nothing else.

It is a keyed hash (HMAC-SHA-256, the key derived from the secret of the store) over all that may decide on the answer:
the whole body as the application sent it, the address with host, path and query, the headers, who is asking, and the
version of this scheme. Nobody without the secret can test a guess at a prompt, or at a credential, by a key.

Of the body every field counts; there is none that merely transports. ``stream`` and ``stream_options`` decide on the
bytes of the answer, ``user``, ``metadata`` and ``safety_identifier`` on whom it is for, ``store`` and ``service_tier``
on what is done with it. Of the headers those in :data:`TRANSPORT` are left out. Everything else counts, known or
not: what is counted without need costs a hit, what is left out wrongly would hand out somebody else's answer.

Values are written so that different ones never give the same bytes: each begins with its type, and with its length
where it has one. ``1``, ``1.0``, ``true`` and ``"1"`` are four values, as they are in JSON. Only the order of keys in an object
says nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import struct
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ctxkit.model import Json

__all__ = ["SCHEMA", "TRANSPORT", "UnwritableError", "ambiguous", "canonical", "key_of", "lowered", "told"]

SCHEMA = 1
"""Version of this scheme; another one finds nothing that was kept under this one."""

TRANSPORT = frozenset(
    {
        *("accept-encoding", "connection", "content-length", "keep-alive", "transfer-encoding", "te", "upgrade"),
        *("host", "user-agent", "date", "expect", "priority"),  # the host stands in the address
        *("traceparent", "tracestate", "baggage", "sentry-trace", "x-amzn-trace-id", "x-cloud-trace-context", "b3"),
        *("x-request-id", "x-client-request-id", "x-ms-client-request-id", "x-correlation-id", "idempotency-key"),
        *("x-amz-date", "x-amz-content-sha256", "amz-sdk-invocation-id", "amz-sdk-request", "x-goog-api-client"),
        *("x-server-timeout",),
    }
)
"""Headers that say how a request travels or which of several attempts it is; and all that begin with
``x-stainless-``, ``x-datadog-``, ``x-b3-`` or ``x-ctxkit-``."""

_FAMILIES = ("x-stainless-", "x-datadog-", "x-b3-", "x-ctxkit-")
_COOKIES = frozenset({"__cf_bm", "_cfuvid", "__cflb", "cf_clearance"})  # of the network in front of a provider
_COOKIE = "cookie"
_SESSION = "x-amz-security-token"
_SIGNED = "AWS4-HMAC-SHA256"
_DOUBLE = struct.Struct(">d")
_DEEPEST = 200


class UnwritableError(ValueError):
    """A value that cannot be written so that nothing else is written like it."""


def canonical(value: Json) -> bytes:
    """A JSON value as bytes that no other value has; ``bytes`` may stand in it, too.

    Raises:
        UnwritableError: an object of some other class, an object with keys that are no text, or nested too deeply.
    """
    out: list[bytes] = []
    _write(value, out.append, 0)
    return b"".join(out)


def _write(value: Any, out: Callable[[bytes], None], depth: int) -> None:
    kind = value.__class__
    if kind is str:
        text = value.encode("utf-8", "surrogatepass")
        out(b"s%d:" % len(text))
        out(text)
    elif kind is dict or kind is list or kind is tuple:
        if depth > _DEEPEST:
            raise UnwritableError("nested too deeply")
        (_write_object if kind is dict else _write_list)(value, out, depth + 1)
    else:
        out(_scalar(value))


def _write_object(value: Mapping[Any, Any], out: Callable[[bytes], None], depth: int) -> None:
    out(b"o%d:" % len(value))
    if any(key.__class__ is not str for key in value):
        raise UnwritableError("a key that is no text")
    for key in sorted(value):
        _write(key, out, depth)
        _write(value[key], out, depth)


def _write_list(value: Iterable[Any], out: Callable[[bytes], None], depth: int) -> None:
    items = tuple(value)
    out(b"l%d:" % len(items))
    for item in items:
        _write(item, out, depth)


def _scalar(value: Any) -> bytes:
    if value is None:
        return b"n"
    if value is True or value is False:
        return b"t" if value else b"f"
    kind = value.__class__
    if kind is int:
        return b"i%x;" % value  # hexadecimal: of any size, in no time
    if kind is float:
        return b"d" + _DOUBLE.pack(value)
    if kind is bytes:
        return b"b%d:%b" % (len(value), value)
    raise UnwritableError(f"a value of type {kind.__name__}")


def key_of(secret: bytes, *parts: Json) -> bytes:
    """32 bytes that stand for these parts in this order; ``secret``: of whoever keeps answers.

    Raises:
        UnwritableError: a part cannot be written.
    """
    return hmac.digest(secret, canonical([SCHEMA, *parts]), hashlib.sha256)


def told(headers: Mapping[str, str] | Iterable[tuple[str, str]]) -> list[list[str]]:
    """The headers that count, names in lower case, sorted by name; values of one name in their order.

    Of a signature of AWS, which is another one each time, the credential and its scope count, which the token of its session
    belongs to; of cookies those that are not of the network in front of the provider.
    """
    pairs = lowered(headers)
    signed = any(value.startswith(_SIGNED) for _, value in pairs)
    passing = TRANSPORT | {_SESSION} if signed else TRANSPORT
    counting = (
        [name, _bare(name, value)] for name, value in pairs if name not in passing and not name.startswith(_FAMILIES)
    )
    return sorted((pair for pair in counting if pair[1] or pair[0] != _COOKIE), key=lambda pair: pair[0])


def lowered(headers: Mapping[str, str] | Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Headers as pairs of text, names in lower case; also where a library gives bytes."""
    items: Callable[[], Iterable[tuple[str, str]]] | None = getattr(headers, "items", None)  # botocore's are no Mapping
    pairs: Any = headers if items is None else items()
    return [(_text(name).lower(), _text(value)) for name, value in pairs]


def _text(said: object) -> str:
    return said.decode("latin-1") if isinstance(said, bytes) else str(said)


def _bare(name: str, value: str) -> str:
    if name == _COOKIE:
        cookies = (cookie.strip() for cookie in value.split(";"))
        return "; ".join(sorted(cookie for cookie in cookies if cookie.partition("=")[0] not in _COOKIES))
    if not value.startswith(_SIGNED):
        return value
    scheme, _, rest = value.partition(" ")
    return f"{scheme} {rest.partition(',')[0].strip()}"


def ambiguous(raw: bytes) -> bool:
    """Two readers of this JSON may see two requests: a key stands twice, a number is finer than a double; or it is no JSON."""
    try:
        json.loads(raw, object_pairs_hook=_single, parse_float=_exact)
    except (ValueError, RecursionError, InvalidOperation):  # the last: an exponent that no Decimal holds
        return True
    return False


def _single(pairs: list[tuple[str, Any]]) -> None:
    if len({name for name, _ in pairs}) < len(pairs):
        raise UnwritableError("a key stands twice")


def _exact(number: str) -> None:
    read = float(number)
    if read in (float("inf"), float("-inf")) or Decimal(number) != Decimal(repr(read)):
        raise UnwritableError("a number that a double does not hold")
