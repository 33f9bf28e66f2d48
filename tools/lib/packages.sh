# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# The Debian packages for each purpose, and their installation.

packages_for() {
  case $1 in
    build)
      echo g++ cmake ninja-build pkgconf \
        libpci-dev libhugetlbfs-dev libnuma-dev libfmt-dev libspdlog-dev libcli11-dev nlohmann-json3-dev \
        libpcap-dev libexpected-dev prometheus-cpp-dev libncurses-dev \
        libcap-ng-dev libseccomp-dev
      ;;
    show) echo python3 ;;
    conformance) echo libgtest-dev libgmock-dev ;;
    silicon) echo kmod pciutils ;;
    python) echo python3-dev python3-pip python3-venv python3-numpy python3-pytest python3-scapy mypy ;;
    test)
      echo git ccache doxygen libgtest-dev libgmock-dev libbenchmark-dev gcovr liblwip-dev libuv1-dev curl
      # cmake/clang.cmake needs version 16 or newer, and Debian 12 has 14 by default.
      if [[ ${POLLUX_DISTRO:-} == debian-12 ]]; then echo clang-16 libclang-rt-16-dev lld-16 llvm-16; else echo clang libclang-rt-dev lld llvm; fi
      ;;
    # bindgen and rustfmt show that the bindings are those of the header; tokio has an example.
    rust) echo cargo rustc rustfmt bindgen librust-tokio-dev valgrind ;;
    check) echo git cmake ninja-build clang clang-format clang-tidy shellcheck python3 reuse ;;
    abi) echo abigail-tools ;;
    release) echo git reuse ;;
    debs) echo git reuse mmdebstrap ;;
    kernel) echo gcc make libelf-dev xz-utils kmod ;;
    kernel-files) echo gcc xz-utils ;;
    arm) echo g++-aarch64-linux-gnu qemu-user ;;
    bench) echo libbenchmark-dev util-linux python3 python3-dev ;;
    # What DPDK's static libraries and headers need; they are not installed.
    dpdk) echo dpkg-dev gcc libbsd-dev libnuma-dev libxdp-dev libbpf-dev ;;
    plots) echo python3-matplotlib ;;
    baselines) echo dpdk dpdk-dev libdpdk-dev libxdp-dev libbpf-dev ethtool ;;
    # That of Debian 12 has no igb; need_qemu_with_igb installs a newer one.
    emulator) [[ $POLLUX_DISTRO == debian-12 ]] || echo qemu-system-x86 ;;
    interop) echo ethtool iperf3 linuxptp tcpdump tmux tshark util-linux zsh fish mandoc ;;
    guest) echo busybox-static ethtool kmod cpio iproute2 xz-utils zstd python3 python3-scapy xdp-tools ;;
    *) die "no package list is named '$1'" "see packages_for in tools/lib/packages.sh" ;;
  esac
}

# The commands to check on a distribution whose packages are not known. CMake checks the libraries.
commands_for() {
  case $1 in
    build) echo c++ cmake ninja pkg-config ;;
    show) echo /usr/bin/python3 ;;
    emulator) echo qemu-system-x86_64 ;;
    *) need_known_distro "$POLLUX_TOOL" ;;
  esac
}

