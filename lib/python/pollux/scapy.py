# SPDX-License-Identifier: BSD-3-Clause
"""A socket of scapy on a port of Pollux, so that sr1, srp, sniff and sendp work on it unchanged:

    socket = PolluxSocket("tap:lab0")
    answer = socket.sr1(Ether(dst="ff:ff:ff:ff:ff:ff") / ARP(pdst="10.0.0.1"), timeout=1)
    sendp(frames, socket=socket)
    sniff(opened_socket=socket, count=10)
"""

import select
import time

from scapy.config import conf
from scapy.data import MTU
from scapy.layers.l2 import Ether
from scapy.supersocket import SuperSocket

from . import Context, NotSupported, Port

# Scapy looks that often whether it is to stop.
_LONGEST_WAIT = 0.05
# A queue that cannot wake a program is polled that often, and a full ring tried again; virtual time advances by it.
_STEP = 0.0005
_SECONDS_FOR_A_FULL_RING = 5.0
_BURST = 64


class PolluxSocket(SuperSocket):
    """Sends and receives on queue 0 of a port, or of a URI that it opens and closes. Scapy may send in one thread and receive in
    another. `iface` as it stands in scapy's calls may be the URI, with conf.L2socket = PolluxSocket. As scapy has it, the port becomes
    promiscuous; a port that is given, only if that is asked for."""

    desc = "frames of a port of Pollux"
    nonblocking_socket = True

    def __init__(self, iface, type=None, promisc=None, filter=None, nofilter=0) -> None:
        if filter is not None:
            raise ValueError("a port has no BPF filter: use lfilter=, which is a function, instead of filter=")
        self._context = None
        if isinstance(iface, Port):
            self.port = iface
            self.promisc = bool(promisc)
        else:
            self.promisc = bool(conf.sniff_promisc if promisc is None else promisc)
            self._context = Context(control_thread=True)
            try:
                self.port = self._context.open(str(iface))
            except BaseException:
                self._context.close()
                raise
        if self.promisc:
            self.port.change(promiscuous=True)
        self.iface = self.port.uri
        self._rx, self._tx = self.port.rx[0], self.port.tx[0]
        # The frames of the last burst, the oldest at the end, and when they were taken.
        self._received: list[bytes] = []
        self._when = 0.0
        try:
            self._descriptor = self._rx.fileno()
        except NotSupported:
            self._descriptor = None

    def send(self, x) -> int:
        content = bytes(x)
        deadline = time.monotonic() + _SECONDS_FOR_A_FULL_RING
        while True:
            try:
                self._tx.send(content)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise
                self.port.context.sleep(_STEP)
        try:
            x.sent_time = time.time()
        except AttributeError:
            pass  # bytes
        return len(content)

    def recv_raw(self, x=MTU):
        if not self._received and not self._has_frames():
            return None, None, None
        return Ether, self._received.pop()[:x], self._when

    def _has_frames(self) -> bool:
        if not self._received:
            self._received = self._rx.read(_BURST)
            self._received.reverse()
            self._when = time.time()
        return bool(self._received)

    def fileno(self) -> int:
        return self._rx.fileno()

    @staticmethod
    def select(sockets, remain=conf.recv_poll_rate):
        ready = [socket for socket in sockets if socket._has_frames()]
        if ready:
            return ready
        wait = _LONGEST_WAIT if remain is None else min(max(remain, 0), _LONGEST_WAIT)
        virtual = [socket for socket in sockets if socket.port.context.virtual_time]
        if virtual or any(socket._descriptor is None for socket in sockets):
            for socket in virtual or sockets[:1]:
                socket.port.context.sleep(_STEP)
        else:
            try:
                if all([socket._rx.arm() for socket in sockets]):
                    select.select([socket._descriptor for socket in sockets], [], [], wait)
            finally:
                for socket in sockets:
                    socket._rx.disarm()
        return [socket for socket in sockets if socket._has_frames()]

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        if getattr(self, "_context", None) is not None:
            self._context.close()
