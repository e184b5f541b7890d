"""What is found by its shape: full card numbers, links, phone numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

import attrs

Span = tuple[int, int]
"""The characters [start, end) of a text."""

_CARD: Final = re.compile(r"(?<![\w.-])\d(?:[ .-]{0,2}\d){12,18}(?![\w-])")
_IBAN: Final = re.compile(r"\b[A-Z]{2}\d{2} ?(?:[A-Z]{4} ?)?$")  # what one begins with
_DOUBLED: Final = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)

_POINT: Final = re.compile(r"\.[A-Za-z0-9]")
_ENDINGS: Final = (
    "com|org|net|info|biz|io|app|dev|co|uk|eu|us|de|fr|es|it|nl|ch|at|be|se|no|fi|dk|pl|ie"
    "|ca|au|nz|in|ru|cn|jp|br|xyz|top|"
    "site|online|shop|store|support|help|click|link|live|cloud|tech|ai|me|tv|cc|ly|to|gl"
    "|gg|sh|so|page|web|team|zone|world|"
    "example|test|invalid|localhost"
)
_URL: Final = re.compile(
    r"(?<![@\w])(?:(?:https?|ftp|hxxps?)://[^\s<>\"')\]]+"
    rf"|(?:[a-z0-9](?:[a-z0-9-]{{0,62}}[a-z0-9])?\.){{1,8}}(?:{_ENDINGS})(?![\w@-])(?:[/?#:][^\s<>\"')\]]*)?)",
    re.IGNORECASE,
)
# Endings that are words as well: such a host is one only with a path or a "www" ("done.It", "call.me").
_WORDLIKE: Final = re.compile(
    r"(?!www\.).*\.(?:it|to|me|in|no|be|at|is|us|so|page|team|help|support|live|link|click|app|web|sh|cc)",
    re.IGNORECASE,
)
# What a guide has where the reader writes his own.
_PLACEHOLDER: Final = re.compile(
    r"(?:[\w-]+\.)?(?:your|my)-?(?:own-?)?(?:domain|site|website|shop|store|company|firm|school|name|server|host|tenant|workspace"
    r"|subdomain|account|team|org|organisation|organization)\.\w+|(?:[\w-]+\.)*example\.(?:com|net|org)"
    r"|(?:gmail|googlemail|outlook|hotmail|icloud|yahoo|gmx)\.[a-z.]{2,6}|(?:asp|vb|ado)\.net"
)
_TAKEN_FOR: Final = re.compile(r"[\"'”’]? instead of\b")  # behind an address with a slip in it
_ADDRESS: Final = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")
_PHONE: Final = re.compile(r"(?<![\w.#/-])(?:\+|00)?\(?\d(?:[ ().\-/]{0,2}\d){6,15}(?![\w-])")
_SPEAKS_OF_PHONES: Final = re.compile(
    r"\b(?:call|calling|phone|ring|dial|tel|telephone|hotline|helpline|mobile|cell|whatsapp"
    r"|text|sms|number|line|fax|reach|reached|speak|talk|desk|us|me|"
    r"contact|direct|landline|switchboard|voice|extension|office|him|her|them)\b",
    re.IGNORECASE,
)
_SPEAKS_OF_CALLS: Final = re.compile(
    r"\b(?:call|calling|phone|ring|dial|tel|telephone|hotline|helpline|mobile|cell|whatsapp|fax|landline|switchboard"
    r"|extension)\b",
    re.IGNORECASE,
)
_FEW_DIGITS: Final = 9
_NO_PHONE: Final = re.compile(
    r"\b(?:order|invoice|reference|ref|ticket|case|serial|tracking|account|card|parcel"
    r"|booking|version|id|unit|meter|code|policy|contract|customer|part|"
    r"article|item|receipt|transaction|claim|vat|iban|imei|licence|license|build|model"
    r"|batch|log|amount|date|total|points|slip|label|service|merchant reference"
    r"|reservation|confirmation|quote|quotation|sku|ean|isbn|barcode|imsi|iccid|sim|vin|plate|puk|member|membership|employee"
    r"|student|patient|file|rma|permit|shipment|consignment|container|pallet|lot|reading|value|balance|locker|device|slot)"
    r"(?: with the)?(?: (?:number|no\.?|id|reference|ref"
    r"|with the serial number))?(?: first)?,?(?: it)?"
    r"(?: \(?(?:it )?looks like| \(the digits| the number)?(?: is| was|:|,)?(?: \w+)?\s*#?$",
    re.IGNORECASE,
)
# Digits in the groups that phone numbers have, which are one without a word about phones.
_GROUPED: Final = re.compile(
    r"[2-9]\d\d-[2-9]\d\d-\d{4}|\(0?[1-9]\d{1,4}\) ?\d{3,4}[ -]?\d{3,4}|0[1-9]\d{1,3}[ /-]\d{3,4}[ -]\d{3,4}"
)
_DATE: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}|(?<!\d)\d{1,2}[./]\d{1,2}[./]\d{4}(?!\d)|\d{1,2}:\d{2}|^\d{1,3}(?:\.\d{1,3}){3}$"
)


@attrs.frozen(kw_only=True)
class Known:
    """What a reply may name: what the ticket names, and what the pack allows."""

    hosts: frozenset[str]
    links: tuple[str, ...]
    numbers: tuple[str, ...]


@lru_cache(maxsize=1024)
def known_of(told: str, links: tuple[str, ...], numbers: tuple[str, ...]) -> Known:
    """Return what may be named of a ticket's text and the lists of its pack."""
    hosts = {host for match in _URL.finditer(told) if (host := _host(match[0].rstrip(".,;:!?")))}
    hosts |= {address.partition("@")[2].lower() for address in _ADDRESS.findall(told)}
    return Known(
        hosts=frozenset(hosts),
        links=tuple(map(_bare, links)),
        numbers=tuple(map(_digits, (*numbers, *(match[0] for match in _PHONE.finditer(told))))),
    )


