//! The page that shows the status, in a browser.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests are outside test functions"
)]

use std::collections::BTreeSet;
use std::net::SocketAddr;

use anyhow::Result;
use connector_tests::chromium::{Chromium, Page, View};
use connector_tests::endpoint::{address, ask, get};
use connector_tests::fixtures::Scenario;
use connector_tests::host::{Host, workspace};
use connector_tests::virustotal::{Notification, World};
use connector_tests::{opencti, virustotal};
use serde::Deserialize;
use serde_json::{Value, json};

/// What a sample may have in place of an extension.
const MARKUP: &str = "<img src=nowhere onerror=document.title='taken'>";

/// A run is over, and all of it is shown.
const IS_IDLE: &str = r#"document.querySelector('[data-field="/activity/state"]')?.value === "idle"
    && document.querySelector('[data-field="/runs/0/end"]')"#;

const DESKTOP: View = View {
    width: 1280,
    dark: false,
};

const PHONE: View = View {
    width: 360,
    dark: true,
};

struct Stage {
    virustotal: virustotal::Server,
    platform: opencti::Server,
    host: Host,
}

impl Stage {
    /// Something for each outcome: two filters skip, two notifications cannot be mapped, the rest is delivered.
    async fn new() -> Result<Self> {
        let virustotal = virustotal::Server::start(world()).await?;
        let platform = opencti::Server::start(opencti::Options::default()).await?;
        let host = Host::new(&virustotal, &platform)?
            .variable("CONNECTOR_EXPOSE_METRICS", "true")
            .variable("CONNECTOR_METRICS_PORT", "0")
            .setting("EXTENSIONS", "exe,dll,docx,pdf,ps1,js,zip,elf,apk")
            .setting("MAX_FILE_SIZE", "100000");
        Ok(Self {
            virustotal,
            platform,
            host,
        })
    }
}

fn world() -> World {
    let scenario = Scenario {
        mixed: false,
        bodies: false,
        ..Scenario::of_today(60)
    };
    let mut world = scenario.world();
    for notification in &mut world.notifications[..2] {
        change(notification, |item| {
            item["context_attributes"]["hunting_info"] = json!({});
            item["context_attributes"]["sources"] = json!([{"type": "hunting_ruleset", "id": "1"}]);
            item["attributes"]["size"] = json!(1000);
            item["attributes"]["type_extension"] = json!("exe");
        });
    }
    change(&mut world.notifications[2], |item| {
        item["attributes"]["type_extension"] = json!(MARKUP);
    });
    change(&mut world.notifications[3], |item| {
        item["attributes"]["size"] = json!(1000);
        item["attributes"]["type_extension"] = json!("exe");
    });
    change(&mut world.notifications[4], |item| {
        item["attributes"]["size"] = json!(200_000);
        item["attributes"]["type_extension"] = json!("exe");
    });
    world
}

fn change(notification: &mut Notification, change: impl FnOnce(&mut Value)) {
    let mut item = notification.item();
    change(&mut item);
    *notification = Notification::new(&item);
}

/// A value as the page shows it.
#[derive(Debug, Deserialize)]
struct Field {
    /// Where it stands in the status.
    pointer: String,
    value: String,
    text: String,
}

async fn fields(page: &mut Page<'_>) -> Result<Vec<Field>> {
    let fields = page.evaluate(
        "[...document.querySelectorAll('[data-field]')].map((it) => ({
            pointer: it.dataset.field, text: it.textContent,
            value: ['value', 'datetime', 'href'].map((name) => it.getAttribute(name)).find((it) => it !== null) ?? '',
        }))",
    );
    Ok(serde_json::from_value(fields.await?)?)
}

async fn status(address: SocketAddr) -> Result<Value> {
    Ok(serde_json::from_str(&get(address, "/status.json").await?)?)
}

/// Whether a value of the page stands between those of the status before and after: pings and lag go on.
fn is_between(shown: &str, before: &Value, after: &Value) -> bool {
    match (before.as_f64(), after.as_f64(), shown.parse::<f64>()) {
        (Some(before), Some(after), Ok(shown)) => {
            (before.min(after)..=before.max(after)).contains(&shown)
        }
        _ => [before, after].into_iter().any(|it| it == shown),
    }
}

/// A number that is shown in digits alone is shown as it is.
fn is_legible(field: &Field) -> bool {
    let digits = field.text.replace(',', "");
    let is_number = !digits.is_empty() && digits.bytes().all(|it| it.is_ascii_digit());
    !is_number || digits == field.value
}

/// All numbers but zeros.
fn numbers(value: &Value, pointer: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Number(number) if number.as_f64() != Some(0.0) => {
            found.insert(pointer.to_owned());
        }
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                numbers(value, &format!("{pointer}/{index}"), found);
            }
        }
        Value::Object(values) => {
            for (key, value) in values {
                let key = key.replace('~', "~0").replace('/', "~1");
                numbers(value, &format!("{pointer}/{key}"), found);
            }
        }
        _ => {}
    }
}

