#!/bin/sh
# Builds guest components: target/livehunt.wasm, or those of the packages that are named.
#
# The target is wasm32-unknown-unknown, so that the component imports nothing, WASI included. Its standard
# library comes from the first of three routes that is open:
#   1. the toolchain has the target;
#   2. rustup adds it, unless RUSTUP_AUTO_INSTALL=0 says that rustup must not download;
#   3. Debian's packages rustc-web and rust-web-src, whose sources cargo then builds (about 2 minutes, once).
# In all of them the linker is wasm-component-ld, which every rustup toolchain ships: what cargo leaves is a
# component already.
set -eu

cd "$(dirname "$0")/.."
target=wasm32-unknown-unknown
[ $# -gt 0 ] || set -- livehunt
sysroot=$(rustc --print sysroot)
host=$(rustc -vV | sed -n 's/^host: //p')

say() { printf '%s\n' "guest/build.sh: $*" >&2; }

has_target() { [ -d "$sysroot/lib/rustlib/$target/lib" ]; }

has_debian_sources() { [ -x /usr/bin/rustc ] && [ -d "$(/usr/bin/rustc --print sysroot)/lib/rustlib/src/rust/library/std" ]; }

install_debian_sources() {
    command -v apt-get >/dev/null || return 1
    as_root=
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null && sudo -n true 2>/dev/null || return 1
        as_root='sudo -n'
    fi
    say "installing Debian's rustc-web and rust-web-src for the standard library of $target"
    $as_root apt-get update -qq >&2 || return 1
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        rustc-web rust-web-src >&2
}

build_std=
if has_target; then
    :
elif [ "${RUSTUP_AUTO_INSTALL:-1}" != 0 ] && command -v rustup >/dev/null && rustup target add $target >&2; then
    :
elif has_debian_sources || { install_debian_sources && has_debian_sources; }; then
    export RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1
    build_std='-Z build-std=std,panic_abort'
else
    say "cannot build the component: there is no standard library for $target."
    say "Do one of these, then call again:"
    say "  rustup target add $target"
    say "  apt-get install rustc-web rust-web-src   (Debian 12 or newer, as root)"
    exit 1
fi

linkers=$sysroot/lib/rustlib/$host/bin
PATH=$linkers/gcc-ld:$PATH
export PATH CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER="$linkers/wasm-component-ld"

# Guests have a target folder of their own: another rustc would throw away the host's build each time.
folder=${CARGO_TARGET_DIR:-target}
packages=
for package; do packages="$packages --package $package"; done
# shellcheck disable=SC2086 # the options are words
cargo build --locked $packages --lib --profile guest --target $target --target-dir "$folder/guest" $build_std
for package; do
    name=$(printf %s "$package" | tr - _)
    cp "$folder/guest/$target/guest/$name.wasm" "$folder/$name.wasm.tmp"
    mv "$folder/$name.wasm.tmp" "$folder/$name.wasm"
done
