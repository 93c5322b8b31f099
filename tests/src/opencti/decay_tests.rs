use serde_json::json;

use super::*;

const NOW: &str = "2026-11-30T12:00:00Z";
const US: &str = "connector";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn ago(days: f64) -> Timestamp {
    after(now(), -days)
}

fn indicator(valid_from: Timestamp, score: Option<i64>) -> Value {
    let mut indicator = json!({"pattern_type": "yara", "valid_from": valid_from.to_string()});
    if let Some(score) = score {
        indicator["x_opencti_score"] = json!(score);
    }
    indicator
}

fn life(valid_from: Timestamp, score: Option<i64>, generation: Generation) -> Life {
    Life::new(&indicator(valid_from, score), generation, US, now()).unwrap()
}

fn days(life: &Life) -> f64 {
    life.valid_until
        .duration_since(life.valid_from)
        .as_secs_f64()
        / 86400.0
}

#[test]
fn an_indicator_lives_for_the_lifetime_of_its_main_type() {
    // Main type, pattern type, lifetime in days. What is a day older is revoked, what is a day younger is alive.
    for (main, pattern, lifetime) in [
        (Some("StixFile"), "stix", 460.0),
        (Some("File"), "yara", 460.0),
        (Some("Artifact"), "stix", 460.0),
        (None, "yara", 460.0),
        (Some("Url"), "stix", 47.0),
        (Some("IPv4-Addr"), "stix", 47.0),
        (Some("IPv6-Addr"), "stix", 47.0),
        (Some("Domain-Name"), "stix", 300.0),
        (Some("Mutex"), "stix", 470.0),
        (None, "stix", 470.0),
    ] {
        for (age, revoked) in [(lifetime + 1.0, true), (lifetime - 1.0, false)] {
            let mut sent = indicator(ago(age), None);
            sent["pattern_type"] = json!(pattern);
            sent["x_opencti_main_observable_type"] = json!(main);
            let life = Life::new(&sent, Generation::Newest, US, now()).unwrap();
            assert_eq!(life.revoked, revoked, "{main:?} {pattern} {age}");
            assert_eq!(life.decay.is_none(), revoked);
        }
    }
    // 6.2.18 does not take a YARA rule for one of files.
    assert!(!life(ago(465.0), None, Generation::Oldest).revoked);
}

#[test]
fn without_valid_from_life_begins_when_it_was_created_and_without_that_now() {
    for (sent, from) in [
        (
            json!({"valid_from": "2026-11-01T00:00:00Z", "created": "2026-10-01T00:00:00Z"}),
            "2026-11-01T00:00:00Z",
        ),
        (
            json!({"created": "2026-10-01T00:00:00Z"}),
            "2026-10-01T00:00:00Z",
        ),
        (json!({}), NOW),
    ] {
        let life = Life::new(&sent, Generation::Newest, US, now()).unwrap();
        assert_eq!(life.valid_from, from.parse().unwrap());
    }
}

#[test]
fn a_score_falls_and_what_is_worn_out_is_revoked_by_the_next_pass() {
    // Score sent, days until it has fallen to 20, whether the next pass revokes it, and the score then.
    for (score, valid, worn_out, then) in [
        (None, 290.0, false, 50),
        (Some(60), 319.0, false, 60),
        (Some(100), 376.0, false, 100),
        (Some(21), 29.0, false, 21),
        (Some(20), 0.0, true, 20),
        (Some(1), 0.0, true, 20),
        (Some(0), 0.0, true, 20),
    ] {
        let mut life = life(now(), score, Generation::Newest);
        assert!(
            (days(&life) - valid).abs() < 1.0,
            "{score:?}: {}",
            days(&life)
        );
        assert!(!life.revoked);
        let revoked = life.pass(after(now(), 1.0 / 1440.0), "manager");
        assert_eq!(
            (revoked, life.revoked, life.score),
            (worn_out, worn_out, then),
            "{score:?}"
        );
    }
    // Alive by its lifetime, and yet worn out.
    let mut life = life(ago(300.0), None, Generation::Newest);
    assert!(!life.revoked && life.pass(now(), "manager"));
}

#[test]
fn what_is_sent_of_the_end_counts_at_creation_alone() {
    for (sent, revoked) in [
        (
            json!({"valid_from": "2026-11-01T00:00:00Z", "valid_until": "2026-11-02T00:00:00Z"}),
            true,
        ),
        (
            json!({"valid_from": "2026-11-01T00:00:00Z", "revoked": true}),
            true,
        ),
        (
            json!({"valid_from": "2024-01-01T00:00:00Z", "revoked": false}),
            true,
        ),
        (
            json!({"valid_from": "2026-11-01T00:00:00Z", "valid_until": "2027-11-02T00:00:00Z"}),
            false,
        ),
    ] {
        let life = Life::new(&sent, Generation::Newest, US, now()).unwrap();
        assert_eq!(life.revoked, revoked, "{sent}");
    }
    let sent = json!({"valid_from": "2026-11-02T00:00:00Z", "valid_until": "2026-11-01T00:00:00Z"});
    let error = Life::new(&sent, Generation::Newest, US, now()).unwrap_err();
    assert_eq!(error.code, "VALIDATION_ERROR");
}