def card_numbers(text: str) -> Iterator[Span]:
    """Yield numbers of 13 to 19 digits that pass Luhn's check (ISO/IEC 7812-1, annex B)."""
    for match in _CARD.finditer(text):
        digits = [int(char) for char in match[0] if char.isdecimal()]
        total = sum(digits[-1::-2]) + sum(_DOUBLED[digit] for digit in digits[-2::-2])
        if _IBAN.search(text[max(0, match.start() - 10) : match.start()]):
            continue
        if total % 10 == 0 and len(set(digits)) > 1 and digits[0] in (2, 3, 4, 5, 6):
            yield match.span()


def foreign_links(text: str, known: Known) -> Iterator[Span]:
    """Yield web addresses that neither the ticket nor the pack's list has."""
    if "://" not in text and _POINT.search(text) is None:
        return
    for match in _URL.finditer(text):
        link = match[0].rstrip(".,;:!?")
        host = _host(link)
        if (
            not host
            or _PLACEHOLDER.fullmatch(host)
            or _TAKEN_FOR.match(text, match.end())
            or ("://" not in link and "/" not in link and _WORDLIKE.fullmatch(host))
        ):
            continue
        if host not in known.hosts and not any(_is_under(_bare(link), allowed) for allowed in known.links):
            yield match.start(), match.start() + len(link)


def foreign_numbers(text: str, known: Known) -> Iterator[Span]:
    """Yield phone numbers that neither the ticket nor the pack's list has."""
    for match in _PHONE.finditer(text):
        digits = _digits(match[0])
        if not 7 <= len(digits) <= 15 or _DATE.search(match[0]) or any(_same(digits, other) for other in known.numbers):
            continue
        before = text[max(0, match.start() - 48) : match.start()]
        is_phone = _GROUPED.fullmatch(match[0]) or _speaks_of_phones(before, digits)
        if match[0].startswith("+") or (is_phone and _NO_PHONE.search(before) is None):
            yield match.span()


def _speaks_of_phones(before: str, digits: str) -> bool:
    """Return whether the words before a number make it one to call; of few digits, only a word for calling does."""
    return (_SPEAKS_OF_CALLS if len(digits) < _FEW_DIGITS else _SPEAKS_OF_PHONES).search(before) is not None


def _same(digits: str, other: str) -> bool:
    """Return whether two numbers are one, with or without the country's code ("020 …" and "+44 20 …")."""
    short, long = sorted((digits.lstrip("0"), other.lstrip("0")), key=len)
    return len(short) >= 7 and long.endswith(short) and len(long) - len(short) <= 3


def _host(link: str) -> str:
    try:
        return (urlsplit(link if "://" in link else f"//{link}").hostname or "").removeprefix("www.")
    except ValueError:
        return ""


def _bare(link: str) -> str:
    return link.lower().rpartition("://")[2].removeprefix("www.").rstrip("/")


def _is_under(link: str, allowed: str) -> bool:
    return link == allowed or link.startswith((f"{allowed}/", f"{allowed}?", f"{allowed}#"))


def _digits(text: str) -> str:
    return "".join(char for char in text if char.isdecimal())
