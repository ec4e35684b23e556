"""`hailback send`: signed as the vendor signs, refused where it should be, and clear about what it cannot do."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from connectors.core import door
from connectors.core.delivery import Request
from connectors.tool.deployment import Source
from connectors.tool.main import app
from connectors.tool.venvs import CHECKOUT

SECRET = "only-for-this-test"
SAMPLE = CHECKOUT / "events" / "discourse" / "post_created__heating.json"


class FrontDoor(HTTPServer):
    """Verifies like ours and remembers what it was sent."""

    got: list[Request]
    broken = False


class Handler(BaseHTTPRequestHandler):
    server: FrontDoor

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        request = Request("POST", {name.lower(): value for name, value in self.headers.items()}, body)
        self.server.got.append(request)
        rules = door.load("discourse")
        assert rules is not None
        taken = door.verify(rules, request, [SECRET])
        status = 503 if self.server.broken else 200 if taken else 401
        answer = json.dumps({"ok": "taken"} if taken else {"error": "the signature does not match"}).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def front_door() -> Iterator[FrontDoor]:
    server = FrontDoor(("127.0.0.1", 0), Handler)
    server.got = []
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def send(server: FrontDoor, tmp_path: Path, *options: str, secret: str = SECRET) -> Result:
    file = tmp_path / "secret"
    file.write_text(secret + "\n")
    url = f"http://127.0.0.1:{server.server_port}/discourse/token"
    arguments = ["send", "Forum", str(SAMPLE), "--url", url, "--secret-file", str(file), *options]
    return CliRunner().invoke(app, arguments)


def test_a_sample_is_taken_with_its_headers_and_raw_bytes(front_door: FrontDoor, tmp_path: Path) -> None:
    done = send(front_door, tmp_path, "--times", "2")
    assert done.exit_code == 0
    assert done.stdout == "post_created__heating.json: 200 taken\n" * 2
    assert len(front_door.got) == 2
    assert front_door.got[0].body == SAMPLE.read_bytes()
    assert front_door.got[0].headers["x-discourse-event"] == "post_created"
    assert front_door.got[0].headers["content-type"] == "application/json"


def test_a_refusal_is_a_failure_unless_it_was_asked_for(front_door: FrontDoor, tmp_path: Path) -> None:
    assert send(front_door, tmp_path, secret="of-somebody-else").exit_code == 1
    assert send(front_door, tmp_path, "--forge").exit_code == 0
    assert send(front_door, tmp_path, "--unsigned").exit_code == 0
    assert "x-discourse-event-signature" not in front_door.got[-1].headers
    front_door.broken = True
    assert send(front_door, tmp_path, "--forge").exit_code == 1, "a fault is no refusal"


def test_json_has_one_object_a_delivery(front_door: FrontDoor, tmp_path: Path) -> None:
    done = send(front_door, tmp_path, "--json", "--times", "2")
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["status"] for one in said] == [200, 200]
    assert said[0]["answer"] == "taken"


def test_a_source_that_is_only_asked_takes_no_deliveries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anybody looks for the secret of a webhook that there is not."""

    class Deployed:
        def source(self, name: str) -> Source:
            return Source(name, f"routes/{name}", "mastodon", "hailback/mastodon", {}, "")

        def secret(self, name: str) -> str:
            raise AssertionError(f"{name} has no secret that verifies")

    monkeypatch.setattr("connectors.tool.send.target", lambda *_: Deployed())
    done = CliRunner().invoke(app, ["send", "Fediverse", str(SAMPLE)])
    assert done.exit_code == 1
    assert "Fediverse (mastodon) is asked, it takes no deliveries; `hailback parse mastodon FILE` reads" in done.stderr


def test_what_cannot_be_done_is_said_in_a_sentence(front_door: FrontDoor, tmp_path: Path) -> None:
    invoke = CliRunner().invoke
    missing = invoke(app, ["send", "Forum", "absent.json", "--state", str(tmp_path)])
    assert (missing.exit_code, missing.stderr) == (1, "absent.json: No such file or directory\n")
    nowhere = invoke(app, ["send", "Forum", str(SAMPLE), "--state", str(tmp_path)])
    assert nowhere.exit_code == 1
    assert "no stack is running" in nowhere.stderr
    assert "hailback up" in nowhere.stderr
    keyless = invoke(app, ["send", "Forum", str(SAMPLE), "--url", "http://127.0.0.1:1/discourse/t"])
    assert keyless.exit_code == 2
    assert "--secret-file" in keyless.stderr
    assert send(front_door, tmp_path, "--forge", "--unsigned").exit_code == 2
    closed = invoke(app, ["send", "Forum", str(SAMPLE), "--url", "http://127.0.0.1:1/discourse/t", "--unsigned"])
    assert closed.exit_code == 1
    assert "127.0.0.1 does not answer" in closed.stderr
