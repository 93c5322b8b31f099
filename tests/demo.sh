#!/bin/sh
# The demo: a simulated VirusTotal and OpenCTI, and the real connector between them.
set -eu

cd "$(dirname "$0")/.."
folder=target/demo
rm -rf "$folder"
mkdir -p "$folder"
mkfifo "$folder/endpoints"

# The simulator ends with its standard input.
mkfifo "$folder/alive"
exec 9<>"$folder/alive"
target/release/simulator --latency-ms 20 "$@" >"$folder/endpoints" <"$folder/alive" 9<&- &
simulator=$!
trap 'kill $simulator 2>/dev/null || true' EXIT INT TERM

read -r endpoints <"$folder/endpoints"
value() { printf '%s' "$endpoints" | sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }

cat <<END

  VirusTotal Livehunt → OpenCTI

  A simulated VirusTotal holds the notifications of a team's YARA rules: $(value virustotal)
  A simulated OpenCTI waits for knowledge:                              $(value opencti)
  The connector reads the notifications over HTTP, lets the guest (target/livehunt.wasm, sandboxed) filter
  them and map them to STIX, and delivers. Filters of this run: EXTENSIONS=exe,dll,doc, MIN_POSITIVES=5,
  MAX_AGE_DAYS=3. One file is no longer at VirusTotal: its notification fails, and stops nothing else.

END

OPENCTI_URL=$(value opencti) \
OPENCTI_TOKEN=$(value token) \
OPENCTI_JSON_LOGGING=false \
CONNECTOR_ID=6c3f6f9e-9f0e-4f5b-8d65-0c2f2f4d7a11 \
CONNECTOR_LOG_LEVEL=warn \
CONNECTOR_QUEUE_PROTOCOL=api \
CONNECTOR_SEND_TO_DIRECTORY=true \
CONNECTOR_SEND_TO_DIRECTORY_PATH=$folder/bundles \
CONNECTOR_GUEST=target/livehunt.wasm \
VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS_API_URL=$(value virustotal) \
VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS_API_KEY=$(value api_key) \
VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS_EXTENSIONS=exe,dll,doc \
VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS_MIN_POSITIVES=5 \
VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS_GET_MALWARE_CONFIG=true \
    target/release/connector-host run --once --summary --config /dev/null
