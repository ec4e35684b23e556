"""The door before SNS: what passes is untouched, and only the region that is cut off fails."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from connectors.tool.cut import Cut, Manner

HERE, THERE = "eu-central-1", "eu-west-1"


class Sns(BaseHTTPRequestHandler):
    """Answers every request and keeps what it was sent."""

    seen: list[tuple[str, bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((self.headers["Host"], body))
        answer = b"<PublishResponse><PublishResult><MessageId>m-1</MessageId></PublishResult></PublishResponse>"
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def seen() -> list[tuple[str, bytes]]:
    return []


@pytest.fixture
def cut(seen: list[tuple[str, bytes]]) -> Iterator[Cut]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Kept", (Sns,), {"seen": seen}))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    door = Cut()
    door.towards(server.server_address[1])
    yield door
    door.stop()
    door.stop()
    server.shutdown()
    server.server_close()


def publish(cut: Cut, region: str) -> str:
    limits = Config(connect_timeout=1, read_timeout=0.3, retries={"total_max_attempts": 1}, proxies={})
    sns = boto3.client(
        "sns", endpoint_url=cut.url, region_name=region, aws_access_key_id="a", aws_secret_access_key="b", config=limits
    )
    try:
        told: str = sns.publish(TopicArn=f"arn:aws:sns:{region}:000000000000:hailback-x", Message="é" * 90_000)[
            "MessageId"
        ]
    finally:
        sns.close()
    return told


def test_what_passes_is_as_it_was_signed(cut: Cut, seen: list[tuple[str, bytes]]) -> None:
    assert publish(cut, HERE) == "m-1"
    ((host, body),) = seen
    assert f"http://{host}" == cut.url
    assert body.count(b"%C3%A9") == 90_000


@pytest.mark.parametrize(
    ("manner", "error"),
    [
        (Manner.SILENT, ReadTimeoutError),
        (Manner.CLOSED, ConnectionClosedError),
        (Manner.THROTTLED, ClientError),
    ],
)
def test_one_region_fails_and_the_other_does_not(
    cut: Cut, seen: list[tuple[str, bytes]], manner: Manner, error: type[Exception]
) -> None:
    cut.off(HERE, manner)
    with pytest.raises(error) as raised:
        publish(cut, HERE)
    if isinstance(raised.value, ClientError):
        assert raised.value.response["Error"]["Code"] == "Throttled"
    assert seen == []
    assert publish(cut, THERE) == "m-1"
    cut.restore(HERE)
    assert publish(cut, HERE) == "m-1"
