# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# What the tools say to a person: progress, and errors that end in what to do.

say() { printf '%s\n' "$*" >&2; }

# die WHAT HINT...: every error names its remedy.
die() {
  local what=$1
  shift
  printf '%s: error: %s\n' "${POLLUX_TOOL:-pollux}" "$what" >&2
  local hint
  for hint in "$@"; do printf '  what to do: %s\n' "$hint" >&2; done
  exit 1
}

# run_logged LOG HINT COMMAND...: a long, chatty command; its output is shown only where it fails.
run_logged() {
  local log=$1 hint=$2
  shift 2
  if "$@" >"$log" 2>&1 </dev/null; then return 0; fi
  tail -n 40 "$log" >&2
  die "'$*' failed (its whole output: $log)" "$(disk_hint "$log" "$hint")"
}

# disk_hint LOG ELSE: where a command may have failed for want of space, that is what to mend. It may not have been able to say so.
disk_hint() {
  local log=$1 folder
  for folder in "$(dirname "$log")" "${TMPDIR:-/tmp}"; do
    if has_no_room "$folder"; then
      echo "the disk that holds $folder is full; free some space there, then run this again"
      return
    fi
  done
  if grep -qsE 'No space left on device|Disk quota exceeded' "$log"; then
    echo "a disk is full: see 'df -h $(dirname "$log") ${TMPDIR:-/tmp}'; free some space, then run this again"
  else
    echo "$2"
  fi
}

readonly LEAST_ROOM_KIB=4096

has_no_room() {
  local free
  free=$(df -Pk "$1" 2>/dev/null | awk 'NR == 2 { print $4 }')
  [[ -n $free ]] && ((free < LEAST_ROOM_KIB))
}
