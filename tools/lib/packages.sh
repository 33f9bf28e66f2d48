# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# The Debian packages that each job needs, and installing those that are not there yet.

packages_for() {
  case $1 in
    build)
      echo g++ cmake ninja-build pkgconf \
        libpci-dev libhugetlbfs-dev libnuma-dev libfmt-dev libspdlog-dev libcli11-dev nlohmann-json3-dev \
        libpcap-dev libexpected-dev
      ;;
    show) echo python3 ;;
    test) echo libgtest-dev libgmock-dev libbenchmark-dev gcovr clang libclang-rt-dev ;;
    check) echo git cmake ninja-build clang clang-format clang-tidy shellcheck python3 ;;
    kernel) echo gcc make flex bison bc libelf-dev libssl-dev xz-utils kmod ;;
    arm) echo g++-aarch64-linux-gnu qemu-user ;;
    bench) echo libbenchmark-dev util-linux python3 ;;
    plots) echo python3-matplotlib ;;
    peers) echo dpdk dpdk-dev libdpdk-dev ethtool ;;
    guest) echo qemu-system-x86 busybox-static kmod cpio iproute2 xz-utils zstd python3 python3-scapy ;;
    *) die "no package list is named '$1'" "name one of: build, show, test, check, kernel, arm, bench, plots, peers, guest" ;;
  esac
}

is_installed() {
  [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

# need_packages ROLE...: does nothing at all, and asks nobody for rights, where everything is there.
need_packages() {
  local role package missing=()
  for role in "$@"; do
    for package in $(packages_for "$role"); do
      is_installed "$package" || missing+=("$package")
    done
  done
  ((${#missing[@]})) || return 0
  say "installing ${#missing[@]} packages: ${missing[*]}"
  refresh_apt
  apt_install "${missing[@]}"
}

as_root() {
  if ((EUID == 0)); then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "installing packages needs root, and sudo is not here" "run this as root, or install sudo"
  fi
}

# No network, a held lock or a broken mirror must not hang: each has its own bound.
apt_get() {
  local log status=0
  log=$(mktemp "${TMPDIR:-/tmp}/pollux-apt.XXXXXX")
  as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l apt-get -qq -y --no-install-recommends \
    -o DPkg::Lock::Timeout=120 -o Acquire::Retries=2 -o Acquire::http::Timeout=30 -o Acquire::https::Timeout=30 \
    -o Dpkg::Use-Pty=0 -o APT::Color=0 "$@" >"$log" 2>&1 </dev/null || status=$?
  if ((status == 0)); then
    rm -f "$log"
    return 0
  fi
  tail -n 15 "$log" >&2
  local hint
  hint=$(apt_hint "$log")
  rm -f "$log"
  die "'apt-get $*' failed" "$hint"
}

apt_hint() {
  if grep -qE 'Could not get lock|Unable to lock|is another process using it' "$1"; then
    echo "another package manager is running; wait for it to end, then run this again"
  elif grep -qE 'Temporary failure resolving|Could not (connect|resolve)|Connection (failed|timed out|refused)|Unable to connect' "$1"; then
    echo "the package mirror cannot be reached; check the network, a proxy (http_proxy) and /etc/apt/sources.list*"
  elif grep -qE 'Unable to locate package|has no installation candidate' "$1"; then
    echo "the mirror lacks a package; on Ubuntu enable 'universe' in /etc/apt/sources.list.d, then run this again"
  elif grep -q 'No space left on device' "$1"; then
    echo "the disk is full; free some space (apt-get clean helps), then run this again"
  elif grep -qE 'dpkg --configure -a|fix-broken' "$1"; then
    echo "an earlier installation was interrupted; run 'dpkg --configure -a' and 'apt-get -f install' as root"
  else
    echo "read the lines above; 'apt-get update && apt-get -f install' by hand shows the same error"
  fi
}

POLLUX_APT_FRESH=

# Once a run: the lists of a fresh machine are empty or old.
refresh_apt() {
  [[ -z $POLLUX_APT_FRESH ]] || return 0
  apt_get update -o APT::Update::Error-Mode=any
  POLLUX_APT_FRESH=yes
}

apt_lists_changed() { POLLUX_APT_FRESH=; }

apt_install() { apt_get install "$@"; }
