//! Settings as text: the environment over `config.yml`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Why `config.yml` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is there and cannot be read.
    #[error("cannot read {path}: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// It is not YAML.
    #[error("{path} is not YAML: {reason}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and why.
        reason: String,
    },
    /// It is YAML of another shape.
    #[error("{path}: {place} holds {found}; expected {expected}")]
    Shape {
        /// The file.
        path: PathBuf,
        /// Where.
        place: String,
        /// What was found.
        found: &'static str,
        /// What was expected.
        expected: &'static str,
    },
}

/// Sections of `config.yml` whose settings have the section's name before theirs in the environment.
pub(super) const SECTIONS: [&str; 4] = ["opencti", "connector", "mq", "s3"];

/// A name that was found under one of the [`SECTIONS`].
pub(super) struct Found {
    /// The name without the section's, in upper case.
    pub(super) key: String,
    pub(super) in_environment: bool,
}

/// All settings as the user wrote them. A value of blanks only counts as not set.
#[derive(Debug, Clone, Default)]
pub struct Raw {
    environment: BTreeMap<String, String>,
    /// Section and key, both in lower case.
    file: BTreeMap<(String, String), String>,
}

impl Raw {
    /// From environment variables, whose names count in any case.
    pub fn new(environment: impl IntoIterator<Item = (String, String)>) -> Self {
        Self {
            environment: environment
                .into_iter()
                .map(|(name, value)| (name.to_uppercase(), value))
                .collect(),
            file: BTreeMap::new(),
        }
    }

    /// Adds what a `config.yml` says. A file that does not exist says nothing.
    ///
    /// # Errors
    /// When the file is there and cannot be understood.
    pub fn with_file(mut self, path: &Path) -> Result<Self, FileError> {
        match std::fs::read_to_string(path) {
            Ok(text) => {
                self.file = read_sections(&text, path)?;
                Ok(self)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(self),
            Err(error) => Err(FileError::Read {
                path: path.to_owned(),
                error,
            }),
        }
    }

    /// The value of a setting, by its name in the environment; `config.yml` has `OPENCTI_URL` as `url` in the
    /// section `opencti`, and so on for `connector`, `mq` and `s3`. Names that begin otherwise stand in the
    /// environment only.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.environment_value(name).or_else(|| {
            let (section, key) = name.split_once('_')?;
            let section = section.to_lowercase();
            SECTIONS
                .contains(&section.as_str())
                .then(|| self.file_value(&section, key))?
        })
    }

    /// The value of a setting under a guest's prefix.
    #[must_use]
    pub fn get_prefixed(&self, prefix: &str, sections: &[String], name: &str) -> Option<&str> {
        self.environment_value(&format!("{prefix}_{name}"))
            .or_else(|| {
                sections
                    .iter()
                    .find_map(|section| self.file_value(section, name))
            })
    }

    /// Names of all settings under a guest's prefix, without it, each once.
    #[must_use]
    pub fn names_prefixed(&self, prefix: &str, sections: &[String]) -> Vec<String> {
        let prefix = format!("{prefix}_");
        let mut names: Vec<String> = self
            .environment
            .keys()
            .filter_map(|name| name.strip_prefix(&prefix).map(str::to_owned))
            .chain(
                self.file
                    .keys()
                    .filter(|(section, _)| sections.contains(section))
                    .map(|(_, key)| key.to_uppercase()),
            )
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// Names that belong to one of the [`SECTIONS`], each once.
    pub(super) fn names_of(&self, section: &str) -> Vec<Found> {
        let prefix = format!("{}_", section.to_uppercase());
        let mut found: Vec<Found> = self
            .environment
            .keys()
            .filter_map(|name| name.strip_prefix(&prefix))
            .map(|key| Found {
                key: key.to_owned(),
                in_environment: true,
            })
            .collect();
        for (_, key) in self.file.keys().filter(|(it, _)| it == section) {
            let key = key.to_uppercase();
            if found.iter().all(|other| other.key != key) {
                found.push(Found {
                    key,
                    in_environment: false,
                });
            }
        }
        found
    }

    /// Sections of the file, once for each setting in them.
    pub(super) fn sections(&self) -> impl Iterator<Item = &str> {
        self.file.keys().map(|(section, _)| section.as_str())
    }

    fn environment_value(&self, name: &str) -> Option<&str> {
        self.environment
            .get(name)
            .map(String::as_str)
            .filter(|value| is_set(value))
    }

    fn file_value(&self, section: &str, key: &str) -> Option<&str> {
        self.file
            .get(&(section.to_owned(), key.to_lowercase()))
            .map(String::as_str)
            .filter(|value| is_set(value))
    }
}

fn is_set(value: &str) -> bool {
    !value.trim().is_empty()
}

fn read_sections(text: &str, path: &Path) -> Result<BTreeMap<(String, String), String>, FileError> {
    let shape = |place: &str, value: &Value, expected| FileError::Shape {
        path: path.to_owned(),
        place: place.to_owned(),
        found: kind(value),
        expected,
    };
    let options = serde_saphyr::options! {
        // The lines around a mistake may hold a token.
        with_snippet: false,
        // A password such as 0123 is meant as it is written.
        leading_zero_numbers_as_strings: true,
    };
    let root: Value =
        serde_saphyr::from_str_with_options(text, options).map_err(|error| FileError::Syntax {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
    let mut values = BTreeMap::new();
    let sections = match &root {
        Value::Null => return Ok(values),
        Value::Object(sections) => sections,
        other => return Err(shape("the file", other, "sections (`opencti:`)")),
    };
    for (section, content) in sections {
        let Value::Object(settings) = content else {
            if content.is_null() {
                continue;
            }
            return Err(shape(section, content, "settings (`url: …`)"));
        };
        for (key, value) in settings {
            let place = format!("{section}.{key}");
            let text = match value {
                Value::Array(elements) => elements
                    .iter()
                    .map(|element| scalar(element).ok_or_else(|| shape(&place, element, "a text")))
                    .collect::<Result<Vec<_>, _>>()?
                    .join(","),
                value => scalar(value).ok_or_else(|| {
                    shape(&place, value, "a text, a number, true, false or a list")
                })?,
            };
            values.insert((section.to_lowercase(), key.to_lowercase()), text);
        }
    }
    Ok(values)
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(value) => Some(value.to_string()),
        Value::String(value) => Some(value.clone()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "settings",
    }
}
