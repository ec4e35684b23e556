"""What an administrator writes in a `Custom::Source` whose connector is `facebook`, and the shape of its secret."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

GRAPH = "https://graph.facebook.com"
VERSION = "v25.0"
"""Introduced in February 2026 and kept until July 2028: https://developers.facebook.com/docs/graph-api/changelog"""


def _one_or_many(value: object) -> object:
    """CloudFormation hands every scalar over as a string; YAML in a test may not."""
    many = value if isinstance(value, list | tuple) else [] if value is None else [value]
    return [str(one) if isinstance(one, int) and not isinstance(one, bool) else one for one in many]


def _page(value: str) -> str:
    page = value.strip()
    if not re.fullmatch(r"[0-9]{1,30}", page, re.ASCII):
        raise ValueError("an account is the id of a Facebook Page, digits only (its name is not)")
    return page


def _address(value: str) -> str:
    address = value.strip().rstrip("/")
    try:
        parts = urlsplit(address)
        fits = parts.scheme in {"http", "https"} and parts.hostname and "@" not in parts.netloc
    except ValueError:
        fits = False
    if not fits or parts.query or parts.fragment or not address.isascii():
        raise ValueError(f"ApiUrl is not the address of an API; it looks like {GRAPH}")
    return address


def _version(value: str) -> str:
    if not re.fullmatch(r"v[0-9]{1,3}\.[0-9]{1,2}", value, re.ASCII):
        raise ValueError(f"this is not a version of the Graph API; write it like {VERSION}")
    return value


PageId = Annotated[str, AfterValidator(_page)]
Pages = Annotated[tuple[PageId, ...], BeforeValidator(_one_or_many)]


class AnyPage(BaseModel):
    """What `hailback parse` knows of our Pages: perhaps nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    account: Pages = Field(default=(), alias="Account")


class FacebookSource(AnyPage):
    """One Page. `Account` is its id; further ids are other Pages of ours, whose posts there are our own as well."""

    account: Pages = Field(alias="Account", min_length=1)
    api_url: Annotated[str, AfterValidator(_address)] = Field(default=GRAPH, alias="ApiUrl")
    api_version: Annotated[str, AfterValidator(_version)] = Field(
        default=VERSION, alias="ApiVersion", json_schema_extra={"pattern": r"^v[0-9]{1,3}\.[0-9]{1,2}$"}
    )

    @property
    def page(self) -> str:
        """The Page that is asked and that answers."""
        return self.account[0]


class FacebookCredentials(BaseModel):
    """The secret `<Secret>/credentials`: `{"page_access_token": …, "app_id": …, "app_secret": …}`.

    With `app_secret` every call carries a proof that it comes from the app. With `app_id` as well, the token's rights
    and its end can be read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    page_access_token: SecretStr = Field(min_length=1, max_length=4096)
    app_id: str | None = Field(default=None, pattern=r"^[0-9]{1,30}$")
    app_secret: SecretStr | None = Field(default=None, min_length=1, max_length=4096)
