//! Any text as an item of the feed: parsed, filtered and mapped twice, to the same bytes and to valid STIX, and
//! explained as it is filtered.

#![no_main]
#![allow(clippy::unwrap_used, missing_docs, reason = "a test")]

#[allow(dead_code, reason = "not all targets need all of it")]
#[path = "../../tests/support/mod.rs"]
mod support;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use livehunt::Mapper;
use livehunt::contract::Item;

static MAPPER: LazyLock<Mapper> = LazyLock::new(|| {
    support::mapper(&[
        ("ENTITY_TYPES", "file,url,domain,ip_address"),
        ("MAX_AGE_DAYS", "0"),
        ("MAX_FILE_SIZE", "0"),
        ("AV_LIST", "Microsoft"),
        ("UPLOAD_ARTIFACT", "true"),
        ("GET_MALWARE_CONFIG", "true"),
        ("CREATE_FILE_INDICATORS", "true"),
        ("CREATE_DOMAIN_NAME_INDICATORS", "true"),
        ("CREATE_IP_INDICATORS", "true"),
        ("CREATE_URL_INDICATORS", "true"),
    ])
});

fuzz_target!(|document: &str| {
    let item = Item {
        id: "1".to_owned(),
        observed: support::NOW,
        document: document.to_owned(),
    };
    // What is emitted is checked there.
    let _ = support::map(&MAPPER, &item);
    support::assert_explained(&MAPPER, &item);
});
