# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# Which files the checks look at, and how they look.

# project_files: everything that git knows or would take up, or with --changed what differs from that commit.
project_files() {
  local file
  if [[ -n ${changed_since:-} ]]; then
    git diff --name-only --diff-filter=d "$changed_since" --
    git ls-files --others --exclude-standard
  else
    git ls-files --cached --others --exclude-standard
  fi | sort -u | while read -r file; do
    # What was deleted and not yet committed is no file any more.
    [[ -f $file ]] && echo "$file"
  done
}

# files_of cpp|shell|code
files_of() {
  local file
  case $1 in
    cpp) project_files | grep -E '\.(cpp|hpp)$' ;;
    shell)
      project_files | while read -r file; do
        [[ $file == *.sh ]] || head -n 1 "$file" | grep -qaE '^#!.*\b(ba|da)?sh\b' && echo "$file"
      done
      ;;
    code)
      project_files | while read -r file; do
        case $file in
          *.cpp | *.hpp | *.py | *.sh | *.cmake | */CMakeLists.txt | CMakeLists.txt) echo "$file" ;;
          *) head -c 2 "$file" | grep -qaF '#!' && echo "$file" ;;
        esac
      done
      ;;
  esac || true
}

# without FILES PATTERN LINES: names the files that do not have it in their first lines.
without() {
  local file
  while read -r file; do
    [[ -z $file ]] || head -n "$3" "$file" | grep -qF "$2" || echo "$file: no line '$2'"
  done <<<"$1"
}

# with FILES PATTERN: each place where it stands.
with() {
  local files
  mapfile -t files <<<"$1"
  grep -nHE "$2" "${files[@]}" || true
}

# nothing_to_look_at CHECK: with --changed, no changed file concerns it.
nothing_to_look_at() {
  local kind=code
  case $1 in
    format | headers | tidy) kind=cpp ;;
    shell) kind=shell ;;
    layers) return 1 ;;
  esac
  [[ -z $(files_of "$kind") ]]
}

# need_tool NAME...: names what is missing; the check that asked has failed then.
need_tool() {
  local tool missing=()
  for tool in "$@"; do command -v "$tool" >/dev/null || missing+=("$tool"); done
  ((${#missing[@]} == 0)) || die "not installed: ${missing[*]}" "as root: apt-get install clang clang-format clang-tidy shellcheck"
}

readonly SKIPPED=77
JUDGE=14

# judge_by TOOL: SKIPPED, with the reason, where it has another version than the one that the project is written to.
judge_by() {
  local version
  version=$("$1" --version | grep -oE 'version [0-9]+' | head -n 1)
  [[ $version == "version $JUDGE" ]] && return 0
  echo "$1 here is ${version:-of no version that it tells}; version $JUDGE is what judges"
  return "$SKIPPED"
}
