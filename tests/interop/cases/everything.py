# SPDX-License-Identifier: BSD-3-Clause
"""Declares all cases, in the order of the table."""

from . import linux_traffic  # noqa: F401  isort: skip
from . import linux_ethtool  # noqa: F401  isort: skip
from . import linux_link  # noqa: F401  isort: skip
from . import linux_life  # noqa: F401  isort: skip
from . import linux_pollux  # noqa: F401  isort: skip
from . import linux_iommu  # noqa: F401  isort: skip
from . import linux_faults  # noqa: F401  isort: skip
from . import dpdk  # noqa: F401  isort: skip
from . import dpdk_on_qemu  # noqa: F401  isort: skip
from . import dpdk_offloads  # noqa: F401  isort: skip
from . import dpdk_rules  # noqa: F401  isort: skip
from . import linux_time  # noqa: F401  isort: skip
from . import linux_functions  # noqa: F401  isort: skip
from . import pollux_functions  # noqa: F401  isort: skip
from . import linux_virtio  # noqa: F401  isort: skip
from . import other_cards  # noqa: F401  isort: skip
from . import wrong_cards  # noqa: F401  isort: skip
