"""An AWS on this machine: MiniStack with IAM enforced, from its own virtual environment.

It starts on a free loopback port and keeps everything that it writes in one folder, so several can run side by side.
It ends with `stop()`, or with the process that started it, and takes its function workers along and nothing else.

    with aws.start(folder) as local:
        local.client("sqs").list_queues()
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from connectors.tool.venvs import CHECKOUT, ensure_venv

REGION = "eu-central-1"
_GUARD = CHECKOUT / "infra" / "local" / "guard.py"
_LOCK = CHECKOUT / "infra" / "local" / "ministack.lock"
_READY = 30
_PATIENCE = 15
_TAIL = 20


class LocalAwsError(RuntimeError):
    """The local AWS did not start; the message says why and carries the end of its log."""


@dataclass
class LocalAws:
    """A running MiniStack."""

    endpoint: str
    """Such as `http://127.0.0.1:40123`."""
    folder: Path
    python: Path
    """The interpreter that runs the functions, whatever runtime they declare."""
    region: str
    _process: subprocess.Popen[bytes]
    _alone: IO[str]

    @property
    def log(self) -> Path:
        """Its log; the functions' own are in CloudWatch Logs."""
        return self.folder / "ministack.log"

    def environ(self) -> dict[str, str]:
        """Environment variables under which an SDK or `sam` speaks to this AWS, as its root, and to no other."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "test",  # MiniStack's root; only root's signatures are not checked
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": self.region,
            "AWS_REGION": self.region,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1,localhost",
        }

    def client(self, service: str, region: str | None = None) -> Any:
        """A boto3 client with root's permissions."""
        import boto3
        from botocore.config import Config

        return boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=self.endpoint,
            region_name=region or self.region,
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106 - not a secret, see environ()
            config=Config(proxies={}),
        )

    def api_url(self, api_id: str) -> str:
        """Where an HTTP API with a `$default` stage answers plain HTTP clients, without a Host header of its own."""
        return f"{self.endpoint}/_aws/execute-api/{api_id}"

    def workers(self, function: str = "") -> list[int]:
        """Process ids of the function workers alive, those of one physical function name if it is given."""
        marker = f"ministack-lambda-{function}-" if function else "ministack-lambda-"
        return [pid for pid, command in _commands(self._process.pid) if marker in command]

    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def stop(self) -> None:
        """End it and its workers. May be called twice. State is written first, if it is kept."""
        if self._process.poll() is None:
            self._process.terminate()  # to itself alone: its workers may still be needed for what it finishes
            with suppress(subprocess.TimeoutExpired):  # it waits up to an hour for a custom resource that fell silent
                self._process.wait(_PATIENCE)
        _end(self._process)
        self._alone.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def start(
    folder: Path, *, keep: bool = False, environ: Mapping[str, str] | None = None, region: str = REGION
) -> LocalAws:
    """Start it and wait until it answers.

    `folder` receives its state, objects, temporary files and log. With `keep` it continues from what is there and
    answers at the same port (queue addresses contain it). `environ` is added to its own and to the functions'
    environment, such as HTTP_PROXY. Raises `LocalAwsError`, and `VenvError` where it cannot be installed.
    """
    folder = folder.resolve()
    (folder / "tmp").mkdir(parents=True, exist_ok=True)
    with ExitStack() as undo:
        alone = undo.enter_context(_claim(folder))
        python = ensure_venv("ministack", _LOCK)
        said = ""
        for _ in range(3):  # a port that was free may be taken before it is used
            port = _port(folder, keep)
            process = _launch(python, folder, port, region, keep, environ or {})
            undo.callback(_end, process)
            if _ready(process, port):
                undo.pop_all()
                return LocalAws(f"http://127.0.0.1:{port}", folder, python, region, process, alone)
            _end(process)
            said = "\n".join((folder / "ministack.log").read_text(errors="replace").splitlines()[-_TAIL:])
            if "already in use" not in said:
                break
        raise LocalAwsError(f"the local AWS did not start; the end of {folder / 'ministack.log'}:\n{said}")


def free_port() -> int:
    """A loopback port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _claim(folder: Path) -> IO[str]:
    handle = (folder / ".alone").open("w")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.close()
        raise LocalAwsError(f"a local AWS is already running in {folder}; stop it first, or use another") from None
    return handle


def _port(folder: Path, keep: bool) -> int:
    note = folder / "port"
    if keep and note.is_file():
        return int(note.read_text())
    port = free_port()
    note.write_text(str(port))
    return port


def _launch(
    python: Path, folder: Path, port: int, region: str, keep: bool, environ: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Functions inherit this environment, so it holds nothing of the user's: no credentials, no proxies."""
    settings = {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "HOME": str(folder),
        "TMPDIR": str(folder / "tmp"),
        "AUTH": "true",  # enforce IAM
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "MINISTACK_HOST": "127.0.0.1",  # in queue addresses; the default, localhost, costs a try at ::1
        "MINISTACK_REGION": region,
        "IOT_MTLS_ENABLED": "0",  # a second, fixed port
        "PERSIST_STATE": "1" if keep else "0",
        "STATE_DIR": str(folder / "state"),
        "S3_PERSIST": "1" if keep else "0",
        "S3_DATA_DIR": str(folder / "objects"),
    }
    with (folder / "ministack.log").open("wb") as log:
        return subprocess.Popen(
            [str(python), str(_GUARD), "ministack"],
            cwd=folder,
            env=settings | dict(environ),
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _ready(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + _READY
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with opener.open(f"http://127.0.0.1:{port}/_ministack/health", timeout=2):
                return process.poll() is None
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the process group, once: its number may be another's later."""
    if process.stdin is None or process.stdin.closed:
        return
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    with suppress(OSError):
        process.stdin.close()


def _commands(group: int) -> Iterator[tuple[int, str]]:
    """Process id and command line of each member of a process group."""
    if not Path("/proc/self/stat").exists():
        listing = subprocess.run(["ps", "-eo", "pid=,pgid=,args="], check=True, capture_output=True, text=True).stdout
        for pid, pgid, command in (line.split(None, 2) for line in listing.splitlines()):
            if int(pgid) == group:
                yield int(pid), command
        return
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it may end meanwhile
            state, _, pgid, *_ = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(pgid) == group and state != "Z":
                yield int(folder.name), (folder / "cmdline").read_text(errors="replace").replace("\0", " ")
