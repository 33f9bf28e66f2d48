# SPDX-License-Identifier: BSD-3-Clause
"""Work that runs in a thread of its own while the body of a `with` statement does other work."""

import threading
from collections.abc import Callable


class Background:
    """Starts `work` on entry and waits for its end on exit. If the body fails or is interrupted, `stop` is called, which has to make
    `work` return soon. An exception of `work` is raised on exit, unless the body already raised one."""

    def __init__(self, work: Callable[[], None], stop: Callable[[], None]):
        self._work, self._stop = work, stop
        self._raised: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, kind, error, trace) -> None:
        if kind is not None:
            self._stop()
        try:
            self._thread.join()
        except BaseException:  # a signal that arrives while this waits
            self._stop()
            self._thread.join()
            raise
        if kind is None and self._raised is not None:
            raise self._raised

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # raised again in the thread that waits
            self._raised = error
