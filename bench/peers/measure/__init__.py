# SPDX-License-Identifier: BSD-3-Clause
"""Pollux beside its rivals on the same work: bench/peers/README.md."""
