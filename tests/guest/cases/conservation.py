# SPDX-License-Identifier: BSD-3-Clause
"""No frame disappears unnamed. QEMU's wire drops silently, so both of its ends are counted."""

from cases.boots import C, D, G, H, TWO_CPUS
from pollux_lab.cases import Bench, case, require

COUNT = 100_000


def through_the_hubs(bench: Bench, options: str) -> tuple[dict, object]:
    bench.bind(C, D, G, H)
    with bench.l2fwd(C, D) as l2fwd:
        generator = bench.pktgen(G, H, options=f"--check {options}")
        return generator, l2fwd.stop()


@case(TWO_CPUS)
def every_frame_of_a_bounded_stream_arrives(bench: Bench) -> None:
    # Fewer on their way than a ring holds, so QEMU has no reason to drop one.
    generator, forwarder = through_the_hubs(bench, f"--count {COUNT} --size 64 --window 256")
    require(forwarder.conserved, str(forwarder))
    counts = (generator["sent"], forwarder.received, forwarder.sent, generator["received"])
    require(counts == (COUNT,) * 4, f"generator sent, l2fwd received, l2fwd sent, generator received: {counts}")
    require(not generator.get("corrupt"), f"{generator.get('corrupt')} frames arrived corrupt")


@case(TWO_CPUS)
def at_full_rate_each_loss_has_a_place(bench: Bench) -> None:
    generator, forwarder = through_the_hubs(bench, "--count 1000000 --size 64")
    require(forwarder.conserved, str(forwarder))
    require(generator["sent"] >= forwarder.received > 0, f"l2fwd received {forwarder.received} of {generator['sent']}")
    require(forwarder.sent >= generator["received"] > 0, f"{generator['received']} arrived of {forwarder.sent}")
    require(not generator.get("corrupt"), f"{generator.get('corrupt')} frames arrived corrupt")


@case(TWO_CPUS, long="ten minutes of traffic at full rate")
def nothing_leaks_in_ten_minutes(bench: Bench) -> None:
    bench.bind(C, D, G, H)
    with bench.l2fwd(C, D) as l2fwd:
        generator = bench.pktgen(G, H, options="--check --seconds 600 --size 64", seconds=700)
        resident = [bench.guest.check("awk '/VmRSS/ { print $2 }' /proc/$(cat /run/l2fwd.pid)/status")]
        forwarder = l2fwd.stop()
    require(forwarder.conserved, str(forwarder))
    require(generator["received"] > 0 and not generator.get("corrupt"), f"{generator}; resident {resident} KiB")
