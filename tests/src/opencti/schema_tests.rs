use std::fs;
use std::path::PathBuf;

use apollo_compiler::Node;
use apollo_compiler::ast::{FieldDefinition, InputValueDefinition};

use super::*;

/// What the project keeps beside its workspace: facts, not part of the repository.
fn shared(path: &str) -> Option<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared")
        .join(path);
    let text = fs::read_to_string(&path).ok();
    if text.is_none() {
        println!("skipped: {} is not there", path.display());
    }
    text
}

fn boundaries() -> Vec<Version> {
    let mut texts: Vec<&str> = SDL
        .split("@since(version: \"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    texts.extend(["6.0.0", "6.9.22", "7.260817.0"]);
    texts.iter().map(|it| it.parse().unwrap()).collect()
}

#[test]
fn every_release_has_a_valid_schema() {
    for version in boundaries() {
        of(&version).unwrap_or_else(|error| panic!("{version}: {error}"));
    }
}

#[test]
fn a_release_lacks_what_is_newer_and_its_sdl_says_nothing_of_it() {
    for (version, path, expected) in [
        ("6.2.11", "Mutation.pingConnector(connectorInfo)", false),
        ("6.2.12", "Mutation.pingConnector(connectorInfo)", true),
        ("6.2.11", "ConnectorInfo.buffering", false),
        ("6.0.0", "Mutation.pingConnector(state)", true),
    ] {
        let schema = of(&version.parse().unwrap()).unwrap();
        assert_eq!(has(&schema, path), expected, "{version} {path}");
        assert!(!schema.to_string().contains("@since"));
    }
}

#[test]
fn the_schema_is_a_part_of_the_real_one() {
    for (version, file) in [
        ("6.0.0", "opencti-6.0.0.graphql"),
        ("6.7.0", "opencti-6.7.0.graphql"),
        ("6.9.22", "opencti-6.9.22.graphql"),
        ("7.260817.0", "opencti-7.260817.graphql"),
    ] {
        let Some(sdl) = shared(&format!("schema/{file}")) else {
            continue;
        };
        // The real SDL holds more than this parser's validation allows, so it is only read.
        let real = match Schema::parse(sdl, file) {
            Ok(schema) => schema,
            Err(error) => error.partial,
        };
        let differences = differences(&of(&version.parse().unwrap()).unwrap(), &real);
        assert!(
            differences.is_empty(),
            "{version}:\n{}",
            differences.join("\n")
        );
        let newer = newer(&version.parse().unwrap(), &real);
        assert!(
            newer.is_empty(),
            "{version} has what is marked as newer:\n{}",
            newer.join("\n")
        );
    }
}

/// Whatever this schema has, the real one must have with the same type; and what the real one
/// requires, this one must require.
fn differences(ours: &Schema, real: &Schema) -> Vec<String> {
    let mut found = Vec::new();
    for (name, definition) in ours.types.iter().filter(|(_, it)| !it.is_built_in()) {
        match (definition, real.types.get(name)) {
            (_, None) => found.push(format!("type {name} does not exist")),
            (ExtendedType::Object(ours), Some(ExtendedType::Object(real))) => {
                for (field, definition) in &ours.fields {
                    let real = real.fields.get(field).map(|it| it.node.clone());
                    field_differences(&format!("{name}.{field}"), definition, real, &mut found);
                }
                for interface in &ours.implements_interfaces {
                    if !real
                        .implements_interfaces
                        .iter()
                        .any(|it| it.name == interface.name)
                    {
                        found.push(format!("{name} does not implement {}", interface.name));
                    }
                }
            }
            (ExtendedType::Interface(ours), Some(ExtendedType::Interface(real))) => {
                for (field, definition) in &ours.fields {
                    let real = real.fields.get(field).map(|it| it.node.clone());
                    field_differences(&format!("{name}.{field}"), definition, real, &mut found);
                }
            }
            (ExtendedType::InputObject(ours), Some(ExtendedType::InputObject(real))) => {
                let ours: Vec<_> = ours.fields.values().map(|it| it.node.clone()).collect();
                let real: Vec<_> = real.fields.values().map(|it| it.node.clone()).collect();
                input_differences(name, &ours, &real, &mut found);
            }
            (ExtendedType::Enum(ours), Some(ExtendedType::Enum(real))) => {
                for value in ours
                    .values
                    .keys()
                    .filter(|it| !real.values.contains_key(*it))
                {
                    found.push(format!("{name} has no value {value}"));
                }
            }
            (ExtendedType::Scalar(_), Some(ExtendedType::Scalar(_))) => {}
            _ => found.push(format!("{name} is of another kind")),
        }
    }
    found
}

fn field_differences(
    path: &str,
    ours: &FieldDefinition,
    real: Option<Node<FieldDefinition>>,
    found: &mut Vec<String>,
) {
    let Some(real) = real else {
        return found.push(format!("{path} does not exist"));
    };
    if !is_as(&ours.ty.to_string(), &real.ty.to_string()) {
        found.push(format!("{path} is {}, here {}", real.ty, ours.ty));
    }
    input_differences(path, &ours.arguments, &real.arguments, found);
}

/// Whether a type is the real one. It may be null where the real one is not: in older releases that may be as well.
fn is_as(ours: &str, real: &str) -> bool {
    ours.replace('!', "") == real.replace('!', "")
        && ours.matches('!').count() <= real.matches('!').count()
}

fn input_differences(
    path: &str,
    ours: &[Node<InputValueDefinition>],
    real: &[Node<InputValueDefinition>],
    found: &mut Vec<String>,
) {
    for input in ours {
        match real.iter().find(|it| it.name == input.name) {
            None => found.push(format!("{path}({}) does not exist", input.name)),
            Some(real) if real.ty != input.ty => {
                found.push(format!(
                    "{path}({}) is {}, here {}",
                    input.name, real.ty, input.ty
                ));
            }
            Some(_) => {}
        }
    }
    for real in real.iter().filter(|it| it.is_required()) {
        if !ours.iter().any(|it| it.name == real.name) {
            found.push(format!("{path} requires {}", real.name));
        }
    }
}

/// What older releases have in another form; here stands only the form that came with the tokens of an account.
const IN_ANOTHER_FORM: [&str; 12] = [
    "Query.groups",
    "Query.users",
    "Mutation.userAdd",
    "Group",
    "GroupConnection",
    "GroupEdge",
    "User",
    "UserConnection",
    "UserEdge",
    "UserAddInput",
    "ConfidenceLevelInput",
    "ConfidenceLevelOverrideInput",
];

/// Fields and types marked as newer than the release, which the release has all the same.
fn newer(version: &Version, real: &Schema) -> Vec<String> {
    let newest = of(&Version::default()).unwrap();
    let release = of(version).unwrap();
    let mut found = Vec::new();
    for (name, definition) in newest.types.iter().filter(|(_, it)| !it.is_built_in()) {
        let Some(older) = release.types.get(name) else {
            if real.types.contains_key(name) {
                found.push(name.to_string());
            }
            continue;
        };
        if let (
            ExtendedType::Object(new),
            ExtendedType::Object(old),
            Some(ExtendedType::Object(real)),
        ) = (definition, older, real.types.get(name))
        {
            let missing = new.fields.keys().filter(|it| !old.fields.contains_key(*it));
            found.extend(
                missing
                    .filter(|it| real.fields.contains_key(*it))
                    .map(|it| format!("{name}.{it}")),
            );
        }
    }
    found.retain(|it| !IN_ANOTHER_FORM.contains(&it.as_str()));
    found
}

#[test]
fn the_boundaries_are_those_that_were_bisected() {
    let Some(table) = shared("reference/opencti-fields-since.tsv") else {
        return;
    };
    let oldest: Version = "6.0.0".parse().unwrap();
    let mut checked = 0;
    for line in table.lines().skip(1) {
        let Some((field, since)) = line.split_once('\t') else {
            continue;
        };
        let since = since.trim().trim_start_matches("<= ");
        let Ok(since) = since.parse::<Version>() else {
            continue;
        };
        let since = since.max(oldest.clone());
        if !has(&of(&Version::default()).unwrap(), field) {
            continue;
        }
        let found = boundaries()
            .into_iter()
            .filter(|it| has(&of(it).unwrap(), field))
            .min()
            .unwrap();
        assert_eq!(found.to_string(), since.to_string(), "{field}");
        checked += 1;
    }
    assert!(
        checked > 30,
        "only {checked} fields of the table are in the schema"
    );
}

/// `Type.field`, `Type.field(argument)` or `InputType.field`.
fn has(schema: &Schema, path: &str) -> bool {
    let (kind, rest) = path.split_once('.').unwrap();
    let (field, argument) = rest
        .trim_end_matches(')')
        .split_once('(')
        .unwrap_or((rest, ""));
    match schema.types.get(kind) {
        Some(ExtendedType::Object(object)) => object.fields.get(field).is_some_and(|it| {
            argument.is_empty() || it.arguments.iter().any(|it| it.name == argument)
        }),
        Some(ExtendedType::InputObject(input)) => input.fields.contains_key(field),
        _ => false,
    }
}

#[test]
fn the_ready_operations_are_accepted_from_their_release_on() {
    use apollo_compiler::ExecutableDocument;
    let Some(text) = shared("reference/opencti-operations.json") else {
        return;
    };
    let operations: serde_json::Value = serde_json::from_str(&text).unwrap();
    let oldest: Version = "6.0.0".parse().unwrap();
    for (name, operation) in operations["queries"].as_object().unwrap() {
        let since: Version = operation["since"].as_str().unwrap().parse().unwrap();
        let since = since.max(oldest.clone());
        for version in boundaries() {
            let schema = of(&version).unwrap();
            let query = operation["query"].as_str().unwrap();
            let accepted = ExecutableDocument::parse_and_validate(&schema, query, "query").is_ok();
            assert_eq!(accepted, version >= since, "{name} on {version}");
        }
    }
}
