# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# Jobs: commands that run beside a tool's other steps.

JOBS=()
JOB_END_SECONDS=60  # dpkg ends at a point where it can go on later

# start_job COMMAND...: its process is $! afterwards. `timeout`, here without a limit, gives it a process group of its own, which
# Ctrl-C does not reach and end_jobs ends as a whole. A job cannot ask questions.
start_job() {
  POLLUX_JOB=yes timeout --kill-after=$JOB_END_SECONDS 0 "$@" </dev/null &
  JOBS+=("$!")
}

# await_job PROCESS: returns the job's status. If another job fails meanwhile, ends the tool at once; that job has said why.
await_job() {
  local ended status
  while [[ " ${JOBS[*]} " == *" $1 "* ]]; do
    status=0
    wait -n -p ended "${JOBS[@]}" || status=$?
    forget_job "$ended"
    [[ $ended != "$1" ]] || return "$status"
    ((status == 0)) || exit 1
  done
}

forget_job() {
  local job left=()
  for job in "${JOBS[@]}"; do [[ $job == "$1" ]] || left+=("$job"); done
  JOBS=("${left[@]}")
}

end_jobs() {
  local job deadline=$((SECONDS + 2 * JOB_END_SECONDS))
  for job in "${JOBS[@]}"; do
    kill -TERM "$job" 2>/dev/null || true
    # What sudo runs belongs to root. The shell's own kill: the other one is in a package that may be missing.
    ((EUID == 0)) || sudo -n sh -c "kill -TERM -$job" 2>/dev/null || true
  done
  for job in "${JOBS[@]}"; do
    wait "$job" 2>/dev/null || true
    # `timeout` waits for its own child only.
    while kill -0 -- "-$job" 2>/dev/null && ((SECONDS < deadline)); do sleep 0.05; done
  done
  JOBS=()
}
