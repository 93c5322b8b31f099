//! Guests for tests of the exchange: one built component (`tests/guests/understudy`), stamped with a version and
//! a fault.

use anyhow::{Context as _, Result};

use crate::host::test_guest;

/// Where the stamp begins in the component.
const MARK: &[u8] = b"stamp of the understudy:";

/// Bytes behind the mark.
const ROOM: usize = 24;

/// The component of a version with a fault: `none`, `traps`, `fails`, `skips`, `other name`,
/// `refuses settings` or `wants the key`.
///
/// # Errors
/// When it has not been built, or the stamp is too long.
pub fn stamped(version: &str, fault: &str) -> Result<Vec<u8>> {
    let path = test_guest("understudy")?;
    let mut component = std::fs::read(&path)?;
    let place = component
        .windows(MARK.len())
        .position(|window| window == MARK)
        .with_context(|| format!("{} has no stamp", path.display()))?;
    let stamp = format!("{version},{fault}");
    let room = component
        .get_mut(place + MARK.len()..place + MARK.len() + ROOM)
        .filter(|room| stamp.len() <= room.len())
        .with_context(|| format!("no room for the stamp {stamp:?}"))?;
    room.fill(b' ');
    room[..stamp.len()].copy_from_slice(stamp.as_bytes());
    Ok(component)
}
