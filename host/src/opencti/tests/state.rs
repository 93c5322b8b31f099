//! Pings, state and resets.

use super::*;

async fn keeper(platform: &Platform) -> StateKeeper {
    let client = platform.client();
    let cancellation = CancellationToken::new();
    let registration = wait_for_platform(&client, &connector(), &cancellation)
        .await
        .unwrap();
    let keeper = StateKeeper::start(client, connector(), &registration);
    // about, register, and the first ping of the task.
    platform.requests(3).await;
    keeper
}

const VERSIONS: [&str; 4] = ["6.0.0", "6.2.12", "6.7.0", "7.260817.0"];

#[tokio::test]
async fn a_state_is_stored_and_found_again() {
    for version in VERSIONS {
        let platform = Platform::start(version).await;
        let first = keeper(&platform).await;
        let (generation, state) = first.current();
        assert_eq!(state, None);
        let saved = first.save(generation, r#"{"n":1}"#.to_owned()).await;
        assert_eq!(saved.unwrap(), Saved::Stored, "{version}");
        assert_eq!(platform.model().state.as_deref(), Some(r#"{"n":1}"#));
        first.stop().await;
        let second = keeper(&platform).await;
        assert_eq!(
            second.current().1.as_deref(),
            Some(r#"{"n":1}"#),
            "{version}"
        );
    }
}

#[tokio::test]
async fn info_goes_out_where_it_is_known() {
    for (version, known) in [("6.2.11", false), ("6.2.12", true), ("7.260817.0", true)] {
        let platform = Platform::start(version).await;
        let keeper = keeper(&platform).await;
        keeper.set_info(Info {
            next_run: Some("2026-11-24T08:00:00.5Z".parse().unwrap()),
            buffering: true,
            ..keeper.info()
        });
        keeper.ping().await.unwrap();
        let pings = platform.received("pingConnector");
        let info = pings.last().unwrap().variables.get("info").cloned();
        let expected = json!({
            "run_and_terminate": false, "buffering": true, "queue_threshold": 500.0,
            "queue_messages_size": 0.0, "next_run_datetime": "2026-11-24T08:00:00Z",
            "last_run_datetime": null,
        });
        assert_eq!(info, known.then_some(expected), "{version}");
    }
}

#[tokio::test]
async fn a_reset_wins_over_the_run_that_it_interrupts() {
    for version in VERSIONS {
        let platform = Platform::start(version).await;
        let keeper = keeper(&platform).await;
        let mut resets = keeper.resets();
        let (old, _) = keeper.current();
        let _ = keeper.save(old, r#"{"n":1}"#.to_owned()).await.unwrap();

        platform.reset();
        let saved = keeper.save(old, r#"{"n":2}"#.to_owned()).await.unwrap();
        assert_eq!(saved, Saved::Reset, "{version}");
        assert!(resets.has_changed().unwrap(), "{version}");
        resets.mark_unchanged();
        let again = keeper.save(old, r#"{"n":3}"#.to_owned()).await.unwrap();
        assert_eq!(again, Saved::Reset, "{version}: still the old run");
        assert_eq!(platform.model().state.as_deref(), Some(""), "{version}");

        let (new, state) = keeper.current();
        assert_eq!(state, None, "{version}");
        let saved = keeper.save(new, r#"{"n":4}"#.to_owned()).await.unwrap();
        assert_eq!(saved, Saved::Stored, "{version}");
        assert_eq!(platform.model().state.as_deref(), Some(r#"{"n":4}"#));
        assert!(!resets.has_changed().unwrap(), "{version}: told once");
    }
}

#[tokio::test]
async fn a_reset_before_the_start_does_not_swallow_the_first_state() {
    for version in VERSIONS {
        let platform = Platform::start(version).await;
        platform.reset();
        let client = platform.client();
        client.read_version().await.unwrap();
        let registration = client.register(&connector()).await.unwrap();
        let keeper = StateKeeper::start(client, connector(), &registration);
        // Before the task's first ping, or after: the flag is met by one or the other.
        let (generation, _) = keeper.current();
        let saved = keeper.save(generation, r#"{"n":1}"#.to_owned()).await;
        assert_eq!(saved.unwrap(), Saved::Stored, "{version}");
        assert_eq!(platform.model().state.as_deref(), Some(r#"{"n":1}"#));
    }
}

#[tokio::test]
async fn a_reset_between_runs_is_noticed_by_the_pings() {
    let platform = Platform::start("7.260817.0").await;
    let keeper = keeper(&platform).await;
    let mut resets = keeper.resets();
    let (old, _) = keeper.current();
    let _ = keeper.save(old, r#"{"n":1}"#.to_owned()).await.unwrap();
    platform.reset();
    keeper.ping().await.unwrap();
    resets.changed().await.unwrap();
    let (new, state) = keeper.current();
    assert!(new > old);
    assert_eq!(state, None);
}

#[tokio::test]
async fn a_forgotten_connector_is_registered_again_and_keeps_its_state() {
    let platform = Platform::start("7.260817.0").await;
    let keeper = keeper(&platform).await;
    let (generation, _) = keeper.current();
    let _ = keeper
        .save(generation, r#"{"n":1}"#.to_owned())
        .await
        .unwrap();
    {
        let mut model = platform.model();
        model.known = false;
        model.state = None;
        model.resets += 1;
    }
    keeper.ping().await.unwrap();
    assert_eq!(platform.received("registerConnector").len(), 2);
    assert_eq!(platform.model().state.as_deref(), Some(r#"{"n":1}"#));
    assert_eq!(keeper.current().0, generation);
}

#[tokio::test]
async fn a_state_that_could_not_be_saved_goes_out_later() {
    let platform = Platform::start("7.260817.0").await;
    let keeper = keeper(&platform).await;
    let (generation, _) = keeper.current();
    platform.instead("pingConnector", (0..8).map(|_| LOCK));
    let saved = keeper.save(generation, r#"{"n":1}"#.to_owned()).await;
    assert!(saved.unwrap_err().is_transient());
    keeper.ping().await.unwrap();
    assert_eq!(platform.model().state.as_deref(), Some(r#"{"n":1}"#));
}

#[tokio::test]
async fn pings_go_on_after_failures() {
    let platform = Platform::start("7.260817.0").await;
    let client = platform.client();
    client.read_version().await.unwrap();
    let registration = client.register(&connector()).await.unwrap();
    platform.instead("pingConnector", [LOCK, LOCK]);
    let interval = std::time::Duration::from_millis(1);
    let keeper = StateKeeper::start_with(client, connector(), &registration, interval);
    platform.requests(2 + 4).await;
    keeper.stop().await;
}
