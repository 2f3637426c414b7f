#!/usr/bin/env bash
# Runs clang-tidy on the sources of the layers. BUILD is a directory configured with clang.
#   check-tidy.sh BUILD JOBS
set -euo pipefail
cd "$(dirname "$0")/.."
build=$1 jobs=$2

if ! run-clang-tidy-14 -quiet -p "$build" -j "$jobs" "^$PWD/src/" > "$build/clang-tidy.log" 2>&1; then
  # Each finding once: a header's come again with every file that includes it.
  sed 's/\x1b\[[0-9;]*m//g' "$build/clang-tidy.log" | awk '
    /^[^ ]+:[0-9]+:[0-9]+: (warning|error): / { show = !seen[$0]++ }
    /^clang-tidy-14 |^[0-9]+ warnings? / { show = 0 }
    show'
  echo "check-tidy.sh: findings above; the whole output is in $build/clang-tidy.log" >&2
  exit 1
fi
