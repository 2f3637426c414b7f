#!/usr/bin/env bash
# Compresses the demo model and shows what was gained: size on disk, quality against the original on text the
# original wrote, speed and memory, beside plain INT8.
set -euo pipefail
cd "$(dirname "$0")/.."

twofold=build/release/twofold
original=demo/books-llama-8m
out=demo/out
prompt="The old house stood upon a hill"

rm -rf "$out"
mkdir -p "$out"

echo "== Compress $original"
"$twofold" compress "$original" "$out/twofold"
echo
echo "== The same integers in a form that is faster to run, double compression, and plain INT8 to compare with"
"$twofold" transcode "$out/twofold" "$out/packed" --codec packed
"$twofold" compress "$original" "$out/dc" --recipe dc
"$twofold" compress "$original" "$out/int8" --alpha 0 --codec raw
"$twofold" verify "$out/twofold"

echo
echo "== A continuation of \"$prompt\" by $out/twofold"
"$twofold" run -m "$out/twofold" -p "$prompt" -n 60 --seed 1 2> /dev/null

echo
echo "== Measuring (quality on text that the original model wrote)"
for seed in 1 2 3 4 5 6 7 8; do
  "$twofold" run -m "$original" -n 240 --temperature 1 --top-k 0 --top-p 1 --min-p 0 --seed "$seed" 2> /dev/null
done > "$out/text.txt"

field() { sed -n "s/^ *\"$1\": \([0-9.e+-]*\),*$/\1/p"; }

row() {
  local name=$1 directory=$2 quality sizes speeds
  sizes=$("$twofold" inspect --json "$directory" | field directory_bytes)
  quality=$("$twofold" eval ppl --json -m "$directory" -f "$out/text.txt" --reference "$original" 2> /dev/null)
  speeds=$(for _ in 1 2 3 4 5; do
    "$twofold" run -m "$directory" -p "$prompt" -n 200 --temperature 0 --ignore-eos 2>&1 > /dev/null
  done)
  printf '%-28s %12d %7.1f %11.3f %9.5f %7.1f %9.0f %9s\n' "$name" "$sizes" \
    "$(awk -v a="$sizes" -v b="$base" 'BEGIN { print 100 * a / b }')" \
    "$(field perplexity <<< "$quality")" "$(field kl_mean <<< "$quality")" \
    "$(field top1_agreement <<< "$quality" | awk '{ print 100 * $1 }')" \
    "$(sed -n 's/^decode: .* \([0-9.]*\) tokens\/s.*/\1/p' <<< "$speeds" | sort -n | sed -n 3p)" \
    "$(sed -n 's/^peak RSS: //p' <<< "$speeds" | tail -n 1 | tr -d ' ')"
}

base=$("$twofold" inspect --json "$original" | field directory_bytes)
echo
printf '%-28s %12s %7s %11s %9s %7s %9s %9s\n' "model" "bytes" "size %" "perplexity" "KL" "top-1 %" "tokens/s" "peak RSS"
row "original (BF16)" "$original"
row "plain INT8" "$out/int8"
row "Twofold" "$out/twofold"
row "Twofold, packed" "$out/packed"
row "double compression" "$out/dc"
echo
echo "bytes: the whole directory; perplexity, KL divergence and top-1 agreement: against the original on the same tokens"
