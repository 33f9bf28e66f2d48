# SPDX-License-Identifier: BSD-3-Clause
"""The settings that all measurements of a run share."""

import dataclasses
import pathlib

from pollux_lab.errors import LabError
from pollux_lab.kernel import Kernel
from pollux_lab.programs import built_programs


@dataclasses.dataclass(frozen=True)
class Session:
    build: pathlib.Path
    kernel: Kernel
    quick: bool

    def programs(self, *names: str) -> list[pathlib.Path]:
        return built_programs(self.build, list(names))

    def shared_libraries(self) -> list[pathlib.Path]:
        found = [path for path in self.build.rglob("libpollux.so.*") if path.name.count(".") == 3]
        if not found:
            raise LabError(f"no shared library was built in {self.build}", f"build first: cmake --build {self.build}")
        return found
