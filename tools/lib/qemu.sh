# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# Provides a QEMU that has the igb card. Debian 12's own QEMU lacks it; its backports suite has a newer one.

qemu_has_igb() {
  command -v qemu-system-x86_64 >/dev/null || return 1
  # Not grep -q: it would close the pipe early, and pipefail would report that as a failure.
  qemu-system-x86_64 -device help 2>/dev/null </dev/null | grep 'name "igb"' >/dev/null
}

# Adds the package source that has it, if one is missing.
need_qemu_source() { [[ $POLLUX_DISTRO != debian-12 ]] || qemu_has_igb || add_backports; }

need_qemu_with_igb() {
  qemu_has_igb && return 0
  [[ $POLLUX_DISTRO == debian-12 ]] ||
    die "this QEMU has no igb device" "install QEMU 8.0 or newer as qemu-system-x86_64, first in PATH"
  say "installing QEMU from bookworm-backports, since that of Debian 12 has no igb card"
  add_backports
  refresh_apt
  apt_get install -t bookworm-backports qemu-system-x86
  qemu_has_igb || die "the QEMU from bookworm-backports has no igb device either" \
    "run '$(command -v qemu-system-x86_64) -device help'; another QEMU may be first in PATH"
}

# Uses the mirror and key of the suite that this machine was installed from, so no address is needed here.
add_backports() {
  local dir=${POLLUX_APT_DIR:-/etc/apt} entry target
  if grep -rqsE '^(deb |Suites:).*bookworm-backports' "$dir"; then return 0; fi
  # A pattern without a match, or a missing file, fails; an entry that was found before is used all the same.
  entry=$(backports_from_deb822 "$dir"/sources.list.d/*.sources) || true
  target=$dir/sources.list.d/pollux-backports.sources
  if [[ -z $entry ]]; then
    entry=$(backports_from_one_line "$dir"/sources.list "$dir"/sources.list.d/*.list) || true
    target=$dir/sources.list.d/pollux-backports.list
  fi
  if [[ -z $entry ]]; then
    die "no package source for bookworm was found under $dir" \
      "add bookworm-backports there by hand and install qemu-system-x86 from it"
  fi
  need_root_rights "tee '$target' <<<'$entry'"
  say "adding $target"
  printf '%s\n' "$entry" | "${AS_ROOT[@]}" tee "$target" >/dev/null
  apt_lists_changed
}

# Prints the first stanza for the suite itself, with its other fields (key, options) unchanged.
backports_from_deb822() {
  awk 'BEGIN { RS = ""; FS = "\n" }
    /(^|\n)Suites:[^\n]*[ \t]bookworm([ \t\n]|$)/ && !/(^|\n)Enabled:[ \t]*no/ {
      gsub(/(^|\n)#[^\n]*/, ""); sub(/^\n/, "")
      sub(/(^|\n)Suites:[^\n]*/, "\nSuites: bookworm-backports"); sub(/^\n/, "")
      print; exit
    }' "$@" 2>/dev/null
}

backports_from_one_line() {
  sed -nE 's/^(deb +(\[[^]]*\] +)?[^ ]+ +)bookworm +(.*)$/\1bookworm-backports \3/p' "$@" 2>/dev/null | head -n 1
}
