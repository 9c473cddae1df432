#!/bin/sh
# usage: packages.sh all [fuzz|bench|browser]...   Installs what is missing of cmake/packages.txt with apt-get, as root or through sudo.
set -eu
list=$(dirname "$0")/packages.txt
command -v dpkg-query > /dev/null || exit 0 # not Debian: CMake names what it does not find

missing=
for group in "$@"; do
    for package in $(sed -n "s/^$group //p" "$list"); do
        # A program that is there from elsewhere (npm with NodeSource's nodejs) is as good as its package.
        case $package in cmake | clang | npm) command -v "$package" > /dev/null && continue ;; esac
        dpkg-query -W -f '${Status}' "$package" 2> /dev/null | grep -q 'ok installed' || missing="$missing $package"
    done
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    as_root=
elif sudo -n true 2> /dev/null || { [ -t 0 ] && command -v sudo > /dev/null; }; then
    as_root=sudo
else
    echo "fovea needs these packages and cannot install them (neither root nor sudo): apt-get install$missing" >&2
    exit 1
fi
echo "installing$missing"
$as_root apt-get update -qq || echo "apt-get update failed; going on with the package lists at hand" >&2
# shellcheck disable=SC2086 # one word per package
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
