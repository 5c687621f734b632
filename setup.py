# SPDX-License-Identifier: Apache-2.0
"""Copies ``rtl/`` and the glossary into the built package, so that an installed hwsim has its Verilog and pages explain
their words; all else is in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithRtl(build_py):
    """The package as it is, and ``rtl/`` as ``hwsim/rtl/``."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            shutil.copyfile("docs/glossary.md", Path(self.build_lib) / "reports" / "glossary.md")
            for source in sorted(Path("rtl").rglob("*")):
                if source.suffix in (".v", ".vh", ".md"):
                    target = Path(self.build_lib) / "hwsim" / source
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(source, target)


setup(cmdclass={"build_py": BuildWithRtl})
