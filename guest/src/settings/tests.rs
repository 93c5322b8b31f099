use serde_json::Value;

use super::*;

fn given(settings: &[(&str, &str)]) -> Vec<Setting> {
    settings
        .iter()
        .map(|(name, value)| Setting {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
        })
        .collect()
}

fn parse(settings: &[(&str, &str)]) -> (Settings, Vec<Remark>) {
    Settings::parse(&given(settings)).unwrap()
}

fn problems(settings: &[(&str, &str)]) -> Vec<(String, String)> {
    Settings::parse(&given(settings))
        .unwrap_err()
        .into_iter()
        .map(|problem| (problem.setting, problem.reason))
        .collect()
}

#[test]
fn defaults_are_those_of_the_table() {
    let empty: Vec<_> = table::ALL.iter().map(|it| (it.name, "")).collect();
    let defaults: Vec<_> = table::ALL.iter().map(|it| (it.name, it.default)).collect();
    let (none, remarks) = parse(&[]);
    assert!(remarks.is_empty());
    let none = format!("{none:?}");
    assert_eq!(none, format!("{:?}", parse(&empty).0));
    assert_eq!(none, format!("{:?}", parse(&defaults).0));
    insta::assert_snapshot!("defaults", none.replace(", ", ",\n"));
}

#[test]
fn every_setting_of_the_table_is_read() {
    let plain = format!("{:?}", parse(&[]).0);
    for definition in table::ALL {
        let value = match definition.kind {
            Kind::Boolean if definition.default == "true" => "No",
            Kind::Boolean => "YES",
            Kind::Integer => "17",
            Kind::Text => "other",
            Kind::List | Kind::Choice => definition.choices.last().unwrap_or(&"other"),
        };
        let (changed, _) = parse(&[(definition.name, value)]);
        assert_ne!(format!("{changed:?}"), plain, "{}", definition.name);
    }
}

#[test]
fn values_are_read_as_users_write_them() {
    let (settings, remarks) = parse(&[
        ("ALERT_PREFIX", " [HUNT] "),
        ("EXTENSIONS", " .EXE, ,dll,"),
        ("AV_LIST", "Microsoft , ESET-NOD32"),
        ("TLP_LEVEL", " Amber+Strict "),
        ("ENTITY_TYPES", "URL,file,url"),
        ("MAX_AGE_DAYS", " 0 "),
        ("FILTER_WITH_TAG", "  "),
    ]);
    assert!(remarks.is_empty());
    assert_eq!(settings.alert_prefix, " [HUNT] ");
    assert_eq!(settings.extensions, ["exe", "dll"]);
    assert_eq!(settings.av_list, ["Microsoft", "ESET-NOD32"]);
    assert_eq!(settings.tlp, Tlp::AmberStrict);
    assert_eq!(settings.entity_types, [EntityType::Url, EntityType::File]);
    assert_eq!(settings.max_age_days, None);
    assert_eq!(settings.filter_with_tag, None);
}

