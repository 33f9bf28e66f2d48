# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# The distribution's stock kernel for the guest: downloaded and unpacked into the cache, never installed.

# The same rule as cache_directory in pollux_lab/cache.py. Without HOME, `~` is the home directory of the password file. Root, as after
# `sudo -E`, does not use another user's cache: it would run what that user has put there.
cache_dir() {
  local own caches at
  own=$(unset HOME && echo ~)
  caches=${XDG_CACHE_HOME:-${HOME:-$own}/.cache}
  at=$caches/pollux
  while [[ ! -e $at && $at == */* ]]; do at=${at%/*}; done
  ((EUID != 0)) || [[ -O ${at:-/} ]] || caches=$own/.cache
  printf '%s' "${POLLUX_CACHE:-$caches/pollux}"
}

# Creates a folder of the cache, and prints it.
cache_folder() {
  local folder said
  folder=$(cache_dir)/$1
  said=$(mkdir -p "$folder" 2>&1 && { : >"$folder/.writable"; } 2>&1) ||
    die "$folder cannot be written to: ${said##*: }" "set POLLUX_CACHE to a folder that can be written to"
  rm -f "$folder/.writable"
  printf '%s\n' "$folder"
}

# Prints the directory that contains vmlinuz, lib/modules and a file `version`.
guest_kernel() {
  local root newest
  root=$(cache_folder kernel) || exit 1
  newest=$(newest_kernel "$root")
  if [[ -z $newest ]]; then
    fetch_kernel "$root"
    newest=$(newest_kernel "$root")
  fi
  [[ -n $newest ]] || die "no kernel was unpacked under $root" "remove that directory and run this again"
  printf '%s\n' "$newest"
}

newest_kernel() {
  find "$1" -mindepth 2 -maxdepth 2 -name complete -path "*/$POLLUX_DISTRO-*" -printf '%h\n' | sort -V | tail -n 1
}

# The meta package depends on the kernel that the distribution would install today.
kernel_packages() {
  local meta=linux-image-amd64 image
  [[ $POLLUX_DISTRO == ubuntu-* ]] && meta=linux-image-generic
  image=$(apt-cache depends "$meta" 2>/dev/null | sed -nE 's/^ *\|?Depends: (linux-image-[0-9][^ ]*)$/\1/p' | head -n 1)
  [[ -n $image ]] || return 1
  with_modules "$image"
}

# with_modules IMAGE: prints the packages of a kernel with all its modules.
with_modules() {
  local image=$1
  printf '%s\n' "$image"
  [[ $POLLUX_DISTRO == ubuntu-* ]] || return 0
  printf '%s\n' "${image/linux-image/linux-modules}" "${image/linux-image/linux-modules-extra}"
}

fetch_kernel() {
  local root=$1 packages version work
  packages=$(kernel_packages) || {
    refresh_apt
    packages=$(kernel_packages) || die "apt knows no stock kernel package" "run 'apt-get update' as root"
  }
  version=$(head -n 1 <<<"$packages")
  version=${version#linux-image-}
  say "downloading the distribution's kernel $version (once; kept in $root)"
  # Removes what an interrupted run left. A folder younger than a day may still be in use.
  find "$root" -mindepth 1 -maxdepth 1 -name 'unpack.*' -mmin +1440 -exec rm -rf {} +
  work=$(mktemp -d "$root/unpack.XXXXXX")
  # shellcheck disable=SC2086  # one word per package
  download_packages "$work" $packages
  unpack_kernel "$work" "$version"
  rm -rf "${root:?}/$POLLUX_DISTRO-$version"
  mv "$work/tree" "$root/$POLLUX_DISTRO-$version"
  rm -rf "$work"
}

download_packages() {
  local work=$1
  shift
  # As root, apt changes to its own user, which may not write here. It then prints a warning and downloads all the same.
  if ! (cd "$work" && apt-get -qq -o Acquire::Retries=2 -o Acquire::http::Timeout=30 download "$@") >"$work/log" 2>&1 </dev/null; then
    # Outdated lists name files that the mirror no longer has.
    refresh_apt
    (cd "$work" && apt-get -qq -o Acquire::Retries=2 -o Acquire::http::Timeout=30 download "$@") >"$work/log" 2>&1 </dev/null || {
      tail -n 5 "$work/log" >&2
      local hint
      hint=$(apt_hint "$work/log")
      rm -rf "$work"
      die "'apt-get download $*' failed" "$hint"
    }
  fi
}

# unpack_kernel WORK VERSION [FOLDER]: unpacks the packages in WORK to WORK/tree. Modules in FOLDER take precedence over the kernel's own.
unpack_kernel() {
  local work=$1 version=$2 own=${3:-} tree=$1/tree package
  mkdir "$tree"
  for package in "$work"/*.deb; do
    dpkg-deb -x "$package" "$tree" || die "$package cannot be unpacked" "is the disk full? then run this again"
  done
  # Newer packages keep modules under usr/lib; depmod and modprobe look under lib.
  [[ -d $tree/lib/modules ]] || { mkdir -p "$tree/lib" && mv "$tree/usr/lib/modules" "$tree/lib/modules"; }
  if [[ -n $own ]]; then
    mkdir "$tree/lib/modules/$version/updates"
    find "$own" -name '*.ko' -exec cp {} "$tree/lib/modules/$version/updates" \;
  fi
  {
    mv "$tree/boot/vmlinuz-$version" "$tree/vmlinuz" && rm -rf "${tree:?}/boot" "${tree:?}/usr/share" &&
      complete_kernel "$tree" "$version"
  } || die "the kernel cannot be unpacked to $tree" "$(disk_hint "$tree/version" "remove that directory and run this again")"
}

# complete_kernel TREE VERSION: lists the modules and marks the tree as complete. On a full disk an empty file can still be made, so this
# first checks for content.
complete_kernel() {
  depmod -b "$1" "$2" && printf '%s\n' "$2" >"$1/version" && [[ -s $1/lib/modules/$2/modules.dep.bin ]] && : >"$1/complete"
}
