# SPDX-License-Identifier: BSD-3-Clause
"""Compares the token bucket, fq_codel and byte queue limits with those of the distribution's kernel source, which is compiled here
with a shim (kernel/) for clock, packets and hash. Both get the same random traces in virtual time; each decision has to be the same."""

import pathlib
import random
import re
import subprocess
import sys
import tempfile
import unittest

QUEUEING_TOOL = sys.argv.pop()
SECONDS = 120
HERE = pathlib.Path(__file__).resolve().parent
SHIM = HERE / "kernel"
# Headers of the kernel in whose place the shim is included.
SHIMMED = ("asm/bug", "linux/compiler", "linux/errno", "linux/export", "linux/in", "linux/init", "linux/jiffies", "linux/kernel",
           "linux/ktime", "linux/module", "linux/skbuff", "linux/slab", "linux/string", "linux/types", "linux/vmalloc",
           "net/inet_ecn", "net/netlink", "net/pkt_cls", "net/pkt_sched", "net/sch_generic")
EVENTS = 20000
# CoDel's times have 32 bits of 1,024 ns; a trace that begins here passes their end.
BEFORE_WRAP = (1 << 42) - 10**9


def function_of(source: pathlib.Path, name: str) -> str:
    """The text of a function of the kernel."""
    found = re.search(rf"^(?:[a-z0-9_]+ )+\*?{name}\([^;{{]*\)\n{{.*?^}}\n", source.read_text(), re.DOTALL | re.MULTILINE)
    if found is None:
        raise LookupError(f"{source} has no function {name}")
    return found.group(0)


class Kernel(unittest.TestCase):
    judges: dict[str, pathlib.Path] = {}
    folder: tempfile.TemporaryDirectory

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        got = subprocess.run([HERE.parents[1] / "tools/lib/fetch", "kernel-files"], capture_output=True, text=True, check=False)
        cls.lacks = got.stderr.strip() if got.returncode != 0 else None
        if cls.lacks is None:
            cls.compile(pathlib.Path(got.stdout.strip()), pathlib.Path(cls.folder.name))

    @classmethod
    def compile(cls, kernel: pathlib.Path, folder: pathlib.Path):
        for name in SHIMMED:
            header = folder / f"{name}.h"
            header.parent.mkdir(exist_ok=True)
            header.write_text('#include "kernel_shim.h"\n')
        generic = kernel / "net/sched/sch_generic.c"
        (folder / "rates.h").write_text(function_of(generic, "psched_ratecfg_precompute__") +
                                        function_of(generic, "psched_ratecfg_precompute") +
                                        function_of(kernel / "include/net/sch_generic.h", "psched_l2t_ns"))
        for name in ("fq_codel", "tbf", "dql"):
            cls.judges[name] = folder / name
            subprocess.run(["gcc", "-std=gnu11", "-O1", "-w", "-D__KERNEL__", f"-I{SHIM}", f"-I{folder}", f"-I{kernel}",
                            f"-I{kernel}/include", "-o", folder / name, SHIM / f"judge_{name}.c"], check=True, timeout=SECONDS)

    def setUp(self):
        if self.lacks is not None:
            self.skipTest(f"the kernel's source is missing: {self.lacks}")

    def compare(self, name: str, options: list, events: list[str]) -> list[str]:
        """Returns the decisions, which are the same."""
        trace = " ".join(map(str, options)) + "\n" + "\n".join(events) + "\n"
        runs = [subprocess.run(command, input=trace, capture_output=True, text=True, timeout=SECONDS, check=True).stdout.splitlines()
                for command in ([self.judges[name]], [QUEUEING_TOOL, name])]
        for number, (expected, ours) in enumerate(zip(*runs)):
            self.assertEqual(expected, ours, f"decision {number}, of event {events[number]}, options {options}")
        self.assertEqual([len(run) for run in runs], [len(events)] * 2)
        return runs[0]


def frames_and_turns(seed: int, flows: int, service: int, load: float, start: int = 10**9, ecn: tuple[int, ...] = (0,)) -> list[str]:
    """Frames of `flows` flows that arrive in bursts, and a sender that needs about `service` ns for each. `load` varies around the
    given value, so that queues become long and empty."""
    dice = random.Random(seed)
    now, events, number, current = start, [], 0, load
    while len(events) < EVENTS:
        if dice.random() < 0.002:
            current = load * dice.choice((0.2, 0.7, 1, 1.3, 2))
        if dice.random() < current / (1 + current):
            for _ in range(dice.choice((1, 1, 1, 4))):
                flow = min(int(dice.expovariate(3 / flows)), flows - 1)
                events.append(f"E {now} {number} {flow} {dice.choice((60, 200, 600, 1514))} {dice.choice(ecn)}")
                number += 1
        else:
            events.append(f"D {now}")
        now += int(dice.expovariate(1 + current) * service)
    return events