#[tokio::test]
async fn all_numbers_of_the_status_stand_on_the_page() -> Result<()> {
    let Some(mut chromium) = Chromium::start()? else {
        return Ok(());
    };
    let stage = Stage::new().await?;
    let mut running = stage.host.start(&["run"])?;
    let address = address(&mut running).await?;
    let url = format!("http://{address}/");
    chromium.open(&url, DESKTOP).await?.until(IS_IDLE).await?;
    for view in [DESKTOP, PHONE] {
        let before = status(address).await?;
        let mut page = chromium.open(&url, view).await?;
        page.until(IS_IDLE).await?;
        let fields = fields(&mut page).await?;
        let after = status(address).await?;
        for field in &fields {
            let [before, after] = [&before, &after].map(|it| it.pointer(&field.pointer));
            let (before, after) = (before.unwrap(), after.unwrap());
            assert!(
                is_between(&field.value, before, after),
                "{view:?}: {field:?}, {before} and {after} in the status"
            );
            assert!(is_legible(field), "{view:?}: {field:?}");
        }
        let shown: BTreeSet<String> = fields.iter().map(|it| it.pointer.clone()).collect();
        let mut all = BTreeSet::new();
        numbers(&before, "", &mut all);
        all.retain(|it| !it.contains("/attributes/"));
        let missing: Vec<_> = all.difference(&shown).collect();
        assert!(missing.is_empty(), "{view:?}: not shown: {missing:?}");

        let totals = &before["totals"];
        let skipped: u64 = totals["skipped"]
            .as_object()
            .unwrap()
            .values()
            .filter_map(Value::as_u64)
            .sum();
        let delivered = stage.platform.objects_of("incident").len();
        assert_eq!(
            (&totals["read"], &totals["failed"]),
            (&json!(60), &json!(2))
        );
        assert_eq!(totals["delivered"], delivered);
        assert_eq!(skipped as usize, 60 - 2 - delivered);
        assert!(totals["skipped"]["size"].is_u64() && totals["skipped"]["extension"].is_u64());
        assert_looks(&mut page, view).await?;
        assert_safe(&mut page, &url).await?;
    }
    drop(stage.virustotal);
    running.end().await?;
    Ok(())
}

/// Nothing is wider than the window.
async fn assert_looks(page: &mut Page<'_>, view: View) -> Result<()> {
    let wide = page
        .evaluate("document.documentElement.scrollWidth")
        .await?;
    assert!(wide.as_u64().unwrap() <= u64::from(view.width), "{wide}");
    let background = "getComputedStyle(document.body).backgroundColor";
    let background = page.evaluate(background).await?;
    let is_dark = background.as_str().unwrap().starts_with("rgb(1");
    assert_eq!(is_dark, view.dark, "{background}");
    let file = format!("target/tmp/status-page-{}.png", view.width);
    page.picture(&workspace().join(file)).await
}

/// Nothing comes from elsewhere, nothing that VirusTotal says becomes part of the page, and links lead there alone.
async fn assert_safe(page: &mut Page<'_>, url: &str) -> Result<()> {
    let links = "[...document.querySelectorAll('main a[target]')].map((it) => [it.href, it.rel])";
    let links: Vec<(String, String)> = serde_json::from_value(page.evaluate(links).await?)?;
    assert!(!links.is_empty());
    for (link, rel) in links {
        assert!(
            link.starts_with("https://www.virustotal.com/gui/"),
            "{link}"
        );
        assert_eq!(rel, "noreferrer noopener");
    }
    let text = page.evaluate("document.body.textContent").await?;
    assert!(text.as_str().unwrap().contains(MARKUP), "{text}");
    let images = page.evaluate("document.images.length").await?;
    assert_eq!(images, 0);
    let strangers: Vec<_> = page
        .requests()
        .into_iter()
        .filter(|it| !it.starts_with(url) && !it.starts_with("data:"))
        .collect();
    assert!(strangers.is_empty(), "{strangers:?}");
    assert!(page.console().is_empty(), "{:?}", page.console());
    Ok(())
}

#[tokio::test]
async fn the_page_may_do_nothing_but_ask_for_the_status() -> Result<()> {
    let stage = Stage::new().await?;
    let mut running = stage.host.start(&["run"])?;
    let (head, page) = ask(address(&mut running).await?, "GET", "/").await?;
    let head = head.to_lowercase();
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    assert!(
        head.contains("content-type: text/html; charset=utf-8"),
        "{head}"
    );
    for rule in [
        "default-src 'none'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ] {
        assert!(head.contains(rule), "{rule}: {head}");
    }
    for address in ["http://", "https://", "src="] {
        let found: Vec<_> = page
            .match_indices(address)
            .map(|(at, _)| page[at..].lines().next().unwrap_or_default())
            .filter(|it| {
                !it.starts_with("https://www.virustotal.com/\"")
                    && !it.starts_with("http://www.w3.org/2000/svg")
            })
            .collect();
        assert!(found.is_empty(), "{found:?}");
    }
    running.end().await?;
    Ok(())
}

#[tokio::test]
async fn the_page_says_that_the_connector_does_not_answer() -> Result<()> {
    let Some(mut chromium) = Chromium::start()? else {
        return Ok(());
    };
    let stage = Stage::new().await?;
    let mut running = stage.host.start(&["run"])?;
    let url = format!("http://{}/", address(&mut running).await?);
    let mut page = chromium.open(&url, DESKTOP).await?;
    page.until(IS_IDLE).await?;
    let silence = "document.getElementById('silence')";
    let is_silent = format!("!{silence}.hidden");
    assert_eq!(page.evaluate(&is_silent).await?, false);
    running.kill().await?;
    page.until(&is_silent).await?;
    let text = page.evaluate(&format!("{silence}.textContent")).await?;
    let text = text.as_str().unwrap();
    assert!(text.starts_with("The connector does not answer"), "{text}");
    // What was known stays.
    assert_eq!(
        page.evaluate("document.getElementById('main').hidden")
            .await?,
        false
    );
    let title = page.evaluate("document.title").await?;
    assert!(title.as_str().unwrap().starts_with("No answer"), "{title}");
    Ok(())
}