/// What stands on the platform before the second delivery.
fn before(state: &str, generation: Generation) -> Life {
    let later = after(now(), 1.0 / 1440.0);
    match state {
        "alive" => life(ago(10.0), None, generation),
        "scored 80" => life(ago(10.0), Some(80), generation),
        "revoked by an analyst" => {
            let mut life = life(ago(10.0), None, generation);
            life.set_revoked(true, generation, "analyst", now());
            life
        }
        "scored 80, revoked by an analyst" => {
            let mut life = life(ago(10.0), Some(80), generation);
            life.set_revoked(true, generation, "analyst", now());
            life
        }
        "scored 70 by an analyst" => {
            let mut life = life(ago(10.0), None, generation);
            life.set_score(70, generation, "analyst", now());
            life
        }
        "too old, scored 1" => life(ago(900.0), Some(1), generation),
        "too old" => life(ago(900.0), None, generation),
        "too old, un-revoked by an analyst" => {
            let mut life = life(ago(900.0), None, generation);
            life.set_revoked(false, generation, "analyst", now());
            life
        }
        "worn out, scored 1" => {
            let mut life = life(ago(10.0), Some(1), generation);
            assert!(life.pass(later, "manager"));
            life
        }
        "worn out by age" => {
            let mut life = life(ago(300.0), None, generation);
            assert!(life.pass(later, "manager"));
            life
        }
        _ => unreachable!("{state}"),
    }
}

#[test]
fn a_further_delivery_keeps_or_renews_by_the_rule_of_the_release() {
    use Generation::{Middle, Newest, Oldest};
    let (fresh, old) = (0.0, 900.0);
    // Before; delivered with this score and a valid_from so many days ago; release; revoked and score then; kept?
    let cases = [
        ("alive", None, fresh, Newest, (false, 50), true),
        ("alive", Some(50), fresh, Newest, (false, 50), true),
        ("alive", Some(60), fresh, Newest, (false, 60), false),
        ("alive", None, old, Newest, (false, 50), true),
        ("alive", Some(60), old, Newest, (true, 60), false),
        ("scored 80", None, fresh, Newest, (false, 50), false),
        (
            "revoked by an analyst",
            None,
            fresh,
            Newest,
            (true, 20),
            true,
        ),
        (
            "revoked by an analyst",
            Some(60),
            fresh,
            Newest,
            (false, 60),
            false,
        ),
        (
            "scored 80, revoked by an analyst",
            None,
            fresh,
            Newest,
            (false, 50),
            false,
        ),
        (
            "scored 80, revoked by an analyst",
            Some(80),
            fresh,
            Newest,
            (true, 20),
            true,
        ),
        (
            "scored 70 by an analyst",
            None,
            fresh,
            Newest,
            (false, 70),
            true,
        ),
        ("too old, scored 1", None, fresh, Newest, (false, 50), false),
        ("too old, scored 1", None, old, Newest, (true, 50), false),
        ("too old", None, fresh, Newest, (false, 50), false),
        (
            "too old, un-revoked by an analyst",
            None,
            old,
            Newest,
            (true, 50),
            false,
        ),
        (
            "worn out, scored 1",
            None,
            fresh,
            Newest,
            (false, 50),
            false,
        ),
        ("worn out by age", None, fresh, Newest, (true, 20), true),
        (
            "revoked by an analyst",
            None,
            fresh,
            Middle,
            (false, 50),
            false,
        ),
        (
            "scored 70 by an analyst",
            None,
            fresh,
            Middle,
            (false, 50),
            false,
        ),
        ("alive", None, fresh, Middle, (false, 50), true),
        ("alive", None, old, Middle, (true, 50), false),
        ("worn out by age", None, fresh, Middle, (false, 50), false),
        ("too old, scored 1", None, fresh, Middle, (false, 50), false),
        ("alive", None, fresh, Oldest, (false, 50), true),
        (
            "revoked by an analyst",
            None,
            fresh,
            Oldest,
            (true, 50),
            true,
        ),
        ("too old", None, fresh, Oldest, (true, 50), true),
        ("too old, scored 1", None, fresh, Oldest, (false, 50), false),
        ("alive", None, old, Oldest, (true, 50), false),
    ];
    for (state, score, age, generation, (revoked, then), kept) in cases {
        let case = format!("{state} {score:?} {age} {generation:?}");
        let mut life = before(state, generation);
        let stood = life.clone();
        let sent = Life::new(&indicator(ago(age), score), generation, US, now()).unwrap();
        life.deliver(sent, None, generation, US);
        assert_eq!((life.revoked, life.score), (revoked, then), "{case}");
        assert_eq!(life == stood, kept, "{case}");
        if !kept {
            assert_eq!(life.valid_from, ago(age), "{case}");
        }
    }
}

#[test]
fn a_score_that_was_sent_before_is_not_set_again() {
    let mut life = life(now(), Some(60), Generation::Newest);
    for (sent, then) in [(70, 70), (60, 70), (80, 80), (70, 80)] {
        let delivered = Life::new(&indicator(now(), Some(sent)), Generation::Newest, US, now());
        life.deliver(delivered.unwrap(), None, Generation::Newest, US);
        assert_eq!(life.score, then, "{sent}");
    }
}

#[test]
fn an_analyst_sets_what_the_user_interface_sets() {
    let later = after(now(), 5.0);
    // Release, revoke it first?, then un-revoke it: score and days of life from then.
    for (generation, first, score, lasts) in [
        (Generation::Newest, ago(10.0), 50, 460.0),
        (Generation::Newest, ago(900.0), 50, 90.0),
        (Generation::Middle, ago(10.0), 50, 460.0),
    ] {
        let mut life = life(first, None, generation);
        life.set_revoked(true, generation, "analyst", now());
        assert!(life.revoked && !life.detection);
        life.set_revoked(false, generation, "analyst", later);
        assert_eq!((life.revoked, life.score), (false, score), "{first}");
        assert_eq!(life.valid_until, after(later, lasts), "{first}");
    }
    let mut life = life(ago(10.0), None, Generation::Newest);
    life.set_revoked(true, Generation::Newest, "analyst", later);
    assert_eq!((life.score, life.valid_until), (20, later));
}
