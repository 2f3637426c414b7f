#!/usr/bin/env bash
# The layers' rules that the compiler does not check: includes go only down, and the JSON library, which is
# slow to compile, stays out of headers.
set -euo pipefail
cd "$(dirname "$0")/.."

# What each layer may include besides itself; the order is that of CMakeLists.txt.
declare -A below=(
  [base]=""
  [tensor]="base"
  [text]="base tensor"
  [codec]="base"
  [format]="base tensor codec"
  [kernels]="base tensor codec"
  [model]="base tensor codec format kernels"
  [runtime]="base tensor text codec format kernels model"
  [compress]="base tensor text codec format kernels model runtime"
  [plan]="base tensor text codec format kernels model runtime compress"
  [eval]="base tensor text codec format kernels model runtime compress plan"
  [cli]="base tensor text codec format kernels model runtime compress plan eval"
)

bad=0
for folder in src/*/; do
  layer=$(basename "$folder")
  if [ -z "${below[$layer]+known}" ]; then
    echo "check-layers.sh: src/$layer is not a known layer" >&2
    bad=1
    continue
  fi
  while IFS=: read -r file line text; do
    target=$(sed -E 's/.*"([a-z]+)\/.*/\1/' <<< "$text")
    if [ "$target" != "$layer" ] && [[ " ${below[$layer]} " != *" $target "* ]]; then
      echo "$file:$line: $layer must not include from $target" >&2
      bad=1
    fi
  done < <(grep -rnE '^#include "[a-z]+/' "$folder" || true)
done

if grep -rn --include='*.h' 'nlohmann/json.hpp' src; then
  echo "check-layers.sh: include nlohmann/json.hpp only in .cpp files; headers use base/json.h" >&2
  bad=1
fi
exit $bad
