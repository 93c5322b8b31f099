//! Pages and cursors.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::answer::{Answer, Problem};
use super::filter::Filter;
use super::notification::Notification;
use super::world::World;
use crate::recorded::Recorded;

const DEFAULT_LIMIT: usize = 10;
const MAX_LIMIT: usize = 40;

/// What a listing was asked for, as far as a cursor is bound to it.
struct Listing<'a> {
    filter: &'a str,
    ascending: bool,
    limit: usize,
    descriptors_only: bool,
}

impl<'a> Listing<'a> {
    fn read(request: &'a Recorded) -> Result<Self, Problem> {
        Ok(Self {
            filter: request.parameter("filter").unwrap_or_default(),
            ascending: match request.parameter("order") {
                None | Some("date-") => false,
                Some("date+") => true,
                Some(other) => {
                    return Err(Problem::bad_request(format!(
                        "order \"{other}\" is not valid"
                    )));
                }
            },
            limit: limit(request, DEFAULT_LIMIT)?,
            descriptors_only: match request.parameter("descriptors_only") {
                None => false,
                // vt-py sends Python's spelling.
                Some("false" | "False") => false,
                Some("true" | "True") => true,
                Some(other) => {
                    let message = format!("descriptors_only \"{other}\" is not a boolean");
                    return Err(Problem::invalid_argument(message));
                }
            },
        })
    }

    fn fingerprint(&self, epoch: u64) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.filter, self.ascending, self.limit, epoch).hash(&mut hasher);
        hasher.finish()
    }
}

/// How far a listing came: the key of the last notification served, so that notifications deleted
/// in between neither repeat nor hide others.
#[derive(Clone, Debug, PartialEq)]
struct Position {
    fingerprint: u64,
    pages: usize,
    last: Option<(u64, String)>,
}

impl Position {
    /// Opaque, base64, and ending in `=` so that a client that does not percent-encode it fails.
    fn encode(&self) -> String {
        let mut text = json!([self.fingerprint, self.pages, self.last]).to_string();
        while text.len().is_multiple_of(3) {
            text.push(' ');
        }
        STANDARD.encode(text)
    }

    fn decode(cursor: &str, fingerprint: u64) -> Result<Self, Problem> {
        STANDARD
            .decode(cursor)
            .ok()
            .and_then(|bytes| {
                serde_json::from_slice::<(u64, usize, Option<(u64, String)>)>(&bytes).ok()
            })
            .map(|(fingerprint, pages, last)| Self {
                fingerprint,
                pages,
                last,
            })
            .filter(|it| it.fingerprint == fingerprint)
            .ok_or_else(|| Problem::invalid_argument("Invalid cursor"))
    }
}

/// `GET /ioc_stream`.
pub(super) fn ioc_stream(world: &World, request: &Recorded, root: &str) -> Result<Answer, Problem> {
    let listing = Listing::read(request)?;
    let filter = Filter::parse(listing.filter)?;
    let fingerprint = listing.fingerprint(world.cursor_epoch);
    let mut position = match request.parameter("cursor") {
        None => Position {
            fingerprint,
            pages: 0,
            last: None,
        },
        Some(cursor) => Position::decode(cursor, fingerprint)?,
    };
    let mut matching: Vec<&Notification> = world
        .notifications
        .iter()
        .filter(|it| filter.matches(it))
        .collect();
    let count = matching.len();
    matching.sort_by_cached_key(|it| key(it));
    if !listing.ascending {
        matching.reverse();
    }
    let rest: Vec<&Notification> = match &position.last {
        None => matching,
        Some(last) => matching
            .into_iter()
            .filter(|it| {
                if listing.ascending {
                    key(it) > *last
                } else {
                    key(it) < *last
                }
            })
            .collect(),
    };
    let quirk = world.quirks.empty_page_after == Some(position.pages) && !rest.is_empty();
    let page = if quirk {
        &rest[..0]
    } else {
        &rest[..listing.limit.min(rest.len())]
    };
    position.pages += 1;
    if let Some(last) = page.last() {
        position.last = Some(key(last));
    }
    let cursor = (page.len() < rest.len()).then(|| position.encode());
    Ok(Answer::Json(body(
        page,
        &listing,
        request,
        count,
        cursor.as_deref(),
        root,
    )))
}

fn key(notification: &Notification) -> (u64, String) {
    // Ids are numbers of one length in practice; padding orders shorter ones right too.
    (notification.date, format!("{:0>20}", notification.id))
}

fn body(
    page: &[&Notification],
    listing: &Listing<'_>,
    request: &Recorded,
    count: usize,
    cursor: Option<&str>,
    root: &str,
) -> String {
    let mut meta = json!({"count": count});
    let mut links = json!({"self": link(root, request, request.parameter("cursor"))});
    if let Some(cursor) = cursor {
        meta["cursor"] = json!(cursor);
        links["next"] = json!(link(root, request, Some(cursor)));
    }
    let items: Vec<&str> = page
        .iter()
        .map(|it| {
            if listing.descriptors_only {
                &*it.descriptor
            } else {
                &*it.document
            }
        })
        .collect();
    format!(
        "{{\"meta\":{meta},\"data\":[{}],\"links\":{links}}}",
        items.join(",")
    )
}

/// The URL of a page of the listing that was asked for.
pub(super) fn link(root: &str, request: &Recorded, cursor: Option<&str>) -> String {
    let encode = |text: &str| {
        percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
    };
    let parameters: Vec<String> = request
        .query
        .iter()
        .filter(|(name, _)| name != "cursor")
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .chain(cursor.map(|cursor| ("cursor", cursor)))
        .map(|(name, value)| format!("{name}={}", encode(value)))
        .collect();
    format!("{root}{}?{}", request.path, parameters.join("&"))
}

/// The parameter `limit`.
pub(super) fn limit(request: &Recorded, default: usize) -> Result<usize, Problem> {
    let Some(text) = request.parameter("limit") else {
        return Ok(default);
    };
    match text.parse() {
        Ok(limit) if (1..=MAX_LIMIT).contains(&limit) => Ok(limit),
        _ => {
            let message =
                format!("limit \"{text}\" is not valid. It must be between 1 and {MAX_LIMIT}");
            Err(Problem::invalid_argument(message))
        }
    }
}
