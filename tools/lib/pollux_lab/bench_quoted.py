# SPDX-License-Identifier: BSD-3-Clause
"""Quoted figures of DPDK and ixy, and the goals of Pollux. The quoted figures were measured earlier by the same method, with the
projects' own code on the same faked card, on a machine whose minimal loop is known. They are not measured again, and every output that
shows them says so."""

import dataclasses

SOURCE = ("measured earlier by the same method with their own code on the same faked card; there the minimal loop took 6.7 cycles "
          "warm and 31 cold at burst 32, 12.3 and 108 at burst 1")

# Cycles of the minimal loop's forwarding on the machine of all figures below, whose time stamp counter runs at 2.596 GHz.
MINIMAL_LOOP = {("native-warm", 1): 12.3, ("native-warm", 8): 7.0, ("native-warm", 32): 6.7, ("native-warm", 64): 6.7,
              ("native-cold", 1): 108.0, ("native-cold", 32): 31.0}


@dataclasses.dataclass(frozen=True)
class Figure:
    cycles: float
    instructions: float | None = None


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of the table: the case, the goal for Pollux, and the quoted figures."""
    title: str
    where: str
    case: str
    instruction_set: str
    burst: int
    goal: Figure
    dpdk: Figure | None = None
    ixy: Figure | None = None

    def reference_minimal(self) -> float:
        return MINIMAL_LOOP[self.where, self.burst]


def _rows() -> list[Row]:
    warm, cold = "native-warm", "native-cold"
    return [
        Row("forward", warm, "forward", "scalar", 32, Figure(7.7, 62), Figure(27.8, 260), Figure(18.9, 133)),
        Row("forward", warm, "forward", "avx2", 32, Figure(5.3, 46), Figure(27.8, 260), Figure(18.9, 133)),
        Row("forward", warm, "forward", "avx512", 32, Figure(5.2, 41), Figure(27.8, 260), Figure(18.9, 133)),
        Row("forward", warm, "forward", "scalar", 1, Figure(16.5, 155), Figure(45.1, 429), Figure(28.3, 264)),
        Row("forward", cold, "forward", "scalar", 32, Figure(23), Figure(44), Figure(50.8)),
        Row("forward", cold, "forward", "scalar", 1, Figure(36), Figure(169), Figure(151)),
        Row("receive only", warm, "rx", "scalar", 32, Figure(3.6), Figure(18.5, 128), Figure(9.1, 81)),
        Row("transmit only", warm, "tx", "scalar", 32, Figure(3.4), Figure(16.0, 130), Figure(7.8, 45)),
        Row("receive only", warm, "rx", "avx512", 32, Figure(2.3), Figure(18.5, 128), Figure(9.1, 81)),
        Row("transmit only", warm, "tx", "avx512", 32, Figure(1.9), Figure(16.0, 130), Figure(7.8, 45)),
        Row("forward, reading hash, type, VLAN, checksums", warm, "forward_offload", "scalar", 32, Figure(8.7, 85), Figure(27.8, 260)),
        Row("fused forward", warm, "fused", "scalar", 32, Figure(3.4)),
        Row("fused forward", warm, "fused", "scalar", 1, Figure(7.7)),
        Row("fused forward", cold, "fused", "scalar", 32, Figure(20)),
        Row("fused forward", warm, "fused", "avx512", 32, Figure(3.4)),
        Row("fused forward", cold, "fused", "avx512", 32, Figure(20)),
        Row("empty poll", warm, "empty_poll", "scalar", 32, Figure(4, 26), Figure(6.8, 72), Figure(5.2, 59)),
        Row("mbuf alloc and free in bulk", warm, "alloc_free", "scalar", 32, Figure(1.6, 19), Figure(6.8, 62), Figure(4.3, 23)),
    ]


ROWS = _rows()

# Cycles of forwarding, warm, by burst size; used by the plots.
FORWARD_WARM = {"DPDK": {1: 45.1, 8: 28.9, 32: 27.8, 64: 28.2}, "ixy": {1: 28.3, 8: 17.1, 32: 18.9, 64: 23.2}}
