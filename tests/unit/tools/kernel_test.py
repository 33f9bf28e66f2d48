# SPDX-License-Identifier: BSD-3-Clause
"""What a guest boots."""

import lzma
import pathlib
import struct
import tempfile
import unittest
import unittest.mock

from pollux_lab.kernel import Kernel

ELF = b"\x7fELF and the rest of a kernel"


def bz_image(payload: bytes, sectors: int = 2) -> bytes:
    """With some sectors of real-mode code after the first, and the payload 16 bytes behind them. Linux's documents: none means four."""
    image = bytearray((1 + (sectors or 4)) * 512 + 16)
    image[0x1F1] = sectors
    image[0x202:0x206] = b"HdrS"
    struct.pack_into("<II", image, 0x248, 16, len(payload))
    return bytes(image) + payload + b"what follows the payload"


class Image(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = pathlib.Path(holder.name)

    def image(self, content: bytes) -> pathlib.Path:
        (self.folder / "vmlinuz").write_bytes(content)
        return Kernel(self.folder).image

    def test_what_xz_packed_is_unpacked_once(self):
        image = self.image(bz_image(lzma.compress(ELF)))
        self.assertEqual((image.name, image.read_bytes()), ("vmlinux", ELF))
        self.assertEqual(self.image(b"another"), image)
        self.assertEqual({file.name for file in self.folder.iterdir()}, {"vmlinuz", "vmlinux"})

    def test_no_sectors_are_four(self):
        self.assertEqual(self.image(bz_image(lzma.compress(ELF), sectors=0)).read_bytes(), ELF)

    def test_a_folder_of_others_is_left_alone(self):
        with unittest.mock.patch("os.access", return_value=False):  # root may write everywhere
            self.assertEqual(self.image(bz_image(lzma.compress(ELF))).name, "vmlinuz")

    def test_what_is_packed_otherwise_stays(self):
        for content in (bz_image(b"\x28\xb5\x2f\xfd"), bz_image(b""), b"HdrS", b"", bytes(4096)):
            self.assertEqual(self.image(content).name, "vmlinuz")


if __name__ == "__main__":
    unittest.main()
