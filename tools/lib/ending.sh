# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# How a tool begins and ends: a temporary folder, signals, one run of a tool at a time in a checkout.

SCRATCH=

# begin_tool: makes SCRATCH. From then on every end, also by Ctrl-C, ends its jobs, removes SCRATCH and calls the tool's
# function `tool_ends`, if it has one.
begin_tool() {
  local folder=${TMPDIR:-/tmp} said
  trap end_tool EXIT
  # A command in the foreground gets the terminal's signal, too; bash waits for its end before it runs the trap.
  trap 'interrupted 130' INT
  trap 'interrupted 143' TERM
  trap 'interrupted 129' HUP
  SCRATCH=$(mktemp -d "$folder/pollux.XXXXXX" 2>&1) || cannot_write "$folder" "$SCRATCH"
  # A folder can be made even on a full disk, so this writes some data.
  said=$({ head -c 65536 /dev/zero >"$SCRATCH/room"; } 2>&1) || cannot_write "$folder" "$said"
  rm -f "$SCRATCH/room"
}

# cannot_write FOLDER SAID
cannot_write() {
  die "nothing can be written to $1: ${2##*: }" "free some space there, or set TMPDIR to a folder that can be written to"
}

end_tool() {
  end_jobs
  [[ ! -d $SCRATCH ]] || rm -rf "$SCRATCH"
  ! declare -F tool_ends >/dev/null || tool_ends
}

interrupted() {
  trap '' INT TERM HUP
  say "$POLLUX_TOOL: interrupted"
  exit "$1"
}

# lock_checkout NAME: allows one run at a time of a tool that builds in the same folders. The kernel releases the lock when the process
# and all its children have ended, so no lock is left behind.
lock_checkout() {
  local file=$POLLUX_ROOT/build/$1.lock said
  said=$(mkdir -p "$POLLUX_ROOT/build" 2>&1 && { : >>"$file"; } 2>&1) ||
    die "$POLLUX_ROOT/build cannot be written to: ${said##*: }" "$(where_to_build "$said")"
  exec {CHECKOUT_LOCK}>>"$file"
  if ! flock --nonblock "$CHECKOUT_LOCK"; then
    exec {CHECKOUT_LOCK}>&-
    die "tools/$1 runs in this checkout already ($(lock_holder "$file"))" \
      "wait for it to end, end it, or use another checkout: git clone '$POLLUX_ROOT' FOLDER"
  fi
  echo $$ 2>/dev/null >"$file" || die "nothing can be written to $file: the disk is full" "free some space there"
}

# lock_holder FILE: the process that locked it. If that was killed, those that it had started still have the file open.
lock_holder() {
  local file=$1 process folder fd
  process=$(<"$file")
  printf 'process %s' "$process"
  [[ ! -d /proc/$process ]] || return 0
  printf ' was killed, but not what it had started:'
  for folder in /proc/[0-9]*; do
    for fd in "$folder"/fd/*; do
      [[ ! $fd -ef $file ]] || { printf ' %s' "${folder#/proc/}" && break; }
    done
  done
}

where_to_build() {
  case $1 in
    *"No space left"* | *"quota exceeded"*) echo "free some space there" ;;
    *) echo "work in a checkout of your own: git clone '$POLLUX_ROOT' FOLDER" ;;
  esac
}
