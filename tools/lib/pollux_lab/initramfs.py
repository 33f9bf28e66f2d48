# SPDX-License-Identifier: BSD-3-Clause
"""The guest's file system: a cached base that depends only on the kernel, and a payload made for each boot."""

import contextlib
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable

from .errors import LabError
from .kernel import Kernel

INSIDE = pathlib.Path(__file__).parent / "inside"
# dash is the shell, since busybox's shell prefers its own applets to programs of the same name.
# bash opens UDP sockets, which no applet does that the guest has.
HOST_TOOLS = ["bash", "dash", "env", "kmod", "ip", "nice", "tc", "setpriv", "prlimit"]
KMOD_NAMES = ["modprobe", "rmmod", "insmod", "lsmod"]
# Loaded by name at run time, so ldd does not list it.
LOADED_AT_RUN_TIME = ["libhugetlbfs.so.0"]
DAY = 24 * 3600


def base_archive(kernel: Kernel, cache: pathlib.Path) -> pathlib.Path:
    """An archive of busybox, a few host tools and the kernel's modules; packed once."""
    archive = cache / "initramfs" / f"{kernel.version}-{_base_key(kernel)}.cpio"
    with contextlib.suppress(FileNotFoundError):
        os.utime(archive)  # in use
        return archive
    archive.parent.mkdir(parents=True, exist_ok=True)
    # Another checkout, with other sources, may have used one less than a day ago.
    for older in archive.parent.glob(f"{kernel.version}-*.cpio"):
        with contextlib.suppress(FileNotFoundError):
            if older.stat().st_mtime < time.time() - DAY:
                older.unlink()
    with tempfile.TemporaryDirectory(prefix="pollux-initramfs-") as work:
        root = pathlib.Path(work) / "root"
        _make_tree(root)
        _add_busybox(root)
        add_programs(root, [tool(name) for name in HOST_TOOLS], "bin")
        (root / "bin/sh").symlink_to("dash")
        for name in KMOD_NAMES:
            (root / "sbin" / name).symlink_to("/bin/kmod")
        _add_modules(root, kernel)
        packed = pathlib.Path(work) / "base.cpio"
        pack(root, packed)
        # Renamed when complete; two runs at once write the same content.
        partial = archive.with_suffix(f".{os.getpid()}")
        shutil.copyfile(packed, partial)
        partial.rename(archive)
    return archive


def boot_archive(base: pathlib.Path, programs: list[pathlib.Path], work: pathlib.Path,
                 add_more: Callable[[pathlib.Path], None] | None = None) -> pathlib.Path:
    """The archive for -initrd: the base, followed by these programs and the shared libraries that they need, and what `add_more` adds."""
    root = work / "payload"
    root.mkdir()
    add_programs(root, programs, "bin")
    if programs:
        _add_run_time_libraries(root)
    if add_more:
        add_more(root)
    payload = work / "payload.cpio"
    pack(root, payload)
    archive = work / "initrd"
    with open(archive, "wb") as out:
        for part in (base, payload):
            with open(part, "rb") as source:
                shutil.copyfileobj(source, out)
    payload.unlink()
    shutil.rmtree(root)
    return archive


def add_programs(root: pathlib.Path, programs: list[pathlib.Path], folder: str) -> None:
    for program in programs:
        if not program.is_file():
            raise LabError(f"{program} does not exist", "build first: cmake --build build/release")
        copy(program, root / folder / program.name)
        add_libraries(root, program)


def pack(root: pathlib.Path, archive: pathlib.Path) -> None:
    names = sorted(str(path.relative_to(root)) for path in root.rglob("*"))
    listing = "\0".join(names).encode() + b"\0"
    with open(archive, "wb") as out:
        done = subprocess.run(["cpio", "--null", "--create", "--format=newc", "--owner=0:0", "--quiet"],
                              input=listing, stdout=out, stderr=subprocess.PIPE, cwd=root, timeout=120)
    if done.returncode != 0:
        raise LabError("cpio failed: " + done.stderr.decode(errors="replace").strip(), "is the disk full?")


