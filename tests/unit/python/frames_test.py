# SPDX-License-Identifier: BSD-3-Clause
"""Frames from Python: their bytes, and what is said of them. numpy judges the buffers."""

import array
import os
import struct
import tempfile
import unittest

import pollux
from fixture import FRAME, LINK_SECONDS, Fixture
from pollux import Checksum, Offload, PacketType

try:
    import numpy
except ImportError:
    numpy = None


def checksum(content: bytes) -> int:
    total = sum(struct.unpack(f"!{len(content) // 2}H", content))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def udp_frame(payload=bytes(18)) -> bytes:
    """Without a checksum of UDP's."""
    udp = struct.pack("!HHHH", 1000, 2000, 8 + len(payload), 0) + payload
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0, bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]))
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    return b"\xff" * 6 + b"\x02\0\0\0\0\x01" + b"\x08\x00" + ip + udp


class Bytes(Fixture):
    def test_reading(self):
        frame = self.pass_one()
        self.assertEqual((len(frame), bytes(frame), list(frame)), (60, FRAME, list(FRAME)))
        for index in (0, 59, -1, -60, slice(6, 12), slice(None), slice(-4, None), slice(50, 10, -3), slice(70, 80)):
            self.assertEqual(frame[index], FRAME[index], index)

    def test_writing(self):
        frame = self.pass_one()
        expected = bytearray(FRAME)
        for index, value in ((0, 1), (-1, 2), (slice(6, 12), b"abcdef"), (slice(20, 30, 2), b"12345")):
            frame[index] = expected[index] = value
        self.assertEqual(bytes(frame), expected)

    def test_growing_and_shrinking(self):
        frame = self.left.frame(b"payload")
        frame.prepend(b"header ")
        frame.append(b", end")
        self.assertEqual(bytes(frame), b"header payload, end")
        frame.strip(7)
        frame.trim(5)
        self.assertEqual(bytes(frame), b"payload")
        for wrong in (lambda: frame.strip(8), lambda: frame.trim(8), lambda: frame.append(bytes(5000)), lambda: frame.prepend(bytes(5000))):
            self.assertRaises(ValueError, wrong)
        self.assertEqual(bytes(frame), b"payload")
        self.assertEqual(bytes(self.left.frame(5)), bytes(5))

    @unittest.skipIf(numpy is None, "numpy is not installed (python3-numpy): arrays on frames were NOT tested")
    def test_numpy_shares_the_bytes(self):
        frame = self.pass_one()
        content = numpy.frombuffer(frame, numpy.uint8)
        self.assertEqual(content.tobytes(), FRAME)
        content[0] = 9
        self.assertEqual(frame[0], 9)
        del frame  # the array keeps it
        for _ in range(20):  # others take buffers meanwhile
            self.pass_one().free()
        self.right.close()
        self.context.close()
        self.assertEqual(content[6:].tobytes(), FRAME[6:])
        self.assertEqual(self.context.forgotten, 0)
        del content
        self.assertEqual(self.context.forgotten, 1)

    @unittest.skipIf(numpy is None, "numpy is not installed (python3-numpy): bursts into its arrays were NOT tested")
    def test_a_burst_into_an_array(self):
        for length in (20, 60, 100):
            self.left.tx[0].send(FRAME[:20] + bytes(length - 20))
        self.context.sleep(0.001)
        rows, lengths = numpy.full((70, 64), 7, numpy.uint8), numpy.zeros(70, numpy.uint16)
        self.assertEqual(self.right.rx[0].burst_into(rows, lengths), 3)
        self.assertEqual(lengths[:4].tolist(), [60, 60, 100, 0])  # a card pads to 60
        self.assertEqual([rows[i, :20].tobytes() for i in range(3)], [FRAME[:20]] * 3)
        self.assertEqual((rows[0, 59], rows[0, 60], rows[2, 63], rows[3, 0]), (0, 7, 0, 7))
        self.assertEqual(self.context.forgotten, 0)

    def test_a_burst_into_what_the_standard_library_has(self):
        in_use = self.context.request("pools")[1]["in_use"]
        rows = memoryview(bytearray(4 * 100)).cast("B", (4, 100))
        for kind in "HhIiLlQq":
            lengths = array.array(kind, [0] * 4)
            self.left.tx[0].send(FRAME)
            self.context.sleep(0.001)
            self.assertEqual(self.right.rx[0].burst_into(rows, lengths), 1, kind)
            self.assertEqual(list(lengths), [60, 0, 0, 0], kind)
        self.assertEqual(rows.tobytes()[:60], FRAME)
        self.assertEqual(self.context.request("pools")[1]["in_use"], in_use)  # the frames were freed

    def test_a_clone_shares_the_bytes(self):
        frame = self.pass_one()
        clone = self.right.clone(frame)
        self.assertTrue(frame.is_shared and clone.is_shared)
        self.assertEqual(bytes(clone), FRAME)
        self.assertTrue(memoryview(clone).readonly)
        with self.assertRaises(TypeError):
            frame[0] = 1
        self.assertEqual(self.right.tx[0].burst([frame, clone]), 2)
        self.assertEqual([bytes(one) for one in self.receive(self.left)], [FRAME] * 2)

    def test_a_frame_of_several_buffers(self):
        content = os.urandom(9000)
        with tempfile.NamedTemporaryFile(suffix=".pcap") as file:
            file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + struct.pack("<IIII", 0, 0, 9000, 9000) + content)
            file.flush()
            with self.context.open(f"pcap:in={file.name}", {"mtu": 9216}) as jumbo:
                [frame] = self.receive(jumbo)
        self.assertTrue(frame.is_segmented)
        self.assertEqual((len(frame), bytes(frame), frame[8990:], frame[-1], frame[::-1000]),
                         (9000, content, content[8990:], content[-1], content[::-1000]))  # fmt: skip
        with self.assertRaisesRegex(BufferError, "bytes"):
            memoryview(frame)
        with self.assertRaises(BufferError):
            frame[0] = 1
        frame.free()

    def test_frames_are_chained(self):
        whole, more = self.left.frame(FRAME), self.left.frame(b"more")
        view = memoryview(whole)
        with self.assertRaises(BufferError):
            whole.chain(more)
        view.release()
        whole.chain(more)
        self.assertEqual((bytes(whole), whole.is_segmented), (FRAME + b"more", True))
        with self.assertRaises(ValueError):
            len(more)
        self.assertEqual(self.left.tx[0].burst([whole]), 1)
        self.assertEqual([bytes(one) for one in self.receive()], [FRAME + b"more"])


