# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# The distribution's Prometheus: downloaded and unpacked, never installed, since the package would start a server.

PROMETHEUS=$POLLUX_ROOT/build/interop/prometheus

# Prints the folder of prometheus and promtool.
prometheus() {
  [[ -x $PROMETHEUS/usr/bin/promtool ]] || fetch_prometheus >&2
  printf '%s\n' "$PROMETHEUS/usr/bin"
}

fetch_prometheus() {
  local work=$PROMETHEUS.unpack
  say "downloading Prometheus (once, 20 MB; kept in $PROMETHEUS)"
  rm -rf "$work" "$PROMETHEUS"
  mkdir -p "$work" || die "$work cannot be made" "is the disk full?"
  download_packages "$work" prometheus
  dpkg-deb -x "$work"/prometheus_*.deb "$work/tree" || die "the package cannot be unpacked" "is the disk full? then run this again"
  mv "$work/tree" "$PROMETHEUS" && rm -rf "$work"
}
