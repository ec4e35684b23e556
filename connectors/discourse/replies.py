"""Answers in a Discourse forum, each exactly once.

Discourse keeps a repeated request from becoming a second post for two minutes only. So every answer carries its key in
an HTML comment, which Discourse keeps in `raw`, shows to nobody and does not count as text; whoever does not know what
became of an answer looks through the topic for that comment before sending again.
https://docs.discourse.org/#tag/Posts/operation/createTopicPostPM
"""

from __future__ import annotations

import re
from typing import Any, ClassVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from connectors.core.errors import MisconfiguredError, RejectedError, UnknownOutcomeError
from connectors.core.models import Mention
from connectors.core.ports import Reference, Tier
from connectors.discourse.payloads import clean, marked
from connectors.discourse.settings import DiscourseSource
from connectors.discourse.site import Site, read_site
from connectors.http import HttpClient, Response

PAGES = 50
"""Pages of twenty posts of ours in one topic that are looked through: enough for a thousand answers."""


class DiscourseCredentials(BaseModel):
    """The secret `<Secret>/credentials`: `{"api_key": …, "api_username": …}`. The key needs the scopes `topics: read`
    and `topics: write`, or none; the user is the account that answers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    api_key: SecretStr = Field(min_length=1)
    api_username: str = Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_.-]+$")


class DiscourseReplier:
    """One forum; satisfies `Replier`. Safe to share between threads."""

    settings_model: ClassVar[type[BaseModel]] = DiscourseSource
    replier_credentials_model: ClassVar[type[BaseModel]] = DiscourseCredentials
    tier: ClassVar[Tier] = Tier.NONE
    findable: ClassVar[bool] = True
    settle: ClassVar[float] = 30.0
    """A request that nobody waits for any more may still become a post; Discourse ends one after half a minute."""

    def __init__(self, settings: DiscourseSource, credentials: DiscourseCredentials, http: HttpClient) -> None:
        self._site: Site = read_site(settings.base_url, "BaseUrl")
        self._username, self._http = credentials.api_username, http
        self._headers = {
            "Api-Key": credentials.api_key.get_secret_value(),
            "Api-Username": credentials.api_username,
        }

    def reply(self, mention: Mention, text: str, key: str) -> Reference:
        """Post an answer under the mention. Plain text; what would be Markdown in it is."""
        if mention.reply_capability != "allowed":
            raise RejectedError("this post takes no answer")
        said: dict[str, Any] = {"topic_id": int(mention.conversation_id), "raw": marked(clean(text), key)}
        if number := _number(mention):
            said["reply_to_post_number"] = number
        answer = self._http.request(
            "POST",
            f"{self._site.base}/posts.json",
            headers=self._headers,
            json=said,
            handled={422},
            misconfigured={404},
        )
        if answer.status == 422:  # among its reasons: the same words were posted minutes ago, perhaps by us
            found = self.find_reply(mention, key)
            if found is not None:
                return found
            raise RejectedError(f"{self._site.authority} answered 422: it does not take this answer{_why(answer)}")
        return self._posted(mention, answer)

    def find_reply(self, mention: Mention, key: str) -> Reference | None:
        """The answer with this key among our posts in the topic that came after the mention."""
        after = _number(mention) or 1
        for _ in range(PAGES):
            posts = self._page(mention, after)
            for post in posts:
                if f"hailback:{key} -->" in str(post.get("raw") or ""):
                    return self._reference(mention, post)
            numbers = [post["post_number"] for post in posts if isinstance(post.get("post_number"), int)]
            if not numbers or max(numbers) <= after:
                return None
            after = max(numbers)
        raise UnknownOutcomeError(f"a topic at {self._site.authority} has more of our posts than can be looked through")

    def _page(self, mention: Mention, after: int) -> list[dict[str, Any]]:
        query = f"post_number={after}&asc=true&include_raw=true&username_filters={self._username}"
        url = f"{self._site.base}/t/{int(mention.conversation_id)}/posts.json?{query}"
        answer = self._http.request("GET", url, headers=self._headers, handled={404, 410})
        if answer.status != 200:
            return []  # the topic is gone, and whatever was in it
        body = answer.json()
        stream = body.get("post_stream") if isinstance(body, dict) else None
        posts = stream.get("posts") if isinstance(stream, dict) else None
        if not isinstance(posts, list):
            raise MisconfiguredError(f"{self._site.authority} does not answer as a Discourse forum does; check BaseUrl")
        return [post for post in posts if isinstance(post, dict)]

    def _posted(self, mention: Mention, answer: Response) -> Reference:
        body = answer.json()
        if isinstance(body, dict):
            if body.get("action") == "enqueued":  # a moderator has to release it; it must not be sent again
                return Reference("queued", mention.url or self._site.base)
            if isinstance(body.get("id"), int):
                return self._reference(mention, body)
        raise UnknownOutcomeError(f"{self._site.authority} took an answer without saying which post it became")

    def _reference(self, mention: Mention, post: dict[str, Any]) -> Reference:
        slug = re.sub(r"[^\w%-]", "", str(post.get("topic_slug") or "")) or "-"
        number = post.get("post_number")
        path = f"/t/{slug}/{mention.conversation_id}" + (f"/{number}" if isinstance(number, int) else "")
        return Reference(str(post["id"]), f"{self._site.base}{path}")


def _number(mention: Mention) -> int | None:
    """A post's number in its topic: the last part of its address."""
    parts = urlsplit(mention.url or "").path.rstrip("/").split("/")
    fits = len(parts) > 2 and parts[-2] == mention.conversation_id and re.fullmatch(r"[0-9]{1,9}", parts[-1], re.ASCII)
    return int(parts[-1]) if fits else None


def _why(answer: Response) -> str:
    """Discourse's own words on what is wrong with a post, which repeat nothing of it."""
    try:
        body = answer.json()
    except UnknownOutcomeError:
        return ""
    errors = body.get("errors") if isinstance(body, dict) else None
    if not isinstance(errors, list):
        return ""
    said = "; ".join(clean(error) for error in errors if isinstance(error, str))
    return f": {' '.join(said.split())[:200]}" if said else ""
