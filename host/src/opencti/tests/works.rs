//! Works.

use super::*;
use crate::opencti::testing::WorkModel;

async fn work(platform: &Platform) -> Work {
    let client = platform.client();
    client.read_version().await.unwrap();
    Work::new(client, "c".to_owned(), "run".to_owned())
}

fn model(platform: &Platform) -> WorkModel {
    platform.model().works["work_c_0"].clone()
}

fn worker_reports(platform: &Platform, objects: i64) {
    let mut model = platform.model();
    let work = model.works.get_mut("work_c_0").unwrap();
    work.processed += objects;
    work.complete |= work.processed >= work.expected && !work.multipart;
}

#[tokio::test]
async fn a_run_without_news_leaves_no_trace() {
    let platform = Platform::start("7.260817.0").await;
    let work = work(&platform).await;
    work.close("nothing", false).await.unwrap();
    assert!(platform.model().works.is_empty());
}

#[tokio::test]
async fn a_work_is_complete_when_it_is_closed_and_not_before() {
    for version in ["6.0.0", "6.8.7", "7.260326.0", "7.260422.0"] {
        let platform = Platform::start(version).await;
        let work = work(&platform).await;
        for _ in 0..2 {
            assert_eq!(work.id().await.unwrap().as_deref(), Some("work_c_0"));
            work.add_expectations(3).await.unwrap();
            worker_reports(&platform, 3);
            assert!(!model(&platform).complete, "{version}");
        }
        work.report_error("bad item", "source").await.unwrap();
        assert!(!model(&platform).complete, "{version}");
        work.close("6 objects", false).await.unwrap();
        let model = model(&platform);
        assert!(model.complete, "{version}");
        assert_eq!(model.processed, model.expected, "{version}");
        assert_eq!(model.closed, Some(("6 objects".to_owned(), false)));
        assert_eq!(
            model.errors,
            [json!({"error": "bad item", "source": "connector: source"})]
        );
        assert_eq!(platform.model().works.len(), 1, "{version}");
    }
}

#[tokio::test]
async fn a_deleted_work_is_gone_on_without() {
    let platform = Platform::start("7.260817.0").await;
    let work = work(&platform).await;
    assert!(work.id().await.unwrap().is_some());
    let deleted = |model: &mut WorkModel| model.deleted = true;
    deleted(platform.model().works.get_mut("work_c_0").unwrap());
    assert_eq!(work.id().await.unwrap(), None);
    work.add_expectations(1).await.unwrap();
    work.close("done", false).await.unwrap();
    let model = model(&platform);
    assert_eq!((model.expected, model.closed), (0, None));
    assert_eq!(platform.model().works.len(), 1, "no second one");
}

#[tokio::test]
async fn what_the_platform_refuses_about_a_work_stops_nothing() {
    let platform = Platform::start("7.260817.0").await;
    platform.instead("workAdd", [Instead::Error("FORBIDDEN_ACCESS", "no")]);
    let work = work(&platform).await;
    assert_eq!(work.id().await.unwrap(), None);
    work.report_error("bad", "").await.unwrap();
    work.close("done", true).await.unwrap();
    assert!(platform.model().works.is_empty());
}

#[tokio::test]
async fn expectations_are_not_counted_twice() {
    let platform = Platform::start("7.260817.0").await;
    let work = work(&platform).await;
    let unknown = Instead::Http(StatusCode::GATEWAY_TIMEOUT, &[], "");
    platform.instead("addExpectations", [LOCK, unknown]);
    let error = work.add_expectations(2).await.unwrap_err();
    assert!(error.is_transient());
    let tries = platform.received("addExpectations").len();
    assert_eq!(tries, 2, "the lock is tried again, the timeout is not");
}

#[tokio::test]
async fn a_run_has_one_draft_until_a_human_closes_it() {
    let platform = Platform::start("7.260817.0").await;
    let client = platform.client();
    client.read_version().await.unwrap();
    let outside = Work::new(client.clone(), "c".to_owned(), "run".to_owned());
    assert_eq!(outside.draft().await.unwrap(), None);
    assert!(platform.model().works.is_empty());

    let work = outside.in_draft(true);
    let first = work.draft().await.unwrap().unwrap();
    assert_eq!(work.draft().await.unwrap().as_ref(), Some(&first));
    assert_eq!(platform.model().drafts, ["work_c_0.json"]);

    platform.model().drafts[0].clear();
    let second = work.draft().await.unwrap().unwrap();
    assert_ne!(first.id(), second.id());
    let shown: Vec<_> = platform
        .received("addDraftContext")
        .iter()
        .map(|it| (it.variables["id"].clone(), it.variables["draft"].clone()))
        .collect();
    let expected = [first, second].map(|it| ("work_c_0".into(), it.id().into()));
    assert_eq!(shown, expected);
}

#[tokio::test]
async fn a_draft_does_without_a_work_that_is_gone() {
    let platform = Platform::start("7.260817.0").await;
    let client = platform.client();
    client.read_version().await.unwrap();
    platform.instead("workAdd", [Instead::Error("FORBIDDEN_ACCESS", "no")]);
    let work = Work::new(client, "c".to_owned(), "the run".to_owned()).in_draft(true);
    assert!(work.draft().await.unwrap().is_some());
    assert_eq!(platform.model().drafts, ["the run.json"]);
    assert!(platform.received("addDraftContext").is_empty());
}
