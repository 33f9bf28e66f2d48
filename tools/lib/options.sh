# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# Checks of option values, before a tool begins its work.

# need_number OPTION VALUE LOW HIGH
need_number() {
  if [[ ! $2 =~ ^[0-9]{1,12}$ ]] || ((10#$2 < $3 || 10#$2 > $4)); then
    usage_error "$1 takes a whole number from $3 to $4, not '$2'" "see $POLLUX_TOOL --help"
  fi
}

# need_word OPTION VALUE ALLOWED...
need_word() {
  local option=$1 value=$2 word
  shift 2
  for word in "$@"; do [[ $value == "$word" ]] && return 0; done
  usage_error "$option takes one of: $*; not '$value'" "see $POLLUX_TOOL --help"
}
