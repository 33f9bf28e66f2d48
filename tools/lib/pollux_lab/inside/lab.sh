# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=dash
# Functions for the jobs in the guest. Every wait here is bounded.

# await SECONDS COMMAND...: waits until the command succeeds.
await() {
  local left=$(($1 * 20))
  shift
  until "$@" >/dev/null 2>&1; do
    left=$((left - 1))
    [ "$left" -gt 0 ] || return 1
    usleep 50000
  done
}

fail() {
  echo "$*" >&2
  exit 1
}

gone() { ! kill -0 "$1" 2>/dev/null; }

# spawn NAME COMMAND...: runs a command in the background; its output goes to /run/NAME.out and .err, its status to /run/NAME.status.
# The files of an earlier program of this name are emptied first, since await_line may look at them before the program starts.
# A shell without job control starts background programs with SIGINT ignored; env restores the default.
spawn() {
  local name="$1"
  shift
  rm -f "/run/$name.status" "/run/$name.pid"
  true >"/run/$name.out" 2>"/run/$name.err"
  (
    env --default-signal=INT,QUIT "$@" </dev/null >"/run/$name.out" 2>"/run/$name.err" &
    echo $! >"/run/$name.pid"
    wait $!
    echo $? >"/run/$name.status"
  ) </dev/null >/dev/null 2>&1 &
  await 5 test -s "/run/$name.pid" || fail "$name was not started"
}

# await_line NAME PATTERN SECONDS: waits until a spawned program wrote the pattern; fails at once if the program ended.
await_line() {
  local left=$(($3 * 20))
  until grep -q "$2" "/run/$1.out" "/run/$1.err"; do
    if [ -s "/run/$1.status" ] && ! grep -q "$2" "/run/$1.out" "/run/$1.err"; then
      cat "/run/$1.err" >&2
      fail "$1 ended with status $(cat "/run/$1.status") before it wrote '$2'"
    fi
    left=$((left - 1))
    if [ "$left" -le 0 ]; then
      cat "/run/$1.err" >&2
      fail "$1 did not write '$2' within $3 s"
    fi
    usleep 50000
  done
}

# finish NAME SECONDS: waits for the end of a spawned program, prints its output, returns its status.
finish() {
  if ! await "$2" test -s "/run/$1.status"; then
    kill -KILL "$(cat "/run/$1.pid")" 2>/dev/null
    cat "/run/$1.err" >&2
    fail "$1 did not end within $2 s"
  fi
  cat "/run/$1.out"
  cat "/run/$1.err" >&2
  return "$(cat "/run/$1.status")"
}

# interrupt NAME [SIGNAL]: sends a signal to a spawned program, by default that of Ctrl-C.
interrupt() { kill "-${2:-INT}" "$(cat "/run/$1.pid")"; }

free_huge_pages() { awk '/HugePages_Free/ { print $2 }' /proc/meminfo; }

driver_of() { basename "$(readlink "/sys/bus/pci/devices/$1/driver" 2>/dev/null || echo none)"; }

# use_vfio ADDRESS...: gives devices to vfio-pci, for a program that keeps its files in /var/run.
use_vfio() {
  local address
  for address in "$@"; do
    [ "$(driver_of "$address")" = none ] || echo "$address" >"/sys/bus/pci/devices/$address/driver/unbind"
    echo vfio-pci >"/sys/bus/pci/devices/$address/driver_override"
    echo "$address" >/sys/bus/pci/drivers_probe
    [ "$(driver_of "$address")" = vfio-pci ] || fail "$address is not bound"
  done
  mkdir -p /var/run
  chmod 755 /
}

# A virtio device has its interface below a device of its own.
netdev_of() { basename "$(find "/sys/bus/pci/devices/$1/" -maxdepth 3 -path '*/net/*' | head -n 1)"; }

has_netdev() { [ -n "$(netdev_of "$1")" ]; }
