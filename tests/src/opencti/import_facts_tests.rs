//! Facts about what a real platform takes.

use super::*;

fn file(number: u32, hashes: &Value) -> Value {
    json!({
        "type": "file", "spec_version": "2.1", "hashes": hashes,
        "id": format!("file--88a92d93-6f12-54ff-af82-9cb63f8e{number:04}"),
        "object_marking_refs": [CLEAR], "x_opencti_created_by_ref": AUTHOR,
    })
}

fn relationship(source: &Value, target: &Value) -> Value {
    json!({
        "type": "relationship", "spec_version": "2.1", "relationship_type": "related-to",
        "id": "relationship--a1322115-0c52-50e8-9c66-877f2903e4b9",
        "created": "2026-01-01T00:00:00.000Z", "modified": "2026-01-01T00:00:00.000Z",
        "source_ref": source["id"], "target_ref": target["id"],
        "object_marking_refs": [CLEAR], "created_by_ref": AUTHOR,
    })
}

const TLSH: &str = "T1AE1533C6F23A1CE7C05E00C9A7A7512E40D9B6DC0E67A6B1E5B8B3E2A24F05E3C0";

#[test]
fn a_file_with_a_tlsh_is_refused_by_the_releases_that_cannot_name_it() {
    for (version, refused) in [
        ("6.2.18", false),
        ("6.7.5", true),
        ("6.9.22", true),
        ("7.260817.0", false),
    ] {
        let (mut platform, work) = platform(version);
        let file = file(
            1,
            &json!({"MD5": "d41d8cd98f00b204e9800998ecf8427e", "TLSH": TLSH}),
        );
        let objects = [author(), file.clone(), url(1), relationship(&file, &url(1))];
        queued(&mut platform, &work, true, &objects);
        let report = platform.arrivals();
        let kinds: Vec<bool> = report
            .refused
            .iter()
            .map(|it| {
                it.contains("FUNCTIONAL_ERROR: Missing required elements for StixFile creation")
            })
            .collect();
        // With it, what is related to it.
        let expected: &[bool] = if refused { &[true, false] } else { &[] };
        assert_eq!(kinds, expected, "{version}");
        assert_eq!(
            platform.store.len(),
            if refused { 2 } else { 4 },
            "{version}"
        );
    }
}

#[test]
fn what_the_platform_has_already_can_be_related_to_though_it_is_refused_now() {
    let (mut platform, work) = platform("7.260817.0");
    queued(&mut platform, &work, true, &[author(), url(1), url(2)]);
    platform.refuse(|object| (object["value"] == "http://2.example/").then(|| "no".to_owned()));
    queued(
        &mut platform,
        &work,
        true,
        &[url(2), relationship(&url(1), &url(2))],
    );
    assert_eq!(platform.arrivals().refused.len(), 1);
    assert_eq!(platform.store.len(), 4);
}

#[test]
fn two_variants_of_a_family_become_one_and_the_relationship_to_the_first_fails() {
    let (mut platform, work) = platform("7.260817.0");
    let ssdeep = "3:AXGBicFlgVNhBGcL6wCrFQEv:AXGHsNhxLsr2C";
    let variants = [
        "d41d8cd98f00b204e9800998ecf8427e",
        "d41d8cd98f00b204e9800998ecf8427f",
    ]
    .map(|md5| {
        let mut file = file(1, &json!({"MD5": md5, "SSDEEP": ssdeep}));
        file["id"] = json!(crate::opencti::ids::standard_id(&file, str::to_owned).unwrap());
        file
    });
    let [first, second] = variants;
    let objects = [
        author(),
        url(1),
        first.clone(),
        second,
        relationship(&url(1), &first),
    ];
    queued(&mut platform, &work, true, &objects);
    let report = platform.arrivals();
    assert_eq!(
        (report.merged_files.len(), report.refused.len()),
        (1, 1),
        "{report:?}"
    );
    assert!(report.refused[0].contains(first["id"].as_str().unwrap()));
}

fn indicator(fields: &[(&str, Value)]) -> Value {
    let mut indicator = json!({
        "type": "indicator", "spec_version": "2.1", "name": "a rule",
        "id": "indicator--a1322115-0c52-50e8-9c66-877f2903e4b9",
        "created": "2026-01-01T00:00:00.000Z", "modified": "2026-01-01T00:00:00.000Z",
        "pattern": "rule a { condition: true }", "pattern_type": "yara",
        "object_marking_refs": [CLEAR], "created_by_ref": AUTHOR,
    });
    for (name, value) in fields {
        indicator[*name] = value.clone();
    }
    indicator
}

