//! What the tests of this room share.

use super::Object;

/// An object of a given size.
pub(super) fn object(id: &str, filling: usize) -> Object {
    let document = format!(r#"{{"id":"{id}","x":"{}"}}"#, "x".repeat(filling));
    Object {
        id: id.to_owned(),
        document,
    }
}

pub(super) fn ids(objects: &[Object]) -> Vec<&str> {
    objects.iter().map(|object| object.id.as_str()).collect()
}
