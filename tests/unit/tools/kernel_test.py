# SPDX-License-Identifier: BSD-3-Clause
"""What a guest boots."""

import lzma
import os
import pathlib
import struct
import tempfile
import time
import unittest
import unittest.mock

from pollux_lab import initramfs
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


class Archive(unittest.TestCase):
    """The base of the guest's file system, which runs at the same time, of several checkouts, share."""

    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.cache = pathlib.Path(holder.name)
        (self.cache / "version").write_text("6.1.0\n")
        (self.cache / "vmlinuz").write_bytes(bz_image(lzma.compress(ELF)))
        self.kernel = Kernel(self.cache)
        for name in ("_add_busybox", "_add_modules", "add_programs"):
            self.enterContext(unittest.mock.patch.object(initramfs, name))
        self.enterContext(unittest.mock.patch.object(initramfs, "tool", lambda _: self.cache / "version"))
        self.enterContext(unittest.mock.patch.object(initramfs, "pack", lambda _, archive: archive.write_bytes(b"packed")))

    def test_another_run_that_unpacks_the_kernel_uses_the_same(self):
        archive = initramfs.base_archive(self.kernel, self.cache)
        self.kernel.image.unlink()
        self.assertTrue(self.kernel.image.exists())
        self.assertEqual(initramfs.base_archive(self.kernel, self.cache), archive)
        self.assertEqual(archive.read_bytes(), b"packed")

    def test_what_another_checkout_uses_stays_for_a_day(self):
        others = [self.cache / "initramfs" / name for name in ("6.1.0-used.cpio", "6.1.0-forgotten.cpio", "6.2.0-kernel.cpio")]
        others[0].parent.mkdir()
        for other in others:
            other.write_bytes(b"")
        for other in others[1:]:
            os.utime(other, (time.time() - 2 * 24 * 3600,) * 2)
        initramfs.base_archive(self.kernel, self.cache)
        self.assertEqual([other.exists() for other in others], [True, False, True])


if __name__ == "__main__":
    unittest.main()
