//! STIX patterns (chapter 9) with one comparison.

/// `[file:hashes.'SHA-256' = '…']`.
pub(crate) fn file_sha256(sha256: &str) -> String {
    equals("file:hashes.'SHA-256'", sha256)
}

/// `[<object path> = '<value>']`, the value escaped.
pub(crate) fn equals(object_path: &str, value: &str) -> String {
    let mut pattern = String::with_capacity(object_path.len() + value.len() + 8);
    pattern.push('[');
    pattern.push_str(object_path);
    pattern.push_str(" = '");
    for character in value.chars() {
        if matches!(character, '\\' | '\'') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push_str("']");
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_backslashes_are_escaped() {
        let cases = [
            ("evil.example", r"[url:value = 'evil.example']"),
            ("a?b='c'", r"[url:value = 'a?b=\'c\'']"),
            (r"a\b", r"[url:value = 'a\\b']"),
            (r"\'", r"[url:value = '\\\'']"),
            ("日本", "[url:value = '日本']"),
        ];
        for (value, expected) in cases {
            assert_eq!(equals("url:value", value), expected);
        }
    }
}
