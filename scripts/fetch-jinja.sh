#!/usr/bin/env bash
# Prints the directory of llama.cpp's Jinja engine (MIT), fetching it first where it is not there yet. No package
# of Debian has it, so it comes out of a source archive on PyPI whose hash is pinned here; what is needed of the
# archive, a quarter of a megabyte of 77, is kept in the cache.
#   fetch-jinja.sh
# TWOFOLD_CACHE: where to keep it (~/.cache/twofold); TWOFOLD_JINJA_ARCHIVE: the archive, for machines without network.
set -euo pipefail

package=llama_cpp_python
version=0.3.36
hash=832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e
archive=$package-$version.tar.gz
cache=${TWOFOLD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/twofold}
directory=$cache/jinja-$version

if [ -d "$directory" ]; then
  echo "$directory"
  exit 0
fi

mkdir -p "$cache"
work=$(mktemp -d "$cache/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT

give_up() {
  {
    echo "fetch-jinja.sh: $1"
    echo "  The chat templates of models need $archive (SHA-256 $hash) from PyPI."
    echo "  Without network: copy it here and set TWOFOLD_JINJA_ARCHIVE to its path, or build without the chat"
    echo "  command: cmake -DTWOFOLD_CHAT=OFF"
  } >&2
  exit 1
}

if [ -n "${TWOFOLD_JINJA_ARCHIVE:-}" ]; then
  cp "$TWOFOLD_JINJA_ARCHIVE" "$work/$archive" || give_up "cannot read TWOFOLD_JINJA_ARCHIVE=$TWOFOLD_JINJA_ARCHIVE"
else
  echo "Fetching $archive (77 MB)" >&2
  pip=(python3 -m pip)
  if ! "${pip[@]}" --version > /dev/null 2>&1; then
    { python3 -m venv "$work/venv" > "$work/log" 2>&1 && pip=("$work/venv/bin/python" -m pip); } ||
      give_up "needs python3 with pip or venv"
  fi
  echo "$package==$version --hash=sha256:$hash" > "$work/requirements.txt"
  if ! "${pip[@]}" download --disable-pip-version-check --no-deps --no-binary :all: --require-hashes \
      -r "$work/requirements.txt" -d "$work" > "$work/log" 2>&1; then
    tail -n 5 "$work/log" >&2
    give_up "pip cannot download it"
  fi
fi
echo "$hash  $work/$archive" | sha256sum --check --quiet > /dev/null 2>&1 || give_up "$archive has another hash"

root=$package-$version/vendor/llama.cpp
mkdir "$work/jinja"
tar -xzf "$work/$archive" -C "$work/jinja" --strip-components=3 --no-same-owner --wildcards \
  "$root/LICENSE" "$root/common/jinja/*" "$root/common/json.*" "$root/common/unicode.*" ||
  give_up "$archive cannot be unpacked"
# Another build may have been faster.
mv -T "$work/jinja" "$directory" 2> /dev/null || [ -d "$directory" ] || give_up "cannot write $directory"
echo "$directory"
