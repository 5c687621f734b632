# SPDX-License-Identifier: Apache-2.0
"""A machine for hwsim from outside its repository."""
