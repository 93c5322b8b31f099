//! The API's endpoints.

use serde_json::{Value, json};

use super::answer::{Answer, Problem, data};
use super::filter::Filter;
use super::listing::{ioc_stream, limit, link};
use super::notification::Notification;
use super::world::World;
use crate::recorded::Recorded;

/// Where things are: what links and signed URLs begin with, and the key that opens them.
pub(super) struct Place {
    /// `http://127.0.0.1:port/api/v3`.
    pub(super) root: String,
    /// `http://127.0.0.1:port` of the sample storage.
    pub(super) storage: String,
    pub(super) api_key: String,
}

/// Answers one request.
pub(super) fn answer(
    world: &mut World,
    request: &Recorded,
    place: &Place,
) -> Result<Answer, Problem> {
    authenticate(request, &place.api_key)?;
    let segments: Vec<&str> = request.path.trim_start_matches('/').split('/').collect();
    let route = (request.method.as_str(), segments.as_slice());
    // Looking at the quota is free. A key may hold a slash.
    if let Some(user) = user_of_quotas(request) {
        return match user == USER || user == place.api_key {
            true => Ok(data(&quotas(world.quota, world.requests.len()))),
            false => Err(Problem::forbidden()),
        };
    }
    spend(&mut world.quota)?;
    world.forget_expired();
    match route {
        ("GET", ["ioc_stream"]) if world.quirks.stream_forbidden => Err(Problem::forbidden()),
        ("GET", ["ioc_stream"]) => ioc_stream(world, request, &place.root),
        ("DELETE", ["ioc_stream"]) => delete_matching(world, request),
        ("GET", ["ioc_stream_notifications", id]) => notification(world, id, &place.root),
        ("DELETE", ["ioc_stream_notifications", id]) => delete(world, id),
        ("GET", ["intelligence", "hunting_rulesets"]) => rulesets(world, request, &place.root),
        ("GET", ["intelligence", "hunting_rulesets", id]) => ruleset(world, id),
        ("GET", ["files", id]) => object(world, "file", id),
        ("GET", ["urls", id]) => object(world, "url", id),
        ("GET", ["domains", id]) => object(world, "domain", id),
        ("GET", ["ip_addresses", id]) => object(world, "ip_address", id),
        ("GET", ["files", id, "download_url"]) => Ok(data(&json!(super::storage::signed_url(
            place,
            &downloadable(world, id)?
        )))),
        ("GET", ["files", id, "download"]) => Ok(Answer::Redirect(super::storage::signed_url(
            place,
            &downloadable(world, id)?,
        ))),
        _ => Err(Problem::not_found(format!(
            "Resource not found: {}",
            request.path
        ))),
    }
}

/// Id of the key's user.
const USER: &str = "me";

/// `GET /users/{id}/overall_quotas`: the id, or the key in its place.
fn user_of_quotas(request: &Recorded) -> Option<&str> {
    let path = request.path.strip_prefix("/users/")?;
    let user = path.strip_suffix("/overall_quotas")?;
    (request.method == "GET").then_some(user)
}

fn authenticate(request: &Recorded, api_key: &str) -> Result<(), Problem> {
    match request.header("x-apikey") {
        None => Err(Problem::new(
            401,
            "AuthenticationRequiredError",
            "X-Apikey header is missing",
        )),
        Some(key) if key != api_key => {
            Err(Problem::new(401, "WrongCredentialsError", "Wrong API key"))
        }
        Some(_) => Ok(()),
    }
}

fn spend(quota: &mut Option<u64>) -> Result<(), Problem> {
    if let Some(left) = quota {
        *left = left
            .checked_sub(1)
            .ok_or_else(|| Problem::new(429, "QuotaExceededError", "Quota exceeded"))?;
    }
    Ok(())
}

fn quotas(left: Option<u64>, used: usize) -> Value {
    let used = used as u64;
    let allowed = left.map_or(1_000_000_000, |left| used + left);
    let quota = json!({
        "user": {"allowed": allowed, "used": used},
        "group": {"allowed": allowed * 10, "used": used * 3, "inherited_from": "acme"},
    });
    json!({
        "api_requests_hourly": quota, "api_requests_daily": quota, "api_requests_monthly": quota,
    })
}

fn notification(world: &World, id: &str, root: &str) -> Result<Answer, Problem> {
    let found = world.notifications.iter().find(|it| it.id == id);
    found
        .map(|it| data(&it.object(root)))
        .ok_or_else(|| no_notification(id))
}

