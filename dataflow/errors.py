# SPDX-License-Identifier: Apache-2.0
"""The one exception type for wrong input; the command line prints it as one line and ends with exit code 2."""


class InputError(ValueError):
    """Wrong input from a user: a file, a field or a value out of its range.

    The message names the file (where there is one), the field and what is allowed.
    """
