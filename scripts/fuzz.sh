#!/usr/bin/env bash
# Runs every fuzz target for a while, JOBS at a time, from its seeds in fuzz/corpus/. New inputs and findings
# stay in DIRECTORY.
#   fuzz.sh DIRECTORY SECONDS JOBS
set -euo pipefail
cd "$(dirname "$0")/.."
directory=$1 seconds=$2 jobs=$3

run_one() {
  local target=$1 directory=$2 seconds=$3 name log
  name=$(basename "$target" _fuzz)
  log=$directory/$name.log
  mkdir -p "$directory/corpus/$name" "$directory/findings"
  local seeds=()
  [ ! -d "fuzz/corpus/$name" ] || seeds=("fuzz/corpus/$name")
  if ! "$target" -max_total_time="$seconds" -timeout=25 -rss_limit_mb=2048 -print_final_stats=1 \
      -artifact_prefix="$directory/findings/$name-" "$directory/corpus/$name" "${seeds[@]}" > "$log" 2>&1; then
    tail -n 60 "$log"
    echo "fuzz: $name failed; the input is in $directory/findings, the whole output in $log"
    return 1
  fi
  awk -v name="$name" '/^stat::number_of_executed_units/ { print "fuzz: " name ": " $2 " runs, no finding" }' "$log"
}
export -f run_one

find "$directory" -maxdepth 1 -name '*_fuzz' -type f -executable | sort |
  xargs -r -P "$jobs" -I {} bash -c 'run_one "$@"' run_one {} "$directory" "$seconds"
