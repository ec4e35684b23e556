"""The outbound client against real, badly behaved servers on loopback: what happened decides which error is raised."""

from __future__ import annotations

import contextlib
import datetime
import gzip
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC

import pytest

from connectors import http
from connectors.core.errors import MisconfiguredError, RejectedError, UnavailableError, UnknownOutcomeError
from connectors.http import HttpClient, next_link, retry_after

Handler = Callable[[socket.socket, bytes], None]
WRITES = ["POST", "PATCH"]


class Server:
    """A listening socket; each connection's request is read, kept and given to `handler`."""

    def __init__(self, handler: Handler, read: bool = True, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[bytes] = []
        self._handler, self._read, self._tls = handler, read, tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/x"
        self.closing = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while not self.closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            request = _read_request(connection) if self._read else b""
            self.requests.append(request)
            self._handler(connection, request)
            connection.close()

    def stop(self) -> None:
        self.closing.set()
        self._listener.close()


def _read_request(connection: socket.socket) -> bytes:
    got = b""
    while b"\r\n\r\n" not in got:
        got += connection.recv(65536)
    head, _, body = got.partition(b"\r\n\r\n")
    length = next((int(x.split(b":")[1]) for x in head.split(b"\r\n") if x.lower().startswith(b"content-length")), 0)
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def answer(status: str, body: bytes = b"{}", *headers: str) -> Handler:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
    return lambda connection, _: connection.sendall("\r\n".join(lines).encode() + body)


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(handler: Handler, **options: object) -> Server:
        servers.append(Server(handler, **options))  # type: ignore[arg-type]
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def client() -> HttpClient:
    return HttpClient(allow_private=True, connect=0.5, read=0.3, total=1.0, max_answer=10_000)


def test_an_answer_comes_back_whole(serve, client):
    server = serve(answer("200 OK", b'{"a": [1]}', "X-Thing: yes"))
    response = client.request("POST", server.url + "?q=1", headers={"X-Mine": "1"}, json={"text": "ü\ud800"})
    assert (response.status, response.json(), response.headers["x-thing"]) == (200, {"a": [1]}, "yes")
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /x?q=1 HTTP/1.1\r\n")
    assert f"Host: 127.0.0.1:{server.port}".encode() in head
    assert b"X-Mine: 1" in head
    assert json.loads(body) == {"text": "ü\ud800"}


def test_a_compressed_answer_is_read_and_measured_after_decompression(serve, client):
    server = serve(answer("200 OK", gzip.compress(b'{"a": 1}'), "Content-Encoding: gzip"))
    assert client.request("GET", server.url).json() == {"a": 1}
    bomb = serve(answer("200 OK", gzip.compress(b" " * 5_000_000), "Content-Encoding: gzip"))
    with pytest.raises(UnavailableError, match="more than 10000 bytes"):
        client.request("GET", bomb.url)


@pytest.mark.parametrize("method", ["GET", *WRITES])
@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("301 Moved", MisconfiguredError),
        ("400 Bad", RejectedError),
        ("401 Who", MisconfiguredError),
        ("403 No", MisconfiguredError),
        ("404 Gone", RejectedError),
        ("409 Conflict", RejectedError),
        ("412 Stale", RejectedError),
        ("413 Large", RejectedError),
        ("422 Odd", RejectedError),
        ("429 Slow", UnavailableError),
    ],
)
def test_a_status_means_the_same_for_every_method(serve, client, method, status, error):
    server = serve(answer(status, b"PRIVATE", "Location: http://127.0.0.1/other"))
    with pytest.raises(error) as raised:
        client.request(method, server.url, headers={"Authorization": "Basic SECRET"})
    assert type(raised.value) is error
    assert "127.0.0.1" in str(raised.value)
    assert status[:3] in str(raised.value)
    assert not any(word in str(raised.value) for word in ("SECRET", "PRIVATE", "/x"))
    assert len(server.requests) == 1, "neither repeated nor redirected"


@pytest.mark.parametrize("status", ["500 Oops", "502 Gate", "503 Later", "504 Gate", "408 Slow"])
def test_a_server_error_is_unknown_after_a_write_only(serve, client, status):
    server = serve(answer(status))
    with pytest.raises(UnavailableError):
        client.request("GET", server.url)
    with pytest.raises(UnavailableError):
        client.request("POST", server.url, safe=True)
    for method in WRITES:
        with pytest.raises(UnknownOutcomeError):
            client.request(method, server.url)


