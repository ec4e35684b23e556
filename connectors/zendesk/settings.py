"""What an administrator writes in a `Custom::System` whose connector is `zendesk`, and what its secret holds."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator


def _root(value: str) -> str:
    text = value.strip()
    example = "write the account's own address, such as https://acme.zendesk.com"
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise ValueError(f"this is not a URL; {example}") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or not text.isascii() or len(text.split()) != 1:
        raise ValueError(f"this is not a web address; {example}")
    if "@" in parts.netloc:
        raise ValueError("an address carries no user name or password; they belong in the secret")
    if parts.path.strip("/") or "?" in text or "#" in text:
        raise ValueError(f"leave out what follows the host; {example}")
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _user(value: str) -> str:
    number = value.strip()
    if not re.fullmatch(r"[0-9]{1,19}", number, re.ASCII) or int(number) == 0:
        raise ValueError("this is not a user id; it is the number in the address of the user's page in Zendesk")
    return str(int(number))


def _text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


UserId = Annotated[str, AfterValidator(_user), BeforeValidator(_text)]


class ZendeskSystem(BaseModel):
    """One Zendesk account. `BaseUrl` is its address; `Account` the id of the user whose token the secret holds: what
    that user does comes back as an echo and is dropped. `Priority` is given to each new ticket."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    base_url: Annotated[str, AfterValidator(_root)] = Field(alias="BaseUrl")
    account: UserId = Field(alias="Account")
    priority: Literal["low", "normal", "high", "urgent"] | None = Field(default=None, alias="Priority")

    @property
    def authority(self) -> str:
        """What the ids of this account's tickets belong to."""
        return urlsplit(self.base_url).netloc


class ZendeskCredentials(BaseModel):
    """The secret: `{"email": …, "token": …}` for an API token, or `{"oauth_token": …}`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    email: str | None = Field(default=None, min_length=3, pattern=r"^[^@\s:/]+@[^@\s:/]+$")
    token: SecretStr | None = Field(default=None, min_length=1)
    oauth_token: SecretStr | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _one_way_in(self) -> ZendeskCredentials:
        by_token = self.email is not None and self.token is not None
        if by_token == (self.oauth_token is not None) or (self.email is None) != (self.token is None):
            raise ValueError('the secret holds either {"email": …, "token": …} or {"oauth_token": …}')
        return self
