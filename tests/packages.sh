#!/bin/sh
# Makes sure that programs are there which some tests use, each from Debian's package of the same name, and headers that
# the tests are built with. Where a program cannot be installed, the tests that need it say that they are skipped.
#
#     tests/packages.sh tinyproxy
set -eu

say() { printf '%s\n' "tests/packages.sh: $*" >&2; }

# A program on the PATH, or a package without one.
has() { command -v "$1" >/dev/null || dpkg -s "$1" >/dev/null 2>&1; }

for program in "$@"; do
    has "$program" && continue
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing $program"
        apt-get update -qq >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$program" >&2 || true
    fi
    has "$program" || say "no $program: what needs it is skipped, or cannot be built"
done
