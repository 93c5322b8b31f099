//! The page that shows the status, in a browser.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests are outside test functions"
)]

mod samples;
mod shown;

use std::collections::BTreeSet;

use anyhow::Result;
use connector_tests::chromium::{Chromium, Page, View};
use connector_tests::endpoint::{address, ask, status, status_with_quota};
use connector_tests::fixtures::Scenario;
use connector_tests::host::Host;
use connector_tests::virustotal::{Notification, World};
use connector_tests::{opencti, virustotal};
use serde_json::{Value, json};

use shown::{MARKUP, assert_equal, assert_looks, assert_safe, numbers};

/// Not more than the status shows.
const NOTIFICATIONS: usize = 40;

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
        ..Scenario::of_today(NOTIFICATIONS)
    };
    let mut world = scenario.world();
    for notification in &mut world.notifications[..2] {
        *notification = notification.without_rule();
        change(notification, |item| {
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

/// The page, once it shows a status.
async fn opened<'a>(chromium: &'a mut Chromium, url: &str, view: View) -> Result<Page<'a>> {
    let mut page = chromium.open(url, view).await?;
    page.until("!document.getElementById('main').hidden")
        .await?;
    Ok(page)
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
    status_with_quota(address).await?;
    for view in [DESKTOP, PHONE] {
        let before = status(address).await?;
        let mut page = opened(&mut chromium, &url, view).await?;
        let shown = assert_equal(&mut page, &before, status(address)).await?;
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
            (&json!(NOTIFICATIONS), &json!(2))
        );
        assert_eq!(totals["delivered"], delivered);
        assert_eq!(skipped as usize, NOTIFICATIONS - 2 - delivered);
        assert!(totals["skipped"]["size"].is_u64() && totals["skipped"]["extension"].is_u64());
        let text = page
            .evaluate("document.querySelector('.frame').textContent")
            .await?;
        assert!(text.as_str().unwrap().contains(MARKUP), "{text}");
        let links = "document.querySelectorAll('main a[target]').length";
        assert!(page.evaluate(links).await?.as_u64() > Some(0));
        assert_looks(&mut page, view, "run").await?;
        assert_safe(&mut page, &url).await?;
    }
    drop(stage.virustotal);
    running.end().await?;
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
