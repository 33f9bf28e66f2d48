# SPDX-License-Identifier: BSD-3-Clause
"""What the library reports as exceptions."""


class Error(Exception):
    """A call of the library failed. The text says what failed and how to fix it; `code` is the kind of failure, a name of
    docs/errors.md such as "no_iommu"."""

    def __init__(self, message: str, code: str = "io_error") -> None:
        super().__init__(message)
        self.code = code


class InvalidArgument(Error, ValueError):
    """Code invalid_argument: a URI, a setting or a parameter is wrong."""


class NotFound(Error, LookupError):
    """Code not_found: no device, method or other thing has this name."""


class NotPermitted(Error, PermissionError):
    """Code permission_denied."""


class OutOfMemory(Error, MemoryError):
    """Code no_memory: of the process, of huge pages, or of frames."""


class TimedOut(Error, TimeoutError):
    """Code timeout."""


class NotSupported(Error, NotImplementedError):
    """Code not_supported: the port, the machine or the library cannot do it."""


_CLASSES = {
    "invalid_argument": InvalidArgument,
    "not_found": NotFound,
    "permission_denied": NotPermitted,
    "no_memory": OutOfMemory,
    "timeout": TimedOut,
    "not_supported": NotSupported,
}


def make(code: str, message: str) -> Error:
    """The exception for an error of the library."""
    return _CLASSES.get(code, Error)(message, code)
