# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# DPDK's source and its static libraries, of the distribution's version, for tools/bench: downloaded and unpacked, never installed.

# Prints the folder with `src`, the source package, and `dev`, the unpacked libdpdk-dev. Call it in a shell of its own.
unpacked_dpdk() {
  local folder
  folder=$(cache_folder dpdk)/$POLLUX_DISTRO || exit 1
  [[ -e $folder/complete ]] || fetch_dpdk "$folder" >&2
  printf '%s\n' "$folder"
}

fetch_dpdk() {
  local folder=$1 work=$1.unpack codename mirror
  codename=$(debian_codename DPDK) || exit 1
  mirror=$(debian_mirror "$codename") || exit 1
  say "downloading DPDK's source and static libraries (once, 25 MB; kept in $folder)"
  rm -rf "$work" "$folder"
  make_own_apt "$work/apt" "$mirror" "$codename"
  mkdir "$work/downloads"
  cd "$work/downloads" || exit 1
  own_apt "$work/apt" source --download-only dpdk
  own_apt "$work/apt" download libdpdk-dev
  # apt has checked the files against the archive's signature.
  { dpkg-deb -x libdpdk-dev_*.deb "$work/dev" && dpkg-source --no-check -x dpdk_*.dsc "$work/src"; } >"$work/apt/log" 2>&1 ||
    die "DPDK's packages cannot be unpacked: $(tail -n 1 "$work/apt/log")" "is the disk full? then run this again"
  rm -rf "$work/apt" "$work/downloads" "$work"/dpdk_*
  : >"$work/complete" && mv "$work" "$folder"
}
