//! States that a run between simulators does not come to.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use anyhow::Result;
use axum::Router;
use axum::response::{Html, Json};
use axum::routing::get;
use connector_tests::chromium::Chromium;
use connector_tests::endpoint::{address, status_with_quota};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::shown::{MARKUP, assert_equal, assert_looks, assert_safe};
use super::{DESKTOP, PHONE, Stage, opened};

const PAGE: &str = include_str!("../../../host/src/status/page.html");

/// More than the page has colours for.
const FILTERS: usize = 10;

/// A connector that waits for its platform.
fn never_run() -> Value {
    json!({
        "connector": {
            "id": "0d9f4a52-5f5e-4a57-9a3c-2f7a3f7f4c11", "name": "A connector", "version": "1.0.0",
            "started": "2026-11-26T08:00:01Z", "time": "2026-11-26T10:21:30Z",
        },
        "activity": {"state": "waiting for the platform", "since": "2026-11-26T10:20:00Z"},
        "platform": {
            "url": "https://opencti.example", "version": null, "registered": false, "last_ping": null,
            "pings": 0, "ping_errors": 0,
        },
        "run": null, "next_run": null, "runs": [],
        "totals": {"runs": 0, "read": 0, "skipped": {}, "delivered": 0, "failed": 0, "gone": 0},
        "notifications": [],
        "checkpoint": {"date": null, "lag_seconds": null, "failed_items": null, "to_remove": null},
        "guest": {
            "name": "livehunt", "version": "1.0.0", "digest": format!("sha256:{}", "0123456789abcdef".repeat(4)),
            "contract": "1.1.0", "size": 694_678, "calls": 2, "traps": 0, "instances": 1, "busy_seconds": 0.001,
            "memory_bytes": 2_162_688,
        },
        "guest_changes": [], "quota": [], "queue": null, "errors": [],
    })
}

/// Much of everything, with long words.
fn busy() -> Value {
    let long = format!("{MARKUP} {}", "unbroken".repeat(60));
    let filters = |count: usize| -> Value {
        let filter = |number: usize| (format!("filter ~{number}/of many"), json!(number + 1));
        (0..count).map(filter).collect()
    };
    let run = |number: usize| {
        json!({
            "begun": format!("2026-11-26T09:{:02}:00Z", 10 + number), "seconds": 4.1, "read": 1085,
            "skipped": filters(number % (FILTERS + 1)), "delivered": 900, "failed": 1, "gone": 1,
            "objects": {"incident": 900, "x-of-a-later-release": 6}, "bundles": 1, "artifacts": 1,
            "artifacts_failed": 1, "refused": 12, "removed": 41,
            "source_requests": {"pages": 3, "lookups": 6, "downloads": 1, "removals": 41, "retries": 2, "cache_hits": 77},
            "platform_requests": 9, "end": "drained", "error": null, "summary": "1085 notifications read",
        })
    };
    let mut runs: Vec<Value> = (0..20).map(run).collect();
    for (run, end) in runs
        .iter_mut()
        .zip(["limit", "quota", "shutdown", "reset", "error"])
    {
        run["end"] = end.into();
    }
    runs[4]["error"] = long.clone().into();
    let links = [
        "https://www.virustotal.com/gui/file/0123",
        "https://www.virustotal.com.example/gui/file/0123",
        "javascript:document.title='taken'",
    ];
    let notification = |number: usize| {
        let outcome = ["delivered", "skipped", "failed", "gone"][number % 4];
        json!({
            "id": format!("{}", 23_089_986_176_u64 + number as u64), "date": "2026-11-26T10:15:00Z",
            "settled": "2026-11-26T10:19:03Z", "outcome": outcome,
            "filter": (outcome == "skipped").then_some("filter ~1/of many"),
            "reason": (outcome != "delivered").then_some(&long),
            "object": "0123456789abcdef".repeat(4), "link": links[number % links.len()],
        })
    };
    let mut status = never_run();
    let mut going_on = run(FILTERS);
    going_on["end"] = Value::Null;
    status["activity"]["state"] = "running".into();
    status["platform"] = json!({
        "url": format!("https://{}.example", "platform".repeat(8)), "version": "7.260817.0", "registered": true,
        "last_ping": "2026-11-26T10:21:12Z", "pings": 12_345, "ping_errors": 1,
    });
    status["run"] = going_on;
    status["runs"] = runs.into();
    status["totals"] = json!({
        "runs": 20, "read": 1_234_567, "skipped": filters(FILTERS), "delivered": 1_200_000, "failed": 3, "gone": 2,
    });
    status["notifications"] = (0..50).map(notification).collect();
    status["checkpoint"] = json!({
        "date": "2026-11-24T10:15:00Z", "lag_seconds": 173_190, "failed_items": 50, "to_remove": 1200,
    });
    status["guest_changes"] = json!([{
        "at": "2026-11-26T08:00:02Z", "guest": MARKUP, "digest": null, "event": "refused", "reason": long,
    }]);
    status["quota"] = json!([
        {"name": "api_requests_daily", "used": 25_000, "allowed": 20_000, "asked": "2026-11-26T10:19:04Z"},
        {"name": "api_requests_hourly", "used": 0, "allowed": 0, "asked": "2026-11-26T10:19:04Z"},
    ]);
    status["queue"] = json!({"megabytes": 512.5, "threshold_megabytes": 500, "held_back": true});
    let error = json!({
        "at": "2026-11-26T10:19:02Z", "level": "ERROR", "message": long,
        "attributes": {"reason": long, "deep": {"er": [1, null]}},
    });
    status["errors"] = vec![error; 20].into();
    status
}

