# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# An apt with folders of its own: it knows only the suites that it is given, and nothing as installed. It needs no rights, and changes nothing
# of the machine's own apt.

# Debian's packages are signed with the keys of its archive.
DEBIAN_KEYS=${POLLUX_DEBIAN_KEYS:-/usr/share/keyrings/debian-archive-keyring.gpg}

# debian_codename WHAT: prints the suite of this machine, from which WHAT is fetched.
debian_codename() {
  case $POLLUX_DISTRO in
    debian-12) echo bookworm ;;
    debian-13) echo trixie ;;
    *) die "$1 is fetched on Debian 12 and 13 only; this is $POLLUX_DISTRO_SAYS" "run this on Debian 12 or 13" ;;
  esac
}

# debian_mirror CODENAME: prints the mirror that this machine was installed from. It is read from apt's settings, so the lists may be missing;
# only where those name no codename ("stable") do the lists say which suite that is.
debian_mirror() {
  local mirror
  mirror=$(repositories --no-release-info "Release: $1") || exit 1
  [[ -n $mirror ]] || mirror=$(repositories "Codename: $1") || exit 1
  [[ -n $mirror ]] || die "apt knows no mirror with $1" "see /etc/apt/sources.list*; then run 'apt-get update' as root"
  printf '%s\n' "${mirror%%$'\n'*}"
}

repositories() {
  # shellcheck disable=SC2016  # apt's own variable
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "$@" || die "apt does not tell its mirrors" "see the error above"
}

# make_own_apt FOLDER MIRROR SUITE...: downloads the lists of packages and of their sources.
make_own_apt() {
  local dir=$1 mirror=$2 suite
  shift 2
  [[ -r $DEBIAN_KEYS ]] || die "$DEBIAN_KEYS, which signs packages, is missing" "as root: apt-get install debian-archive-keyring"
  { mkdir -p "$dir"/{lists,archives}/partial && : >"$dir/status"; } || die "$dir cannot be made" "is the disk full?"
  for suite in "$@"; do
    printf '%s [signed-by=%s] %s %s main\n' deb "$DEBIAN_KEYS" "$mirror" "$suite" deb-src "$DEBIAN_KEYS" "$mirror" "$suite"
  done >"$dir/sources.list"
  own_apt "$dir" update -o APT::Update::Error-Mode=any
}

# own_apt FOLDER WORD...: apt-get with these words.
own_apt() {
  local dir=$1 log=$1/log
  shift
  apt-get -qq -o Dir::Etc::SourceList="$dir/sources.list" -o Dir::Etc::SourceParts=/dev/null -o Dir::Etc::Preferences=/dev/null \
    -o Dir::Etc::PreferencesParts=/dev/null -o Dir::State="$dir" -o Dir::State::Lists="$dir/lists" -o Dir::State::Status="$dir/status" \
    -o Dir::Cache="$dir" -o Dir::Cache::Archives="$dir/archives" -o APT::Sandbox::User="" -o Acquire::Languages=none \
    -o Acquire::Retries=2 -o Acquire::http::Timeout=30 -o Acquire::https::Timeout=30 -o Dpkg::Use-Pty=0 "$@" >"$log" 2>&1 </dev/null &&
    return 0
  tail -n 10 "$log" >&2
  die "'apt-get $*' failed" "$(apt_hint "$log")"
}
