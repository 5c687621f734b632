# SPDX-License-Identifier: Apache-2.0
"""What an installed package can do: the wheel in an environment of its own, started from an empty folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def listed() -> list[str]:
    """Files under version control, and new ones that are not ignored."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    return [name for name in found if name and (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from a copy: a build leaves files behind."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in listed():
        if name.partition("/")[0] != "tests":
            (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / "source" / name)
    command = ["pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(folder), str(folder / "source")]
    subprocess.run([sys.executable, "-m", *command], check=True, cwd=folder)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def program(wheel: Path, tmp_path_factory) -> Path:
    """``hwsim`` of an environment with the wheel; other packages are those of this environment."""
    folder = tmp_path_factory.mktemp("env")
    venv.create(folder, with_pip=False)
    site = folder / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    command = ["pip", "install", "-q", "--no-deps", "--target", str(site), str(wheel)]
    subprocess.run([sys.executable, "-m", *command], check=True)
    paths = [p for p in sys.path if p.endswith("site-packages")] or [sysconfig.get_path("purelib")]
    (site / "others.pth").write_text("\n".join(paths) + "\n")
    return folder / "bin" / "python"


def run(program: Path, words: str, folder: Path, **more: str) -> str:
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | more
    done = subprocess.run([program, "-m", "hwsim", *words.split()], cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, f"hwsim {words}: {done.stderr[-2000:]}"
    return done.stdout


def test_the_wheel_has_every_file_of_the_packages(wheel: Path) -> None:
    """Everything under version control in the packages and in rtl/, tests and READMEs of folders excepted."""
    inside = set(zipfile.ZipFile(wheel).namelist())
    missing = []
    for name in listed():
        top = name.partition("/")[0]
        if top == "rtl" and name.endswith((".v", ".vh")):
            missing += [name] if f"hwsim/{name}" not in inside else []
        elif top in ("dataflow", "hwsim", "algorithms", "reports") and not name.endswith("README.md"):
            kept = name.startswith("reports/example/")  # pictures of the project's README
            missing += [name] if name not in inside and not kept else []
    assert missing == []


def test_it_runs_from_an_empty_folder(program: Path, tmp_path: Path) -> None:
    assert "site-packages/hwsim/rtl" in run(program, "doctor --json", tmp_path)
    assert "cycles" in run(program, "sat resnet9 --no-compare", tmp_path)
    assert "cycles" in run(program, "spatten bert-base", tmp_path)
    assert "wrote" in run(program, "report --networks resnet9 --nm 2:8 --out r", tmp_path)
    assert "24 points" in run(program, "sweep sat-dataflow --out s --workers 1", tmp_path)
    assert (tmp_path / "s" / "results.parquet").exists()


def test_its_rtl_is_verified_and_synthesized(program: Path, tmp_path: Path) -> None:
    assert "fp16_to_fp32" in run(program, "verify sat --block fp16_to_fp32 --cases 1", tmp_path)
    assert "LUT" in run(program, "synth sat --top fp16_mul", tmp_path)


def test_a_package_of_another_project_is_noticed(program: Path, tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "__init__.py").touch()
    done = subprocess.run([program, "-m", "hwsim", "--version"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert str(tmp_path / "reports" / "__init__.py") in done.stderr
