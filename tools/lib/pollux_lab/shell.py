# SPDX-License-Identifier: BSD-3-Clause
"""An interactive shell on the guest's console."""

import os
import select
import sys
import termios
import tty

from .guest import Guest

_START = "setsid cttyhack sh </dev/ttyS0 >/dev/ttyS0 2>&1; touch /run/shell-ended"


def interact(guest: Guest) -> None:
    """Joins this terminal to a shell on the guest's console until the shell or the guest ends."""
    keyboard = sys.stdin.fileno()
    console = guest.attach_console(lambda data: os.write(sys.stdout.fileno(), data))
    guest.check(f"stty -F /dev/ttyS0 sane; rm -f /run/shell-ended; ({_START}) >/dev/null 2>&1 &")
    before = termios.tcgetattr(keyboard)
    try:
        tty.setraw(keyboard)
        while guest.alive():
            if select.select([keyboard], [], [], 0.5)[0]:
                typed = os.read(keyboard, 1024)
                if not typed:
                    break
                console.sendall(typed)
            elif guest.run("test -e /run/shell-ended").status == 0:
                break
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
