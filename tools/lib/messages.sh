# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# Messages of the tools: progress, and errors with a hint.

# If POLLUX_STARTED has the time of a tool's start, each line begins with the seconds since then.
say() {
  local since=''
  [[ -z ${POLLUX_STARTED:-} ]] || printf -v since '[%4d s] ' $((EPOCHSECONDS - POLLUX_STARTED))
  printf '%s%s\n' "$since" "$*" >&2
}

# phase NAME TEXT COMMAND...: says what begins, and records in the file POLLUX_PHASES how long it took.
phase() {
  local name=$1 text=$2 start=$EPOCHREALTIME took
  shift 2
  say "$text"
  "$@"
  took=$(((${EPOCHREALTIME/[.,]/} - ${start/[.,]/}) / 100000))
  printf '%s %d.%d s; ' "$name" $((took / 10)) $((took % 10)) >>"$POLLUX_PHASES"
}

# die WHAT HINT...: prints an error and its hints, and exits with status 1.
die() { end_with 1 "$@"; }

# usage_error WHAT HINT...: the same for a wrong command line, with status 2.
usage_error() { end_with 2 "$@"; }

end_with() {
  local status=$1 what=$2 hint
  shift 2
  printf '%s: error: %s\n' "${POLLUX_TOOL:-pollux}" "$what" >&2
  for hint in "$@"; do printf '  what to do: %s\n' "$hint" >&2; done
  exit "$status"
}

# run_logged LOG HINT COMMAND...: runs a command with much output; shows the end of the output only if the command fails. While a job
# runs, the command is a job, too, so that the failure of one ends the other.
run_logged() {
  local log=$1 hint=$2
  shift 2
  if ((${#JOBS[@]})); then
    start_job "$@" >"$log" 2>&1
    if await_job "$!"; then return 0; fi
  elif "$@" >"$log" 2>&1 </dev/null; then
    return 0
  fi
  tail -n 40 "$log" >&2
  die "'$*' failed (complete output: $log)" "$(disk_hint "$log" "$hint")"
}

# disk_hint LOG ELSE: prints a hint about the full disk if a command may have failed for lack of space, and ELSE otherwise. The log may
# lack the error message, since it is on a disk, too.
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
