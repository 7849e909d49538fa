"""The project's own promises: what is packaged, pinned, licensed, and how long a file may be."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import capture

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("capture", "widgets", "tui")
SOURCES = sorted(
    path
    for top in (*PACKAGES, "bench", "tools", "tests")
    for path in (ROOT / top).rglob("*.py")
    if "__pycache__" not in path.parts
)


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    with (ROOT / "pyproject.toml").open("rb") as handle:
        return tomllib.load(handle)


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[^a-z0-9-]", item.lower(), maxsplit=1)[0] for item in requirements}


def test_version_has_one_place(project: dict[str, Any]) -> None:
    assert "version" not in project["project"]
    assert project["tool"]["hatch"]["version"]["path"] == "capture/__init__.py"
    assert re.fullmatch(r"\d+\.\d+\.\d+([ab]\d+|rc\d+)?", capture.__version__)


def test_three_flat_typed_packages_and_no_fourth(project: dict[str, Any]) -> None:
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == list(PACKAGES)
    for package in PACKAGES:
        assert (ROOT / package / "__init__.py").is_file()
        assert (ROOT / package / "py.typed").is_file()


def test_entry_point_is_there(project: dict[str, Any]) -> None:
    module, _, function = project["project"]["scripts"]["tunnelscope"].partition(":")
    assert callable(getattr(import_module(module), function))


def test_constraints_pin_every_requirement(project: dict[str, Any]) -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==[\w.]+", line) for line in pinned)
    order = [line.partition("==")[0] for line in pinned]
    assert order == sorted(order)
    wanted = names(project["project"]["dependencies"])
    wanted |= names(project["project"]["optional-dependencies"]["dev"])
    assert wanted <= names(pinned)


def test_license_is_whole() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "GNU GENERAL PUBLIC LICENSE" in text
    assert "Version 2, June 1991" in text
    assert "END OF TERMS AND CONDITIONS" in text


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_source_file_is_short_and_modern(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 500
    if text.strip():
        assert "from __future__ import annotations" in text or not re.search(
            r"^(import|from|def|class) ", text, re.MULTILINE
        )


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout")
def test_no_packaged_file_is_ignored_by_git() -> None:
    # hatchling leaves ignored files out of the wheel without a word.
    data = [
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    done = subprocess.run(
        ["git", "check-ignore", "--stdin"],
        input="\n".join(data), capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert done.stdout == ""


needs_make = pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")


@needs_make
def test_make_knows_its_targets() -> None:
    targets = ["demo", "test", "lint", "bench", "screenshots", "clean"]
    done = subprocess.run(
        ["make", "--dry-run", *targets], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr


@needs_make
def test_make_says_in_one_line_that_python_is_too_old(tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    old = tmp_path / "python3.8"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    done = subprocess.run(
        ["make", "demo", f"PYTHON={old}"], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode != 0
    # make adds a word of its own: "make:", or "make[1]:" when a make runs the tests.
    said = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert len(said) == 1
    assert "3.11" in said[0]
    assert not (tmp_path / ".venv").exists()


def test_ci_entry_can_run() -> None:
    entry = ROOT / ".ci" / "run"
    assert os.access(entry, os.X_OK)
    assert subprocess.run(["bash", "-n", str(entry)], check=False).returncode == 0
