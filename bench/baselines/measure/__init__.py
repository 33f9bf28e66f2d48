# SPDX-License-Identifier: BSD-3-Clause
"""Pollux beside its baselines on the same work: bench/baselines/README.md."""
