"""Puts the template on an AWS, local or real, through the real `sam` command from its own virtual environment.

build(local.python)                                   the layers for that interpreter; None for Lambda's
stack = deploy("hailback", local.environ(), parameters, tags)
stack.outputs["TableName"], stack.resources["SyncRecord"]
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from connectors.tool.aws import LocalAws
from connectors.tool.venvs import CHECKOUT, ensure_venv, uv_settings

_LOCK = CHECKOUT / "infra" / "local" / "sam.lock"
_LONGEST = 900
_TAIL = 40
API_TAG = "ms-custom-id"
"""MiniStack gives an HTTP API the id that stands in this tag of its stack, so its address is known beforehand."""

Progress = Callable[[str], None]


class DeployError(RuntimeError):
    """`sam` failed; the message carries the end of what it said."""


@dataclass(frozen=True)
class Stack:
    """A deployed stack."""

    name: str
    id: str
    outputs: Mapping[str, str]
    resources: Mapping[str, str]
    """Logical id to physical id."""


def build(
    python: Path | None = None,
    *,
    runtime: str = "python3.13",
    architecture: str = "arm64",
    checkout: Path = CHECKOUT,
    into: Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """`sam build`: the folder with the built template, `into` or `.aws-sam/build`.

    With `python` the layers are built for that interpreter on this machine, else for Lambda's runtime and
    architecture, whatever this machine is. Raises `DeployError`.
    """
    environ = {"LAYER_PY": runtime.removeprefix("python"), "LAYER_ARCH": architecture, "LAYER_TARGET": "lambda"}
    if python:
        environ |= uv_settings() | {
            "LAYER_TARGET": "host",
            "LAYER_INSTALL": _installer(python),
            "LAYER_PYTHON": str(python),
        }
    built = into or checkout / ".aws-sam" / "build"
    command = ["build", "--template", str(checkout / "template.yaml"), "--build-dir", str(built)]
    _sam(command, environ, checkout, progress)
    return built


def deploy(
    name: str,
    environ: Mapping[str, str],
    *,
    template: Path,
    parameters: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> None:
    """`sam deploy` a built template, or a plain one such as `infra/routes.yaml`, and wait for its end.

    `environ` says which AWS and as whom (`LocalAws.environ()`). Nothing to change counts as success. Raises
    `DeployError` with CloudFormation's reasons.
    """
    command = ["deploy", "--template-file", str(template), "--stack-name", name, "--resolve-s3"]
    command += ["--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset", "--no-fail-on-empty-changeset"]
    command += ["--no-progressbar", "--region", environ["AWS_DEFAULT_REGION"]]
    if parameters:
        command += ["--parameter-overrides", *(f"{key}={value}" for key, value in parameters.items())]
    if tags:
        command += ["--tags", *(f"{key}={value}" for key, value in tags.items())]
    _sam(command, environ, template.parent, progress)


def deploy_locally(
    local: LocalAws, built: Path, name: str = "hailback", parameters: Mapping[str, str] | None = None, **more: Any
) -> Stack:
    """The machine on a local AWS, reachable at `outputs["WebhookUrl"]` by plain HTTP."""
    small = {"Pace": "brisk", "IngestConcurrency": "2"}  # many cold workers at once would starve each other here
    given = {"PublicUrl": local.api_url(name), "AllowPrivateSystems": "true"} | small | dict(parameters or {})
    deploy(name, local.environ(), template=built / "template.yaml", parameters=given, tags={API_TAG: name}, **more)
    return describe(local.client("cloudformation"), name)


def describe(cloudformation: Any, name: str) -> Stack:
    """A stack's outputs and physical ids, read with a boto3 client."""
    stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    rows = cloudformation.describe_stack_resources(StackName=name)["StackResources"]
    return Stack(
        name,
        stack["StackId"],
        {row["OutputKey"]: row["OutputValue"] for row in stack.get("Outputs", [])},
        {row["LogicalResourceId"]: row["PhysicalResourceId"] for row in rows if "PhysicalResourceId" in row},
    )


def _without_aws(environ: Mapping[str, str]) -> dict[str, str]:
    """A profile or session of the user's would win over, or mix with, the credentials that were handed over."""
    return {key: value for key, value in environ.items() if not key.startswith("AWS_") or key == "AWS_CA_BUNDLE"}


def _installer(python: Path) -> str:
    """A command that installs wheels for `python`, which need not have pip."""
    uv = Path(sys.executable).with_name("uv")
    if uv.exists():
        return f'"{uv}" pip install --quiet --python "{python}"'
    return f'"{sys.executable}" -m pip install --quiet --disable-pip-version-check'


def _sam(command: Sequence[str], environ: Mapping[str, str], folder: Path, progress: Progress | None) -> None:
    """Run `sam`, hand each line to `progress`, raise `DeployError` with the last lines if it fails."""
    sam = ensure_venv("sam", _LOCK).with_name("sam")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    settings = {"SAM_CLI_TELEMETRY": "0", "SAM_CLI_POLL_DELAY": "0.5", "COLUMNS": "200", "PATH": path}
    with TemporaryDirectory(prefix="hailback-sam-") as scratch:  # sam leaves a folder behind for each thing it builds
        settings["TMPDIR"] = scratch
        _run([str(sam), *command], _without_aws(os.environ) | settings | dict(environ), folder, progress)


def _run(command: list[str], environ: Mapping[str, str], folder: Path, progress: Progress | None) -> None:
    said: deque[str] = deque(maxlen=_TAIL)
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        try:
            for line in process.stdout or ():
                if line.strip():
                    said.append(line.rstrip())
                    if progress:
                        progress(line.rstrip())
            failed = process.wait(_LONGEST)
        except BaseException:
            process.kill()
            raise
    if failed:
        raise DeployError(f"`sam {command[1]}` failed:\n" + "\n".join(said))
