"""Reads single values out of a vendor's JSON, where every field may be missing, null or of another shape. Pure.

What has the wrong shape counts as missing: None. Only `body_of` and `need` raise, and only `PayloadError`. A vendor
whose values have quirks of their own keeps its own readers beside its mapping.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from connectors.core.delivery import Delivery
from connectors.core.door import read_json
from connectors.core.errors import PayloadError
from connectors.core.models import Author

LONGEST_ID = 200
_UNUSABLE = re.compile("[\x00\ud800-\udfff]")
_ID = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_:.@~/-]{{0,{LONGEST_ID - 1}}}", re.ASCII)
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,19}:[!-~]{1,380}", re.ASCII)
_WHOLE = re.compile(r"-?[0-9]{1,19}", re.ASCII)
_BIGGEST = 2**63
_LATEST = 253_402_300_799
_E164 = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
_NUMBERLESS = {"+266696687", "+7378742833", "+2562533", "+8656696", "+86282452253"}
"""ANONYMOUS, RESTRICTED, BLOCKED, UNKNOWN and UNAVAILABLE, as one dials them, which Twilio writes so."""
_NAMELESS = {"anonymous", "restricted", "blocked", "unknown", "unavailable", "private", "withheld"}
_UNITS = {"s": 1, "ms": 1000, "us": 1_000_000}


def json_of(delivery: Delivery) -> Any:
    """The JSON that was delivered, which may also be a list, as an API's answers are. Raises PayloadError."""
    try:
        return read_json(delivery.body)
    except ValueError as error:
        raise PayloadError(f"{error}") from error


def body_of(delivery: Delivery) -> Mapping[str, Any]:
    """The JSON object that was delivered. Raises PayloadError."""
    value = json_of(delivery)
    if not isinstance(value, dict):
        raise PayloadError("the body is not a JSON object")
    return value


def dig(value: object, *steps: str | int) -> Any:
    """`dig(body, "message", "author", "id")`; steps into lists are numbers. None where the way ends."""
    for step in steps:
        if isinstance(value, dict) and isinstance(step, str):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and -len(value) <= step < len(value):
            value = value[step]
        else:
            return None
    return value


def listed(value: object, *steps: str | int) -> list[Any]:
    """The list at the end of a way, as in `dig`; an empty one where there is none."""
    found = dig(value, *steps)
    return found if isinstance(found, list) else []


def clean(text: str) -> str:
    """Text without what no store or ticket takes: half surrogate pairs and NUL become the replacement character."""
    return _UNUSABLE.sub("\ufffd", text)


def text(value: object, longest: int | None = None) -> str | None:
    """A string that says something, cleaned and cut; None for an empty one and for anything else."""
    return (clean(value)[:longest] or None) if isinstance(value, str) else None


def ident(value: object) -> str | None:
    """An id: a positive whole number, or up to 200 letters, digits and `_:.@~/-`."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if 0 < value < 10**40 else None
    return value if isinstance(value, str) and _ID.fullmatch(value) else None


def uri(value: object) -> str | None:
    """An id that is a URI, as federated networks have: printable ASCII of at most 400 characters, without spaces."""
    return value if isinstance(value, str) and _URI.fullmatch(value) else None


def need(value: object, name: str) -> str:
    """An id that an event cannot be without. Raises PayloadError, which names the field."""
    found = ident(value)
    if found is None:
        raise PayloadError(f"`{name}` is missing or not an id")
    return found


def whole(value: object) -> int | None:
    """A whole number, also where it comes as a string."""
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= _BIGGEST:
        return None
    return value


def numbers(holder: object, *names: str) -> dict[str, int | float]:
    """Those of these members that are numbers: a mention's `metrics`."""
    found: dict[str, int | float] = {}
    for name in names:
        value = dig(holder, name)
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _BIGGEST:  # no NaN either
            found[name] = value
    return found


def moment(value: object, unit: str = "s") -> datetime | None:
    """A time in UTC: ISO 8601 (UTC where it names no zone), or a number of seconds, `ms` or `us` since 1970."""
    try:
        if isinstance(value, str) and not _WHOLE.fullmatch(value):
            found = datetime.fromisoformat(value)
            return found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC)
        number = float(value) if isinstance(value, float) else whole(value)
        seconds = None if number is None else number / _UNITS[unit]
        return datetime.fromtimestamp(seconds, UTC) if seconds is not None and 0 < seconds <= _LATEST else None
    except (ValueError, OverflowError):
        return None


