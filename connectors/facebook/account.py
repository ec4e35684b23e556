"""The Page as an account: asked for what its webhook may have missed, answered from, and its token tried out.

A poll is one step of a sweep over the latest posts, their newest comments, and the posts that tag the Page. Facebook
drops a delivery after 36 hours and keeps no history, so this is the only way to see what was lost.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from pydantic import BaseModel

from connectors.core.errors import MisconfiguredError, RejectedError, RemoteError, UnavailableError, UnknownOutcomeError
from connectors.core.health import TokenHealth, TokenState
from connectors.core.models import AnyEvent, Mention
from connectors.core.ports import Page, Reference, Tier
from connectors.facebook import answers, values
from connectors.facebook.graph import Answer, GoneError, Graph, LimitedError, ParameterError, TooMuchError
from connectors.facebook.payloads import Whose, listed
from connectors.facebook.settings import FacebookCredentials, FacebookSource
from connectors.facebook.sweep import LIMITS, TRIES, Place, Task, following, reaches_back, said
from connectors.http import HttpClient

if TYPE_CHECKING:
    from connectors.core.ports import Checker, Replier, SourcePoller

log = logging.getLogger(__name__)

CALLS = 5
"""Requests in one poll, at most; one more where it may be an outage."""
AGAIN = 300.0
"""Seconds between two sweeps, unless the administrator says otherwise."""
MORE = 5.0
"""Seconds between two steps of one sweep."""
OVERLAP = 900
"""Seconds that a sweep reaches back behind the start of the one before it."""
SOON_OVER = 7 * 86_400
"""Seconds before its end from which on a token counts as expiring."""
RIGHTS = ("pages_read_engagement", "pages_read_user_content", "pages_manage_engagement")
_WELL = TokenHealth(TokenState.OK)
_COMMENT = "id,message,created_time,from,permalink_url,parent{id},like_count,comment_count"
_POST = "id,message,created_time,updated_time,from,permalink_url,shares"
_NESTED = f"comments.filter(stream).order(reverse_chronological).limit({LIMITS['feed']}){{{_COMMENT}}}"


class FacebookAccount:
    """One Page; satisfies `SourcePoller`, `Replier` and `Checker`. `clock` gives unix seconds.

    An answer carries no mark that readers would not see, and a look-up knows no words to look for. So an answer of
    unknown outcome cannot be found: a person has to look.
    """

    settings_model: ClassVar[type[BaseModel]] = FacebookSource
    credentials_model: ClassVar[type[BaseModel]] = FacebookCredentials
    replier_credentials_model: ClassVar[type[BaseModel]] = FacebookCredentials
    tier: ClassVar[Tier] = Tier.NONE
    findable: ClassVar[bool] = False
    settle: ClassVar[float] = 30.0

    def __init__(
        self,
        settings: FacebookSource,
        credentials: FacebookCredentials,
        http: HttpClient,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._page, self._credentials, self._clock = settings.page, credentials, clock
        self._whose = Whose(frozenset(settings.account), configured=True)
        self._graph = Graph(settings, credentials, http)

    def poll(self, cursor: str | None) -> Page:
        """The next step of a sweep. Nothing is asked the first time, nor while a limit is nearly used up."""
        now = self._now()
        place = Place.read(cursor)
        if place is None:
            return Page([], Place(start=now, since=now).written(), AGAIN, health=None)
        if now < place.rest:
            return Page([], place.written(), (place.rest - now) / 1000, fault=place.fault or None, health=None)
        if not place.todo:
            place = replace(place, begun=now, todo=(Task("feed"), Task("tagged")))
        events, place, answered = self._step(place, now)
        if not place.todo:
            place = place.swept()
        more = any(not task.failed for task in place.todo)
        again = max(place.rest - now, 0) / 1000 or (MORE if more else AGAIN)
        health = _health(place) if answered else None
        return Page(sorted(events, key=_when), place.written(), again, fault=place.fault or None, health=health)

    def _step(self, place: Place, now: int) -> tuple[list[AnyEvent], Place, bool]:
        """Up to `CALLS` requests, and whether Facebook answered one. Where it breaks off, the next poll goes on, and
        raises what is still wrong; one that came nowhere raises it at once."""
        events: list[AnyEvent] = []
        begun, answered, put_off = place, False, list[Task]()
        since = max(place.start, place.since - OVERLAP * 1000)
        for _ in range(CALLS):
            if not place.todo or place.todo[0] in put_off:
                break
            try:
                try:
                    found, place, rest = self._do(place, since, now)
                    answered = True
                except RemoteError as error:
                    found, rest = [], 0.0
                    place, answered = self._despite(place, error, answered)
                    put_off += [task for task in place.todo[-1:] if task.failed]
            except RemoteError:
                if place == begun:
                    raise
                break
            events += found
            if rest:
                place = replace(place, rest=now + int(rest * 1000))
                break
        return events, place, answered

    def _despite(self, place: Place, error: RemoteError, answered: bool) -> tuple[Place, bool]:
        """How a sweep goes on though its first list was refused, so that one list does not stop it for good; and
        whether Facebook answers. Raises what concerns more than this list."""
        task = place.todo[0]
        if isinstance(error, TooMuchError) and task.size > 1:
            return place.first(task.smaller()), answered
        if isinstance(error, ParameterError) and task.after and task.begun < TRIES:
            return place.first(task.anew()), answered  # cursors are not good for ever
        token = error.token if isinstance(error, MisconfiguredError) else None
        if task.vital or isinstance(error, LimitedError) or token in {TokenState.EXPIRED, TokenState.REVOKED}:
            raise error
        if not answered:
            self._graph.get("me", {"fields": "id"})  # or is it an outage?
        tries = task.begun if isinstance(error, ParameterError) and task.after else task.failed + 1
        if tries < TRIES:
            return place.put_off(), True
        place = place.without(task, f"{error}", token or "")
        log.warning("facebook: %s", place.fault)
        return place, True

    def _do(self, place: Place, since: int, now: int) -> tuple[list[AnyEvent], Place, float]:
        task, *rest = place.todo
        try:
            answer = self._ask(task)
        except (GoneError, MisconfiguredError) as error:
            if not _skippable(task, error):
                raise
            return [], replace(place, todo=tuple(rest)), 0.0
        known = {one.post for one in rest if one.what == "comments"}
        more = (*rest, *(one for one in _more(task, answer.body, since) if one.post not in known or one.after))
        return self._found(task, answer.body, since, now), replace(place, todo=more), answer.usage.rest

    def _found(self, task: Task, body: Mapping[str, Any], since: int, now: int) -> list[AnyEvent]:
        """What was said in this window. A post that tags us may be older than its tag."""
        if task.what == "tagged":
            data = [one for one in listed(body.get("data")) if (said(one) or since) >= since]
            return [one for one in answers.posts({"data": data}, self._whose, now) if isinstance(one, Mention)]
        if task.what == "comments":
            found = answers.comments(body, task.post, self._whose, now)
        else:
            found = answers.posts(body, self._whose, now)
        return [one for one in found if _since(one, since)]

    def _ask(self, task: Task) -> Answer:
        if task.what == "comments":
            wanted = {"fields": _COMMENT, "filter": "stream", "order": "reverse_chronological", "limit": str(task.size)}
            return self._graph.get(f"{task.post}/comments", wanted | dict(task.after))
        fields = f"{_POST},{_NESTED}" if task.what == "feed" else f"{_POST},tagged_time"
        try:
            wanted = {"fields": fields, "limit": str(task.size)}
            return self._graph.get(f"{self._page}/{task.what}", wanted | dict(task.after))
        except GoneError as error:
            raise MisconfiguredError(f"{error}; check Account and the token", token=TokenState.SCOPE_MISSING) from None

    def reply(self, mention: Mention, text: str, key: str) -> Reference:  # noqa: ARG002
        """Comment under the post or the comment, as the Page."""
        target = values.identifier(mention.native_id)
        if mention.reply_capability != "allowed" or target is None:
            raise RejectedError("this post is on a Page that this source has no token for; answer it there")
        answer = self._graph.post(f"{target}/comments", {"message": values.clean(text), "fields": "id,permalink_url"})
        native = values.identifier(answer.body.get("id"))
        if native is None:
            raise UnknownOutcomeError("Facebook took an answer without saying which comment it became")
        url = values.permalink(answer.body.get("permalink_url")) or values.link(mention.conversation_id, native)
        return Reference(native, url or f"https://www.facebook.com/{native}")

    def find_reply(self, mention: Mention, key: str) -> NoReturn:  # noqa: ARG002
        """Not possible (see the class): always raises UnknownOutcomeError."""
        raise UnknownOutcomeError("an answer at Facebook carries no key; look under the post whether it is there")

    def check(self) -> TokenHealth:
        """Whose token it is and, where the secret holds the app's credentials, what it may do and until when."""
        try:
            given = values.identifier(self._graph.get("me", {"fields": "id"}).body.get("id"))
            if given != self._page:
                detail = (
                    f"the token is for {given or 'nobody'}, not for the Page {self._page}; take the Page's own token"
                )
                return TokenHealth(TokenState.SCOPE_MISSING, detail)
            return self._rights()
        except LimitedError as error:
            return TokenHealth(TokenState.LIMITED, f"{error}", self._now() + int((error.retry_after or 0) * 1000))
        except MisconfiguredError as error:
            return TokenHealth(error.token or TokenState.SCOPE_MISSING, f"{error}")
        except RemoteError as error:
            return TokenHealth(TokenState.TRANSIENT, f"{error}")

    def _rights(self) -> TokenHealth:
        """https://developers.facebook.com/docs/graph-api/reference/debug_token"""
        app, secret = self._credentials.app_id, self._credentials.app_secret
        if app is None or secret is None:
            return TokenHealth(TokenState.OK, "its permissions and its end are not known without app_id and app_secret")
        asking = {"access_token": f"{app}|{secret.get_secret_value()}"}
        token = self._credentials.page_access_token.get_secret_value()
        told = self._graph.get("debug_token", {"input_token": token}, asking).body.get("data")
        if not isinstance(told, dict):
            raise UnavailableError("Facebook does not say what the token may do")
        return self._judged(told)

    def _judged(self, told: Mapping[str, Any]) -> TokenHealth:
        if told.get("is_valid") is not True:
            fault = told.get("error")
            ended = isinstance(fault, dict) and fault.get("subcode") == 463
            return TokenHealth(TokenState.EXPIRED if ended else TokenState.REVOKED, "Facebook says it is not valid")
        scopes = told.get("scopes")
        missing = [right for right in RIGHTS if isinstance(scopes, list) and right not in scopes]
        if missing:
            return TokenHealth(TokenState.SCOPE_MISSING, f"the token lacks {', '.join(missing)}")
        # 0 means never; after `data_access_expires_at` people's posts can no longer be read with it.
        ends = [values.milliseconds(told.get(name)) for name in ("expires_at", "data_access_expires_at")]
        until = min((end for end in ends if end is not None), default=None)
        if until is None or until - self._now() > SOON_OVER * 1000:
            return TokenHealth(TokenState.OK, until=until)
        if until <= self._now():
            return TokenHealth(TokenState.EXPIRED, "its time is over; take a new one", until)
        return TokenHealth(TokenState.EXPIRING, "take a new one before it ends", until)

    def _now(self) -> int:
        return int(self._clock() * 1000)


