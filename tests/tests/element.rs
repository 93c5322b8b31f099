//! One element read again by its id is what the collection gave.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests are outside test functions"
)]

use anyhow::Result;
use connector_host::config::{Http, Source};
use connector_host::virustotal::{Client, Element, FeedRequest, Item};
use connector_tests::fixtures::{Scenario, examples_world};
use connector_tests::virustotal::{Server, World};
use serde_json::Value;

/// All that a collection holds, element by element.
async fn all(client: &Client, request: &FeedRequest) -> Result<Vec<Item>> {
    let mut feed = client.feed(request.clone());
    let mut items = Vec::new();
    while let Some(page) = feed.next_page().await? {
        items.extend(page.items.into_iter().map(Result::unwrap));
    }
    Ok(items)
}

fn client(server: &Server) -> Result<Client> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let source = Source {
        api_url: server.api_url().parse()?,
        api_key: server.api_key().to_owned().into(),
        limit: None,
        requests_per_minute: None,
    };
    Ok(Client::new(&source, &Http::default())?)
}

fn request(path: &str, id: &str, date: &str) -> Result<FeedRequest> {
    let query = vec![("limit".to_owned(), "40".to_owned())];
    Ok(FeedRequest::parse(path, query, id, date)?)
}

fn json(item: &Item) -> Result<Value> {
    Ok(serde_json::from_str(item.document.as_str())?)
}

/// An element apart: what was reported, and the object that it is about.
fn apart(mut element: Value) -> (Option<Value>, Value) {
    let report = element
        .as_object_mut()
        .unwrap()
        .remove("context_attributes");
    (report, element)
}

/// Takes the names away of what VirusTotal does not name to us: of all sources but the rulesets that we may read.
fn without_foreign_names(mut report: Option<Value>, rulesets: &[String]) -> Option<Value> {
    let sources = report.as_mut().and_then(|it| it["sources"].as_array_mut());
    for source in sources.into_iter().flatten() {
        if !rulesets.iter().any(|id| source["id"] == **id) {
            source.as_object_mut().unwrap().remove("label");
        }
    }
    report
}

/// Reads each element again, and compares it. Answers how many are there and how many are gone.
async fn compare(world: World, request: &FeedRequest) -> Result<(usize, usize)> {
    let rulesets: Vec<String> = world.rulesets.keys().cloned().collect();
    let server = Server::start(world).await?;
    let client = client(&server)?;
    let items = all(&client, request).await?;
    let listed: Vec<_> = items
        .iter()
        .map(|item| apart(json(item).unwrap()))
        .collect();
    let (mut same, mut gone) = (0, 0);
    for (item, (report, object)) in items.iter().zip(&listed) {
        match client.element(request, &item.id).await? {
            Element::Found(again) => {
                assert_eq!((&again.id, again.observed), (&item.id, item.observed));
                let (report_again, object_again) = apart(json(&again)?);
                assert_eq!(
                    report_again,
                    without_foreign_names(report.clone(), &rulesets)
                );
                // An object that was reported twice may have changed in between; there is one of it now.
                assert_eq!(object_again["id"], object["id"]);
                assert!(listed.iter().any(|(_, object)| object_again == *object));
                same += 1;
            }
            Element::Gone(words) => {
                assert!(object["error"].is_object(), "{words}");
                gone += 1;
            }
            Element::Refused(words) => panic!("{words}"),
        }
    }
    Ok((same, gone))
}

#[tokio::test]
async fn an_element_of_the_stream_is_what_the_stream_gave() -> Result<()> {
    let request = request(
        "ioc_stream",
        "/context_attributes/notification_id",
        "/context_attributes/notification_date",
    )?;
    let scenario = Scenario {
        notifications: 100,
        bodies: false,
        ..Scenario::default()
    };
    for world in [examples_world(), scenario.world()] {
        let listed = world.notifications.len();
        let objects_gone = world.notifications.iter().map(|it| it.item());
        let objects_gone = objects_gone.filter(|it| it["error"].is_object()).count();
        let (same, gone) = compare(world, &request).await?;
        assert_eq!((same + gone, gone), (listed, objects_gone));
        assert!(gone > 0);
    }
    Ok(())
}

#[tokio::test]
async fn an_element_of_another_collection_is_what_the_collection_gave() -> Result<()> {
    let request = request(
        "intelligence/hunting_rulesets",
        "/id",
        "/attributes/modification_date",
    )?;
    let world = examples_world();
    let listed = world.rulesets.len();
    assert_eq!(compare(world, &request).await?, (listed, 0));
    Ok(())
}
