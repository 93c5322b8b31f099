//! The schema of one release: the project's own SDL without what is newer.

use anyhow::{Result, anyhow};
use apollo_compiler::Schema;
use apollo_compiler::ast::{Directive, DirectiveList as FieldDirectives};
use apollo_compiler::schema::{DirectiveList as TypeDirectives, ExtendedType};
use apollo_compiler::validation::Valid;

use super::version::Version;

const SDL: &str = include_str!("schema.graphql");

/// The schema as the given release has it.
///
/// # Errors
/// When the SDL is invalid, which a test excludes for every release that has a boundary.
pub fn of(version: &Version) -> Result<Valid<Schema>> {
    let mut schema = Schema::parse(SDL, "schema.graphql").map_err(|it| anyhow!("{it}"))?;
    schema.directive_definitions.shift_remove("since");
    schema.types.retain(|_, definition| match definition {
        ExtendedType::Object(it) => keep_component(&mut it.make_mut().directives, version),
        ExtendedType::InputObject(it) => keep_component(&mut it.make_mut().directives, version),
        ExtendedType::Enum(it) => keep_component(&mut it.make_mut().directives, version),
        _ => true,
    });
    for definition in schema.types.values_mut() {
        match definition {
            ExtendedType::Object(object) => object.make_mut().fields.retain(|_, field| {
                let field = field.make_mut();
                field
                    .arguments
                    .retain_mut(|it| keep(&mut it.make_mut().directives, version));
                keep(&mut field.directives, version)
            }),
            ExtendedType::InputObject(input) => input
                .make_mut()
                .fields
                .retain(|_, field| keep(&mut field.make_mut().directives, version)),
            _ => {}
        }
    }
    schema.validate().map_err(|it| anyhow!("{it}"))
}

/// Takes the mark off; whether the release has what bears it.
fn keep(directives: &mut FieldDirectives, version: &Version) -> bool {
    let released = directives
        .get("since")
        .is_none_or(|it| released(it, version));
    directives.retain(|it| it.name != "since");
    released
}

/// The same for a type, whose directives are of another Rust type.
fn keep_component(directives: &mut TypeDirectives, version: &Version) -> bool {
    let released = directives
        .get("since")
        .is_none_or(|it| released(it, version));
    directives.retain(|it| it.name != "since");
    released
}

fn released(since: &Directive, version: &Version) -> bool {
    let since = since
        .specified_argument_by_name("version")
        .and_then(|it| it.as_str());
    since.is_some_and(|it| {
        it.parse::<Version>()
            .is_ok_and(|it| version.has(it.numbers()))
    })
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