class FqCodel(Kernel):
    # limit, flows, quantum, target and interval in us, ecn, ce_threshold in us, memory, drop batch, mtu
    DEFAULTS = dict(limit=10240, flows=1024, quantum=1514, target=5000, interval=100000, ecn=1, ce=-1, memory=32 << 20, batch=64,
                    mtu=1514)

    def decide(self, events: list[str], **options) -> list[str]:
        return self.compare("fq_codel", list((self.DEFAULTS | options).values()), events)

    def test_codel_drops_of_one_flow(self):
        for seed in range(3):
            decisions = self.decide(frames_and_turns(seed, 1, 500_000, 1.2))
            self.assertGreater(sum(" x" in line for line in decisions if line[0] == "D"), 100)

    def test_flows_share_and_sparse_ones_come_first(self):
        for seed in range(3):
            decisions = self.decide(frames_and_turns(seed, 200, 100_000, 1.2), flows=256)
            self.assertGreater(sum(" x" in line for line in decisions), 20)

    def test_marks_instead_of_drops(self):
        for seed in range(3):
            events = frames_and_turns(seed, 8, 500_000, 1.2, ecn=(0, 1, 2, 3))
            decisions = self.decide(events)
            arrived = {line.split()[2]: line.split()[5] for line in events if line[0] == "E"}
            sent = [line.split() for line in decisions if line[0] == "D" and line[2] != "-"]
            self.assertGreater(sum(one[3] == "3" and arrived[one[1]] in "12" for one in sent), 50)
            self.decide(events, ecn=0)

    def test_marks_of_late_frames(self):
        decisions = self.decide(frames_and_turns(5, 8, 100_000, 1.0, ecn=(0, 1, 2)), ce=1000, interval=1_000_000, target=900_000)
        self.assertGreater(sum(" ecn 3" in line for line in decisions), 50)

    def test_limit_of_frames(self):
        for batch in (1, 3, 64):
            decisions = self.decide(frames_and_turns(batch, 30, 100_000, 1.5), limit=100, batch=batch, target=500,
                                    interval=2000)
            self.assertGreater(sum(" x" in line for line in decisions if line[0] == "E"), 100)

    def test_limit_of_memory(self):
        decisions = self.decide(frames_and_turns(7, 30, 100_000, 1.5), memory=50_000)
        self.assertGreater(sum(" x" in line for line in decisions if line[0] == "E"), 100)

    def test_quantum_and_times_of_other_links(self):
        self.decide(frames_and_turns(8, 30, 1_000_000, 1.2), quantum=300, target=20_000, interval=300_000)
        self.decide(frames_and_turns(9, 30, 2_000, 1.2), quantum=9000, target=50, interval=1_000)

    def test_comes_back_to_dropping_soon_or_late(self):
        for seed in (12, 13):
            self.decide(frames_and_turns(seed, 2, 20_000, 0.85), target=20, interval=100, mtu=600)

    def test_the_end_of_its_times(self):
        self.decide(frames_and_turns(10, 20, 100_000, 1.1, start=BEFORE_WRAP))


class Tbf(Kernel):
    # The kernel rounds the time of a frame down to a nanosecond, so it sends faster than the rate where a byte takes no whole number of
    # them. Pollux rounds nothing. At these rates both are exact.
    def test_rate_and_burst(self):
        for seed, (rate, burst) in enumerate(((125_000, 1514), (12_500_000, 20_000), (1_000_000_000, 100_000), (10_000, 3000), (8, 300))):
            decisions = self.compare("tbf", [rate, burst, 0, 0, 0, 200_000], self.trace(seed, rate))
            self.assertGreater(sum(" next " in line and " next 0" not in line for line in decisions), 100)

    def test_frames_longer_than_the_burst(self):
        decisions = self.compare("tbf", [125_000, 1000, 0, 0, 0, 100_000], self.trace(20, 125_000))
        self.assertGreater(sum(" x" in line for line in decisions), 100)

    def test_peak_rate(self):
        for seed, peak in enumerate((250_000, 2_000_000)):
            self.compare("tbf", [125_000, 30_000, peak, 1600, 0, 100_000], self.trace(seed, 180_000))

    def test_overhead(self):
        self.compare("tbf", [125_000, 5000, 0, 0, 24, 100_000], self.trace(30, 125_000))
        self.compare("tbf", [125_000, 5000, 400_000, 3000, 4, 100_000], self.trace(31, 200_000))

    def test_limit(self):
        decisions = self.compare("tbf", [125_000, 5000, 0, 0, 0, 5000], self.trace(40, 250_000))
        self.assertGreater(sum(" x" in line for line in decisions), 1000)

    @staticmethod
    def trace(seed: int, rate: int) -> list[str]:
        # The tool knows no time before the first event, when both buckets are full.
        return frames_and_turns(seed, 1, 250 * 10**9 // rate, 0.5, start=10**9)


class ByteQueueLimits(Kernel):
    def test_limits_rise_and_fall(self):
        for seed, (low, high) in enumerate(((0, 1 << 30), (0, 20_000), (3000, 1 << 30), (5000, 5000))):
            decisions = self.compare("dql", [low, high, 50], self.trace(seed))
            limits = [int(line.split()[2]) for line in decisions]
            if low != high:
                self.assertGreater(sum(a < b for a, b in zip(limits, limits[1:])), 20)
                self.assertGreater(sum(a > b for a, b in zip(limits, limits[1:])), 20)

    @staticmethod
    def trace(seed: int) -> list[str]:
        dice = random.Random(seed)
        events, now, waiting, most = [], 0, 0, 10_000
        while len(events) < EVENTS:
            if dice.random() < 0.003:
                most = dice.choice((1500, 10_000, 40_000, 200_000))
            now += dice.choice((0, 0, 1, 3))
            if waiting < most and dice.random() < 0.7:
                length = dice.choice((60, 600, 1514))
                waiting += length
                events.append(f"Q {now} {length}")
            elif waiting != 0:
                length = dice.choice((waiting, min(waiting, 1514), dice.randint(1, waiting)))
                waiting -= length
                events.append(f"C {now} {length}")
        return events


# Has no cases of its own.
del Kernel

if __name__ == "__main__":
    unittest.main()
