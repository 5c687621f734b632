# SPDX-License-Identifier: Apache-2.0
"""The one exception type for wrong input, and its message for an unknown name.

The command line prints an `InputError` as one line and ends with exit code 2.
"""

from collections.abc import Iterable


class InputError(ValueError):
    """Wrong input from a user: a file, a field or a value out of its range.

    The message names the file (where there is one), the field and what is allowed.
    """


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``"did you mean NAME?"`` for the known name closest to ``word`` (letters' case aside), else an empty text."""
    import difflib

    by_lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), by_lower, 1)
    return f"did you mean {by_lower[close[0]]}?" if close else ""


def unknown(kind: str, word: str, known: Iterable[str], more: str = "") -> InputError:
    """The error for a name that is none of ``known``: the closest one, then all of them, then ``more``.

    For example: ``network 'resnt18': did you mean resnet18? Known: resnet18, vgg19, or a .yaml file``.
    """
    names = list(known)
    hint = did_you_mean(word, names)
    return InputError(f"{kind} {word!r}: {hint + ' ' if hint else ''}Known: {', '.join(names) or 'none'}{more}")
