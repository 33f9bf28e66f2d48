# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# The lists of files for the checks, and how the checks search them.

# git_files: lists tracked and untracked files, or with --changed those that differ from the commit; each name ends in a zero byte.
git_files() {
  if [[ -n ${changed_since:-} ]]; then
    git diff -z --relative --name-only --diff-filter=d "$changed_since" -- && git ls-files -z --others --exclude-standard
  else
    git ls-files -z --cached --others --exclude-standard
  fi
}

PROJECT_FILES=()

# list_project_files: sets PROJECT_FILES. Fails if git cannot list files, or lists none.
list_project_files() {
  local file names=$SCRATCH/files
  need_tool git
  git_files >"$names" 2>"$SCRATCH/git" || die "git cannot list the project's files: $(head -n 1 "$SCRATCH/git")" "$(git_hint)"
  while IFS= read -r -d '' file; do
    # A file that was deleted without a commit is still listed.
    [[ ! -f $file ]] || PROJECT_FILES+=("$file")
  done < <(sort -zu "$names")
  ((${#PROJECT_FILES[@]})) || [[ -n ${changed_since:-} ]] || die "git lists no file in $POLLUX_ROOT" "$(git_hint)"
}

git_hint() {
  if grep -q 'dubious ownership' "$SCRATCH/git"; then
    echo "git config --global --add safe.directory '$POLLUX_ROOT', if you trust its owner; or use a clone of your own"
  elif [[ ! -e $POLLUX_ROOT/.git ]]; then
    echo "use a clone; in files unpacked from an archive run 'git init' first"
  else
    echo "see what 'git -C $POLLUX_ROOT status' says"
  fi
}

project_files() { ((${#PROJECT_FILES[@]} == 0)) || printf '%s\n' "${PROJECT_FILES[@]}"; }

# first_line FILE: sets FIRST. No check starts a process for each file, since that takes longer than the check.
first_line() { IFS= read -r FIRST 2>/dev/null <"$1" || true; }

# files_of cpp|shell|code
files_of() {
  local file FIRST
  case $1 in
    cpp) project_files | grep -E '\.(cpp|hpp)$' ;;
    shell)
      project_files | while read -r file; do
        if [[ $file != *.sh ]]; then
          first_line "$file"
          [[ $FIRST =~ ^'#!'.*[/[:space:]](ba|da)?sh([[:space:]]|$) ]] || continue
        fi
        echo "$file"
      done
      ;;
    code)
      project_files | while read -r file; do
        case $file in
          *.cpp | *.hpp | *.py | *.sh | *.cmake | */CMakeLists.txt | CMakeLists.txt) ;;
          *)
            first_line "$file"
            [[ $FIRST == '#!'* ]] || continue
            ;;
        esac
        echo "$file"
      done
      ;;
  esac || true
}

# without FILES PATTERN LINES: names the files whose first lines do not contain the pattern.
without() {
  local file line head
  while read -r file; do
    [[ -n $file ]] || continue
    mapfile -t -n "$3" head <"$file"
    line="${head[*]}"
    [[ $line == *"$2"* ]] || echo "$file: no line '$2'"
  done <<<"$1"
}

# longer FILES LINES: names the files with more lines.
longer() {
  local files file lines
  mapfile -t files <<<"$1"
  wc -l "${files[@]}" | while read -r lines file; do
    [[ $file == total ]] || ((lines <= $2)) || echo "$file: $lines lines"
  done
}

# with FILES PATTERN: prints each occurrence of the pattern.
with() {
  local files
  mapfile -t files <<<"$1"
  grep -nHE "$2" "${files[@]}" || true
}

# has_nothing_to_check CHECK: whether, with --changed, no changed file concerns the check.
has_nothing_to_check() {
  local kind=code
  case $1 in
    format | headers | tidy) kind=cpp ;;
    shell) kind=shell ;;
    layers) return 1 ;;
  esac
  [[ -z $(files_of "$kind") ]]
}

# need_tool NAME...: names the missing tools; the check has then failed.
need_tool() {
  local tool missing=()
  for tool in "$@"; do command -v "$tool" >/dev/null || missing+=("$tool"); done
  ((${#missing[@]} == 0)) || die "not installed: ${missing[*]}" "as root: apt-get install clang clang-format clang-tidy shellcheck"
}

readonly SKIPPED=77
TOOLS_VERSION=14

# require_version_of TOOL: returns SKIPPED, with the reason, if the tool has another version than the project is written for.
require_version_of() {
  local version
  version=$("$1" --version | grep -oE 'version [0-9]+' | head -n 1)
  [[ $version == "version $TOOLS_VERSION" ]] && return 0
  echo "$1 is ${version:-of an unknown version}; this check needs version $TOOLS_VERSION"
  return "$SKIPPED"
}
