# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# A newer QEMU beside the distribution's: downloaded from trixie-backports and unpacked under build/interop, never installed. It has
# vfio-user-pci, and another revision of igb.

NEWER_QEMU=$POLLUX_ROOT/build/interop/newer-qemu
NEWER_QEMU_SUITES=(trixie trixie-backports)
# Debian 12 and 13 both have it; its packages are signed with the keys of the Debian archive.
DEBIAN_KEYS=${POLLUX_DEBIAN_KEYS:-/usr/share/keyrings/debian-archive-keyring.gpg}

# Prints the folder with start/qemu-system-x86_64 and a file `version`. Needs no rights.
newer_qemu() {
  [[ -e $NEWER_QEMU/complete && -x $NEWER_QEMU/start/qemu-system-x86_64 ]] || fetch_newer_qemu >&2
  printf '%s\n' "$NEWER_QEMU"
}

# The mirror that this machine was installed from.
debian_mirror() {
  # shellcheck disable=SC2016  # apt's own variable
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Codename: $1" 2>/dev/null | sed -n 1p
}

fetch_newer_qemu() {
  local codename mirror work=$NEWER_QEMU.unpack
  case $POLLUX_DISTRO in
    debian-12) codename=bookworm ;;
    debian-13) codename=trixie ;;
    *) die "a newer QEMU is fetched on Debian 12 and 13 only; this is $POLLUX_DISTRO_SAYS" "run this on Debian 12 or 13" ;;
  esac
  [[ -r $DEBIAN_KEYS ]] || die "$DEBIAN_KEYS, which signs QEMU's packages, is missing" "as root: apt-get install debian-archive-keyring"
  mirror=$(debian_mirror "$codename")
  [[ -n $mirror ]] || die "apt knows no mirror with $codename" "see /etc/apt/sources.list*; then run 'apt-get update' as root"
  say "downloading a newer QEMU from ${NEWER_QEMU_SUITES[-1]} (once, 40 MB; kept in $NEWER_QEMU)"
  rm -rf "$work" "$NEWER_QEMU"
  { mkdir -p "$work"/apt/{lists,archives}/partial "$work/tree" && : >"$work/apt/status"; } ||
    die "$work cannot be made" "is the disk full?"
  download_newer_qemu "$work/apt" "$mirror"
  unpack_newer_qemu "$work"
  mv "$work/tree" "$NEWER_QEMU" && rm -rf "$work"
}

# An apt with folders of its own: it knows only these suites, and nothing as installed.
download_newer_qemu() {
  local dir=$1 mirror=$2 suite
  for suite in "${NEWER_QEMU_SUITES[@]}"; do
    printf 'deb [signed-by=%s] %s %s main\n' "$DEBIAN_KEYS" "$mirror" "$suite"
  done >"$dir/sources.list"
  own_apt "$dir" update -o APT::Update::Error-Mode=any
  own_apt "$dir" install -y --download-only --no-install-recommends -t "${NEWER_QEMU_SUITES[-1]}" qemu-system-x86
}

own_apt() {
  local dir=$1 log=$1/log
  shift
  apt-get -qq -o Dir::Etc::SourceList="$dir/sources.list" -o Dir::Etc::SourceParts=/dev/null -o Dir::Etc::Preferences=/dev/null \
    -o Dir::Etc::PreferencesParts=/dev/null -o Dir::State="$dir" -o Dir::State::Lists="$dir/lists" -o Dir::State::Status="$dir/status" \
    -o Dir::Cache="$dir" -o Dir::Cache::Archives="$dir/archives" -o APT::Sandbox::User="" -o Acquire::Languages=none \
    -o Acquire::Retries=2 -o Acquire::http::Timeout=30 -o Acquire::https::Timeout=30 -o Dpkg::Use-Pty=0 "$@" >"$log" 2>&1 </dev/null &&
    return 0
  tail -n 10 "$log" >&2
  die "'apt-get $*' for a newer QEMU failed" "$(apt_hint "$log")"
}

unpack_newer_qemu() {
  local work=$1 package tree=$1/tree version
  for package in "$work"/apt/archives/*.deb; do
    dpkg-deb -x "$package" "$tree" || die "$package cannot be unpacked" "is the disk full? then run this again"
  done
  rm -rf "$tree/usr/share/doc"
  make_starter "$tree"
  version=$("$tree/start/qemu-system-x86_64" --version | sed -nE '1s/.*version ([0-9.]+).*/\1/p')
  "$tree/start/qemu-system-x86_64" -device help 2>/dev/null </dev/null | grep 'name "vfio-user-pci"' >/dev/null ||
    die "the QEMU ${version:-(it does not start)} of ${NEWER_QEMU_SUITES[-1]} has no vfio-user-pci" "report this with the version"
  printf '%s\n' "$version" >"$tree/version" && [[ -s $tree/version ]] && : >"$tree/complete"
}

# make_starter TREE: writes start/qemu-system-x86_64, which runs it with its own loader, libraries and modules, since the distribution's may
# be older. Without QEMU_MODULE_DIR it looks for modules in the distribution's folder, too, and ends at those of another version.
make_starter() {
  local starter=$1/start/qemu-system-x86_64
  # shellcheck disable=SC1003,SC2016  # variables and line ends of the script that is written
  {
    mkdir -p "$1/start" && printf '%s\n' '#!/bin/bash' \
      'tree=$(dirname "$(dirname "$(readlink -f "$0")")")' 'libraries=$tree/usr/lib/x86_64-linux-gnu' \
      'export QEMU_MODULE_DIR=$libraries/qemu' \
      'exec "$libraries/ld-linux-x86-64.so.2" --library-path "$libraries" "$tree/usr/bin/qemu-system-x86_64" \' \
      '  -L "$tree/usr/share/qemu" -L "$tree/usr/share/seabios" "$@"' >"$starter" && chmod +x "$starter"
  } || die "$starter cannot be written" "is the disk full?"
}
