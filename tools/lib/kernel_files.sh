# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# Some files of the distribution's kernel source, with which tests compare. They are kept in the cache, as downloaded, and never become
# part of the project.

KERNEL_FILES=$POLLUX_ROOT/tests/interop/kernel/files.txt

# Prints the directory that contains the files of KERNEL_FILES, and a file `complete`.
kernel_files() {
  local root found
  root=$(cache_folder kernel-files) || exit 1
  found=$(unpacked_kernel_files "$root")
  if [[ -z $found ]]; then
    fetch_kernel_files "$root"
    found=$(unpacked_kernel_files "$root")
  fi
  [[ -n $found ]] || die "no files of the kernel's source were unpacked under $root" "remove that directory and run this again"
  printf '%s\n' "$found"
}

kernel_files_key() { sha256sum "$KERNEL_FILES" | head -c 12; }

unpacked_kernel_files() {
  find "$1" -mindepth 2 -maxdepth 2 -name complete -path "*/$POLLUX_DISTRO-*-$(kernel_files_key)/*" -printf '%h\n' | sort -V | tail -n 1
}

# The source of the distribution's own kernel.
kernel_files_package() {
  case $POLLUX_DISTRO in
    debian-12) echo linux-source-6.1 ;;
    *) test_kernel_source ;;
  esac
}

fetch_kernel_files() {
  local root=$1 package version target work archive
  need_packages kernel-files
  package=$(kernel_files_package)
  [[ -n $package ]] || die "no package with the kernel's source is known for $POLLUX_DISTRO_SAYS" "use Debian 12, Debian 13 or Ubuntu 24.04"
  version=$(find_source_version "$package")
  target=$root/$POLLUX_DISTRO-${version//[^A-Za-z0-9.+-]/_}-$(kernel_files_key)
  # Removes what an interrupted run left. A folder younger than a day may still be in use.
  find "$root" -mindepth 1 -maxdepth 1 -name 'pollux-work.*' -mmin +1440 -exec rm -rf {} +
  work=$(kernel_work_folder "$root") || exit 1
  say "unpacking a few files of $package $version for the tests (once; kept in $root)"
  download_packages "$work" "$package"
  dpkg-deb -x "$work"/linux-source-*.deb "$work/package" || die "the kernel's source cannot be unpacked" \
    "is the disk full? then run this again"
  archive=$(find "$work/package" -name 'linux-source-*.tar.*' | head -n 1)
  [[ -n $archive ]] || die "there is no linux-source-*.tar.* in the package" "report this with the package's version"
  mkdir "$work/tree"
  sed -E "/^(#|$)/d; s|^|${package}/|" "$KERNEL_FILES" >"$work/names"
  tar -xf "$archive" -C "$work/tree" --strip-components=1 --files-from="$work/names" || die "$archive lacks a file that the tests need" \
    "compare it with tests/interop/kernel/files.txt"
  : >"$work/tree/complete"
  rm -rf "${target:?}"
  mv "$work/tree" "$target" || die "the files cannot be kept in $target" "$(disk_hint "$target" "read the lines above")"
  rm -rf "$work"
}
