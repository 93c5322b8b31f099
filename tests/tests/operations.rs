//! Every GraphQL operation of the connector against the platform's schemas: the simulator's, and the real ones
//! where they are at hand.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::path::Path;

use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Schema};
use connector_host::opencti::{OPERATIONS, Operation, Variant, Version};

/// Releases where something changed, the first, and the newest known.
const RELEASES: [&str; 5] = ["6.0.0", "6.2.12", "6.7.0", "6.9.22", "7.260817.0"];

fn version(text: &str) -> Version {
    Version::parse(text).unwrap_or_else(|| panic!("{text} is no version"))
}

fn simulated(text: &str) -> Valid<Schema> {
    let version = text.parse().unwrap();
    connector_tests::opencti::schema(&version).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// What is wrong with the variant that the connector sends to a release, for every operation that the release
/// has.
fn refusals(schema: &Valid<Schema>, release: Version) -> Vec<String> {
    sent_to(release)
        .filter_map(|(operation, variant)| {
            let refusal = refusal(schema, variant)?;
            Some(format!(
                "{operation} ({}) on {release}: {refusal}",
                variant.name
            ))
        })
        .collect()
}

fn sent_to(release: Version) -> impl Iterator<Item = (&'static Operation, &'static Variant)> {
    OPERATIONS
        .iter()
        .filter_map(move |operation| Some((*operation, operation.for_version(release)?)))
}

fn refusal(schema: &Valid<Schema>, variant: &Variant) -> Option<String> {
    let found = ExecutableDocument::parse_and_validate(schema, variant.text, variant.name).err()?;
    Some(found.errors.to_string())
}

#[test]
fn every_release_accepts_what_is_sent_to_it() {
    let boundaries = OPERATIONS
        .iter()
        .flat_map(|operation| operation.variants())
        .map(|variant| variant.since.to_string());
    for release in RELEASES.into_iter().map(str::to_owned).chain(boundaries) {
        let refusals = refusals(&simulated(&release), version(&release));
        assert!(refusals.is_empty(), "{}", refusals.join("\n"));
    }
}

/// The fallback of a request that was refused as invalid.
#[test]
fn every_later_release_accepts_the_oldest_variant() {
    for release in RELEASES {
        let schema = simulated(release);
        for operation in OPERATIONS {
            let Some(oldest) = operation
                .oldest()
                .filter(|oldest| oldest.since <= version(release))
            else {
                continue;
            };
            assert_eq!(refusal(&schema, oldest), None, "{operation} on {release}");
        }
    }
}

#[test]
fn a_release_refuses_what_it_does_not_have() {
    let newest = OPERATIONS
        .iter()
        .flat_map(|operation| operation.variants().first());
    let first = simulated("6.0.0");
    let refused = newest
        .filter(|variant| refusal(&first, variant).is_some())
        .count();
    assert!(
        refused > 5,
        "6.0.0 refuses {refused} of the newest variants"
    );
}

#[test]
fn the_real_schemas_accept_what_is_sent_to_them() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/schema");
    let Ok(files) = std::fs::read_dir(&folder) else {
        println!(
            "skipped: the platform's schemas are not at hand ({})",
            folder.display()
        );
        return;
    };
    let mut checked = 0;
    for file in files {
        let path = file.unwrap().path();
        let Some(release) = release_of(&path) else {
            continue;
        };
        let schema = real(&path);
        let nonsense = "query { about { nonsense } }";
        assert!(
            ExecutableDocument::parse_and_validate(&schema, nonsense, "nonsense").is_err(),
            "{} lets everything pass",
            path.display()
        );
        let refusals = refusals(&schema, release);
        assert!(refusals.is_empty(), "{}", refusals.join("\n"));
        checked += 1;
    }
    assert!(checked > 0, "no schema in {}", folder.display());
}

/// `opencti-6.9.22.graphql`, `opencti-7.260817.graphql`.
fn release_of(path: &Path) -> Option<Version> {
    let name = path.file_name()?.to_str()?;
    let release = name.strip_prefix("opencti-")?.strip_suffix(".graphql")?;
    Some(version(&match release.matches('.').count() {
        1 => format!("{release}.0"),
        _ => release.to_owned(),
    }))
}

/// The real SDL is read and not validated: it has directives that the parser's validation does not know.
fn real(path: &Path) -> Valid<Schema> {
    let sdl = std::fs::read_to_string(path).unwrap();
    Valid::assume_valid(match Schema::parse(sdl, path) {
        Ok(schema) => schema,
        Err(found) => found.partial,
    })
}
