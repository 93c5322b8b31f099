//! Declarations of strings that YARA-X takes and YARA does not (libyara's grammar.y and parser.c).

use std::collections::{BTreeSet, HashSet};

use yara_x_parser::ast::{Pattern, PatternModifier};

use super::hex::HexString;
use super::regexp;

/// Strings of one rule (`YR_CONFIG_MAX_STRINGS_PER_RULE`); a hex string that a long jump parts counts as two.
const MAX_STRINGS: usize = 10_000;

/// Letters of an alphabet for base64.
const ALPHABET: usize = 64;

/// Why YARA refuses the declarations, in words.
pub(super) fn check(patterns: &[Pattern<'_>]) -> BTreeSet<String> {
    let mut reasons = BTreeSet::new();
    let mut names = HashSet::new();
    let mut count = 0;
    for pattern in patterns {
        let name = pattern.identifier().name;
        if name != "$" && !names.insert(name) {
            reasons.insert(format!("string `{name}` is declared twice"));
        }
        let (fragments, reason) = match pattern {
            Pattern::Text(text) => {
                let is_empty = text.text.value.is_empty();
                (1, is_empty.then(|| format!("string `{name}` is empty")))
            }
            Pattern::Regexp(it) => (1, regexp::foreign(it.regexp.literal, false)),
            Pattern::Hex(it) => {
                let HexString { fragments, refusal } = HexString::of(&it.sub_patterns);
                (
                    fragments,
                    refusal.map(|reason| format!("{reason} in a hex string")),
                )
            }
        };
        count += fragments;
        reasons.extend(reason);
        reasons.extend(modifiers(pattern).map(|reason| format!("{reason} on string `{name}`")));
    }
    if count > MAX_STRINGS {
        reasons.insert(format!("more than {MAX_STRINGS} strings"));
    }
    reasons
}

fn modifiers(pattern: &Pattern<'_>) -> Option<&'static str> {
    let (modifiers, is_text) = match pattern {
        Pattern::Text(it) => (&it.modifiers, true),
        Pattern::Regexp(it) => (&it.modifiers, false),
        Pattern::Hex(it) => (&it.modifiers, false),
    };
    let is_hex = matches!(pattern, Pattern::Hex(_));
    let mut names = Vec::new();
    let mut alphabets = Vec::new();
    for modifier in modifiers.iter() {
        let name = modifier.as_text();
        if names.contains(&name) {
            return Some("modifier that stands twice");
        }
        names.push(name);
        if let PatternModifier::Base64 { alphabet, .. }
        | PatternModifier::Base64Wide { alphabet, .. } = modifier
        {
            alphabets.push(alphabet.as_ref().map(|it| it.value.to_vec()));
        }
    }
    let has = |name: &str| names.contains(&name);
    let has_base64 = !alphabets.is_empty();
    if alphabets.iter().flatten().any(|it| it.len() != ALPHABET) {
        Some("base64 alphabet that has not 64 letters")
    } else if alphabets.len() == 2 && alphabets[0] != alphabets[1] {
        Some("two base64 alphabets")
    } else if !is_text && (has_base64 || has("xor")) {
        Some("modifier for text strings only")
    } else if is_hex && names.iter().any(|it| *it != "private") {
        Some("modifier that hex strings do not have")
    } else if (has_base64 && (has("nocase") || has("fullword") || has("xor")))
        || (has("xor") && has("nocase"))
    {
        Some("modifiers that exclude one another")
    } else {
        None
    }
}
