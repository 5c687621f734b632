# SPDX-License-Identifier: Apache-2.0
"""The ``hwsim`` program; ``python -m hwsim``."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line, unless another project's package stands where one of ours should."""
    from hwsim.core.packages import hidden

    if problem := hidden():
        sys.stderr.write(f"hwsim: {problem}\n")
        sys.exit(2)
    from hwsim.cli import main as run

    run()


if __name__ == "__main__":
    main()
