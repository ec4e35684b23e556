"""A real Roundup for these tests, and a proxy in front of it that loses answers.

The tracker's environment is built from its lock when it is missing, which takes a package index.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.core.ports import CaseDraft
from connectors.roundup.connector import Roundup
from connectors.tool import roundup
from tests.roundup.tracker import PASSWORD, LossyProxy, connect_to


@pytest.fixture(scope="session")
def python() -> Path:
    return roundup.python()


@pytest.fixture(scope="session")
def running(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[roundup.RunningRoundup]:
    started = roundup.start(python, tmp_path_factory.mktemp("roundup") / "home", 0, PASSWORD)
    yield started
    started.stop()


@pytest.fixture
def system(running: roundup.RunningRoundup) -> Roundup:
    return connect_to(running.base_url)


@pytest.fixture
def admin(running: roundup.RunningRoundup) -> Roundup:
    """The tracker's administrator, to look at and do what Hailback's own account may not."""
    home = running.log.with_suffix("")
    return connect_to(running.base_url, (home / "admin-password").read_text().strip(), "admin")


@pytest.fixture
def proxy(running: roundup.RunningRoundup) -> Iterator[LossyProxy]:
    started = LossyProxy(int(running.base_url.split(":")[2].split("/")[0]))
    yield started
    started.stop()


@pytest.fixture
def lossy(running: roundup.RunningRoundup, proxy: LossyProxy) -> Roundup:
    """The same tracker behind the proxy. It keeps its own origin, so the connector is made to claim that one."""
    port = running.base_url.split(":")[2].split("/")[0]
    system = connect_to(running.base_url.replace(port, str(proxy.port)))
    system._headers["Host"] = f"127.0.0.1:{port}"
    system._headers["Origin"] = f"http://127.0.0.1:{port}"
    system._headers["Referer"] = running.base_url
    return system


@pytest.fixture
def draft(request: pytest.FixtureRequest) -> CaseDraft:
    return CaseDraft(
        case=f"case-{request.node.name}",
        title="Parcel lost",
        opened_at="2026-01-02T03:04:05Z",
        conversation="discourse:forum.acme.example:7",
        url="https://forum.acme.example/t/7",
        author="Ann",
    )
