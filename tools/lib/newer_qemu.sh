# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# A newer QEMU beside the distribution's: downloaded from trixie-backports and unpacked under build/interop, never installed. It has
# vfio-user-pci, and another revision of igb.

NEWER_QEMU=$POLLUX_ROOT/build/interop/newer-qemu
NEWER_QEMU_SUITES=(trixie trixie-backports)

# Prints the folder with start/qemu-system-x86_64 and a file `version`. Needs no rights.
newer_qemu() {
  [[ -e $NEWER_QEMU/complete && -x $NEWER_QEMU/start/qemu-system-x86_64 ]] || fetch_newer_qemu >&2
  printf '%s\n' "$NEWER_QEMU"
}

fetch_newer_qemu() {
  local codename mirror work=$NEWER_QEMU.unpack
  codename=$(debian_codename "a newer QEMU") || exit 1
  mirror=$(debian_mirror "$codename") || exit 1
  say "downloading a newer QEMU from ${NEWER_QEMU_SUITES[-1]} (once, 40 MB; kept in $NEWER_QEMU)"
  rm -rf "$work" "$NEWER_QEMU"
  mkdir -p "$work/tree" || die "$work cannot be made" "is the disk full?"
  download_newer_qemu "$work/apt" "$mirror"
  unpack_newer_qemu "$work"
  mv "$work/tree" "$NEWER_QEMU" && rm -rf "$work"
}

download_newer_qemu() {
  make_own_apt "$1" "$2" "${NEWER_QEMU_SUITES[@]}"
  own_apt "$1" install -y --download-only --no-install-recommends -t "${NEWER_QEMU_SUITES[-1]}" qemu-system-x86
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
