"""What an administrator writes in a `Custom::System` whose connector is `roundup`, and what its secret holds."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
)


def _root(value: str) -> str:
    text = value.strip()
    example = "write the tracker's own root, such as https://tracker.example.com/support/"
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise ValueError(f"this is not a URL; {example}") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or not text.isascii() or len(text.split()) != 1:
        raise ValueError(f"this is not a web address; {example}")
    if "@" in parts.netloc:
        raise ValueError("an address carries no user name or password; they belong in the secret")
    if parts.query or parts.fragment or "?" in text or "#" in text:
        raise ValueError(f"leave out what follows ? or #; {example}")
    if parts.path.rstrip("/").endswith("/rest"):
        raise ValueError(f"leave out /rest; {example}")
    return text.rstrip("/") + "/"


def _filled(value: str) -> str:
    if not value.strip():
        raise ValueError("is empty; leave the field out instead")
    return value.strip()


def _names(value: object) -> object:
    """One name or several; CloudFormation hands over a string or a list of strings."""
    return value if isinstance(value, list | tuple) else [value]


Names = Annotated[
    tuple[Annotated[str, AfterValidator(_filled)], ...], BeforeValidator(_names), Field(min_length=1, max_length=50)
]


class RoundupSystem(BaseModel):
    """One tracker. `BaseUrl` is its root, the same as `web` in the tracker's `config.ini`. `Priority` and `Status` are
    names in that tracker, given to each new issue; without them the tracker decides. `StatusOpen`, `StatusPending` and
    `StatusSolved` say what the tracker calls these three: the first name is given, all are understood, and a name that
    is nowhere counts as open. A message that begins with `ReplyPrefix` is an answer to the customer."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    base_url: Annotated[str, AfterValidator(_root)] = Field(alias="BaseUrl")
    priority: Annotated[str, AfterValidator(_filled)] | None = Field(default=None, alias="Priority")
    status: Annotated[str, AfterValidator(_filled)] | None = Field(default=None, alias="Status")
    status_open: Names = Field(default=("chatting",), alias="StatusOpen")
    status_pending: Names = Field(default=("need-eg", "deferred"), alias="StatusPending")
    status_solved: Names = Field(default=("resolved", "done-cbb"), alias="StatusSolved")
    reply_prefix: Annotated[str, AfterValidator(_filled)] = Field(default="reply:", alias="ReplyPrefix", max_length=40)

    @field_validator("status_pending", "status_solved")
    @classmethod
    def _in_one_place(cls, names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        """A status that is in two of the lists could be read in two ways."""
        for field, other in (("status_open", "StatusOpen"), ("status_pending", "StatusPending")):
            twice = sorted(set(names) & set(info.data.get(field) or ())) if field != info.field_name else []
            if twice:
                raise ValueError(
                    f"{twice[0][:80]!r} is in {other} too, as written or by default; name it in one of the two"
                )
        return names

    @property
    def authority(self) -> str:
        """What the ids of this tracker's issues belong to."""
        parts = urlsplit(self.base_url)
        return parts.netloc.lower() + parts.path.rstrip("/")


class RoundupCredentials(BaseModel):
    """The secret: `{"username": …, "password": …}`, an account with the permissions that README.md lists."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    username: str = Field(min_length=1)
    password: SecretStr = Field(min_length=1)
