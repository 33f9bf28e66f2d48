# SPDX-License-Identifier: BSD-3-Clause
"""What tools/demo shows once everything is built: one home of the driver a call, and at last their figures."""

import argparse
import pathlib
import sys

from . import demo_figures
from .demo_local import LocalDemo
from .errors import LabError

ACCELERATORS = ["tcg", "kvm", "auto"]
# Frames on their way through QEMU's hub, which drops what a full ring cannot take: fewer than a ring holds.
QTEST_WINDOW = 256


def show(options: argparse.Namespace) -> None:
    if options.home == "forget":
        demo_figures.forget(options.build)
        return
    if options.home == "summary":
        print("\n" + demo_figures.table(options.build), flush=True)
        return
    print(flush=True)
    if options.home == "sim":
        demo = LocalDemo(options, "sim", "an 82576 inside the process: no root, no huge pages, no QEMU", None)
    elif options.home == "qtest":
        demo = LocalDemo(options, "qtest", "QEMU's igb without a guest: no root, no huge pages", QTEST_WINDOW)
    else:
        # Here, because it needs packages that the other homes do without.
        from .demo_guest import GuestDemo
        demo = GuestDemo(options)
    demo.run().write(options.build)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", choices=["forget", *demo_figures.HOMES, "summary"], required=True)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--kernel", default="")
    parser.add_argument("--frames", type=int, default=10000)
    parser.add_argument("--size", type=int, default=0)
    parser.add_argument("--burst", type=int, default=32)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--accel", choices=ACCELERATORS, default="tcg")
    parser.add_argument("--keep-open", action="store_true")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    try:
        if options.home == "guest":
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
