"""Our app in a Slack workspace: what its webhook missed, and what we answer.

Slack refuses in answers of 200: `{"ok": false, "error": …}`. https://docs.slack.dev/apis/web-api/
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, ClassVar

from pydantic import BaseModel, Field, SecretStr

from connectors.api import Api, LimitedError, MissingError, Query, posted
from connectors.core import reading
from connectors.core.door import read_json
from connectors.core.errors import MisconfiguredError, RejectedError, RemoteError, UnavailableError, UnknownOutcomeError
from connectors.core.feeds import OVERLAP, Listing, brought, walk
from connectors.core.health import TokenHealth, TokenState
from connectors.core.models import AnyEvent, Mention
from connectors.core.ports import Page, Reference, Tier
from connectors.core.reading import dig, listed
from connectors.http import HttpClient, Response
from connectors.slack.connector import ANSWER, Slack, SlackSource, permalink, time_in

_AGAIN, _PAGES = 300.0, 10
_BACK = 2 * 86_400.0
"""Seconds for which a thread is looked into: a channel lists a thread by its first message only."""
_LONGEST = 40_000
"""Characters of a message; Slack cuts off what is more. https://docs.slack.dev/changelog/2018-truncating-really-long-messages/"""
_LIMITED = {"ratelimited", "rate_limited", "message_limit_exceeded"}
_STATES = dict.fromkeys(
    ("invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "org_login_required"),
    TokenState.REVOKED,
) | dict.fromkeys(
    ("missing_scope", "no_permission", "not_allowed_token_type", "access_denied", "team_access_not_granted"),
    TokenState.SCOPE_MISSING,
)
_BROKEN = {"internal_error", "fatal_error", "service_unavailable", ""}
"""After these a message may have been posted all the same."""
_LATER = {"request_timeout", "team_added_to_org"}
_GONE = {"thread_not_found", "message_not_found"}


class SlackCredentials(reading.Credentials):
    """The secret `<Secret>/credentials`: `{"bot_token": "xoxb-…"}`, with the scopes that the README names."""

    bot_token: SecretStr = Field(min_length=1)


class SlackAccount:
    """Satisfies `SourcePoller`, `SourceReplier` and `Checker`."""

    settings_model: ClassVar[type[BaseModel]] = SlackSource
    credentials_model: ClassVar[type[BaseModel]] = SlackCredentials
    replier_credentials_model: ClassVar[type[BaseModel]] = SlackCredentials
    tier: ClassVar[Tier] = Tier.NONE
    findable: ClassVar[bool] = True
    settle: ClassVar[float] = 30.0

    def __init__(self, settings: SlackSource, credentials: SlackCredentials, http: HttpClient) -> None:
        token = credentials.bot_token.get_secret_value()
        headers = {"Authorization": f"Bearer {token}", "Token": token}  # its published description has the second
        self._api, self._settings, self._reads = Api(http, settings.api_url, headers, _meant), settings, Slack(settings)

    def poll(self, cursor: str | None) -> Page:
        """What was said in the channels, and in those of their threads that somebody answered in lately."""
        if not self._settings.channels:
            raise MisconfiguredError("no channel is asked; name them in Channels")
        now = int(time.time() * 1000)
        lists = {one: self._list(one, brought(cursor, one, now)) for one in self._settings.channels}
        return walk(cursor, lists, now, again=_AGAIN, overlap=_BACK, rest=lambda: self._api.rest)

    def _list(self, channel: str, since: int) -> Listing:
        def listing(after: str | None) -> tuple[Sequence[AnyEvent], str | None]:
            said, following = self._page("conversations.history", channel=channel, cursor=after)
            events = self._reads.read({"channel": channel, "messages": said}, int(time.time() * 1000))
            for one in said:
                if reading.millis(reading.moment(time_in(one, "latest_reply"))) >= since - OVERLAP * 1000:
                    with suppress(MissingError):
                        thread = self._thread(channel, f"{dig(one, 'thread_ts')}", since / 1000 - OVERLAP)
                        events += self._reads.read({"channel": channel, "messages": thread})
            return events, following

        return listing

    def _thread(self, channel: str, root: str, since: float) -> list[Any]:
        """What was answered there since (seconds), and its first message. Raises UnavailableError for too much."""
        found, after = list[Any](), None
        for _ in range(_PAGES):
            asked: dict[str, Any] = {"ts": root, "oldest": f"{since:.6f}", "cursor": after}
            said, after = self._page("conversations.replies", channel=channel, **asked)
            found += said
            if after is None:
                return found
        raise UnavailableError("too much is said in one thread to be looked through")

    def _page(self, method: str, **asked: Any) -> tuple[list[Any], str | None]:
        said = self._api.get(method, {**asked, "limit": 200, "include_all_metadata": True})
        if not isinstance(dig(said, "messages"), list):
            raise UnavailableError("Slack did not answer with messages; it is asked again")
        return listed(said, "messages"), reading.text(dig(said, "response_metadata", "next_cursor"))

    def reply(self, mention: Mention, text: str, key: str) -> Reference:
        """Answer in the thread. The key is metadata of the message, which readers do not see."""
        channel, _, root = mention.conversation_id.partition(":")
        if mention.reply_capability != "allowed" or not root:
            raise RejectedError("this message takes no answer")
        words = reading.clean(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        if len(words) > _LONGEST:
            raise RejectedError("Slack takes at most 40,000 characters; shorten the answer")
        mark = json.dumps({"event_type": ANSWER, "event_payload": {"key": key}})
        said: Query = {"channel": channel, "thread_ts": root, "text": words, "mrkdwn": False, "metadata": mark}
        return self._reference(channel, root, posted(self._api.post("chat.postMessage", form=said), "ts"))

    def find_reply(self, mention: Mention, key: str) -> Reference | None:
        """The message in the thread that carries the key."""
        channel, _, root = mention.conversation_id.partition(":")
        with suppress(MissingError):
            for one in self._thread(channel, root, reading.millis(mention.created_at) / 1000):
                mark = dig(one, "metadata")
                if dig(mark, "event_type") == ANSWER and dig(mark, "event_payload", "key") == key:
                    return self._reference(channel, root, posted(one, "ts"))
        return None

    def _reference(self, channel: str, root: str, ts: str) -> Reference:
        url = f"https://slack.com/app_redirect?channel={channel}&team={self._settings.team}"
        if self._settings.workspace is not None:
            url = permalink(self._settings.workspace, channel, ts, root)
        return Reference(f"{channel}:{ts}", url)

    def check(self) -> TokenHealth:
        """Whether the token is for this workspace."""

        def judge(said: object) -> str | None:
            right = self._settings.team in (dig(said, "team_id"), dig(said, "enterprise_id"))
            return None if right else "the token is not for the workspace that Team names"

        return self._api.health("auth.test", judge=judge)


def _meant(answer: Response) -> RemoteError | None:
    """What a refusal asks for. https://docs.slack.dev/reference/methods/chat.postMessage/#errors"""
    try:
        said = read_json(answer.body) if answer.status < 300 else {"ok": True}
    except ValueError:
        said = None
    if dig(said, "ok") is True:
        return None
    code = re.sub("[^a-z_]", "", reading.text(dig(said, "error"), 60) or "")
    if code in _LIMITED:
        return LimitedError("Slack's limit is reached", 60.0)
    if code in _STATES:
        return MisconfiguredError(f"Slack says {code}; add the scope, or install the app again", _STATES[code])
    if code == "not_in_channel":
        return MisconfiguredError("the app is not in the channel; invite it there")
    if code in _GONE:
        return MissingError("the message is not there any more")
    if code in _LATER or (answer.safe and code in _BROKEN):
        return UnavailableError("Slack could not answer; it is asked again")
    if code in _BROKEN:
        return UnknownOutcomeError("Slack failed; whether it carried the request out is found by looking")
    return RejectedError(f"Slack refuses this ({code})")
