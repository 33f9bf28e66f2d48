# SPDX-License-Identifier: BSD-3-Clause
"""Linux's igb on the in-process I350, I210 and I211: the cases in which these cards differ from an 82576."""

import functools
import inspect

from pollux_lab import cases
from pollux_lab.cases import Boot

from . import columns, linux_ethtool, linux_time, linux_traffic
from .columns import LONG, Column, Row

LOAD = "modprobe -a igb 8021q"
CARDS = {"i350": "I350", "i210": "I210", "i211": "I211", "flashless": "I210 without a flash"}
MODELS = {"flashless": "i210-flashless"}


def _boot(key: str, name: str) -> Boot:
    model = MODELS.get(key, key)
    return Boot(f"two in-process {name}s in the newer QEMU, two processors",
                lambda: columns.two_exported_cards(key, "--card", model), LOAD)


COLUMNS = {key: Column(key, f"our model of an {name}", _boot(key, name)) for key, name in CARDS.items()}


def on_cards(*keys: str, short: tuple[str, ...] = ()):
    """Declares a case for these cards. On those of `short` it is part of the short run."""
    def register(function):
        row = Row(function.__name__, inspect.getdoc(function).splitlines()[0], {})
        for key in keys:
            column = COLUMNS[key]
            cases.REGISTRY.append(cases.Case(f"interop.{row.name}.{key}", column.boot,
                                             functools.partial(columns._run, function, row, column), "" if key in short else LONG))
        return function
    return register


on_cards(*CARDS, short=("i350",))(linux_ethtool.ethtool_test_offline)
# An I211, and an I210 without a flash, have no words that ethtool could read.
on_cards("i350", "i210", short=("i350",))(linux_ethtool.ethtool_queries)
on_cards("i350", "i210")(linux_time.clocks_by_time_stamps)
# E-VFTA: Linux writes each word of an I350's table ten times.
on_cards("i350", "i210")(linux_traffic.vlan_tags_by_the_card)
on_cards("i350", "i210")(linux_traffic.several_queues_by_rss)
on_cards("i350", "i210")(linux_ethtool.byte_counters_add_up)