class Metadata(Fixture):
    def restart(self, **settings):
        self.right.request("port.stop")
        self.right.change(**settings)
        self.right.request("port.start")
        self.right.wait_for_link(LINK_SECONDS)

    def test_checksums_and_headers(self):
        frame = self.pass_one(udp_frame())
        self.assertEqual(frame.packet_type & (PacketType.IPV4 | PacketType.UDP), PacketType.IPV4 | PacketType.UDP)
        self.assertEqual((frame.ip_checksum, frame.is_bad, frame.vlan, frame.timestamp), (Checksum.GOOD, False, None, None))
        self.assertEqual(frame.port, self.right.request("port.info")["index"])
        self.assertIsNone(self.left.frame(FRAME).port)
        wrong = bytearray(udp_frame())
        wrong[24] ^= 1
        self.restart(keep_bad_frames=True)
        self.assertEqual(self.pass_one(wrong).ip_checksum, Checksum.BAD)

    def test_a_hash(self):
        self.restart(rx=[{}, {}])
        for _ in range(2):
            self.left.tx[0].send(udp_frame())
        self.context.sleep(0.001)
        first, second = [frame for rx in self.right.rx for frame in rx.burst()]
        self.assertIsInstance(first.rss_hash, int)
        self.assertEqual((first.rss_hash, first.vlan), (second.rss_hash, None))

    def test_a_tag(self):
        self.right.change(vlan_stripping=True)
        frame = self.left.frame(FRAME)
        frame.request(Offload.INSERT_VLAN, vlan=0x2007)
        self.assertEqual(self.left.tx[0].burst([frame]), 1)
        [received] = self.receive()
        self.assertEqual((received.vlan, received.vlan_is_inner, bytes(received)), (0x2007, False, FRAME))

    def test_requested_checksums(self):
        frame = self.left.frame(udp_frame(b"check this payload"))
        frame.request_checksums(Offload.IPV4_CHECKSUM | Offload.UDP_CHECKSUM, l2=14, l3=20, l4=8)
        self.assertEqual(self.left.tx[0].burst([frame]), 1)
        [received] = self.receive()
        self.assertNotEqual(received[40:42], bytes(2))
        self.assertEqual((received.ip_checksum, received.l4_checksum), (Checksum.GOOD, Checksum.GOOD))
        frame = self.left.frame(udp_frame())
        with self.assertRaises(ValueError):
            frame.request_checksums(Offload.UDP_CHECKSUM, l2=14, l3=500)
        with self.assertRaises(ValueError):
            frame.request(0, l2=65536)


if __name__ == "__main__":
    unittest.main()
