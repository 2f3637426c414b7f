#!/usr/bin/env bash
# The table of double compression on one model: quality and ratio for every alpha and sparsity, then the ratio
# by codec, and decode speed from coded and from raw INT8 weights.
#   scripts/dc-table.sh MODEL CALIBRATION_TEXT EVALUATION_TEXT [MAX_TOKENS]
set -euo pipefail
if [ $# -lt 3 ]; then
  sed -n '2,4s/^# *//p' "$0" >&2
  exit 2
fi
twofold=$(dirname "$0")/../build/release/twofold
model=$1 calibration=$2 text=$3 tokens=${4:-50000}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

field() { sed -n "s/^ *\"$1\": \([0-9.e+-]*\),*$/\1/p" | head -n 1; }

compress() { "$twofold" compress "$model" "$work/$1" --json --calibration "$calibration" "${@:2}" 2> /dev/null; }

speed() {
  for _ in 1 2 3 4 5; do
    "$twofold" run -m "$1" -p "The" -n 200 --temperature 0 --ignore-eos -t "$2" 2>&1 > /dev/null |
      sed -n 's/^decode: .* \([0-9.]*\) tokens\/s.*/\1/p'
  done | sort -n | sed -n 3p
}

format='%-8s %-8s %8s %8s %10s %10s %10s %10s %9s %11s\n'
# shellcheck disable=SC2059
printf "$format" alpha sparsity bits/w CR FP32-ppl ppl ppl-change KL top-1 bytes
for sparsity in 0 0.2 0.4; do
  for alpha in 0 0.5 0.7 0.9 1.0; do
    report=$(compress dc --alpha "$alpha" --sparsity "$sparsity")
    quality=$("$twofold" eval ppl --json -m "$work/dc" -f "$text" --reference "$model" --max-tokens "$tokens" 2> /dev/null)
    fp32=$(field reference_perplexity <<< "$quality") ppl=$(field perplexity <<< "$quality")
    # shellcheck disable=SC2059
    printf "$format" "$alpha" "$sparsity" "$(field linear_bits_per_weight <<< "$report" | cut -c1-6)" \
      "$(field linear_cr <<< "$report" | cut -c1-6)" "${fp32:0:8}" "${ppl:0:8}" \
      "$(awk -v a="$ppl" -v b="$fp32" 'BEGIN { printf "%+.2f%%", 100 * (a / b - 1) }')" \
      "$(field kl_mean <<< "$quality" | awk '{ printf "%.6f", $1 }')" \
      "$(field top1_agreement <<< "$quality" | awk '{ printf "%.4f", $1 }')" "$(field stored_bytes <<< "$report")"
    rm -rf "$work/dc"
  done
done

echo
echo "Codecs on the weights of alpha 0.9, sparsity 0"
compress ans > /dev/null
"$twofold" bench codecs -m "$work/ans"
for codec in raw zstd lz4 snappy deflate; do compress "$codec" --codec "$codec" > /dev/null; done
for codec in raw ans zstd deflate snappy lz4; do
  printf '%-8s directory %9d bytes, decode tokens/s: one thread %7s, two %7s, peak RSS %s\n' "$codec" \
    "$(cat "$work/$codec"/* | wc -c)" "$(speed "$work/$codec" 1)" "$(speed "$work/$codec" 2)" \
    "$("$twofold" run -m "$work/$codec" -p The -n 20 2>&1 > /dev/null | sed -n 's/^peak RSS: //p')"
done
"$twofold" verify "$work/ans" 2> /dev/null