#[test]
fn lists_are_read_as_users_write_them() {
    let exe_dll = r#"extensions: ["exe", "dll"]"#;
    let engines = r#"av_list: ["Microsoft", "ESET-NOD32"]"#;
    let cases = [
        ("EXTENSIONS", "exe,dll", exe_dll),
        ("EXTENSIONS", "exe;dll", exe_dll),
        ("EXTENSIONS", "exe dll", exe_dll),
        ("EXTENSIONS", "exe | dll", exe_dll),
        ("EXTENSIONS", "exe\ndll\n", exe_dll),
        ("EXTENSIONS", "[exe,dll]", exe_dll),
        ("EXTENSIONS", "['exe', 'dll']", exe_dll),
        ("EXTENSIONS", "(exe; dll)", exe_dll),
        ("EXTENSIONS", "*.exe, .DLL, exe", exe_dll),
        ("EXTENSIONS", "7z tar.gz", r#"extensions: ["7z", "tar.gz"]"#),
        ("ENTITY_TYPES", "[file; url]", "entity_types: [File, Url]"),
        ("ENTITY_TYPES", "file url", "entity_types: [File, Url]"),
        ("AV_LIST", "Microsoft;ESET-NOD32", engines),
        ("AV_LIST", "[Microsoft, ESET-NOD32]", engines),
        (
            "AV_LIST",
            "Microsoft ESET-NOD32",
            r#"av_list: ["Microsoft ESET-NOD32", "Microsoft", "ESET-NOD32"]"#,
        ),
        (
            "AV_LIST",
            "Skyhigh (SWG)",
            r#"av_list: ["Skyhigh (SWG)", "Skyhigh", "(SWG)"]"#,
        ),
    ];
    for (name, value, expected) in cases {
        let settings = format!("{:?}", parse(&[(name, value)]).0);
        assert!(settings.contains(expected), "{name}={value}: {settings}");
    }
}

#[test]
fn a_filter_that_nothing_can_match_is_refused() {
    let cases = [
        (
            "EXTENSIONS",
            "exe/dll",
            "found \"exe/dll\"; expected a file extension like exe",
        ),
        (
            "EXTENSIONS",
            "*",
            "found \"*\"; expected a file extension like exe",
        ),
        (
            "EXTENSIONS",
            "exe:dll",
            "found \"exe:dll\"; expected a file extension like exe",
        ),
        (
            "MIN_POSITIVES",
            "101",
            "found 101; allowed is a whole number from 0 to 100",
        ),
        (
            "MIN_POSITIVES",
            "5000",
            "found 5000; allowed is a whole number from 0 to 100",
        ),
        (
            "CONFIDENCE",
            "101",
            "found \"101\"; allowed is a whole number from 0 to 100",
        ),
        (
            "CONFIDENCE",
            "high",
            "found \"high\"; allowed is a whole number from 0 to 100",
        ),
    ];
    for (name, value, reason) in cases {
        assert_eq!(
            problems(&[(name, value)]),
            [(name.to_owned(), reason.to_owned())],
            "{value}"
        );
    }
    for (name, value) in [
        ("MIN_POSITIVES", "100"),
        ("CONFIDENCE", "0"),
        ("CONFIDENCE", "100"),
    ] {
        parse(&[(name, value)]);
    }
}

#[test]
fn quotes_are_left_out_with_a_remark() {
    let cases: [(&str, &str, &str, usize); 8] = [
        (
            "EXTENSIONS",
            "'exe,dll'",
            r#"extensions: ["exe", "dll"]"#,
            1,
        ),
        (
            "EXTENSIONS",
            r#""exe","dll""#,
            r#"extensions: ["exe", "dll"]"#,
            2,
        ),
        (
            "EXTENSIONS",
            r#"exe,'dll'"#,
            r#"extensions: ["exe", "dll"]"#,
            1,
        ),
        (
            "FILTER_WITH_TAG",
            r#""mytag""#,
            r#"filter_with_tag: Some("mytag")"#,
            1,
        ),
        (
            "FILTER_WITH_TAG",
            r#""my'"#,
            r#"filter_with_tag: Some("\"my'")"#,
            0,
        ),
        ("ALERT_PREFIX", "\"VT \"", r#"alert_prefix: "VT ""#, 1),
        ("ALERT_PREFIX", "''", r#"alert_prefix: "VT ""#, 1),
        ("CREATE_FILE", "\"false\"", "create_file: false", 1),
    ];
    for (name, value, expected, count) in cases {
        let (settings, remarks) = parse(&[(name, value)]);
        let settings = format!("{settings:?}");
        assert!(settings.contains(expected), "{name}={value}: {settings}");
        assert_eq!(remarks.len(), count, "{name}={value}: {remarks:?}");
        for remark in remarks {
            assert!(remark.message.starts_with(name));
        }
    }
}

#[test]
fn all_problems_are_named_at_once() {
    let found = problems(&[
        ("CREATE_ALERT", "maybe"),
        ("MAX_AGE_DAYS", "-3"),
        ("MIN_POSITIVES", "1.5"),
        ("TLP_LEVEL", "purple"),
        ("ENTITY_TYPES", "file,email"),
        ("NO_SUCH", "x"),
        ("CREATE_FILE", "true"),
        ("CREATE_FILE", "false"),
        ("MIN_FILE_SIZE", "20"),
        ("MAX_FILE_SIZE", "10"),
    ]);
    insta::assert_debug_snapshot!("problems", found);
}

#[test]
fn description_is_the_table() {
    let mut description: Value = serde_json::from_str(&describe()).unwrap();
    let version = description["version"].take();
    assert_eq!(version, env!("CARGO_PKG_VERSION"));
    insta::assert_json_snapshot!("describe", description);
}