is_installed() {
  [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

# need_packages ROLE...: installs what is missing. If nothing is, it needs no rights.
need_packages() {
  local role package missing=()
  if [[ $POLLUX_DISTRO == unknown ]]; then
    need_commands "$@"
    return
  fi
  for role in "$@"; do
    for package in $(packages_for "$role"); do
      is_installed "$package" || missing+=("$package")
    done
  done
  ((${#missing[@]})) || return 0
  say "installing ${#missing[@]} packages: ${missing[*]}"
  need_root_rights "apt-get install ${missing[*]}"
  refresh_apt
  apt_install "${missing[@]}"
}

need_commands() {
  local role word missing=() packages=()
  for role in "$@"; do
    commands_for "$role" >"$SCRATCH/commands"
    for word in $(<"$SCRATCH/commands"); do command -v "$word" >/dev/null || missing+=("$word"); done
    # shellcheck disable=SC2207  # one word per package
    packages+=($(packages_for "$role"))
  done
  ((${#missing[@]})) || return 0
  die "$POLLUX_DISTRO_SAYS is not known to this tool, which installs nothing on it; these commands are missing: ${missing[*]}" \
    "install what is needed; on Debian these are the packages: ${packages[*]}"
}

# need_root_rights BY_HAND: called before output goes into a log, so that sudo's prompt and messages are visible. BY_HAND is the command
# that root can run instead.
need_root_rights() {
  ((EUID == 0)) && return
  command -v sudo >/dev/null || die "this needs root's rights, and sudo is not installed" "run this as root, or have root run: $1"
  if sudo -n true 2>/dev/null; then return; fi
  if [[ -n ${POLLUX_JOB:-} ]] || ! sudo -v; then
    die "sudo gives no rights to $(id -un)" "run this as root, or have root run: $1"
  fi
}

# The prefix that runs a command as root. Not a function: the redirection of a function call would also redirect the output of a trap.
AS_ROOT=()
((EUID == 0)) || AS_ROOT=(sudo)

# How long to wait for another package manager. apt-get has a time limit for dpkg's own lock, but none for the lock on the lists.
APT_LOCK_SECONDS=${POLLUX_APT_LOCK_SECONDS:-120}
LOCK_COMPLAINTS='Could not get lock|Unable to lock|is another process using it'

# Each of these has a time limit, so that none hangs: no network, a held lock, a broken mirror.
apt_get() {
  local log=$SCRATCH/apt.log status deadline=$((SECONDS + APT_LOCK_SECONDS)) told=no
  need_root_rights "apt-get $*"
  while :; do
    status=0
    "${AS_ROOT[@]}" env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l apt-get -qq -y --no-install-recommends \
      -o "DPkg::Lock::Timeout=$APT_LOCK_SECONDS" -o Acquire::Retries=2 -o Acquire::http::Timeout=30 \
      -o Acquire::https::Timeout=30 -o Dpkg::Use-Pty=0 -o APT::Color=0 "$@" >"$log" 2>&1 </dev/null || status=$?
    ((status != 0)) || return 0
    if ! grep -qE "$LOCK_COMPLAINTS" "$log" || ((SECONDS >= deadline)); then break; fi
    [[ $told == yes ]] || say "another package manager is running; waiting for it, at most $APT_LOCK_SECONDS s"
    told=yes
    sleep 1
  done
  tail -n 15 "$log" >&2
  die "'apt-get $*' failed" "$(apt_hint "$log")"
}

apt_hint() {
  if grep -qE "$LOCK_COMPLAINTS" "$1"; then
    echo "another package manager is running; wait for it to end, then run this again"
  elif grep -qE 'Temporary failure resolving|Could not (connect|resolve)|Connection (failed|timed out|refused)|Unable to connect' "$1"; then
    echo "the package mirror cannot be reached; check the network, a proxy (http_proxy) and /etc/apt/sources.list*"
  elif grep -qE 'Unable to locate package|has no installation candidate' "$1"; then
    echo "the mirror lacks a package; on Ubuntu enable 'universe' in /etc/apt/sources.list.d, then run this again"
  elif grep -qE 'No space left on device|enough free space' "$1"; then
    echo "the disk is full; free some space (apt-get clean helps), then run this again"
  elif grep -qE 'dpkg --configure -a|fix-broken' "$1"; then
    echo "an earlier installation was interrupted; run 'dpkg --configure -a' and 'apt-get -f install' as root"
  else
    echo "read the lines above; 'apt-get update && apt-get -f install' by hand shows the same error"
  fi
}

# Runs once, also for the tools that this one starts: the lists of a fresh machine are empty or old.
refresh_apt() {
  [[ -z ${POLLUX_APT_FRESH:-} ]] || return 0
  apt_get update -o APT::Update::Error-Mode=any
  export POLLUX_APT_FRESH=yes
}

apt_lists_changed() { export POLLUX_APT_FRESH=; }

apt_install() { apt_get install "$@"; }
