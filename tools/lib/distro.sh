# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# Which distribution this is. Sets POLLUX_DISTRO; refuses what the package lists were not written for.

# shellcheck disable=SC2034  # POLLUX_DISTRO is read by those who source this file
detect_distro() {
  local file=${POLLUX_OS_RELEASE:-/etc/os-release} id version
  [[ -r $file ]] || die "$file is missing, so the distribution is unknown" "$(supported_distros)"
  # shellcheck source=/dev/null
  id=$(. "$file" && printf '%s' "${ID:-}")
  # shellcheck source=/dev/null
  version=$(. "$file" && printf '%s' "${VERSION_ID:-}")
  case "$id-$version" in
    debian-12 | debian-13 | ubuntu-24.04) POLLUX_DISTRO=$id-$version ;;
    *) die "no package list for '${id:-unknown} ${version:-unknown}'" "$(supported_distros)" ;;
  esac
  [[ $(uname -m) == x86_64 ]] || die "this machine is $(uname -m), the guest is x86_64" "use an x86_64 machine"
}

supported_distros() {
  printf '%s' "use Debian 12, Debian 13 or Ubuntu 24.04; or install the packages named in tools/lib/packages.sh" \
    " by hand and run cmake, ctest and tests/guest/run yourself"
}
