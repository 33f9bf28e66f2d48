# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# A kernel of Debian's for the guest with features that the distribution's lacks, such as zero copy of igb and virtio_net: downloaded and
# unpacked into the cache, never installed.

NEWER_KERNEL_SUITE=trixie-backports
# The oldest series with both. Newer ones there are in other packages.
NEWER_KERNEL_SERIES=6.18

# Prints the directory that contains vmlinuz, lib/modules and a file `version`.
newer_kernel() {
  local folder
  folder=$(cache_folder newer-kernel)/$NEWER_KERNEL_SERIES || exit 1
  [[ -e $folder/complete ]] || fetch_newer_kernel "$folder" >&2
  printf '%s\n' "$folder"
}

fetch_newer_kernel() {
  local folder=$1 work=$1.unpack codename mirror version
  codename=$(debian_codename "a newer kernel") || exit 1
  mirror=$(debian_mirror "$codename") || exit 1
  rm -rf "$work" "$folder"
  make_own_apt "$work/apt" "$mirror" "$NEWER_KERNEL_SUITE"
  version=$(newest_of_series "$work/apt/lists")
  [[ -n $version ]] || die "$NEWER_KERNEL_SUITE has no kernel $NEWER_KERNEL_SERIES" "name a newer series in tools/lib/newer_kernel.sh"
  say "downloading the kernel $version of $NEWER_KERNEL_SUITE (once, 110 MB; kept in $folder)"
  cd "$work" || exit 1
  own_apt "$work/apt" download "linux-image-$version"
  unpack_kernel "$work" "$version"
  mv "$work/tree" "$folder"
  cd / && rm -rf "$work"
}

newest_of_series() {
  local lists=("$1"/*_Packages*) pattern="s/^Package: linux-image-(${NEWER_KERNEL_SERIES//./\\.}\.[0-9]+\+deb[0-9]+-amd64)$/\1/p"
  /usr/lib/apt/apt-helper cat-file "${lists[@]}" | sed -nE "$pattern" | sort -V | tail -n 1
}
