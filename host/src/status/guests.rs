//! The guests' part.

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};
use serde_json::{Value, json};

use crate::runtime::{Change, Guest, Live};

/// Says once what the metrics mean.
pub(super) fn describe() {
    describe_gauge!(
        "connector_guest_info",
        "1 for the guest at work, with its digest and contract."
    );
    describe_counter!(
        "connector_guest_calls_total",
        "Calls of the guest's functions."
    );
    describe_counter!(
        "connector_guest_traps_total",
        "Calls that trapped or hit a limit."
    );
    describe_gauge!(
        "connector_guest_busy_seconds",
        Unit::Seconds,
        "Time in the guest's functions so far."
    );
    describe_counter!("connector_guest_instances_total", "Instances made.");
    describe_gauge!(
        "connector_guest_memory_bytes",
        Unit::Bytes,
        "Largest linear memory of one instance."
    );
    describe_counter!(
        "connector_guest_changes_total",
        "Guests that took over, were refused or rolled back."
    );
}

/// Brings the metrics up to date.
pub(super) fn measure(live: &Live) {
    let shift = live.shift();
    let present = shift.pool.guest();
    let before = shift.before.as_ref().map(|it| it.guest());
    for guest in before.into_iter().chain([present]) {
        let info = gauge!(
            "connector_guest_info",
            "guest" => guest.description().name.clone(),
            "version" => guest.description().version.to_string(),
            "digest" => guest.digest().to_string(),
            "contract" => guest.contract().to_string(),
        );
        info.set(f64::from(u8::from(guest.is(present))));
        measure_usage(guest);
    }
    for (event, count) in live.counts() {
        counter!("connector_guest_changes_total", "event" => event).absolute(count);
    }
}

fn measure_usage(guest: &Guest) {
    let usage = guest.usage();
    let labels = [
        ("guest", guest.description().name.clone()),
        ("version", guest.description().version.to_string()),
    ];
    counter!("connector_guest_calls_total", &labels).absolute(usage.calls());
    counter!("connector_guest_traps_total", &labels).absolute(usage.traps());
    counter!("connector_guest_instances_total", &labels).absolute(usage.instances());
    gauge!("connector_guest_busy_seconds", &labels).set(usage.time().as_secs_f64());
    gauge!("connector_guest_memory_bytes", &labels).set(usage.memory() as f64);
}

/// The guest at work.
pub(super) fn status(live: &Live) -> Value {
    let shift = live.shift();
    let guest = shift.pool.guest();
    let usage = guest.usage();
    json!({
        "name": guest.description().name,
        "version": guest.description().version,
        "digest": guest.digest().to_string(),
        "contract": guest.contract(),
        "size": guest.size(),
        "calls": usage.calls(),
        "traps": usage.traps(),
        "instances": usage.instances(),
        "busy_seconds": usage.time().as_secs_f64(),
        "memory_bytes": usage.memory(),
    })
}

/// What happened to guests, oldest first.
pub(super) fn changes(live: &Live) -> Vec<Value> {
    let changes = live.changes().into_iter();
    changes
        .map(
            |Change {
                 at,
                 guest,
                 digest,
                 event,
             }| {
                json!({
                    "at": at.to_string(),
                    "guest": guest,
                    "digest": digest.map(|it| it.to_string()),
                    "event": event.name(),
                    "reason": event.reason(),
                })
            },
        )
        .collect()
}