#[test]
fn an_indicator_that_is_dead_on_arrival_is_found_out() {
    let now = jiff::Timestamp::now().to_string();
    for (fields, found) in [
        (vec![("valid_from", json!(now))], None),
        (
            vec![("valid_from", json!("2020-01-01T00:00:00Z"))],
            Some("too old"),
        ),
        (
            vec![("valid_from", json!(now)), ("x_opencti_score", json!(20))],
            Some("worn out"),
        ),
    ] {
        let (mut platform, work) = platform("7.260817.0");
        queued(&mut platform, &work, true, &[author(), indicator(&fields)]);
        let report = platform.arrivals();
        let found_out = report
            .revoked_on_arrival
            .first()
            .map(|it| it.rsplit(": ").next().unwrap());
        assert_eq!(found_out, found, "{fields:?}");
        let revoked = platform
            .store
            .get("indicator--a1322115-0c52-50e8-9c66-877f2903e4b9")
            .unwrap();
        assert_eq!(revoked.life.as_ref().unwrap().revoked, found.is_some());
    }
}

#[test]
fn an_indicator_grows_old_with_the_platform() {
    let (mut platform, work) = platform("7.260817.0");
    let now = jiff::Timestamp::now().to_string();
    let indicator = indicator(&[("valid_from", json!(now))]);
    queued(&mut platform, &work, true, &[author(), indicator.clone()]);
    let is_revoked = |platform: &Platform| {
        let id = indicator["id"].as_str().unwrap();
        platform
            .store
            .get(id)
            .unwrap()
            .life
            .as_ref()
            .unwrap()
            .revoked
    };
    let day = SignedDuration::from_hours(24);
    platform.pass_time(day * 289);
    assert!(!is_revoked(&platform));
    platform.pass_time(day * 2);
    assert!(is_revoked(&platform));
}

#[test]
fn what_comes_without_author_or_marking_is_found_out() {
    let (mut platform, work) = platform("7.260817.0");
    let mut bare = url(1);
    bare.as_object_mut()
        .unwrap()
        .retain(|name, _| !name.ends_with("_ref") && !name.ends_with("_refs"));
    let mut lost = url(2);
    lost["x_opencti_created_by_ref"] = json!("identity--273c879a-bfb3-5dee-9f1f-3fffd76a8756");
    queued(&mut platform, &work, true, &[author(), bare, lost]);
    let report = platform.arrivals();
    let numbers = [
        report.refused.len(),
        report.lost_references.len(),
        report.without_author.len(),
        report.without_marking.len(),
    ];
    assert_eq!(numbers, [0, 1, 2, 1], "{report:?}");
}

#[test]
fn an_account_that_may_not_see_the_marking_brings_nothing() {
    const AMBER: &str = "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82";
    let (mut platform, work) = platform("7.260817.0");
    let mut author_of_another = author();
    author_of_another["object_marking_refs"] = json!([AMBER]);
    queued(&mut platform, &work, true, &[author_of_another]);
    platform.user.sight = crate::opencti::marking::Sight(crate::opencti::Tlp::Green);
    let mut marked = url(1);
    marked["object_marking_refs"] = json!([AMBER]);
    // The author is there already, where this account does not see it.
    queued(&mut platform, &work, true, &[author(), marked, url(2)]);
    let report = platform.arrivals();
    assert_eq!(report.refused.len(), 2, "{report:?}");
    for part in [
        "UNSUPPORTED_ERROR: Restricted entity already exists",
        "MISSING_REFERENCE_ERROR",
    ] {
        assert!(
            report.refused.iter().any(|it| it.contains(part)),
            "{report:?}"
        );
    }
    // What it may see comes without its author.
    assert_eq!(report.without_author.len(), 1, "{report:?}");
}

#[test]
fn an_uploaded_artifact_is_updated_by_the_object_of_a_bundle() {
    let (mut platform, work) = platform("7.260817.0");
    let hashes = json!({"MD5": "d41d8cd98f00b204e9800998ecf8427e"});
    let mut artifact = json!({"type": "artifact", "hashes": hashes});
    artifact["id"] = json!(crate::opencti::ids::standard_id(&artifact, str::to_owned).unwrap());
    let origin = crate::opencti::store::Origin {
        size: Some(7),
        ..Default::default()
    };
    platform.store.upsert(&artifact, &origin).unwrap();
    let mut described = artifact.clone();
    for (name, value) in [
        ("spec_version", json!("2.1")),
        ("x_opencti_labels", json!(["new"])),
        ("x_opencti_score", json!(80)),
        ("x_opencti_created_by_ref", json!(AUTHOR)),
        ("object_marking_refs", json!([CLEAR])),
    ] {
        described[name] = value;
    }
    let file = file(1, &hashes);
    let objects = [
        author(),
        described,
        file.clone(),
        relationship(&artifact, &file),
    ];
    queued(&mut platform, &work, true, &objects);
    assert_eq!(platform.arrivals(), crate::opencti::Report::default());
    assert!(
        platform.validity_problems.is_empty(),
        "{:?}",
        platform.validity_problems
    );
    let stored = platform
        .store
        .get(artifact["id"].as_str().unwrap())
        .unwrap();
    assert_eq!((stored.size, stored.imports), (Some(7), 2));
    assert_eq!(
        (
            &stored.object["x_opencti_score"],
            &stored.object["x_opencti_labels"]
        ),
        (&json!(80), &json!(["new"]))
    );
    assert!(platform.labels.contains("new"));
}

