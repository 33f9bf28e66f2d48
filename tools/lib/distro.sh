# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# Detects the distribution and the machine, and refuses those that a tool does not support.

# Sets POLLUX_DISTRO, POLLUX_DISTRO_SAYS and POLLUX_MACHINE. POLLUX_DISTRO is `unknown` if the package lists do not cover it.
# shellcheck disable=SC2034  # used by the scripts that source this file
detect_distro() {
  local file=${POLLUX_OS_RELEASE:-/etc/os-release} id='' version=''
  if [[ -r $file ]]; then
    # shellcheck source=/dev/null
    id=$(. "$file" && printf '%s' "${ID:-}")
    # shellcheck source=/dev/null
    version=$(. "$file" && printf '%s' "${VERSION_ID:-}")
  fi
  POLLUX_DISTRO=unknown POLLUX_DISTRO_SAYS="${id:-a distribution without a name}${version:+ $version}"
  case $id-$version in debian-12 | debian-13 | ubuntu-24.04) POLLUX_DISTRO=$id-$version ;; esac
  POLLUX_MACHINE=${POLLUX_UNAME:-$(uname -m)}
}

# need_known_distro WHAT
need_known_distro() {
  [[ $POLLUX_DISTRO == unknown ]] || return 0
  die "$1 needs Debian 12, Debian 13 or Ubuntu 24.04; this is $POLLUX_DISTRO_SAYS" \
    "install the packages named in tools/lib/packages.sh by hand and run cmake, ctest and tests/guest/run yourself"
}

# need_x86_64 WHAT
need_x86_64() {
  [[ $POLLUX_MACHINE == x86_64 ]] || die "$1 needs an x86_64 machine; this is $POLLUX_MACHINE" \
    "use one, or see 'tools/demo --on sim' and, for the tests, the preset aarch64 in HACKING.md"
}
