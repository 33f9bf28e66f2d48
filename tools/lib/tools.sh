# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# The common start of every tool: strict mode, the parts beside this file, and the path of the project.

set -euo pipefail
# Ordinary users need depmod and ldconfig, too.
export PATH=$PATH:/usr/sbin:/sbin LC_ALL=C.UTF-8
POLLUX_LIB=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC2034  # read by the tools
POLLUX_ROOT=$(cd "$POLLUX_LIB/../.." && pwd)
for part in messages options jobs ending distro packages qemu newer_qemu kernel test_kernel kernel_files build; do
  # shellcheck source=/dev/null
  . "$POLLUX_LIB/$part.sh"
done
unset part

# Where Python finds the tools' modules; a tool with modules of its own adds their folder.
LAB_MODULES=$POLLUX_LIB
# The distribution's Python, which has scapy; another Python may be first in PATH.
lab_python() { PYTHONPATH=$LAB_MODULES PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 "$@"; }
# Replaces this process, so that a signal to it reaches the Python program.
become_lab_python() {
  rm -rf "$SCRATCH"
  PYTHONPATH=$LAB_MODULES PYTHONDONTWRITEBYTECODE=1 exec /usr/bin/python3 "$@"
}
