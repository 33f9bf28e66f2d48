# SPDX-License-Identifier: BSD-3-Clause
"""A QEMU guest with an IOMMU and igb cards, the frames sent to it from outside, and the jobs run inside."""
