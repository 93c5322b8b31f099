//! The judge of YARA rules: libyara 4.5 with the modules of the yara-python wheel, by which OpenCTI checks the pattern of
//! an indicator. It knows no external variables.

use yara::Compiler;

/// Why libyara does not compile a source, in its words; none where it does. Warnings are no reason.
///
/// # Panics
/// When libyara cannot be started.
#[must_use]
pub fn refusal(source: &str) -> Option<String> {
    #[expect(clippy::expect_used, reason = "tests cannot go on without the judge")]
    let compiler = Compiler::new().expect("libyara starts");
    match compiler.add_rules_str(source) {
        Ok(_) => None,
        Err(error) => Some(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_compiled_or_refused() {
        let modules = [
            "pe", "elf", "math", "time", "console", "string", "dotnet", "hash",
        ];
        for module in modules {
            let source = format!("import \"{module}\" rule it {{ condition: true }}");
            assert_eq!(refusal(&source), None, "{module}");
        }
        let refused = [
            "import \"vt\" rule it { condition: true }",
            "import \"magic\" rule it { condition: true }",
            "rule it { condition: filename == \"a\" }",
            "rule it { strings: $a = /(?:ab)c/ condition: $a }",
            "rule it { condition: }",
        ];
        for source in refused {
            assert!(refusal(source).is_some(), "{source}");
        }
        // Slow, and therefore a warning.
        assert_eq!(
            refusal("rule it { strings: $a = /a.*b/ condition: $a }"),
            None
        );
    }
}
