# The recipes; `./justw` runs them where `just` is not installed.

set positional-arguments

# List the recipes.
default:
    @just --justfile '{{ justfile() }}' --list --unsorted

# Build the connector against a simulated VirusTotal and OpenCTI and watch a run.
demo *arguments: headers build
    cargo build --quiet --locked --release --package connector-tests --bin simulator
    @tests/demo.sh "$@"

# Run all tests: the guest natively and as a component, the host, and both end to end.
test *arguments: headers test-guests
    tests/rabbitmq.sh
    tests/packages.sh tinyproxy faketime chromium
    cargo test --locked --workspace "$@"

# Run the long tests: hundreds of kills, a run of 100,000 notifications, half an hour of steady load.
soak *arguments: headers build
    tests/rabbitmq.sh
    cargo test --locked --release --package connector-tests --test 'soak*' -- --ignored --nocapture --test-threads=1 "$@"

# Build target/release/connector-host and target/livehunt.wasm.
build: guest
    cargo build --locked --release --package connector-host

# Get the headers of OpenSSL: the simulated OpenCTI judges rules by libyara, which is built with them.
headers:
    tests/packages.sh libssl-dev

# Build the guest component, target/livehunt.wasm.
guest:
    guest/build.sh

# Build the guest component, and the guests that only tests run.
test-guests:
    guest/build.sh livehunt rulesets-guest hostile-guest contract-1-0-guest understudy

# Check the format and the lints.
lint: headers
    cargo fmt --all --check
    cargo clippy --locked --workspace --all-targets -- -D warnings

# Fuzz the guest without end, or as the options of libFuzzer say: `just fuzz item -- -max_total_time=300`; or `yara_rule`.
fuzz target *options:
    @cargo fuzz --version >/dev/null 2>&1 || { echo "fuzz: run cargo install cargo-fuzz first" >&2; exit 1; }
    @rustup toolchain list | grep -q ^nightly || { echo "fuzz: run rustup toolchain install nightly first" >&2; exit 1; }
    guest/fuzz/corpus.sh {{ target }}
    @shift; cd guest/fuzz; [ "${1:-}" != -- ] || shift; \
        cargo +nightly fuzz run --debug-assertions --sanitizer none {{ target }} -- -timeout=25 "$@"

# Measure in a release build.
bench *arguments: headers build
    cargo bench --locked --package connector-tests "$@"

# Run the connector with the settings of the environment and config.yml.
run *arguments: build
    CONNECTOR_GUEST="${CONNECTOR_GUEST:-target/livehunt.wasm}" target/release/connector-host run "$@"