def test_a_503_that_the_connector_declares_safe(serve, client):
    server = serve(answer("503 Later", b"", "Retry-After: 7"))
    with pytest.raises(UnavailableError) as raised:
        client.request("POST", server.url, safe_statuses={503})
    assert raised.value.retry_after == 7
    with pytest.raises(UnavailableError) as raised:
        client.request("GET", server.url)
    assert raised.value.retry_after == 7


def test_statuses_that_the_connector_handles_or_blames_on_the_configuration(serve, client):
    server = serve(answer("404 Gone"))
    assert client.request("GET", server.url, handled={404}).status == 404
    with pytest.raises(MisconfiguredError):
        client.request("GET", server.url, misconfigured={404})


def test_retry_after_is_seconds_or_a_date():
    now = datetime.datetime(2026, 1, 1, tzinfo=UTC)
    assert retry_after("12") == 12
    assert retry_after("Thu, 01 Jan 2026 00:01:30 GMT", now) == 90
    assert retry_after("Wed, 31 Dec 2025 00:00:00 GMT", now) == 0
    assert retry_after("9" * 400) == 86_400
    for nonsense in (None, "", "soon", "-5", "1.5", "²"):
        assert retry_after(nonsense) is None


def test_nothing_listening_is_known_not_to_have_committed(client):
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(UnavailableError, match="refused"):
        client.request("POST", f"http://127.0.0.1:{port}/")


def test_a_name_that_does_not_resolve(client, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(UnavailableError, match="does not resolve"):
        client.request("POST", "http://nowhere.invalid/")


def test_a_resolver_that_hangs_is_given_up(client, monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: release.wait(10) and [])
    began = time.monotonic()
    with pytest.raises(UnavailableError, match="time-out"):
        client.request("POST", "http://slow.example/")
    release.set()
    assert time.monotonic() - began < 1


def test_tls_that_is_none(serve, client):
    server = serve(lambda c, _: c.sendall(b"HTTP/1.1 400 Bad\r\n\r\n"), read=False)
    with pytest.raises(UnavailableError):
        client.request("POST", server.url.replace("http:", "https:"))


def test_a_tls_handshake_that_never_ends_is_cut(serve, client):
    server = serve(lambda c, _: c.recv(1) and time.sleep(0.9), read=False)
    began = time.monotonic()
    with pytest.raises(UnavailableError):
        client.request("POST", server.url.replace("http:", "https:"))
    assert time.monotonic() - began < 0.9


@pytest.mark.parametrize("drop", [lambda _c, _r: None, lambda c, _: c.sendall(b"HTTP/1.1 201 Created\r\nContent-Le")])
def test_a_dropped_connection_is_unknown_after_a_write_only(serve, client, drop):
    server = serve(drop)
    with pytest.raises(UnavailableError):
        client.request("GET", server.url).json()
    with pytest.raises(UnknownOutcomeError):
        client.request("POST", server.url).json()
    assert len(server.requests) == 2


def test_a_body_that_ends_early_is_no_answer(serve, client):
    server = serve(lambda c, _: c.sendall(b'HTTP/1.1 201 Created\r\nContent-Length: 99\r\n\r\n{"id"'))
    with pytest.raises(UnknownOutcomeError):
        client.request("POST", server.url)


def test_silence_ends_at_the_read_deadline(serve, client):
    server = serve(lambda c, _: c.recv(1))
    began = time.monotonic()
    with pytest.raises(UnknownOutcomeError, match="time-out"):
        client.request("POST", server.url)
    assert 0.25 < time.monotonic() - began < 0.8


def _drip(first: bytes, closing: threading.Event) -> Handler:
    def handler(connection: socket.socket, _: bytes) -> None:
        connection.sendall(first)
        while not closing.wait(0.1):
            connection.sendall(b"a")

    return handler


@pytest.mark.parametrize(
    "first",
    [b"HTTP/1.1 200 OK\r\nX-A: ", b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"],
)
def test_a_dripping_server_is_cut_at_the_total_deadline(serve, client, first):
    done = threading.Event()
    server = serve(_drip(first, done))
    began = time.monotonic()
    with pytest.raises(UnknownOutcomeError, match="within 1 seconds"):
        client.request("POST", server.url)
    assert 0.9 < time.monotonic() - began < 1.6
    done.set()


def test_a_large_answer_is_not_read_to_its_end(serve, client):
    server = serve(answer("200 OK", b"x" * 50_000))
    with pytest.raises(UnavailableError, match="more than 10000 bytes"):
        client.request("GET", server.url)
    with pytest.raises(UnknownOutcomeError, match="more than 10000 bytes"):
        client.request("POST", server.url)


def test_an_html_page_is_not_an_answer(serve, client):
    server = serve(answer("200 OK", b"<html>Please log in"))
    with pytest.raises(UnavailableError, match="not JSON"):
        client.request("GET", server.url).json()
    with pytest.raises(UnknownOutcomeError, match="not JSON"):
        client.request("POST", server.url).json()


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.example/",
        "file:///etc/passwd",
        "//a.example/",
        "a.example",
        "https://",
        "http://user:word@a.example/",
        "http://a.example:99999/",
        "http://[::1/",
        "http://a.example/ b",
        "http://a.example/\r\nX: y",
        "http://ä.example/",
    ],
)
def test_addresses_that_are_not_called(client, url):
    with pytest.raises(MisconfiguredError) as raised:
        client.request("GET", url)
    assert "word" not in str(raised.value)


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"])
def test_loopback_is_refused_in_every_spelling(serve, name):
    server = serve(answer("200 OK"))
    with pytest.raises((MisconfiguredError, UnavailableError)):
        HttpClient(connect=0.5).request("GET", f"http://{name}:{server.port}/")
    assert server.requests == []


