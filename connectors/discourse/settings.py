"""What an administrator writes in a `Custom::Source` whose connector is `discourse`."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from connectors.discourse.site import read_site


def _one_or_many(value: object) -> object:
    """CloudFormation hands every scalar over as a string; YAML in a test may not."""
    many = value if isinstance(value, list | tuple) else [] if value is None else [value]
    return [str(one) if isinstance(one, int) and not isinstance(one, bool) else one for one in many]


def _account(value: str) -> str:
    name = value.strip()
    if not name.removeprefix("@"):
        raise ValueError("an account is a user id (42) or a user name (acme_support); leave the field out for none")
    return name


def _forum(value: str) -> str:
    if "?" in value or "#" in value:
        raise ValueError("an address ends before ? and #; it looks like https://forum.acme.com")
    if value.strip().lower().startswith(("http:", "https:")) and "://" not in value:
        raise ValueError("two slashes follow the colon; it looks like https://forum.acme.com")
    return read_site(value, "the value").base


ForumUrl = Annotated[str, AfterValidator(_forum)]
Accounts = Annotated[tuple[Annotated[str, AfterValidator(_account)], ...], BeforeValidator(_one_or_many)]


class AnyForum(BaseModel):
    """What `hailback parse` knows of a forum: perhaps nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    base_url: ForumUrl | None = Field(default=None, alias="BaseUrl")
    account: Accounts = Field(default=(), alias="Account")


class DiscourseSource(AnyForum):
    """One forum. `BaseUrl` is its address, with the sub-folder if it lives in one; `Account` our own account or
    accounts there: user ids, or user names (write `@42` for a user whose *name* is 42)."""

    base_url: ForumUrl = Field(alias="BaseUrl")
