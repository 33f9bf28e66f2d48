# SPDX-License-Identifier: BSD-3-Clause
"""Enumerations of pollux.h."""

import enum


class _Number(enum.IntEnum):
    """Also a number that this version has no name for."""

    @classmethod
    def _missing_(cls, value: object) -> "_Number | None":
        if not isinstance(value, int):
            return None
        member = int.__new__(cls, value)
        member._name_, member._value_ = f"UNKNOWN_{value}", value
        return member


class PacketType(enum.IntFlag):
    """The headers that a card has recognised in a frame."""

    IPV4 = 1
    IPV4_OPTIONS = 2
    IPV6 = 4
    IPV6_EXTENSIONS = 8
    TCP = 16
    UDP = 32
    SCTP = 64


class Checksum(_Number):
    """What a card says of a checksum. PARTIAL: software made the frame, and has not computed it."""

    UNKNOWN = 0
    GOOD = 1
    BAD = 2
    PARTIAL = 3


class Offload(enum.IntFlag):
    """What the port that sends a frame is asked to do with it."""

    IPV4_CHECKSUM = 1
    TCP_CHECKSUM = 2
    UDP_CHECKSUM = 4
    SCTP_CHECKSUM = 8
    TCP_SEGMENTATION = 16
    INSERT_VLAN = 32
    TIMESTAMP = 64
    UDP_SEGMENTATION = 128
    INSERT_OUTER_VLAN = 256
    OUTER_IPV4_CHECKSUM = 512
    OUTER_UDP_CHECKSUM = 1024
    WITHOUT_FCS = 2048


class LogLevel(_Number):
    """How much a message of the library matters."""

    DEBUG = 0
    INFO = 1
    WARNING = 2
    ERROR = 3


class EventKind(_Number):
    """What has happened to a port."""

    LINK_UP = 0
    LINK_DOWN = 1
    REMOVED = 2
    FAILED = 3
    TX_TIMEOUT = 4
    RX_TIMEOUT = 5
