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
  die "'$*' failed (its whole output: $log)" "$hint"
}
