# SPDX-License-Identifier: Apache-2.0
"""What a machine is: settings, results, studies, energy figures, kernels shared by simulators."""
