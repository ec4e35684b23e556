"""A server and an AppView that keep state, and answer as Bluesky's own do where that was seen. All calls are kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from connectors.bluesky.account import BlueskyAccount, BlueskyCredentials
from connectors.bluesky.connector import POST, BlueskySource
from connectors.http import HttpClient
from tests.bluesky.contract import DID, HANDLE
from tests.standin import Answer, Call, serving

INES = "did:plc:inesbrandtinesbrandt2345"
NAMES = {DID: HANDLE, INES: "ines.example"}
CID = "bafyreiblobbgu2ghxozhn3miu5lwcpus3ywvi4p3asrimdeiwwxv3amgbe"
PASSWORD = "abcd-efgh-ijkl-mnop"


def iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass
class Atmosphere:
    """`clock` in seconds. `lost`: how many writes are carried out without an answer. `chatter`: how many likes lie
    between two mentions, which the AppView leaves out of a page after it has read them."""

    clock: float = 1_795_000_000.0
    address: str = ""
    posts: dict[str, dict[str, Any]] = field(default_factory=dict)
    token: str = "token-1"
    lost: int = 0
    chatter: int = 0
    broken: set[str] = field(default_factory=set)
    calls: list[tuple[Call, int, Any]] = field(default_factory=list)

    @contextmanager
    def serve(self) -> Iterator[str]:
        with serving(self._kept) as self.address:
            yield self.address

    def account(self, token: str = "token-1", search: tuple[str, ...] = (), password: str = PASSWORD) -> BlueskyAccount:
        settings = BlueskySource(api_url=self.address, account=(DID,), search=search)
        document = {"identifier": HANDLE, "app_password": password, "did": DID, "expires_at": 2**52}
        credentials = BlueskyCredentials.model_validate(document | ({"access_token": token} if token else {}))
        return BlueskyAccount(settings, credentials, HttpClient(allow_private=True))

    def say(self, text: str, who: str = INES, key: str | None = None, late: float = 0.0, **record: Any) -> str:
        """A post's uri. `late`: how many seconds ago its app claims that it was written."""
        uri = f"at://{who}/{POST}/{key or f'3lq2aaaaa{len(self.posts):04d}'.replace('0', 'z').replace('1', 'y')}"
        made = {"$type": POST, "text": text, "createdAt": iso(self.clock - late), **record}
        self.posts[uri] = {"record": made, "at": self.clock - late, "who": who}
        return uri

    def view(self, uri: str) -> dict[str, Any]:
        post = self.posts[uri]
        author = {"did": post["who"], "handle": NAMES[post["who"]], "displayName": "", "labels": []}
        found = {"uri": uri, "cid": CID, "author": author, "record": post["record"], "indexedAt": iso(post["at"])}
        return {"$type": "app.bsky.feed.defs#postView", **found, "likeCount": 2, "labels": [], "viewer": {}}

    def _kept(self, call: Call) -> Answer:
        status, said = self._answer(call, call.path.removeprefix("/xrpc/"))
        self.calls.append((call, status, said))
        if call.method == "POST" and self.lost and status == 200:
            self.lost -= 1
            return 200, None, {}
        return status, said, {"RateLimit-Remaining": "2999", "RateLimit-Reset": "1795000300"}

    def _answer(self, call: Call, name: str) -> tuple[int, Any]:
        if name in self.broken:
            return 502, {"error": "UpstreamFailure", "message": "Upstream Failure"}
        if name == "com.atproto.server.createSession":
            if call.json()["password"] != PASSWORD:
                return 401, {"error": "AuthenticationRequired", "message": "Invalid identifier or password"}
            self.token = f"token-{int(self.token[6:]) + 1}"
            return 200, {"accessJwt": self.token, "refreshJwt": "unused", "did": DID, "handle": HANDLE}
        if call.headers.get("authorization") != f"Bearer {self.token}":
            return 400, {"error": "ExpiredToken", "message": "Token has expired"}
        if name == "com.atproto.repo.createRecord":
            return self._create(call.json())
        if name == "com.atproto.repo.getRecord":
            uri = f"at://{call.query['repo']}/{POST}/{call.query['rkey']}"
            if uri not in self.posts:
                return 400, {"error": "RecordNotFound", "message": f"Could not locate record: {uri}"}
            return 200, {"uri": uri, "cid": CID, "value": self.posts[uri]["record"]}
        return 200, self._viewed(call, name)

    def _viewed(self, call: Call, name: str) -> Any:
        newest = sorted(self.posts, key=lambda uri: (-self.posts[uri]["at"], uri))
        if name == "com.atproto.server.getSession":
            return {"did": DID, "handle": HANDLE}
        if name == "app.bsky.actor.getProfiles":
            known = {"displayName": "", "followersCount": 311, "labels": []}
            return {"profiles": [{"did": did, "handle": NAMES[did], **known} for did in call.queries["actors"]]}
        if name == "app.bsky.feed.getPosts":
            return {"posts": [self.view(uri) for uri in call.queries["uris"] if uri in self.posts]}
        if name == "app.bsky.feed.getAuthorFeed":
            own = [uri for uri in newest if self.posts[uri]["who"] == call.query["actor"]]
            return self._page(call, own, "feed", lambda uri: {"post": self.view(uri)})
        if name == "app.bsky.feed.searchPosts":
            found = [uri for uri in newest if call.query["q"] in self.posts[uri]["record"]["text"]]
            return self._page(call, found, "posts", self.view)
        named = [uri for uri in newest if f"@{HANDLE}" in self.posts[uri]["record"]["text"]]
        return self._notifications(call, named)

    def _notifications(self, call: Call, named: list[str]) -> Any:
        """Names its pages by times; what it leaves out costs pages all the same."""
        below = datetime.fromisoformat(call.query["cursor"]).timestamp() if "cursor" in call.query else self.clock + 1
        rest = [uri for uri in named if self.posts[uri]["at"] < below]
        if self.chatter and (not rest or self.posts[rest[0]]["at"] < below - 600):
            return {"notifications": [], "cursor": iso(below - 600)}
        page = rest[: int(call.query["limit"])]
        found = [{**self.view(uri), "reason": "mention", "isRead": False} for uri in page]
        for one in found:
            for name in ("$type", "likeCount", "viewer"):
                del one[name]
        return {"notifications": found, **({"cursor": iso(self.posts[page[-1]]["at"])} if page else {})}

    def _page(self, call: Call, uris: list[str], name: str, view: Any) -> Any:
        start, limit = int(call.query.get("cursor", 0)), int(call.query["limit"])
        more = {"cursor": f"{start + limit}"} if start + limit < len(uris) else {}
        return {name: [view(uri) for uri in uris[start : start + limit]], **more}

    def _create(self, asked: Any) -> tuple[int, Any]:
        if len(asked["record"]["text"]) > 300:
            too_long = "grapheme too big (maximum 300, got 301) at $.record.text"
            return 400, {"error": "InvalidRequest", "message": f"Invalid {POST} record: {too_long}"}
        uri = f"at://{asked['repo']}/{POST}/{asked['rkey']}"
        if uri in self.posts:  # as Bluesky's own server does
            return 500, {"error": "InternalServerError", "message": "Internal Server Error"}
        self.posts[uri] = {"record": asked["record"], "at": self.clock, "who": asked["repo"]}
        return 200, {"uri": uri, "cid": CID, "validationStatus": "valid"}
