# SPDX-License-Identifier: BSD-3-Clause
"""Records of a run of tools/bench, for its tests."""


def record(who, case, instruction_set, cycles, instructions, where="native-warm", burst=32, **more):
    return {"where": where, "case": case, "path": "scalar" if instruction_set == "scalar" else "simd", "who": who,
            "instruction_set": instruction_set, "burst": burst, "cycles_median": cycles, "cycles_min": cycles - 0.1,
            "cycles_max": cycles + 0.1, "instructions": instructions, **more}


CARD = [record("pollux", "forward", "scalar", 7.0, 59.0), record("pollux", "forward", "avx2", 5.0, 44.0),
        record("minimal loop", "forward", "scalar", 6.7, 57.0)]


def side(who, instruction_set, runs, case="forward", burst=32, temperature="warm", instructions=60.0, table="main",
         queues=1, ring=512):
    """A record as bench/side_by_side prints it."""
    return {"table": table, "queues": queues, "ring": ring, "where": f"native-{temperature}", "case": case, "who": who, "instruction_set": instruction_set, "burst": burst,
            "instructions": instructions, "cycles": runs}


SIDE = [side("pollux", "avx2", [9.0, 10.0, 11.0], instructions=44.0), side("pollux", "scalar", [12.0, 12.0, 12.0]),
        side("dpdk_packaged", "scalar", [35.0, 35.0, 35.0], instructions=259.0),
        side("dpdk_native", "scalar", [27.0, 30.0, 44.0], instructions=241.0),
        side("minimal_loop", "scalar", [8.0, 8.0, 8.0]), side("minimal_loop", "avx512", [5.0, 5.0, 5.0])]
