#!/bin/sh
# Makes sure that libfaketime is there for the tests whose clock jumps. Where it is not, Debian's package is
# installed when this may be done; else these tests say that they are skipped.
set -eu

say() { printf '%s\n' "tests/faketime.sh: $*" >&2; }

there() { ls /usr/lib/*/faketime/libfaketime.so.1 >/dev/null 2>&1; }

there && exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "installing faketime"
    apt-get update -qq >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq faketime >&2 || true
fi
there || say "no libfaketime, and it could not be installed: the tests whose clock jumps are skipped"
