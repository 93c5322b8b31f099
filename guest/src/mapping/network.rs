//! Domain names, IP addresses and URLs: matched by a network rule, or found in a malware configuration.

use std::net::IpAddr;

use super::{Observable, RuleMatch, draft::Draft, file, indicator, labels, malware_config};
use crate::contract::Severity;
use crate::network_values::{self, Observable as Value};
use crate::notification::EntityType;
use crate::settings::Settings;
use crate::stix::{NetworkValue, Object, ObservableHead, id, pattern};

/// A malware configuration has a handful of addresses; more is an extractor gone wrong.
const MAX_VALUES_OF_A_CONFIGURATION: usize = 100;

/// Bytes of the longest URL that becomes an observable, or part of a name: Elasticsearch, in which the platform keeps
/// both, takes no longer terms.
pub(super) const LONGEST_URL: usize = 32_000;

/// Bytes of the longest malware configuration that is read; those of VirusTotal have some thousand.
const LONGEST_CONFIGURATION: usize = 1 << 20;

/// What OpenCTI and STIX call each kind of value.
struct Kind {
    object_type: &'static str,
    main_type: &'static str,
    object_path: &'static str,
    wants_indicator: fn(&Settings) -> bool,
}

impl Kind {
    fn of(value: &Value) -> Self {
        match value {
            Value::DomainName(_) => Self {
                object_type: "domain-name",
                main_type: "Domain-Name",
                object_path: "domain-name:value",
                wants_indicator: |settings| settings.create_domain_name_indicators,
            },
            Value::Ipv4(_) => Self {
                object_type: "ipv4-addr",
                main_type: "IPv4-Addr",
                object_path: "ipv4-addr:value",
                wants_indicator: |settings| settings.create_ip_indicators,
            },
            Value::Ipv6(_) => Self {
                object_type: "ipv6-addr",
                main_type: "IPv6-Addr",
                object_path: "ipv6-addr:value",
                wants_indicator: |settings| settings.create_ip_indicators,
            },
            Value::Url(_) => Self {
                object_type: "url",
                main_type: "Url",
                object_path: "url:value",
                wants_indicator: |settings| settings.create_url_indicators,
            },
        }
    }
}

fn text_of(value: &Value) -> &str {
    match value {
        Value::DomainName(text) | Value::Ipv4(text) | Value::Ipv6(text) | Value::Url(text) => text,
    }
}

fn object<'a>(value: &'a Value, head: ObservableHead<'a>) -> Object<'a> {
    let network_value = NetworkValue {
        head,
        value: text_of(value),
    };
    match value {
        Value::DomainName(_) => Object::DomainName(network_value),
        Value::Ipv4(_) => Object::Ipv4Addr(network_value),
        Value::Ipv6(_) => Object::Ipv6Addr(network_value),
        Value::Url(_) => Object::Url(network_value),
    }
}

/// What a network rule matched.
pub(super) struct Matched {
    value: Value,
    pub observable: Observable,
}

/// Adds the object that a network rule matched. None, with a remark, where the platform would refuse it.
pub(super) fn add_matched(rule_match: &RuleMatch<'_>, draft: &mut Draft<'_>) -> Option<Matched> {
    let value = match matched_value(rule_match) {
        Ok(value) => value,
        Err(reason) => {
            draft.remark(Severity::Warn, format!("no observable: {reason}"));
            return None;
        }
    };
    let kind = Kind::of(&value);
    let id = id::value(kind.object_type, text_of(&value));
    let labels = labels::of_observable(rule_match);
    let description = file::description(rule_match);
    let held = draft.on_platform(&id);
    let mut head = draft.observable_head(&id, held.labels(&labels), held.description(&description));
    head.x_opencti_score = held.raised_score(file::score(rule_match));
    head.x_opencti_external_references = vec![rule_match.report()];
    if held.lacks(head.x_opencti_score, head.x_opencti_labels) {
        draft.add(&object(&value, head));
    }
    Some(Matched {
        value,
        observable: Observable {
            id,
            main_type: kind.main_type,
        },
    })
}

