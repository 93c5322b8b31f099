#!/bin/sh
# Makes sure that a RabbitMQ listens for the end-to-end tests: the one of AMQP_URL, by default
# guest:guest on 127.0.0.1:5672. Where none does, Debian's package is installed and started when this may
# be done; else the tests that need it say that they are skipped.
set -eu

say() { printf '%s\n' "tests/rabbitmq.sh: $*" >&2; }


# An address of one's own is one's own affair.
[ -z "${AMQP_URL:-}" ] || exit 0

listens() { bash -c 'exec 3<>/dev/tcp/127.0.0.1/5672' 2>/dev/null; }

listens && exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    if ! command -v rabbitmq-server >/dev/null; then
        say "installing rabbitmq-server"
        apt-get update -qq >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq rabbitmq-server >&2 || true
    fi
    if command -v rabbitmq-server >/dev/null; then
        say "starting rabbitmq-server"
        rabbitmq-server -detached >&2 || true
        waited=0
        while ! listens; do
            waited=$((waited + 1))
            [ "$waited" -le 60 ] || break
            sleep 1
        done
    fi
fi
listens || say "no RabbitMQ on 127.0.0.1:5672 and none could be started: the tests over AMQP are skipped"