def _base_key(kernel: Kernel) -> str:
    digest = hashlib.sha256()
    sources = [INSIDE / "init", INSIDE / "lab.sh", pathlib.Path(__file__), pathlib.Path(__file__).parent / "kernel.py"]
    for source in sources:
        digest.update(source.read_bytes())
    for program in [tool("busybox"), *map(tool, HOST_TOOLS), kernel.packed_image]:
        status = program.stat()
        digest.update(f"{program} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def tool(name: str) -> pathlib.Path:
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/bin:/bin")
    if not found:
        raise LabError(f"'{name}' is not installed", "run tools/test or tools/demo, which install what is needed")
    return pathlib.Path(found)


def _make_tree(root: pathlib.Path) -> None:
    for folder in ("bin", "sbin", "dev", "proc", "sys", "run", "tmp", "etc", "root", "lib", "lib64", "usr/bin", "var"):
        (root / folder).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    shutil.copy(INSIDE / "init", root / "init")
    (root / "init").chmod(0o755)
    shutil.copy(INSIDE / "lab.sh", root / "lib" / "lab.sh")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nplain:x:1000:1000::/tmp:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\nplain:x:1000:\n")


def _add_busybox(root: pathlib.Path) -> None:
    busybox = tool("busybox")
    listed = subprocess.run([str(busybox), "--list"], capture_output=True, text=True, timeout=10)
    if "statically linked" not in _file_kind(busybox) or listed.returncode != 0:
        raise LabError(f"{busybox} is not a static busybox", "install the package busybox-static")
    copy(busybox, root / "bin/busybox")
    others = {*HOST_TOOLS, *KMOD_NAMES, "busybox", "sh"}
    for applet in listed.stdout.split():
        if applet not in others:
            (root / "bin" / applet).symlink_to("busybox")


def _file_kind(program: pathlib.Path) -> str:
    shown = subprocess.run(["ldd", str(program)], capture_output=True, text=True, timeout=10)
    return "statically linked" if "not a dynamic" in shown.stdout + shown.stderr else "dynamic"


def add_libraries(root: pathlib.Path, program: pathlib.Path) -> None:
    shown = subprocess.run(["ldd", str(program)], capture_output=True, text=True, timeout=30)
    if "not found" in shown.stdout:
        raise LabError(f"{program} lacks shared libraries:\n{shown.stdout}", "install the packages they come from")
    for path in re.findall(r"(/\S+) \(0x", shown.stdout):
        copy(pathlib.Path(path), root / path.lstrip("/"))


def _add_run_time_libraries(root: pathlib.Path) -> None:
    cache = subprocess.run([str(tool("ldconfig")), "-p"], capture_output=True, text=True, timeout=30).stdout
    for name in LOADED_AT_RUN_TIME:
        found = re.search(rf"^\s*{re.escape(name)} \(libc6,x86-64.*=> (/\S+)", cache, re.MULTILINE)
        if found:
            path = pathlib.Path(found[1])
            copy(path, root / str(path).lstrip("/"))
            add_libraries(root, path)


def _add_modules(root: pathlib.Path, kernel: Kernel) -> None:
    tree = pathlib.Path("lib/modules") / kernel.version
    for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
        if (kernel.directory / tree / name).exists():
            copy(kernel.directory / tree / name, root / tree / name)
    for module in kernel.module_files():
        target = root / module.relative_to(kernel.directory)
        target.parent.mkdir(parents=True, exist_ok=True)
        _unpack_module(module, target)
    done = subprocess.run([str(tool("depmod")), "-b", str(root), kernel.version], capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise LabError("depmod failed: " + done.stderr.strip(), f"remove {kernel.directory} and run this again")


def _unpack_module(module: pathlib.Path, target: pathlib.Path) -> None:
    """Unpacks a module for the archive: the host decompresses faster than the emulated guest."""
    unpacker = {".xz": ["xz", "-dc"], ".zst": ["zstd", "-dcq"], ".gz": ["gzip", "-dc"]}.get(module.suffix)
    if unpacker is None:
        shutil.copyfile(module, target)
        return
    with open(target.with_suffix(""), "wb") as out:
        done = subprocess.run([*unpacker, str(module)], stdout=out, timeout=60)
    if done.returncode != 0:
        raise LabError(f"{module} cannot be unpacked", "remove the kernel's directory in the cache and run this again")


def copy(source: pathlib.Path, target: pathlib.Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o755)
