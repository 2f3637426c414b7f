#!/usr/bin/env bash
# Every C++ file must be as clang-format 14 would write it.
set -euo pipefail
cd "$(dirname "$0")/.."

mapfile -d '' files < <(find src tests fuzz bench -name '*.h' -print0 -o -name '*.cpp' -print0)
clang-format-14 --dry-run -Werror "${files[@]}"
