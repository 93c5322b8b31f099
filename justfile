# The recipes; `./justw` runs them where `just` is not installed.

set positional-arguments

# List the recipes.
default:
    @just --justfile '{{ justfile() }}' --list --unsorted

# Build the connector against a simulated VirusTotal and OpenCTI and watch a run.
demo *arguments: build
    cargo build --quiet --locked --release --package connector-tests --bin simulator
    @tests/demo.sh "$@"

# Run all tests: the guest natively and as a component, the host, and both end to end.
test *arguments: test-guests
    tests/rabbitmq.sh
    tests/faketime.sh
    cargo test --locked --workspace "$@"

# Build target/release/connector-host and target/livehunt.wasm.
build: guest
    cargo build --locked --release --package connector-host

# Build the guest component, target/livehunt.wasm.
guest:
    guest/build.sh

# Build the guest component, and the guests that only tests run.
test-guests:
    guest/build.sh livehunt rulesets-guest hostile-guest contract-1-0-guest understudy

# Check the format and the lints.
lint:
    cargo fmt --all --check
    cargo clippy --locked --workspace --all-targets -- -D warnings

# Measure in a release build.
bench *arguments: build
    cargo bench --locked --package connector-tests "$@"

# Run the connector with the settings of the environment and config.yml.
run *arguments: build
    CONNECTOR_GUEST="${CONNECTOR_GUEST:-target/livehunt.wasm}" target/release/connector-host run "$@"
