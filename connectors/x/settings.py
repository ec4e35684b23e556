"""What an administrator writes in a `Custom::Source` whose connector is `x`, and the secret beside it."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from connectors.x.posts import Ours

PUBLIC_API = "https://api.x.com"


def _one_or_many(value: object) -> object:
    """CloudFormation hands every scalar over as a string; YAML in a test may not."""
    many = value if isinstance(value, list | tuple) else [] if value is None else [value]
    return [str(one) if isinstance(one, int) and not isinstance(one, bool) else one for one in many]


def _account(value: str) -> str:
    if not re.fullmatch(r"[1-9][0-9]{0,19}", value.strip(), re.ASCII):
        raise ValueError(
            "an account on X is not its name, which can change hands; write its numeric id, such as 783214"
        )
    return value.strip()


def _handle(value: str) -> str:
    name = value.strip().removeprefix("@")
    if not re.fullmatch(r"[A-Za-z0-9_]{1,15}", name, re.ASCII):
        raise ValueError("a handle on X has 1 to 15 letters, digits and _, like acme_support")
    return name


def _api(value: str) -> str:
    address = value.strip().rstrip("/")
    try:
        parts = urlsplit(address)
        right = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        right = False
    if not right or parts.path or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError(
            f"ApiUrl is the address of X's API without a path, like {PUBLIC_API}; leave it out for X's own"
        )
    return address


Accounts = Annotated[
    tuple[Annotated[str, AfterValidator(_account)], ...], BeforeValidator(_one_or_many), Field(min_length=1)
]
Handles = Annotated[tuple[Annotated[str, AfterValidator(_handle)], ...], BeforeValidator(_one_or_many)]


class XSource(BaseModel):
    """One X account, with others of ours if their posts are to be known as our own. `Account`: ids; `Handle`: their
    names, for posts that come without ids; `Search`: a query of X's recent search that is asked too; `Budget`: US
    dollars a month; `Links`: whether an answer may hold an address, which X prices 13 times dearer; `Replies`:
    `approval` where answers are written by an AI and X has not approved that yet."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    account: Accounts = Field(alias="Account")
    handle: Handles = Field(default=(), alias="Handle")
    search: str | None = Field(default=None, alias="Search", min_length=1, max_length=512)
    budget: float | None = Field(default=None, alias="Budget", gt=0, le=1_000_000)
    links: Literal["allow", "refuse"] = Field(default="allow", alias="Links")
    replies: Literal["summoned", "approval"] = Field(default="summoned", alias="Replies")
    api_url: Annotated[str, AfterValidator(_api)] = Field(default=PUBLIC_API, alias="ApiUrl")

    @property
    def ours(self) -> Ours:
        return Ours(
            frozenset(self.account),
            frozenset(handle.lower() for handle in self.handle),
            approval=self.replies == "approval",
        )


class XCredentials(BaseModel):
    """The secret `<Secret>/credentials`. `bearer_token` reads. What answers is either OAuth 1.0a (`api_key`,
    `api_secret`, `access_token`, `access_token_secret`) or OAuth 2.0 (`client_id`, `client_secret` for a confidential
    client, `access_token`, `refresh_token`, `expires_at` in milliseconds); it reads too where there is no bearer
    token. OAuth 2.0 needs the scopes tweet.read, tweet.write, users.read and offline.access."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    bearer_token: SecretStr | None = None
    api_key: SecretStr | None = None
    api_secret: SecretStr | None = None
    access_token: SecretStr | None = None
    access_token_secret: SecretStr | None = None
    client_id: str | None = Field(default=None, max_length=200)
    client_secret: SecretStr | None = None
    refresh_token: SecretStr | None = None
    expires_at: int | None = Field(default=None, ge=0)

    @property
    def oauth1(self) -> bool:
        return self.access_token_secret is not None

    @property
    def oauth2(self) -> bool:
        return self.access_token is not None and not self.oauth1

    @property
    def renewable(self) -> bool:
        return self.oauth2 and self.client_id is not None and self.refresh_token is not None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.oauth1 and not (self.api_key and self.api_secret and self.access_token):
            raise ValueError("OAuth 1.0a needs api_key, api_secret, access_token and access_token_secret")
        if self.refresh_token and not (self.client_id and self.access_token):
            raise ValueError("a refresh_token needs its client_id and access_token")
        if not (self.bearer_token or self.access_token):
            raise ValueError("a bearer_token to read with, or the tokens of the account that answers, are missing")
        return self
