//! What a page shows, against the status.

use std::collections::BTreeSet;

use anyhow::Result;
use connector_tests::chromium::{Page, View};
use connector_tests::host::workspace;
use serde::Deserialize;
use serde_json::Value;

/// What VirusTotal may say where a page that trusts it would be lost.
pub const MARKUP: &str = "<img src=nowhere onerror=document.title='taken'>";

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
            pointer: it.dataset.field,
            text: it.textContent,
            value: it.getAttribute('value') ?? it.getAttribute('datetime') ?? it.getAttribute('href') ?? '',
        }))",
    );
    Ok(serde_json::from_value(fields.await?)?)
}

/// Every value on the page stands in the status, before or after the page was read; a number may stand between
/// them. Answers where the values stand.
pub async fn assert_equal(
    page: &mut Page<'_>,
    before: &Value,
    after: impl Future<Output = Result<Value>>,
) -> Result<BTreeSet<String>> {
    let fields = fields(page).await?;
    let after = after.await?;
    for field in &fields {
        let [before, after] = [before, &after].map(|it| it.pointer(&field.pointer));
        let (before, after) = (before.unwrap(), after.unwrap());
        assert!(
            is_between(&field.value, before, after),
            "{field:?}, but {before} and {after} in the status"
        );
        assert!(is_legible(field), "{field:?}");
    }
    Ok(fields.into_iter().map(|it| it.pointer).collect())
}

/// Pings and lag go on while the page is read.
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

/// Where the numbers of a status stand, all but zeros.
pub fn numbers(value: &Value, pointer: &str, found: &mut BTreeSet<String>) {
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

/// Nothing is wider than the window, and the page is as light or dark as the reader wants it. Leaves a picture in
/// `target/tmp`, for people to look at.
pub async fn assert_looks(page: &mut Page<'_>, view: View, name: &str) -> Result<()> {
    let width = "document.documentElement.scrollWidth";
    let width = page.evaluate(width).await?.as_u64().unwrap();
    assert!(width <= u64::from(view.width), "{name}: {width} pixels");
    let red = "Number(getComputedStyle(document.body).backgroundColor.match(/[0-9]+/)[0])";
    let red = page.evaluate(red).await?.as_u64().unwrap();
    assert_eq!(red < 128, view.dark, "{name}: {red}");
    let file = format!("target/tmp/status-page-{name}-{}.png", view.width);
    page.picture(&workspace().join(file)).await
}

/// Nothing comes from elsewhere, nothing that was said to the connector becomes part of the page, and links lead to
/// VirusTotal alone.
pub async fn assert_safe(page: &mut Page<'_>, url: &str) -> Result<()> {
    let links = "[...document.querySelectorAll('main a[target]')].map((it) => [it.href, it.rel])";
    let links: Vec<(String, String)> = serde_json::from_value(page.evaluate(links).await?)?;
    for (link, rel) in links {
        let is_known = link.starts_with("https://www.virustotal.com/");
        assert!(is_known && rel == "noreferrer noopener", "{link} {rel}");
    }
    let made = "document.querySelectorAll('img, b, main script').length";
    assert_eq!(page.evaluate(made).await?, 0);
    let strangers: Vec<_> = page
        .requests()
        .into_iter()
        .filter(|it| !it.starts_with(url) && !it.starts_with("data:"))
        .collect();
    assert!(strangers.is_empty(), "{strangers:?}");
    assert!(page.console().is_empty(), "{:?}", page.console());
    Ok(())
}
