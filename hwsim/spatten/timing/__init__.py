# SPDX-License-Identifier: Apache-2.0
"""SpAtten's levels: functional, pipeline of queries; and a workload made of heads."""
