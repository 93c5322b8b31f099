#!/bin/sh
# Fills the corpus of a fuzz target from the fixtures of the guest's tests: each item of a page by itself, each rule of
# a ruleset with the ruleset behind its name.
#
#   guest/fuzz/corpus.sh item|yara_rule
set -eu

cd "$(dirname "$0")"
fixtures=../tests/fixtures
corpus=corpus/$1
mkdir -p "$corpus"
command -v jq >/dev/null || {
    echo "corpus.sh: jq is not on the PATH; install it to seed the corpus" >&2
    exit 1
}

case $1 in
item)
    for page in "$fixtures"/ioc_stream_*.json; do
        name=$(basename "$page" .json)
        number=0
        jq --compact-output '.data[]' "$page" | while IFS= read -r item; do
            printf %s "$item" >"$corpus/$name-$number.json"
            number=$((number + 1))
        done
    done
    ;;
yara_rule)
    for ruleset in "$fixtures"/hunting_ruleset_*.json; do
        name=$(basename "$ruleset" .json)
        jq --raw-output '.data.attributes.rules' "$ruleset" |
            sed -n 's/^[a-z ]*rule  *\([A-Za-z0-9_]*\).*/\1/p' |
            while IFS= read -r rule; do
                { echo "$rule"; jq --raw-output --join-output '.data.attributes.rules' "$ruleset"; } >"$corpus/$name-$rule.yar"
            done
    done
    ;;
*)
    echo "corpus.sh: no target \"$1\"; expected item or yara_rule" >&2
    exit 1
    ;;
esac
