# SPDX-License-Identifier: Apache-2.0
"""Methods that keep or read a part of a decoder's keys and values, attached to models; what each costs and loses."""
