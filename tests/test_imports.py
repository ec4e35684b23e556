"""Who may import whom. Reads the source; runs nothing of it, but for the one test of what a cold start loads."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import connectors

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "connectors"
FUNCTIONS = ROOT / "functions"
AWS_SDK = {"boto3", "botocore"}
NOT_VENDORS = {"core", "aws", "tool", "understanding"}
VENDORS = {path.parent.name for path in PACKAGE.glob("*/__init__.py")} - NOT_VENDORS
FUNCTION_MODULES = {path.stem for path in FUNCTIONS.glob("*.py")}


def modules(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)


def imports(path: Path) -> set[str]:
    """Dotted names that a file imports when it runs; what only type checkers see does not count."""
    package = ".".join(path.relative_to(ROOT).parent.parts)
    found: set[str] = set()
    pending: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while pending:
        node = pending.pop()
        match node:
            case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")):
                pending.extend(node.orelse)
                continue
            case ast.Import():
                found.update(alias.name for alias in node.names)
            case ast.ImportFrom(level=0, module=str(module)):
                found.update(f"{module}.{alias.name}" for alias in node.names)
            case ast.ImportFrom(level=level):
                base = package.split(".")[: len(package.split(".")) - level + 1]
                found.update(".".join([*base, node.module or "", alias.name]) for alias in node.names)
        pending.extend(ast.iter_child_nodes(node))
    return found


def offences(folder: Path, forbidden: set[str]) -> list[str]:
    """`file imports name` for every import that is, or lies below, a forbidden name."""
    return [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules(folder)
        for name in sorted(imports(path))
        if any(name == no or name.startswith(f"{no}.") for no in forbidden)
    ]


def vendor_packages() -> set[str]:
    return {f"connectors.{vendor}" for vendor in VENDORS}


def test_there_is_something_to_check() -> None:
    assert set(connectors.SOURCES) | set(connectors.SYSTEMS) <= VENDORS
    assert len(FUNCTION_MODULES) >= 7
    assert "boto3" in set().union(*(imports(path) for path in modules(PACKAGE / "aws")))


def test_the_core_knows_no_aws_no_vendor_no_environment() -> None:
    outside = {
        "connectors.aws",
        "connectors.tool",
        "connectors.http",
        "os",
        "functions",
        "urllib3",
        "aws_lambda_powertools",
    }
    assert offences(PACKAGE / "core", AWS_SDK | vendor_packages() | FUNCTION_MODULES | outside) == []


def test_vendors_know_neither_functions_nor_aws_nor_each_other() -> None:
    outside = AWS_SDK | FUNCTION_MODULES | {"connectors.aws", "connectors.tool", "functions", "os.environ", "os.getenv"}
    for vendor in VENDORS:
        others = vendor_packages() - {f"connectors.{vendor}"}
        assert offences(PACKAGE / vendor, outside | others) == []


def test_only_the_aws_adapters_the_tool_and_the_signer_import_the_sdk() -> None:
    allowed = (PACKAGE / "aws", PACKAGE / "tool", PACKAGE / "sigv4.py")
    users = [
        path
        for path in modules(PACKAGE)
        if any(name.split(".")[0] in AWS_SDK for name in imports(path)) and not any(map(path.is_relative_to, allowed))
    ]
    assert users == []


def test_the_adapters_know_no_vendor_and_no_tool() -> None:
    assert offences(PACKAGE / "aws", vendor_packages() | FUNCTION_MODULES | {"connectors.tool"}) == []


def test_functions_reach_vendors_only_through_the_registry_and_never_the_tool() -> None:
    assert offences(FUNCTIONS, vendor_packages() | {"connectors.tool"}) == []


def test_what_runs_in_lambda_needs_only_what_the_layer_holds() -> None:
    """The tool's packages are not in the layer."""
    tools = {"typer", "rich", "yaml", "moto", "pytest"}
    folders = [FUNCTIONS, *(path for path in PACKAGE.iterdir() if path.is_dir() and path.name != "tool")]
    assert [offence for folder in folders for offence in offences(folder, tools)] == []


def test_the_front_door_starts_without_pydantic_and_without_vendors() -> None:
    """In a fresh process, with everything that it imports in turn."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import receive_webhook; "
        "print(*sorted(name for name in sys.modules))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program, str(FUNCTIONS)],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"AWS_DEFAULT_REGION": "eu-central-1", "POWERTOOLS_SERVICE_NAME": "test", "PATH": ""},
    ).stdout.split()
    assert "receive_webhook" in loaded
    heavy = [name for name in loaded if name.split(".")[0].startswith("pydantic")]
    assert heavy == []
    assert [name for name in loaded if any(name.startswith(vendor) for vendor in vendor_packages())] == []
