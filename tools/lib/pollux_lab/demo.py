# SPDX-License-Identifier: BSD-3-Clause
"""The part of tools/demo after the build: each call runs one backend, and a last call prints the figures of all."""

import argparse
import pathlib
import sys

from . import demo_figures
from .demo_local import LocalDemo
from .errors import LabError

ACCELERATORS = ["tcg", "kvm", "auto"]
# The number of frames in flight. It is below the size of a ring, since QEMU's hub drops frames that find a full ring.
QTEST_WINDOW = 256


def show(options: argparse.Namespace) -> None:
    if options.backend == "forget":
        demo_figures.forget(options.build)
        return
    if options.backend == "summary":
        print("\n" + demo_figures.table(options.build), flush=True)
        return
    if options.backend == "first":
        LocalDemo(options, "sim", "", None).first()
        return
    print(flush=True)
    if options.backend == "sim":
        demo = LocalDemo(options, "sim", "an 82576 inside the process: no root, no huge pages, no QEMU", None)
    elif options.backend == "qtest":
        demo = LocalDemo(options, "qtest", "QEMU's igb without a guest: no root, no huge pages", QTEST_WINDOW)
    else:
        # Imported here, because it needs packages that the other backends do not need.
        from .demo_guest import GuestDemo
        demo = GuestDemo(options)
    demo.run().write(options.build)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", choices=["forget", "first", *demo_figures.BACKENDS, "summary"], required=True)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--kernel", default="")
    parser.add_argument("--frames", type=int, default=10000)
    parser.add_argument("--size", type=int, default=0)
    parser.add_argument("--burst", type=int, default=32)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--accel", choices=ACCELERATORS, default="tcg")
    parser.add_argument("--keep-open", action="store_true")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    try:
        if options.backend == "guest":
            from .guest import end_on_signals
            end_on_signals()
        show(options)
    except LabError as error:
        print(f"tools/demo: error: {error}", file=sys.stderr, flush=True)
        return 1
    except KeyboardInterrupt:
        print("tools/demo: interrupted; nothing is left running", file=sys.stderr, flush=True)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
