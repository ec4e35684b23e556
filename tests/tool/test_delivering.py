"""Samples as `hailback send` and the demo deliver them, to doors of every kind: each in the vendor's way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from connectors.core import door
from connectors.core.delivery import Request
from connectors.tool.delivering import Deliverer, Signature
from connectors.tool.deployment import DeploymentError
from connectors.tool.samples import Sample, load_sample, sample_files
from tests.contract.signing import EXAMPLES, secret_for

JSON = Sample(b'{"text": "gr\xc3\xbc\xc3\x9fe"}', {"content-type": "application/json"})
FORM = Sample(b"Body=Gr%C3%BC%C3%9Fe&MediaUrl=", {"content-type": "application/x-www-form-urlencoded"})


class Front(HTTPServer):
    """Remembers what came, with the address as it was called."""

    got: list[Request]


class Handler(BaseHTTPRequestHandler):
    server: Front

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.got.append(Request("POST", headers, body, url=f"http://{headers['host']}{self.path}"))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def front(monkeypatch: pytest.MonkeyPatch) -> Iterator[Front]:
    for name, rule in EXAMPLES.items():
        monkeypatch.setitem(door._DOORS, name, rule)
    server = Front(("127.0.0.1", 0), Handler)
    server.got = []
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("sample", [JSON, FORM], ids=["json", "form"])
@pytest.mark.parametrize("name", EXAMPLES)
def test_what_is_delivered_opens_its_door_and_what_is_forged_does_not(front: Front, name: str, sample: Sample) -> None:
    rule = EXAMPLES[name]
    secret = secret_for(rule, "only for this test")
    deliverer = Deliverer(name, f"http://127.0.0.1:{front.server_port}/{name}/token", secret)
    for signature in Signature:
        deliverer.deliver(sample, signature)
    verified = [door.verify(rule, request, [secret]) for request in front.got]
    assert verified == ([True, True, True] if "unsigned" in rule else [True, False, False])
    assert [request.body for request in front.got] == [sample.body] * 3


def test_a_secret_that_cannot_be_the_vendors_is_said_before_anything_is_sent(front: Front) -> None:
    url = f"http://127.0.0.1:{front.server_port}/like_standard_webhooks/token"
    with pytest.raises(DeploymentError, match="shape"):
        Deliverer("like_standard_webhooks", url, "not whsec").deliver(JSON)
    assert front.got == []


def test_a_form_among_the_samples_is_found_and_says_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "sms__question.form").write_bytes(b"Body=a+b&MediaUrl=")
    (tmp_path / "sms__question.headers").write_text('{"I-Twilio-Idempotency-Token": "1"}')
    (tmp_path / "call__missed.json").write_bytes(b"{}")
    (tmp_path / "script.txt").write_text("")
    call, sms = sample_files(tmp_path)
    assert (call.name, sms.name) == ("call__missed.json", "sms__question.form")
    found = load_sample(sms)
    assert found.body == b"Body=a+b&MediaUrl="
    assert found.headers == {
        "content-type": "application/x-www-form-urlencoded",
        "i-twilio-idempotency-token": "1",
    }
    assert load_sample(call).headers == {}
