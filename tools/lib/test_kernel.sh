# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# A small kernel for the guest tests, with what distributions' kernels lack: IOMMUFD, VFIO's device files and its no-IOMMU
# mode. It is built from the distribution's own kernel source and kept in the cache beside the stock kernel; it is never installed.

TEST_KERNEL_FRAGMENT=$POLLUX_ROOT/tests/guest/kernel.config

# Prints the directory that contains vmlinuz, lib/modules and a file `version`. A kernel that was built from the same fragment is
# used even if the distribution has a newer source by now.
test_kernel() {
  local root found
  root=$(cache_folder test-kernel) || exit 1
  found=$(built_test_kernel "$root")
  if [[ -z $found ]]; then
    build_test_kernel "$root"
    found=$(built_test_kernel "$root")
  fi
  [[ -n $found ]] || die "no kernel was built under $root" "remove that directory and run this again"
  printf '%s\n' "$found"
}

test_kernel_key() { sha256sum "$TEST_KERNEL_FRAGMENT" | head -c 12; }

built_test_kernel() {
  find "$1" -mindepth 2 -maxdepth 2 -name complete -path "*/$POLLUX_DISTRO-*-$(test_kernel_key)/*" -printf '%h\n' |
    sort -V | tail -n 1
}

test_kernel_source() {
  case $POLLUX_DISTRO in
    debian-*) echo linux-source-6.12 ;;
    ubuntu-24.04) echo linux-source-6.8.0 ;;
  esac
}

candidate_version() {
  # awk reads all of the output: a pipe that closes early would fail.
  apt-cache policy "$1" 2>/dev/null | awk '$1 == "Candidate:" && $2 != "(none)" { print $2 }'
}

# Debian 12 has the source among its security updates and its backports.
find_source_version() {
  local package=$1 version
  version=$(candidate_version "$package")
  if [[ -z $version ]]; then
    refresh_apt
    version=$(candidate_version "$package")
  fi
  if [[ -z $version && $POLLUX_DISTRO == debian-12 ]]; then
    add_backports
    refresh_apt
    version=$(candidate_version "$package")
  fi
  [[ -n $version ]] || die "apt knows no package $package, from which the tests' kernel is built" \
    "see 'apt-cache policy $package'; on Debian it is in the main archive, on Debian 12 in bookworm-security"
  printf '%s\n' "$version"
}

build_test_kernel() {
  local root=$1 package version target work start=$SECONDS
  need_packages kernel
  package=$(test_kernel_source)
  version=$(find_source_version "$package")
  target=$root/$POLLUX_DISTRO-${version//[^A-Za-z0-9.+-]/_}-$(test_kernel_key)
  # Removes what an interrupted run left. A folder younger than a day may still be in use.
  find "$root" -mindepth 1 -maxdepth 1 -name 'pollux-work.*' -mmin +1440 -exec rm -rf {} +
  work=$(kernel_work_folder "$root") || exit 1
  say "building a small kernel for the guest tests from $package $version (once, about three minutes on two cores; kept in $root)"
  download_packages "$work" "$package"
  unpack_source "$work"
  compile_test_kernel "$work"
  keep_test_kernel "$work" "$target"
  rm -rf "$work"
  say "built it in $((SECONDS - start)) s"
}

# Prints a new folder to build in. The kernel's own build does not support a path with a space or colon in it.
kernel_work_folder() {
  local root=$1
  case $root in *[[:space:]:]*) root=/var/tmp ;; esac
  mktemp -d "$root/pollux-work.XXXXXX" || die "nothing can be written to $root" \
    "free some space there, or set POLLUX_CACHE to a path without a space"
}

# Does not unpack files that a kernel for this machine does not need, which are half of the files.
unpack_source() {
  local work=$1 archive
  dpkg-deb -x "$work"/linux-source-*.deb "$work/package" || die "the kernel's source cannot be unpacked" \
    "is the disk full? then run this again"
  archive=$(find "$work/package" -name 'linux-source-*.tar.*' | head -n 1)
  [[ -n $archive ]] || die "there is no linux-source-*.tar.* in the package" "report this with the package's version"
  mkdir "$work/source"
  tar -xf "$archive" -C "$work/source" --strip-components=1 --exclude='*/Documentation/[a-z]*' \
    --exclude='*/drivers/gpu/drm/amd/include' || die "$archive cannot be unpacked" "is the disk full? then run this again"
  rm -rf "$work/package" "$work"/*.deb
}

compile_test_kernel() {
  local work=$1 log=$1.log name
  local hint="read the lines above; on a full disk free some space, then run this again"
  local -a make=(make -C "$work/source" -j "$(nproc)" ARCH=x86 KBUILD_BUILD_USER=pollux KBUILD_BUILD_HOST=lab)
  # Copied, since make does not support a path with a space in it.
  cp "$TEST_KERNEL_FRAGMENT" "$work/source/pollux.config"
  run_logged "$log" "$hint" "${make[@]}" KCONFIG_ALLCONFIG=pollux.config allnoconfig
  # An option that a newer source renamed, or whose dependencies are missing, is silently dropped.
  while read -r name; do
    grep -qxF "$name" "$work/source/.config" || die "this kernel's source does not accept '$name'" \
      "see tests/guest/kernel.config; a dependency may be missing there"
  done < <(grep '^CONFIG_' "$TEST_KERNEL_FRAGMENT")
  run_logged "$log" "$hint" "${make[@]}" bzImage
  rm -f "$log"
}

keep_test_kernel() {
  local work=$1 target=$2 tree=$1/tree version modules
  version=$(cat "$work/source/include/config/kernel.release")
  modules=$tree/lib/modules/$version
  # Without modules modprobe needs only the list of built-in modules. The target is renamed last, since a copy from another disk takes
  # time.
  {
    mkdir -p "$modules" && cp "$work/source/arch/x86/boot/bzImage" "$tree/vmlinuz" && cp "$work/source/.config" "$tree/config" &&
      cp "$work/source/modules.builtin" "$work/source/modules.builtin.modinfo" "$modules/" && : >"$modules/modules.order" &&
      complete_kernel "$tree" "$version" && rm -rf "${target:?}" "$target.new" && mv "$tree" "$target.new" && mv "$target.new" "$target"
  } || die "the kernel cannot be kept in $target" "$(disk_hint "$target" "read the lines above")"
}