def _more(task: Task, body: Mapping[str, Any], since: int) -> list[Task]:
    """What follows from a page: the next one, and the comments of posts that have more new ones than came along."""
    found: list[Task] = []
    for post in body["data"] if task.what == "feed" and isinstance(body.get("data"), list) else []:
        beneath = post.get("comments") if isinstance(post, dict) else None
        native = values.identifier(post.get("id")) if isinstance(beneath, dict) else None
        if native and isinstance(beneath, dict) and reaches_back(beneath, since):
            # From its beginning: the cursor of a list inside another is not promised to fit the list by itself.
            found.append(Task("comments", native))
    new = following(body) if task.what == "feed" else reaches_back(body, since)
    if new and task.goes_on():
        found.append(task.following(following(body)))
    return found


def _skippable(task: Task, error: RemoteError) -> bool:
    """A post may vanish while we sweep; and the posts that tag the Page are a right of their own."""
    if task.what == "comments":
        return isinstance(error, GoneError)
    return task.what == "tagged" and isinstance(error, MisconfiguredError) and error.token is TokenState.SCOPE_MISSING


def _health(place: Place) -> TokenHealth:
    """What a poll that was answered tells of the token."""
    return TokenHealth(TokenState(place.token), place.fault) if place.token in set(TokenState) else _WELL


def _since(event: AnyEvent, since: int) -> bool:
    """Whether it was said in this window. One that does not say when is told again: it is known by its id."""
    at = event.created_at if isinstance(event, Mention) else None
    return isinstance(event, Mention) and (at is None or at.timestamp() * 1000 >= since)


def _when(event: AnyEvent) -> datetime:
    at = event.created_at if isinstance(event, Mention) else None
    return at or datetime.min.replace(tzinfo=UTC)


if TYPE_CHECKING:
    _POLLS: type[SourcePoller] = FacebookAccount
    _ANSWERS: type[Replier] = FacebookAccount
    _CHECKED: type[Checker] = FacebookAccount