#[test]
fn the_errors_of_a_work_end_at_a_hundred_and_each_has_its_source() {
    let (mut platform, work) = platform("7.260817.0");
    platform.refuse(|object| (object["type"] == "url").then(|| "no".to_owned()));
    let mut objects: Vec<Value> = (1..=120).map(url).collect();
    objects.push(author());
    queued(&mut platform, &work, true, &objects);
    let work = platform.work(&work).unwrap();
    assert_eq!((work.errors.len(), work.processed), (100, 121));
    let source: Value = serde_json::from_str(work.errors[0].source.as_ref().unwrap()).unwrap();
    assert_eq!(source["type"], "url");
    assert_eq!(
        work.errors[0].message,
        "{'name': 'FUNCTIONAL_ERROR', 'error_message': 'no'}"
    );
    assert_eq!(platform.arrivals().refused.len(), 120);
}

#[test]
fn deliveries_tell_what_each_object_cost_the_worker() {
    use crate::opencti::pace::{self, Cost};
    // Release, sent in one piece, messages that the workers take.
    for (version, no_split, messages) in [
        ("7.260817.0", true, 1),
        ("6.6.9", true, 4),
        ("7.260817.0", false, 4),
    ] {
        let (mut platform, work) = platform(version);
        platform.refuse(|object| (object["value"] == "http://2.example/").then(|| "no".to_owned()));
        let objects = [author(), url(1), url(2), relationship(&url(1), &url(2))];
        queued(&mut platform, &work, no_split, &objects);
        let costs = &platform.deliveries[0].costs;
        assert_eq!(
            costs,
            &[Cost::Once, Cost::Once, Cost::Once, Cost::Retried],
            "{version}"
        );
        let pace = pace::of(&platform.deliveries, 1);
        assert_eq!((pace.messages, pace.objects), (messages, 4), "{version}");
        assert!((8.3..8.4).contains(&pace.seconds), "{}", pace.seconds);
    }
}

#[test]
fn a_pattern_is_judged_by_the_tool_of_its_language() {
    let refused = |language: &str| {
        format!("FUNCTIONAL_ERROR: Indicator of type {language} is not correctly formatted.")
    };
    // Language, pattern, whether it is refused.
    for (language, pattern, is_bad) in [
        ("yara", "rule a { condition: true }", false),
        (
            "yara",
            "import \"hash\" rule a { condition: hash.md5(0, 1) == \"\" }",
            false,
        ),
        (
            "yara",
            "rule a { strings: $a = /a.*b/ condition: $a }",
            false,
        ),
        ("yara", "rule a { condition: }", true),
        (
            "yara",
            "import \"vt\" rule a { condition: vt.metadata.new_file }",
            true,
        ),
        (
            "yara",
            "rule a { strings: $a = /(?:ab)c/ condition: $a }",
            true,
        ),
        (
            "yara",
            "rule a { strings: $a = { 00 [0-300] ( 01 [0-300] 02 | 03 ) } condition: $a }",
            true,
        ),
        ("stix", "[url:value = 'http://a.example/']", false),
        ("stix", "[url:value = ", true),
        ("sigma", "anything", false),
    ] {
        let (mut platform, work) = platform("7.260817.0");
        let now = jiff::Timestamp::now().to_string();
        let bad = indicator(&[
            ("pattern_type", json!(language)),
            ("pattern", json!(pattern)),
            ("valid_from", json!(now)),
        ]);
        queued(
            &mut platform,
            &work,
            true,
            &[author(), url(1), bad.clone(), relationship(&bad, &url(1))],
        );
        let report = platform.arrivals();
        // With it, what it is related to.
        assert_eq!(
            report.refused.len(),
            if is_bad { 2 } else { 0 },
            "{pattern}: {report:?}"
        );
        if is_bad {
            assert!(
                report.refused[0].ends_with(&refused(language)),
                "{report:?}"
            );
        }
    }
}