def test_the_address_that_was_checked_is_the_one_connected_to(serve, monkeypatch):
    """A name that turns to loopback at its second look-up gains nothing: there is no second look-up."""
    server = serve(answer("200 OK"))
    asked: list[str] = []
    looked_up = socket.getaddrinfo

    def rebinding(host: str, port: int, *_: object, **__: object) -> object:
        asked.append(host)
        return looked_up("127.0.0.1", port, type=socket.SOCK_STREAM)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    client = HttpClient(allow_private=True)
    assert client.request("GET", f"http://crm.example:{server.port}/").status == 200
    assert asked == ["crm.example"]
    assert f"Host: crm.example:{server.port}".encode() in server.requests[0]


def test_one_refused_address_among_several_refuses_the_name(monkeypatch):
    both = [(socket.AF_INET, 1, 6, "", (ip, 80)) for ip in ("93.184.216.34", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    with pytest.raises(MisconfiguredError, match="private"):
        HttpClient().request("GET", "http://crm.example/")


def test_a_proxy_in_the_environment_is_not_used(serve, client, monkeypatch):
    server = serve(answer("200 OK"))
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert client.request("GET", server.url).status == 200


def test_next_pages_stay_at_the_same_origin():
    here = "https://crm.example/api/items?page=1"
    assert next_link(here, "?page=2") == "https://crm.example/api/items?page=2"
    assert next_link(here, "https://crm.example:443/api?page=2") == "https://crm.example:443/api?page=2"
    for elsewhere in ("https://evil.example/", "//evil.example/", "http://crm.example/", "https://crm.example:444/"):
        with pytest.raises(RejectedError, match="another origin"):
            next_link(here, elsewhere)
    with pytest.raises(MisconfiguredError):
        next_link(here, "https://a:b@crm.example/")


def test_tls_is_verified_against_the_name(serve, monkeypatch, tmp_path):
    server_side, trusted = _certificate("localhost", tmp_path)
    monkeypatch.setattr(http.ssl, "create_default_context", lambda: trusted)
    server = serve(answer("200 OK"), tls=server_side)
    client = HttpClient(allow_private=True)
    assert client.request("GET", f"https://localhost:{server.port}/").status == 200
    with pytest.raises(UnavailableError, match="certificate"):
        client.request("POST", f"https://127.0.0.1:{server.port}/")


def test_an_untrusted_certificate_is_refused_before_anything_is_sent(serve, tmp_path):
    server_side, _ = _certificate("localhost", tmp_path)
    server = serve(answer("200 OK"), tls=server_side)
    with pytest.raises(UnavailableError, match="certificate"):
        HttpClient(allow_private=True).request("POST", f"https://localhost:{server.port}/", body=b"secret")
    assert server.requests == []


def _certificate(name: str, folder) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), 1, now, now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    both = folder / "both.pem"
    both.write_bytes(pem + key.private_bytes(*form))
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(both)
    return server_side, ssl.create_default_context(cadata=pem.decode())


@pytest.mark.parametrize(("read", "answers"), [(0.2, False), (3.0, True)])
def test_the_time_to_connect_does_not_bound_the_answer(serve, read, answers):
    def late(connection: socket.socket, _: bytes) -> None:
        time.sleep(0.8)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    server = serve(late)
    client = HttpClient(allow_private=True, connect=0.5, read=read, total=5.0)
    if answers:
        assert client.request("GET", server.url).status == 200
    else:
        with pytest.raises(UnavailableError):
            client.request("GET", server.url)
