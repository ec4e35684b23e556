"""A server that speaks Mastodon's API, keeps state and forgets an idempotency key after an hour. All calls are kept."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.http import HttpClient
from connectors.mastodon.account import MastodonAccount, MastodonCredentials
from connectors.mastodon.connector import MastodonSource
from tests.standin import Answer, Call, serving

ME, TOKEN = "42", "invented"


def iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass
class Fediverse:
    """`clock` in seconds. `lost`: how many writes are carried out without an answer. `left`: calls until the limit."""

    clock: float = 1_795_000_000.0
    address: str = ""
    posts: dict[str, dict[str, Any]] = field(default_factory=dict)
    told: list[dict[str, Any]] = field(default_factory=list)
    keys: dict[str, tuple[float, str]] = field(default_factory=dict)
    elsewhere: dict[str, int] = field(default_factory=dict)
    lost: int = 0
    left: int = 300
    calls: list[tuple[Call, int, Any]] = field(default_factory=list)

    @contextmanager
    def serve(self) -> Iterator[str]:
        with serving(self._kept) as self.address:
            yield self.address

    def account(self, **more: Any) -> MastodonAccount:
        settings = MastodonSource(api_url=self.address, account=("acme", ME), **more)
        credentials = MastodonCredentials.model_validate({"access_token": TOKEN})
        return MastodonAccount(settings, credentials, HttpClient(allow_private=True))

    def say(self, text: str, who: str = "7", uri: str | None = None, **more: Any) -> dict[str, Any]:
        """A post. Who is not us is told of, where the text names us."""
        number = f"{len(self.posts) + 1000}"
        account = self._account(who)
        made: dict[str, Any] = {"id": number, "uri": uri or f"{self.address}/users/{account['acct']}/statuses/{number}"}
        made |= {"account": account, "content": f"<p>{text}</p>", "created_at": iso(self.clock), "emojis": []}
        made |= {
            "url": f"{account['url']}/{number}",
            "edited_at": None,
            "in_reply_to_id": None,
            "language": "en",
            "quote": None,
        }
        made |= {"replies_count": 0, "reblogs_count": 0, "favourites_count": 0, "media_attachments": [], "mentions": []}
        made |= {"sensitive": False, "spoiler_text": "", "tags": [], "visibility": "public", **more}
        self.posts[number] = made
        if "@acme" in text and who != ME:
            told = {"id": f"{len(self.told) + 500}", "type": "mention", "created_at": iso(self.clock), "status": made}
            self.told.insert(0, {**told, "account": account, "group_key": f"ungrouped-{number}"})
        return made

    def _account(self, who: str) -> dict[str, Any]:
        names = {ME: "acme", "7": "ines"}
        base = f"{self.address}/@{names[who]}"
        account: dict[str, Any] = {
            "id": who,
            "username": names[who],
            "acct": names[who],
            "display_name": "",
            "note": "",
            "url": base,
        }
        account |= {"avatar": f"{base}.png", "avatar_static": f"{base}.png", "avatar_description": "", "uri": base}
        account |= {"header": f"{base}.png", "header_static": f"{base}.png", "header_description": ""}
        account |= {"locked": False, "bot": False, "discoverable": True, "indexable": False, "group": False}
        account |= {"hide_collections": False, "created_at": iso(0), "last_status_at": "2026-11-18", "emojis": []}
        account |= {
            "fields": [],
            "followers_count": 3,
            "following_count": 1,
            "statuses_count": 9,
            "feature_approval": None,
        }
        account |= {"show_media": True, "show_media_replies": True, "show_featured": True}
        return account

    def _kept(self, call: Call) -> Answer:
        self.left -= 1
        status, said = (429, {"error": "Too many"}) if self.left < 0 else self._answer(call)
        self.calls.append((call, status, said))
        if call.method == "POST" and self.lost and status == 200:
            self.lost -= 1
            return 200, None, {}
        reset = (datetime.now(UTC) + timedelta(seconds=120)).isoformat()
        return status, said, {"X-RateLimit-Reset": reset, "X-RateLimit-Remaining": f"{max(0, self.left)}"}

    def _answer(self, call: Call) -> tuple[int, Any]:
        if not call.path.startswith("/api/"):  # what anybody may see of a post
            return self.elsewhere.get(call.path, 404), {"type": "Tombstone"}
        if call.headers.get("authorization") != f"Bearer {TOKEN}":
            return 401, {"error": "The access token is invalid"}
        newest = sorted(self.posts.values(), key=lambda post: -int(post["id"]))
        if (call.method, call.path) == ("POST", "/api/v1/statuses"):
            return self._write(call)
        if call.path == "/api/v1/accounts/verify_credentials":
            return 200, self._me()
        if call.path == "/api/v1/notifications":
            return 200, self._page(call, [one for one in self.told if one["type"] in call.queries["types[]"]])
        if call.path == f"/api/v1/accounts/{ME}/statuses":
            return 200, self._page(call, [post for post in newest if post["account"]["id"] == ME])
        if tag := re.fullmatch("/api/v1/timelines/tag/([a-z]+)", call.path):
            return 200, self._page(call, [post for post in newest if f"#{tag[1]}" in post["content"]])
        if call.path == "/api/v2/search":
            asked = call.query["q"]
            named = [post for post in newest if post["uri"] == asked and call.query.get("resolve") == "true"]
            found = named or self._page(call, [post for post in newest if asked in post["content"]])
            return 200, {"accounts": [], "statuses": found, "hashtags": []}
        one = re.fullmatch("/api/v1/statuses/([0-9]+)(/context)?", call.path)
        if one is None or one[1] not in self.posts:
            return 404, {"error": "Record not found"}
        return 200, self._thread(one[1]) if one[2] else self.posts[one[1]]

    def _me(self) -> dict[str, Any]:
        role = {"id": "0", "name": "", "color": "", "permissions": "0", "highlighted": False}
        return {**self._account(ME), "source": _SOURCE, "role": role}

    def _page(self, call: Call, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        below = int(call.query.get("max_id") or 10**9)
        return [one for one in found if int(one["id"]) < below][: int(call.query.get("limit", 20))]

    def _thread(self, number: str) -> dict[str, Any]:
        above, at = list[dict[str, Any]](), self.posts[number]["in_reply_to_id"]
        while at in self.posts:
            above.insert(0, self.posts[at])
            at = self.posts[at]["in_reply_to_id"]
        return {"ancestors": above, "descendants": self._below(number)}

    def _below(self, number: str) -> list[dict[str, Any]]:
        found = [post for post in self.posts.values() if post["in_reply_to_id"] == number]
        return found + [deeper for post in found for deeper in self._below(post["id"])]

    def _write(self, call: Call) -> tuple[int, Any]:
        said, key = call.json(), call.headers["idempotency-key"]
        at, number = self.keys.get(key, (0.0, ""))
        if self.clock - at < 3600 and number in self.posts:
            return 200, self.posts[number]
        if len(said["status"]) > 500:
            return 422, {"error": "Validation failed: Text character limit of 500 exceeded"}
        if said["in_reply_to_id"] not in self.posts:
            return 404, {"error": "Record not found"}
        made = self.say(said["status"], ME, in_reply_to_id=said["in_reply_to_id"], visibility=said["visibility"])
        self.keys[key] = (self.clock, made["id"])
        return 200, made


_SOURCE = {
    "attribution_domains": [],
    "discoverable": True,
    "fields": [],
    "follow_requests_count": 0,
    "hide_collections": False,
    "indexable": False,
    "language": "en",
    "note": "",
    "privacy": "public",
    "quote_policy": "public",
    "sensitive": False,
}
