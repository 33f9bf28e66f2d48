# SPDX-License-Identifier: BSD-3-Clause
"""An unpacked distribution kernel, made by tools/lib/kernel.sh, and its modules."""

import dataclasses
import lzma
import os
import pathlib
import struct
import subprocess

from .errors import LabError

# Names differ between kernels: vfio_virqfd became part of vfio-pci-core in Linux 6.2, and what is a module in one
# distribution is built in elsewhere. Names that a kernel does not know are ignored.
MODULES = [
    "virtio_pci", "virtio_console", "virtio_net",
    "irqbypass", "vfio", "vfio_virqfd", "vfio_iommu_type1", "vfio-pci-core", "vfio-pci",
    "igb", "igbvf", "8021q", "e1000e", "vmxnet3", "bridge", "bonding", "dummy", "veth", "af_packet", "pktgen", "tun",
    "sch_tbf", "sch_prio", "sch_drr",
]


_XZ = b"\xfd7zXZ\0"


def _packed_kernel(image: bytes) -> bytes:
    """The packed kernel in a bzImage: after the sectors of real-mode code, where setup_sects and payload_offset say (Linux's
    Documentation/arch/x86/boot.rst). Empty if there is none."""
    if image[0x202:0x206] != b"HdrS":
        return b""
    offset, length = struct.unpack_from("<II", image, 0x248)
    begin = ((image[0x1F1] or 4) + 1) * 512 + offset
    return image[begin:begin + length]


@dataclasses.dataclass(frozen=True)
class Kernel:
    directory: pathlib.Path

    @property
    def packed_image(self) -> pathlib.Path:
        """As the distribution has it; it never changes."""
        return self.directory / "vmlinuz"

    @property
    def image(self) -> pathlib.Path:
        """What QEMU boots. An image of the distribution's that xz has packed is unpacked here, once: an emulated processor takes 5 s for
        it at each start."""
        packed, unpacked = self.packed_image, self.directory / "vmlinux"
        if not unpacked.exists():
            content = _packed_kernel(packed.read_bytes())
            if not content.startswith(_XZ) or not os.access(self.directory, os.W_OK):
                return packed
            partial = unpacked.with_suffix(f".{os.getpid()}")  # two runs at once write the same content
            partial.write_bytes(lzma.LZMADecompressor().decompress(content))
            partial.rename(unpacked)
        return unpacked

    @property
    def version(self) -> str:
        return (self.directory / "version").read_text().strip()

    def module_files(self) -> list[pathlib.Path]:
        """MODULES and their dependencies, as paths in the unpacked tree."""
        files: dict[pathlib.Path, None] = {}
        for module in MODULES:
            shown = subprocess.run(
                ["modprobe", "-d", str(self.directory), "-S", self.version, "--show-depends", module],
                capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=30)
            for line in shown.stdout.splitlines():
                word, _, rest = line.partition(" ")
                if word == "insmod":
                    files[pathlib.Path(rest.split()[0])] = None
        if not any(path.name.startswith("vfio-pci.ko") for path in files) and not self._built_in("vfio-pci"):
            raise LabError(f"the kernel in {self.directory} has no vfio-pci",
                           f"remove {self.directory}, so that it is downloaded again")
        return list(files)

    def _built_in(self, module: str) -> bool:
        builtin = self.directory / "lib/modules" / self.version / "modules.builtin"
        return f"/{module}.ko" in builtin.read_text()


def kernel_at(directory: str) -> Kernel:
    kernel = Kernel(pathlib.Path(directory))
    for name in ("vmlinuz", "version"):
        if not (kernel.directory / name).is_file():
            raise LabError(f"{directory} contains no unpacked kernel ({name} is missing)",
                           "remove that directory and run this again")
    return kernel
