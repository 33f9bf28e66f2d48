# SPDX-License-Identifier: BSD-3-Clause
"""tools/silicon: tests Pollux on the ports of a real card, and gives them back to the kernel. Uses only Python's own library and
Pollux's programs, since it also runs in a small guest."""
