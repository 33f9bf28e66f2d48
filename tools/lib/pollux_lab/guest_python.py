# SPDX-License-Identifier: BSD-3-Clause
"""The distribution's Python and tools/silicon for a guest: the interpreter, and of its library only what the tool imports."""

import pathlib
import py_compile
import subprocess
import sys

from . import initramfs

LAB = pathlib.Path(__file__).resolve().parent
TOOLS = LAB.parents[1]
PYTHON = pathlib.Path("/usr/bin/python3")
# Where the guest has the project's tools.
GUEST_TOOLS = pathlib.Path("pollux/tools")
# Imported only when they are used, so that a list of imports lacks them.
IMPORTED_LATE = ["runpy", "gzip", "gettext", "locale", "textwrap", "traceback", "encodings.ascii", "encodings.latin_1", "encodings.utf_8", "encodings.cp437",
                 "stringprep", "encodings.idna", "zipimport", "_strptime"]


def add_silicon(root: pathlib.Path) -> None:
    """Adds what `tools/silicon --programs /bin` needs, at /pollux."""
    initramfs.add_programs(root, [PYTHON.resolve(), *_present("lspci"), initramfs.tool("bash")], "bin")
    for name, target in (("usr/bin/python3", f"/bin/{PYTHON.resolve().name}"), ("usr/bin/env", "/bin/env")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(target)
    for file in _library_files():
        initramfs.copy(file, root / str(file).lstrip("/"))
        if file.suffix == ".so":
            initramfs.add_libraries(root, file)
        else:
            _compile(file, root / str(file).lstrip("/"))
    for file in [TOOLS / "silicon", *(TOOLS / "lib").glob("*.sh"), *_lab_files()]:
        initramfs.copy(file, root / GUEST_TOOLS / file.relative_to(TOOLS))
        if file.suffix == ".py":
            _compile(file, root / GUEST_TOOLS / file.relative_to(TOOLS))


def _present(name: str) -> list[pathlib.Path]:
    try:
        return [initramfs.tool(name)]
    except initramfs.LabError:
        return []


def _lab_files() -> list[pathlib.Path]:
    return [LAB / "__init__.py", LAB / "built.py", LAB / "errors.py", *(LAB / "silicon").glob("*.py")]


def _library_files() -> list[pathlib.Path]:
    """The files of Python's library that the tool's modules import."""
    script = (f"import sys, {', '.join(IMPORTED_LATE)}\nimport pollux_lab.silicon.__main__\n"
              "print('\\n'.join(m.__file__ for m in list(sys.modules.values()) if getattr(m, '__file__', None)))")
    listed = subprocess.run([str(PYTHON), "-S", "-c", script], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=True, timeout=60,
                            env={"PYTHONPATH": str(LAB.parent), "PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C.UTF-8"})
    files = {pathlib.Path(line) for line in listed.stdout.splitlines()}
    return sorted(file for file in files if file.is_file() and LAB not in file.parents and file.is_relative_to("/usr/lib"))


def _compile(source: pathlib.Path, target: pathlib.Path) -> None:
    """Compiles a module here, since the emulated guest would take seconds for it at each start. Its time stamp does not matter."""
    compiled = target.parent / "__pycache__" / f"{target.stem}.{sys.implementation.cache_tag}.pyc"
    py_compile.compile(str(source), cfile=str(compiled), doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