def millis(at: datetime | None) -> int:
    """Milliseconds since 1970, as a `version` or an `order`; 0 for no time."""
    return 0 if at is None else max(0, round(at.timestamp() * 1000))


def web(value: object) -> str | None:
    """An address that a person may open, as it is; None for one that is no web address or carries a password."""
    address = text(value)
    try:
        parts = urlsplit(address or "")
        fits = parts.scheme in {"http", "https"} and parts.hostname and "@" not in parts.netloc
    except ValueError:
        return None
    return address if fits and address and len(address) <= 2000 and not re.search(r"\s", address) else None


def person(
    holder: object, native_id: str = "id", handle: str = "handle", name: str = "name", followers: str = "followers"
) -> Author | None:
    """Who said it, from the members with these names; None where no id says who. Say which name the vendor uses."""
    found = ident(dig(holder, native_id))
    if found is None:
        return None
    count = whole(dig(holder, followers))
    return Author(native_id=found, handle=text(dig(holder, handle)), name=text(dig(holder, name)), followers=count)


def telephone(value: object) -> str | None:
    """A number in E.164 as an `Author.identity`: `tel:+491701234567`. None for any other, and for one that is
    withheld."""
    return f"tel:{value}" if isinstance(value, str) and _E164.fullmatch(value) and not withheld(value) else None


def withheld(number: str) -> bool:
    """Whether it is what networks and vendors write where a caller withholds the number: it is nobody's."""
    return number in _NUMBERLESS or number.casefold() in _NAMELESS


def is_own(accounts: Collection[str], author: Author | None) -> bool:
    """Whether an author is one of our accounts. Digits are an id and nothing else: anyone may call themselves "42";
    `@42` is the account that is *called* 42."""
    if author is None or author.native_id in accounts:
        return author is not None
    called = (author.handle or "").removeprefix("@").casefold()
    return bool(called) and any(
        one.removeprefix("@").casefold() == called for one in accounts if not (one.isascii() and one.isdecimal())
    )


def _one_or_many(value: object) -> object:
    """CloudFormation hands every scalar over as a string; YAML in a test may not."""
    many = value if isinstance(value, list | tuple) else [] if value is None else [value]
    return [str(one) if isinstance(one, int) and not isinstance(one, bool) else one for one in many]


def _word(value: str) -> str:
    if not value.strip() or len(value) > LONGEST_ID or value != clean(value):
        raise ValueError("is empty or too long; leave the field out for none")
    return value.strip()


def _account(value: str) -> str:
    name = value.strip()
    if not name.removeprefix("@") or len(name) > LONGEST_ID or name != clean(name):
        raise ValueError("an account is its id or its name at the vendor; leave the field out for none")
    return name


def _address(value: str) -> str:
    found = web(value.strip().rstrip("/"))
    if found is None or urlsplit(found).query or urlsplit(found).fragment or not found.isascii():
        raise ValueError("is not the address of an API; it looks like https://api.example.com")
    return found


Accounts = Annotated[tuple[Annotated[str, AfterValidator(_account)], ...], BeforeValidator(_one_or_many)]
"""Our own accounts at a source, in its settings: one or a list; ids or names."""
Words = Annotated[tuple[Annotated[str, AfterValidator(_word)], ...], BeforeValidator(_one_or_many)]
"""What is looked for at a source, in its settings: one or a list of search terms."""
Address = Annotated[str, AfterValidator(_address)]
"""Where an API is, in a connector's settings, without a slash at its end."""


class Settings(BaseModel):
    """What every connector's settings have in common: a field that is not known is refused. `base_url` in the model is
    `BaseUrl` in the template."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        alias_generator=lambda field: "".join(part.capitalize() for part in field.split("_")),
    )


class Credentials(BaseModel):
    """What every document of credentials has in common: an unknown member is refused, and errors repeat no value. What
    is secret is a `SecretStr`."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
