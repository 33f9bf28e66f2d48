# SPDX-License-Identifier: BSD-3-Clause
"""Records of a run of tools/bench, for its tests."""


def record(who, case, instruction_set, cycles, instructions, where="native-warm", burst=32, **more):
    return {"where": where, "case": case, "path": "scalar" if instruction_set == "scalar" else "simd", "who": who,
            "instruction_set": instruction_set, "burst": burst, "cycles_median": cycles, "cycles_min": cycles - 0.1,
            "cycles_max": cycles + 0.1, "instructions": instructions, **more}


CARD = [record("pollux", "forward", "scalar", 7.0, 59.0), record("pollux", "forward", "avx2", 5.0, 44.0),
        record("minimal loop", "forward", "scalar", 6.7, 57.0)]
