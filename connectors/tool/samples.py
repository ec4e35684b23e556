"""Sample deliveries in files: the bare body as the vendor sends it, and beside it the headers that came with it.

`post_created__topic.json` is a body, byte for byte, or `.form` where it is form-encoded; `post_created__topic.headers`
is a JSON object of its headers, without the signature, and may be missing. See events/README.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_FORM = "application/x-www-form-urlencoded"


class SampleError(ValueError):
    """A sample cannot be read, in one sentence."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A delivery without its signature. Header names are lower case."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def load_sample(path: Path) -> Sample:
    """The body in `path` and the headers in its neighbour `.headers`. Raises `SampleError`."""
    try:
        body = path.read_bytes()
    except OSError as error:
        raise SampleError(f"{path}: {error.strerror or 'cannot be read'}") from error
    kind = {"content-type": _FORM} if path.suffix == ".form" else {}
    beside = path.with_suffix(".headers")
    if beside == path or not beside.is_file():
        return Sample(body, kind)
    try:
        headers = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SampleError(f"{beside}: is not a JSON object of headers") from error
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        raise SampleError(f"{beside}: is not a JSON object whose values are strings")
    return Sample(body, kind | {name.lower(): value for name, value in headers.items()})


def sample_files(folder: Path) -> list[Path]:
    """The bodies in a folder, by name."""
    return sorted(path for path in folder.glob("*") if path.suffix in {".json", ".form"})


def read_script(folder: Path) -> list[Path]:
    """The samples of a folder in the order in which its `script.txt` has them delivered; a file may come twice."""
    lines = (folder / "script.txt").read_text(encoding="utf-8").splitlines()
    return [folder / line.strip() for line in lines if line.strip() and not line.startswith("#")]
