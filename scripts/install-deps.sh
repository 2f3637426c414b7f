#!/usr/bin/env bash
# Installs the Debian packages of the named sections of debian-packages.txt, and allows the architecture of those
# named PACKAGE:ARCHITECTURE. Does nothing, and needs neither network nor root, when they are all there.
#   install-deps.sh [--list FILE] SECTION...
set -euo pipefail

list=$(dirname "$0")/debian-packages.txt
if [ "${1:-}" = --list ]; then
  list=$2
  shift 2
fi

wanted=()
for section in "$@"; do
  mapfile -t packages < <(awk -v section="[$section]" '/^\[/ { inside = $0 == section; next } inside && !/^#/ && NF' "$list")
  [ ${#packages[@]} -gt 0 ] || { echo "install-deps.sh: $list has no section [$section]" >&2; exit 2; }
  wanted+=("${packages[@]}")
done

if ! command -v dpkg-query > /dev/null; then
  echo "install-deps.sh: this is not Debian; install what these packages hold yourself: ${wanted[*]}" >&2
  exit 0
fi

missing=()
native=$(dpkg --print-architecture)
for package in "${wanted[@]}"; do
  # A package of several architectures has a line for each.
  case $package in *:*) architecture=${package#*:} ;; *) architecture=$native ;; esac
  dpkg-query -W -f='${Architecture} ${db:Status-Status}\n' "$package" 2> /dev/null |
    grep -qxE "($architecture|all) installed" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo > /dev/null; then
    echo "install-deps.sh: these packages are missing, and there is no sudo to install them with:" >&2
    echo "  as root: apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi

echo "Installing ${#missing[@]} Debian packages: ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for package in "${missing[@]}"; do
  architecture=${package#*:}
  [ "$architecture" != "$package" ] || continue
  { dpkg --print-architecture; dpkg --print-foreign-architectures; } | grep -qx "$architecture" ||
    "${as_root[@]}" dpkg --add-architecture "$architecture"
done
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq "$@" < /dev/null >> "$log" 2>&1; }
# The package lists may be missing, old or without a new architecture: then the first attempt fails.
if ! apt install -y --no-install-recommends "${missing[@]}"; then
  if ! { apt update && apt install -y --no-install-recommends "${missing[@]}"; }; then
    cat "$log" >&2
    echo "install-deps.sh: apt-get failed; its output stands above" >&2
    exit 1
  fi
fi
