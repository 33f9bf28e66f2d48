# SPDX-License-Identifier: BSD-3-Clause
"""Compares Pollux with its baselines on the same work: bench/baselines/README.md."""
