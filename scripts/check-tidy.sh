#!/usr/bin/env bash
# Runs clang-tidy on the sources of the layers. BUILD is a directory configured with clang.
#   check-tidy.sh BUILD JOBS
set -euo pipefail
cd "$(dirname "$0")/.."
build=$1 jobs=$2

log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Prints each finding once: a header's findings come again with every file that includes it.
if ! run-clang-tidy-14 -quiet -p "$build" -j "$jobs" "^$PWD/src/" > "$log" 2> /dev/null; then
  awk '/: (warning|error): / { show = !seen[$0]++ } /^clang-tidy-14 / { show = 0 } show' "$log"
  exit 1
fi