/// What the notification is about, as the platform takes it; else the reason why it would not.
fn matched_value(rule_match: &RuleMatch<'_>) -> Result<Value, String> {
    let notification = rule_match.notification;
    let id = &*notification.id;
    if notification.entity_type == EntityType::Url {
        let url = notification.attributes.url.as_deref().unwrap_or_default();
        let url = url.trim();
        return if url.is_empty() {
            Err("the url object has no attributes.url".to_owned())
        } else if url.len() > LONGEST_URL {
            let length = url.len();
            Err(format!(
                "its URL has {length} bytes; at most {LONGEST_URL} are taken"
            ))
        } else if url.contains(|it: char| it.is_control() || it.is_whitespace()) {
            Err(format!(
                "{url:?} holds blanks or control characters; a URL has none"
            ))
        } else if !network_values::has_scheme(url) {
            Err(format!(
                "{url:?} does not begin with a scheme, like `https://`"
            ))
        } else {
            Ok(Value::Url(url.to_owned()))
        };
    }
    let is_ip_address = notification.entity_type == EntityType::IpAddress;
    match id.parse() {
        Ok(IpAddr::V4(address)) if is_ip_address => Ok(Value::Ipv4(address.to_string())),
        Ok(IpAddr::V6(address)) if is_ip_address => Ok(Value::Ipv6(address.to_string())),
        _ if is_ip_address => Err(format!("{id:?} is not an IP address")),
        _ => match network_values::parse_host(id) {
            Ok(value @ Value::DomainName(_)) => Ok(value),
            Ok(_) => Err(format!("{id:?} is not a domain name")),
            Err(rejection) => Err(rejection.to_string()),
        },
    }
}

impl Matched {
    /// Adds the indicator that is the value, where one is wanted.
    pub(super) fn add_indicator(
        &self,
        rule_match: &RuleMatch<'_>,
        draft: &mut Draft<'_>,
        incident: Option<&str>,
    ) {
        let kind = Kind::of(&self.value);
        if !(kind.wants_indicator)(rule_match.settings) {
            return;
        }
        let value = text_of(&self.value);
        let indicator = indicator::OfValue {
            name: value,
            pattern: &pattern::equals(kind.object_path, value),
            main_type: kind.main_type,
            description: &file::description(rule_match),
            labels: &labels::of_observable(rule_match),
            has_report: true,
        };
        indicator.add(rule_match, draft, &self.observable.id, incident);
    }
}

/// Adds what the malware configuration of the file names, related to `file`.
pub(super) fn add_malware_config(
    rule_match: &RuleMatch<'_>,
    draft: &mut Draft<'_>,
    file: &str,
    incident: Option<&str>,
) {
    const DESCRIPTION: &str = "Extracted from malware config";

    let attributes = &rule_match.notification.attributes;
    let length = attributes.malware_config.map_or(0, str::len);
    if length > LONGEST_CONFIGURATION {
        draft.remark(
            Severity::Warn,
            format!(
                "the malware configuration of {length} bytes is not read; at most {LONGEST_CONFIGURATION} are"
            ),
        );
        return;
    }
    let Some(config) = attributes.malware_config() else {
        return;
    };
    let config = malware_config::extract(&config);
    if !config.rejected.is_empty() {
        draft.remark(
            Severity::Debug,
            format!(
                "left out of the malware configuration: {}",
                config.rejected.join("; ")
            ),
        );
    }
    if config.observables.len() > MAX_VALUES_OF_A_CONFIGURATION {
        draft.remark(
            Severity::Warn,
            format!(
                "the malware configuration names {} addresses; the first {MAX_VALUES_OF_A_CONFIGURATION} are kept",
                config.observables.len()
            ),
        );
    }
    let labels = labels::of_malware_config(&config.labels);
    let since = rule_match.known_since();
    for value in config
        .observables
        .iter()
        .take(MAX_VALUES_OF_A_CONFIGURATION)
    {
        let kind = Kind::of(value);
        let text = text_of(value);
        let id = id::value(kind.object_type, text);
        let held = draft.on_platform(&id);
        let head = draft.observable_head(&id, held.labels(&labels), held.description(DESCRIPTION));
        if held.lacks(None, head.x_opencti_labels) {
            draft.add(&object(value, head));
        }
        draft.relate("related-to", file, &id, since);
        if (kind.wants_indicator)(rule_match.settings) {
            let indicator = indicator::OfValue {
                name: text,
                pattern: &pattern::equals(kind.object_path, text),
                main_type: kind.main_type,
                description: DESCRIPTION,
                labels: &labels,
                has_report: false,
            };
            indicator.add(rule_match, draft, &id, incident);
        }
    }
}
