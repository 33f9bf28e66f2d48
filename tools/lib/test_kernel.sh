# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# A kernel for the guest tests, with what the distributions' kernels lack: IOMMUFD, VFIO's device files and its no-IOMMU mode. It is the
# distribution's kernel with VFIO's modules compiled anew from the distribution's source. It is kept in the cache beside the stock
# kernel, and is never installed.

# Prints the directory that contains vmlinuz, lib/modules and a file `version`. A kernel that was made in the same way is used even if the
# distribution has a newer one by now.
test_kernel() {
  local root found
  root=$(cache_folder test-kernel) || exit 1
  found=$(made_test_kernel "$root")
  if [[ -z $found ]]; then
    make_test_kernel "$root"
    found=$(made_test_kernel "$root")
  fi
  [[ -n $found ]] || die "no kernel was made under $root" "remove that directory and run this again"
  printf '%s\n' "$found"
}

test_kernel_key() { cat "$POLLUX_ROOT"/tools/lib/{test_kernel,kernel}.sh | sha256sum | head -c 12; }

made_test_kernel() {
  find "$1" -mindepth 2 -maxdepth 2 -name complete -path "*/$POLLUX_DISTRO-*-$(test_kernel_key)/*" -printf '%h\n' |
    sort -V | tail -n 1
}

test_kernel_source() {
  case $POLLUX_DISTRO in
    debian-*) echo linux-source-6.12 ;;
    ubuntu-24.04) echo linux-source-6.8.0 ;;
  esac
}

# The package that depends on the headers of the kernel with that source.
test_kernel_headers() {
  case $POLLUX_DISTRO in
    debian-12) echo linux-headers-6.12-amd64 ;;
    debian-*) echo linux-headers-amd64 ;;
    ubuntu-24.04) echo linux-headers-generic ;;
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

make_test_kernel() {
  local root=$1 version release target work start=$SECONDS
  need_packages kernel
  version=$(find_source_version "$(test_kernel_headers)")
  release=$(dependencies "$(test_kernel_headers)" | sed -n 's/^linux-headers-//p' | head -n 1)
  target=$root/$POLLUX_DISTRO-${version//[^A-Za-z0-9.+-]/_}-$(test_kernel_key)
  # Removes what an interrupted run left. A folder younger than a day may still be in use.
  find "$root" -mindepth 1 -maxdepth 1 -name 'pollux-work.*' -mmin +1440 -exec rm -rf {} +
  work=$(kernel_work_folder "$root") || exit 1
  say "preparing the kernel $release with all of VFIO for the guest tests (once; kept in $root)"
  mkdir "$work/source" "$work/headers" "$work/image"
  fetch_vfio_source "$work/source" "$version"
  fetch_headers "$work/headers" "linux-headers-$release"
  compile_vfio "$work" "$release"
  # shellcheck disable=SC2046  # one word per package
  download_packages "$work/image" $(with_modules "linux-image-$release")
  unpack_kernel "$work/image" "$release" "$work/source"
  rm -rf "${target:?}" "$target.new"
  # The target is renamed last, since a copy from another disk takes time.
  { mv "$work/image/tree" "$target.new" && mv "$target.new" "$target"; } ||
    die "the kernel cannot be kept in $target" "$(disk_hint "$target" "read the lines above")"
  rm -rf "$work"
  say "prepared it in $((SECONDS - start)) s"
}

dependencies() { apt-cache depends "$1" | sed -nE 's/^ *\|?Depends: ([^ ]+)$/\1/p'; }

# Prints a new folder to build in. The kernel's own build does not support a path with a space or colon in it.
kernel_work_folder() {
  local root=$1
  case $root in *[[:space:]:]*) root=/var/tmp ;; esac
  mktemp -d "$root/pollux-work.XXXXXX" || die "nothing can be written to $root" \
    "free some space there, or set POLLUX_CACHE to a path without a space"
}

fetch_vfio_source() {
  local folder=$1 version=$2 package archive
  package=$(test_kernel_source)
  download_packages "$folder" "$package=$version"
  dpkg-deb -x "$folder"/linux-source-*.deb "$folder/package" || die "the kernel's source cannot be unpacked" \
    "is the disk full? then run this again"
  archive=$(find "$folder/package" -name 'linux-source-*.tar.*' | head -n 1)
  [[ -n $archive ]] || die "there is no linux-source-*.tar.* in the package" "report this with the package's version"
  tar -xf "$archive" -C "$folder" --strip-components=1 "$package"/{drivers/vfio,drivers/iommu,lib/interval_tree.c} ||
    die "$archive cannot be unpacked" "is the disk full? then run this again"
  rm -rf "$folder/package" "$folder"/*.deb
}

# Unpacks the packages of a kernel's headers, and makes them refer to where they are.
fetch_headers() {
  local folder=$1 package=$2 deb
  # shellcheck disable=SC2046  # one word per package
  download_packages "$folder" "$package" $(dependencies "$package" | grep -E '^linux-(headers|kbuild)-')
  for deb in "$folder"/*.deb; do
    dpkg-deb -x "$deb" "$folder" || die "$deb cannot be unpacked" "is the disk full? then run this again"
  done
  sed -i "s|^include /usr/src/|include $folder/usr/src/|" "$folder/usr/src/$package/Makefile"
}

# Compiles the modules of VFIO and IOMMUFD, with the options that the distribution has switched off.
compile_vfio() {
  local work=$1 release=$2 log=$1.log option
  local -a options=(IOMMUFD=m VFIO_DEVICE_CDEV=y VFIO_NOIOMMU=y) defined=()
  for option in "${options[@]}"; do
    option=CONFIG_${option/=m/_MODULE=1}
    defined+=("-D${option/=y/=1}")
  done
  echo 'obj-m := drivers/iommu/iommufd/ drivers/vfio/' >"$work/source/Kbuild"
  # A function of the kernel's that it has for IOMMUFD alone becomes a part of the module.
  sed -i 's/^iommufd-y := /&spans.o /' "$work/source/drivers/iommu/iommufd/Makefile"
  printf '%s\n' '#define __DISABLE_EXPORTS' '#define CONFIG_INTERVAL_TREE_SPAN_ITER 1' '#include "../../../lib/interval_tree.c"' \
    >"$work/source/drivers/iommu/iommufd/spans.c"
  # Type information (BTF) would need more tools; without debugging information the modules are small.
  run_logged "$log" "read the lines above; on a full disk free some space, then run this again" \
    make -C "$work/headers/usr/src/linux-headers-$release" M="$work/source" -j "$(nproc)" modules \
    CONFIG_DEBUG_INFO_BTF_MODULES= CONFIG_VFIO_MDEV= "${options[@]/#/CONFIG_}" KCFLAGS="-g0 ${defined[*]}"
  rm -f "$log"
}
