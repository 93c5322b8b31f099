use serde_json::json;

use super::*;

const AUTHOR: &str = "identity--173c879a-bfb3-5dee-9f1f-3fffd76a8756";

fn origin(version: &str) -> Origin {
    Origin {
        version: version.parse().unwrap(),
        ..Origin::default()
    }
}

fn put(store: &mut Store, object: &Value) -> String {
    store
        .upsert(object, &Origin::default())
        .unwrap()
        .standard_id
}

fn id_of(algorithm: &str, hash: &str) -> String {
    let file = json!({"type": "file", "hashes": {algorithm: hash}});
    hash_ids(&file, &Version::default()).remove(0)
}

#[test]
fn a_file_is_one_object_by_any_of_its_hashes() {
    let mut store = Store::default();
    let md5 = "d41d8cd98f00b204e9800998ecf8427e";
    let first = json!({"type": "file", "id": "file--1", "hashes": {"MD5": md5}, "name": "a"});
    let second =
        json!({"type": "file", "id": "file--2", "hashes": {"MD5": md5, "SHA-1": "da"}, "size": 1});
    let ids = [&first, &second].map(|it| put(&mut store, it));
    assert_eq!(ids[0], ids[1]);
    let stored = store.get("file--2").unwrap();
    assert_eq!((store.len(), stored.imports), (1, 2));
    assert_eq!(stored.object["name"], "a");
    assert_eq!(stored.object["size"], 1);
    assert_eq!(stored.stix_ids, ["file--1", "file--2"]);
    assert!(store.knows(&id_of("SHA-1", "da")));
    assert!(store.knows(&stored.internal_id) && !store.knows(AUTHOR));
}

/// Two files of one family, whose fuzzy hash is the same.
fn variants(fuzzy: &str) -> [Value; 2] {
    [1, 2].map(|number| {
        json!({
            "type": "file", "id": id_of("SHA-256", &format!("c{number}")), "name": format!("name {number}"),
            "hashes": {"MD5": format!("a{number}"), "SHA-1": format!("b{number}"),
                "SHA-256": format!("c{number}"), fuzzy: "3:ab:cd"},
        })
    })
}

#[test]
fn a_file_with_the_fuzzy_hash_of_another_takes_its_place() {
    for (version, fuzzy, becomes_one) in [
        ("6.2.18", "SSDEEP", false),
        ("6.7.5", "SSDEEP", true),
        ("7.260817.0", "SSDEEP", true),
        ("7.260817.0", "TLSH", true),
    ] {
        let (mut store, origin) = (Store::default(), origin(version));
        let [first, second] = variants(fuzzy);
        store.upsert(&first, &origin).unwrap();
        let imported = store.upsert(&second, &origin).unwrap();
        let case = format!("{version} {fuzzy}");
        assert_eq!(imported.merged.is_some(), becomes_one, "{case}");
        assert_eq!(store.len(), if becomes_one { 1 } else { 2 }, "{case}");
        // The first is not found any more, by any of its ids.
        for (algorithm, hash) in [("MD5", "a1"), ("SHA-1", "b1"), ("SHA-256", "c1")] {
            assert_eq!(store.knows(&id_of(algorithm, hash)), !becomes_one, "{case}");
        }
        assert_eq!(imported.standard_id, id_of("MD5", "a2"), "{case}");
        let stored = store.get(&id_of("SHA-256", "c2")).unwrap();
        assert_eq!(stored.object["hashes"], second["hashes"], "{case}");
        assert_eq!(stored.object["name"], "name 2", "{case}");
        if becomes_one {
            assert_eq!(
                stored.object["x_opencti_additional_names"],
                json!(["name 1"])
            );
        }
    }
}

#[test]
fn files_without_a_common_hash_stay_two_and_a_third_with_something_of_both_is_refused() {
    let mut store = Store::default();
    let [first, mut second] = variants("SSDEEP");
    second["hashes"]["SSDEEP"] = json!("3:ef:gh");
    put(&mut store, &first);
    put(&mut store, &second);
    assert_eq!(store.len(), 2);
    let third = json!({"type": "file", "id": "file--3", "hashes": {"MD5": "a1", "SHA-1": "b2"}});
    let error = store.upsert(&third, &Origin::default()).unwrap_err();
    assert_eq!(
        (error.code.as_str(), error.message.as_str()),
        ("VALIDATION_ERROR", "Hashes collision")
    );
    // Where nothing contradicts, both become one.
    let mut store = Store::default();
    for (id, hashes) in [
        ("file--1", json!({"MD5": "a1"})),
        ("file--2", json!({"SHA-1": "b1"})),
        ("file--3", json!({"MD5": "a1", "SHA-1": "b1"})),
    ] {
        put(
            &mut store,
            &json!({"type": "file", "id": id, "hashes": hashes}),
        );
    }
    assert_eq!(store.len(), 1);
    assert!(
        ["file--1", "file--2", "file--3"]
            .iter()
            .all(|id| store.knows(id))
    );
}

#[test]
fn a_relationship_is_one_object_by_its_ends_whatever_ids_they_are_named_by() {
    let mut store = Store::default();
    let url = json!({"type": "url", "id": "url--1", "value": "http://a.example"});
    let standard = put(&mut store, &url);
    let relationship = |id: &str, target: &str| {
        json!({"type": "relationship", "id": id, "relationship_type": "related-to",
            "source_ref": AUTHOR, "target_ref": target})
    };
    put(&mut store, &relationship("relationship--1", "url--1"));
    put(&mut store, &relationship("relationship--2", &standard));
    assert_eq!(store.len(), 2);
    // Its end is deleted, and it with it.
    assert!(store.remove("url--1") && !store.remove("url--1"));
    assert!(store.is_empty());
}

#[test]
fn what_an_account_does_not_see_is_restricted() {
    let mut store = Store::default();
    let url = json!({"type": "url", "id": "url--1", "value": "http://a.example",
        "object_marking_refs": [Tlp::Amber.id()]});
    put(&mut store, &url);
    let origin = Origin {
        sight: Sight(Tlp::Green),
        ..Origin::default()
    };
    let error = store.upsert(&url, &origin).unwrap_err();
    assert_eq!(error.message, "Restricted entity already exists");
}
