#!/bin/sh
# Makes sure that programs are there which some tests use, each from Debian's package of the same name. Where one
# cannot be installed, the tests that need it say that they are skipped.
#
#     tests/packages.sh tinyproxy
set -eu

say() { printf '%s\n' "tests/packages.sh: $*" >&2; }

for program in "$@"; do
    command -v "$program" >/dev/null && continue
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing $program"
        apt-get update -qq >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$program" >&2 || true
    fi
    command -v "$program" >/dev/null || say "no $program: the tests that use it are skipped"
done