fn delete(world: &mut World, id: &str) -> Result<Answer, Problem> {
    let position = world
        .notifications
        .iter()
        .position(|it| it.id == id)
        .ok_or_else(|| no_notification(id))?;
    world.notifications.remove(position);
    world.deleted.push(id.to_owned());
    Ok(Answer::Empty)
}

fn no_notification(id: &str) -> Problem {
    Problem::not_found(format!("Notification {id} not found"))
}

/// Without a filter everything would go; the documentation is silent, so a test must not rely on it.
fn delete_matching(world: &mut World, request: &Recorded) -> Result<Answer, Problem> {
    if world.deletion_running {
        let message =
            "Notifications already being deleted. Depending on volume this may take a while.";
        return Err(Problem::new(429, "TooManyRequests", message));
    }
    let filter = Filter::parse(request.parameter("filter").unwrap_or_default())?;
    if filter.is_empty() {
        return Err(Problem::bad_request(
            "the simulator deletes nothing without a filter",
        ));
    }
    world.deletion_running = true;
    world.notifications.retain(|it| !filter.matches(it));
    Ok(Answer::Empty)
}

fn ruleset(world: &World, id: &str) -> Result<Answer, Problem> {
    if world.forbidden_rulesets.contains(id) {
        return Err(Problem::forbidden());
    }
    let ruleset = world.rulesets.get(id);
    ruleset
        .map(data)
        .ok_or_else(|| Problem::not_found(format!("Hunting ruleset {id} not found")))
}

/// The cursor of this listing names the last ruleset served.
fn rulesets(world: &World, request: &Recorded, root: &str) -> Result<Answer, Problem> {
    let limit = limit(request, 10)?;
    let ascending = match request.parameter("order") {
        None | Some("modification_date-") => false,
        Some("modification_date+") => true,
        Some(other) => {
            return Err(Problem::bad_request(format!(
                "order \"{other}\" is not valid"
            )));
        }
    };
    let mut all: Vec<(&String, &Value)> = world.rulesets.iter().collect();
    all.sort_by_key(|(id, ruleset)| (ruleset["attributes"]["modification_date"].as_u64(), *id));
    if !ascending {
        all.reverse();
    }
    let served = match request.parameter("cursor") {
        None => 0,
        Some(cursor) => all
            .iter()
            .position(|(id, _)| *id == cursor)
            .map(|position| position + 1)
            .ok_or_else(|| Problem::invalid_argument("Invalid cursor"))?,
    };
    let rest = &all[served..];
    let page = &rest[..limit.min(rest.len())];
    let objects: Vec<&Value> = page.iter().map(|(_, ruleset)| *ruleset).collect();
    let mut body = json!({
        "data": objects,
        "meta": {"count": all.len()},
        "links": {"self": link(root, request, request.parameter("cursor"))},
    });
    if let Some((last, _)) = page.last().filter(|_| page.len() < rest.len()) {
        body["meta"]["cursor"] = json!(last);
        body["links"]["next"] = json!(link(root, request, Some(last)));
    }
    Ok(Answer::Json(body.to_string()))
}

/// An object by its type and id, or a file by any of its hashes. One that an item tells an error of is gone.
fn object(world: &World, entity_type: &str, id: &str) -> Result<Answer, Problem> {
    let found = world
        .notifications
        .iter()
        .filter(|it| it.entity_type == entity_type)
        .find(|it| it.entity_id == id || it.hashes.iter().any(|hash| hash == id));
    let mut object = found.map(Notification::item).unwrap_or_default();
    match object.as_object_mut() {
        Some(members) if !members.contains_key("error") => {
            members.remove("context_attributes");
            Ok(data(&object))
        }
        _ if entity_type == "file" => Err(no_file(id)),
        _ => Err(Problem::not_found(format!(
            "{entity_type} \"{id}\" not found"
        ))),
    }
}

/// The SHA-256 of a content that may be downloaded.
fn downloadable(world: &World, id: &str) -> Result<String, Problem> {
    if world.quirks.downloads_forbidden {
        return Err(Problem::forbidden());
    }
    world
        .files
        .values()
        .find(|it| {
            [&it.sha256, &it.sha1, &it.md5]
                .into_iter()
                .any(|hash| hash == id)
        })
        .map(|it| it.sha256.clone())
        .ok_or_else(|| no_file(id))
}

fn no_file(id: &str) -> Problem {
    Problem::not_found(format!("File \"{id}\" not found"))
}
