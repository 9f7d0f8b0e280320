#!/usr/bin/env bash
# Fills a folder with Debian's arm64 libraries, so that everything can be built for Arm on another
# machine. This machine's own packages and their list stay untouched: apt works in the folder.
#
#   tests/arm/sysroot.sh FOLDER PACKAGE...
set -euo pipefail
folder=$(realpath -m "$1")
shift

stamp="$folder/.packages"
[ "$(cat "$stamp" 2>/dev/null)" != "$*" ] || exit 0

rm -rf "$folder"
mkdir -p "$folder"/apt/{state/lists/partial,cache/archives/partial} "$folder/root"
: >"$folder/apt/status"
arm64() {
    apt-get -qq -o Dir::State="$folder/apt/state" -o Dir::State::status="$folder/apt/status" \
        -o Dir::Cache="$folder/apt/cache" -o APT::Architecture=arm64 -o APT::Architectures=arm64 \
        -o APT::Sandbox::User="$(id -un)" -o Debug::NoLocking=1 "$@"
}
arm64 update
arm64 install --no-install-recommends --download-only -y "$@"
for package in "$folder"/apt/cache/archives/*.deb; do
    dpkg-deb -x "$package" "$folder/root"
done
rm -rf "$folder/apt"
echo "$*" >"$stamp"
