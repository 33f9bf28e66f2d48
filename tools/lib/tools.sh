# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# The common start of every tool: strict mode, the parts beside this file, and the path of the project.

# A user may have exported other options, and the programs that a tool starts have their own.
set -euo pipefail +o noclobber +o noglob
export -n SHELLOPTS
# Ordinary users need depmod and ldconfig, too.
export PATH=$PATH:/usr/sbin:/sbin LC_ALL=C.UTF-8
# With CDPATH `cd` prints a path. PYTHONHOME belongs to another Python than the distribution's. Git sets the others for its hooks; with
# them, each git below works on the hook's repository, in whatever folder it is started.
unset CDPATH PYTHONHOME GIT_DIR GIT_WORK_TREE GIT_COMMON_DIR GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_PREFIX
POLLUX_LIB=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC2034  # read by the tools
POLLUX_ROOT=$(cd "$POLLUX_LIB/../.." && pwd)
for part in messages options jobs ending distro packages own_apt dpdk qemu newer_qemu kernel newer_kernel test_kernel kernel_files prometheus build; do
  # shellcheck source=/dev/null
  . "$POLLUX_LIB/$part.sh"
done
unset part

# Where Python finds the tools' modules; a tool with modules of its own adds their folder.
LAB_MODULES=$POLLUX_LIB
# The distribution's Python, which has scapy; another Python may be first in PATH. -P: no module is taken from the current folder.
LAB_PYTHON=(/usr/bin/python3 -P)
lab_python() { PYTHONPATH=$LAB_MODULES PYTHONDONTWRITEBYTECODE=1 "${LAB_PYTHON[@]}" "$@"; }
# Replaces this process, so that a signal to it reaches the Python program.
become_lab_python() {
  rm -rf "$SCRATCH"
  PYTHONPATH=$LAB_MODULES PYTHONDONTWRITEBYTECODE=1 exec "${LAB_PYTHON[@]}" "$@"
}
