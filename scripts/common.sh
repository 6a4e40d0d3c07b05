# Shared by the scripts beside it; sourced, not run.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
# Debian's own tools first: what else is installed must not change the build.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH
jobs=$(nproc)

say() { printf '%s\n' "$*" >&2; }
fail() {
  say "error: $*"
  exit 3
}

# run_quietly LOG COMMAND...: shows the log's end only when the command fails.
run_quietly() {
  local log=$1
  shift
  mkdir -p "$(dirname "$log")"
  if ! "$@" >"$log" 2>&1; then
    tail -n 30 "$log" >&2
    fail "'$*' failed; the whole output is in $log"
  fi
}

# build PRESET [TARGET...]
build() {
  local preset=$1
  shift
  run_quietly "build/$preset.configure.log" cmake --preset "$preset"
  run_quietly "build/$preset.build.log" cmake --build --preset "$preset" --parallel "$jobs" ${1:+--target "$@"}
}