/// Where names stand that are the status's own, and not those of filters, types or attributes.
const NAMED: [&str; 11] = [
    "",
    "/connector",
    "/activity",
    "/platform",
    "/totals",
    "/checkpoint",
    "/guest",
    "/runs/0",
    "/runs/0/source_requests",
    "/notifications/0",
    "/quota/0",
];

#[tokio::test]
async fn samples_have_the_names_that_are_served() -> Result<()> {
    let stage = Stage::new().await?;
    let mut running = stage.host.start(&["run"])?;
    let address = address(&mut running).await?;
    running.until_logged("notifications read").await?;
    let served = status_with_quota(address).await?;
    for pointer in NAMED {
        let names = |status: &Value| -> BTreeSet<String> {
            let found = status.pointer(pointer).and_then(Value::as_object);
            found
                .into_iter()
                .flat_map(|it| it.keys().cloned())
                .collect()
        };
        let expected = names(&served);
        assert!(!expected.is_empty(), "{pointer} in {served}");
        assert_eq!(names(&busy()), expected, "{pointer}");
    }
    running.end().await?;
    Ok(())
}

/// A server of the page with one status.
async fn serve(status: Value) -> Result<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("http://{}/behind/a/proxy/", listener.local_addr()?);
    let router = Router::new()
        .route("/behind/a/proxy/", get(|| async { Html(PAGE) }))
        .route(
            "/behind/a/proxy/status.json",
            get(|| async { Json(status) }),
        );
    tokio::spawn(async { axum::serve(listener, router).await });
    Ok(url)
}

#[tokio::test]
async fn any_status_is_shown_on_any_window() -> Result<()> {
    let Some(mut chromium) = Chromium::start()? else {
        return Ok(());
    };
    let mut held_back = busy();
    held_back["run"] = Value::Null;
    held_back["activity"]["state"] = "held back".into();
    held_back["next_run"] = "2026-11-26T10:24:04Z".into();
    for (name, status, words) in [
        ("never-run", never_run(), "No run yet: waits for OpenCTI."),
        ("busy", busy(), MARKUP),
        ("held-back", held_back, "too full for a run"),
    ] {
        let url = serve(status.clone()).await?;
        for view in [DESKTOP, PHONE] {
            let mut page = opened(&mut chromium, &url, view).await?;
            let after = async { Ok(status.clone()) };
            let shown = assert_equal(&mut page, &status, after).await?;
            assert!(shown.len() > 15, "{name}: {shown:?}");
            let text = page
                .evaluate("document.querySelector('.frame').textContent")
                .await?;
            let text = text.as_str().unwrap();
            assert!(text.contains(words), "{name}: {text}");
            for nonsense in ["undefined", "null ", "NaN", "[object", "Invalid"] {
                assert!(!text.contains(nonsense), "{name}: {nonsense} in {text}");
            }
            // Whoever opens everything sees everything.
            let open = "document.querySelectorAll('details').forEach((it) => { it.open = true; });
                document.querySelectorAll('.more[aria-expanded=false]').forEach((it) => it.click());
                document.querySelectorAll('main [aria-expanded=false], main tr[hidden], main li[hidden]').length";
            assert_eq!(page.evaluate(open).await?, 0, "{name}");
            assert_looks(&mut page, view, name).await?;
            assert_safe(&mut page, &url).await?;
        }
    }
    Ok(())
}
