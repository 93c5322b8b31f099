//! The VirusTotal object that a notification reports, as the IoC stream sends it.
//!
//! Only `type` and `id` are sure to be there. Whatever else is absent, `null` or of another type than
//! documented counts as missing: one odd field must not cost an alert.

use crate::contract::Failure;
use crate::json::{Members, Text};
use crate::mapping::text::cut;

/// Bytes of an id: a SHA-256, a domain name or an IP address.
const LONGEST_ID: usize = 1_000;

/// Bytes of what is quoted in a failure.
const LONGEST_QUOTE: usize = 1_000;

/// Bytes of the name of a rule or, in its place, of a ruleset.
const LONGEST_RULE_NAME: usize = 1_000;

/// Rulesets of one notification that are looked at. Livehunt names one.
const MAX_RULESETS: usize = 16;

/// What Livehunt rules can match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntityType {
    File,
    Url,
    Domain,
    IpAddress,
}

impl EntityType {
    pub(crate) const ALL: [Self; 4] = [Self::File, Self::Url, Self::Domain, Self::IpAddress];

    /// VirusTotal's name of the type.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Url => "url",
            Self::Domain => "domain",
            Self::IpAddress => "ip_address",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }
}

/// An object with the notification about it.
#[derive(Debug)]
pub(crate) struct Notification<'a> {
    pub entity_type: EntityType,
    /// SHA-256 of a file, SHA-256 of a URL's text, a domain, an IP address.
    pub id: Text<'a>,
    pub attributes: Attributes<'a>,
    pub context: Context<'a>,
}

/// `attributes` of a file, and those of the other types that have the same meaning.
#[derive(Debug, Default)]
pub(crate) struct Attributes<'a> {
    pub sha256: Option<Text<'a>>,
    pub sha1: Option<Text<'a>>,
    pub md5: Option<Text<'a>>,
    pub ssdeep: Option<Text<'a>>,
    pub tlsh: Option<Text<'a>>,
    /// Bytes.
    pub size: Option<u64>,
    pub type_extension: Option<Text<'a>>,
    pub type_tags: Vec<Text<'a>>,
    pub tags: Vec<Text<'a>>,
    pub meaningful_name: Option<Text<'a>>,
    pub names: Vec<Text<'a>>,
    /// Seconds since the epoch.
    pub first_submission_date: Option<u64>,
    pub last_analysis_stats: Option<Stats>,
    /// By engine. Read only on demand: it is most of the document.
    last_analysis_results: Option<&'a str>,
    pub malware_config: Option<&'a str>,
    /// Whether VirusTotal still has the file.
    pub downloadable: Option<bool>,
    /// Of a URL: its text.
    pub url: Option<Text<'a>>,
}

impl<'a> Attributes<'a> {
    fn read(members: &Members<'a>) -> Self {
        Self {
            sha256: members.text("sha256"),
            sha1: members.text("sha1"),
            md5: members.text("md5"),
            ssdeep: members.text("ssdeep"),
            tlsh: members.text("tlsh"),
            size: members.number("size"),
            type_extension: members.text("type_extension"),
            type_tags: members.texts("type_tags"),
            tags: members.texts("tags"),
            meaningful_name: members.text("meaningful_name"),
            names: members.texts("names"),
            first_submission_date: members.number("first_submission_date"),
            last_analysis_stats: members.object("last_analysis_stats").map(|it| Stats {
                malicious: it.number("malicious"),
                undetected: it.number("undetected"),
                harmless: it.number("harmless"),
            }),
            last_analysis_results: members.raw("last_analysis_results"),
            malware_config: members.raw("malware_config"),
            downloadable: members.boolean("downloadable"),
            url: members.text("url"),
        }
    }

    /// What each engine said; empty where nothing is known.
    pub(crate) fn analysis_results(&self) -> Vec<EngineResult<'a>> {
        let by_engine = self
            .last_analysis_results
            .and_then(|json| Members::parse(json).ok());
        by_engine
            .into_iter()
            .flat_map(Members::into_objects)
            .map(|(engine, it)| EngineResult {
                engine,
                category: it.text("category"),
                result: it.text("result"),
            })
            .collect()
    }

    pub(crate) fn malware_config(&self) -> Option<serde_json::Value> {
        serde_json::from_str(self.malware_config?).ok()
    }
}

/// What one engine said.
pub(crate) struct EngineResult<'a> {
    pub engine: Text<'a>,
    pub category: Option<Text<'a>>,
    pub result: Option<Text<'a>>,
}

/// Engines by verdict.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stats {
    pub malicious: Option<u64>,
    pub undetected: Option<u64>,
    pub harmless: Option<u64>,
}

impl Stats {
    /// Percentage of the engines with a verdict that say malicious, rounded half to even as the Python
    /// connector does; none where no engine has a verdict.
    pub(crate) fn score(self) -> Option<u8> {
        let malicious = u128::from(self.malicious?);
        let verdicts = [self.malicious, self.undetected, self.harmless]
            .into_iter()
            .flatten()
            .map(u128::from)
            .sum::<u128>();
        let percent = (100 * malicious).checked_div(verdicts)?;
        let twice_the_rest = 2 * (100 * malicious % verdicts);
        let up = twice_the_rest > verdicts || (twice_the_rest == verdicts && percent % 2 == 1);
        u8::try_from(percent + u128::from(up)).ok()
    }
}

/// `context_attributes`: the notification itself.
#[derive(Debug, Default)]
pub(crate) struct Context<'a> {
    pub sources: Vec<Source<'a>>,
    pub tags: Vec<Text<'a>>,
    /// Missing in notifications that are not of Livehunt.
    pub hunting_info: Option<HuntingInfo<'a>>,
}

impl<'a> Context<'a> {
    fn read(members: &Members<'a>) -> Self {
        Self {
            sources: members
                .objects("sources")
                .iter()
                .map(|it| Source {
                    id: it.text("id"),
                    source_type: it.text("type"),
                    label: it.text("label"),
                })
                .collect(),
            tags: members.texts("tags"),
            hunting_info: members.object("hunting_info").map(|it| HuntingInfo {
                rule_name: it.text("rule_name"),
                snippet: it.text("snippet"),
                source_country: it.text("source_country"),
                match_source: it.text("match_source"),
                match_in_subfile: it.boolean("match_in_subfile"),
            }),
        }
    }

    pub(crate) fn rulesets(&self) -> impl Iterator<Item = &Source<'a>> + Clone {
        self.sources
            .iter()
            .filter(|source| source.source_type.as_deref() == Some("hunting_ruleset"))
            .take(MAX_RULESETS)
    }

    /// The rule that matched; where the notification does not say, or not in reason, the name of its ruleset.
    pub(crate) fn rule_name(&self) -> Option<&str> {
        let rule_name = self
            .hunting_info
            .as_ref()
            .and_then(|it| it.rule_name.as_deref());
        let label = || self.rulesets().find_map(|source| source.label.as_deref());
        let fits = |name: &&str| !name.trim().is_empty() && name.len() <= LONGEST_RULE_NAME;
        rule_name.filter(fits).or_else(|| label().filter(fits))
    }
}

/// What the notification comes from.
#[derive(Debug, Default)]
pub(crate) struct Source<'a> {
    pub id: Option<Text<'a>>,
    pub source_type: Option<Text<'a>>,
    /// Of a ruleset: its present name.
    pub label: Option<Text<'a>>,
}

/// How the rule matched.
#[derive(Debug, Default)]
pub(crate) struct HuntingInfo<'a> {
    pub rule_name: Option<Text<'a>>,
    /// Hexadecimal dump with the match between `*begin_highlight*` and `*end_highlight*`.
    pub snippet: Option<Text<'a>>,
    pub source_country: Option<Text<'a>>,
    pub match_source: Option<Text<'a>>,
    pub match_in_subfile: Option<bool>,
}

impl<'a> Notification<'a> {
    /// # Errors
    /// `malformed` without `type` or `id`, or with an `error` in place of the attributes, as for an object that
    /// VirusTotal no longer has; `unsupported` for an object of another type than [`EntityType`] lists.
    pub(crate) fn parse(document: &'a str) -> Result<Self, Failure> {
        let nested = ["attributes", "context_attributes"];
        let (members, [attributes, context]) = Members::parse_nested(document, nested)
            .map_err(|error| Failure::Malformed(format!("not a VirusTotal object: {error}")))?;
        let required = |name: &str| {
            members.text(name).ok_or_else(|| {
                Failure::Malformed(format!("the VirusTotal object has no text in {name:?}"))
            })
        };
        let object_type = required("type")?;
        let id = required("id")?;
        if id.len() > LONGEST_ID {
            return Err(Failure::Malformed(format!(
                "the VirusTotal object has an id of {} bytes; expected at most {LONGEST_ID}",
                id.len()
            )));
        }
        let entity_type = EntityType::from_name(&object_type).ok_or_else(|| {
            Failure::Unsupported(format!(
                "object of type {:?}; expected file, url, domain or ip_address",
                cut(&object_type, LONGEST_QUOTE)
            ))
        })?;
        if let (None, Some(error)) = (&attributes, members.object("error")) {
            return Err(Failure::Malformed(format!(
                "VirusTotal sent an error in place of the {} {}: {}: {}",
                entity_type.name(),
                &*id,
                cut(
                    error.text("code").as_deref().unwrap_or("no code"),
                    LONGEST_QUOTE
                ),
                cut(
                    error.text("message").as_deref().unwrap_or("no message"),
                    LONGEST_QUOTE
                ),
            )));
        }
        Ok(Self {
            entity_type,
            id,
            attributes: attributes
                .as_ref()
                .map(Attributes::read)
                .unwrap_or_default(),
            context: context.as_ref().map(Context::read).unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_fields_are_missing_fields() {
        let document = r#"{"type":"file","id":"x","links":[1],"attributes":{
            "size":"12","md5":null,"sha1":7,"names":["a",1,null,"\ud800","b"],"tags":{},"type_tags":null,
            "first_submission_date":-1,"last_analysis_stats":{"malicious":2,"harmless":"x","undetected":2},
            "last_analysis_results":{"A":{"result":null,"category":"undetected"},"B":7,"C":{"result":"R"}},
            "downloadable":"no"},
            "context_attributes":{"sources":[1,{"type":"hunting_ruleset","id":5,"label":"L"}],"hunting_info":[]}}"#;
        let Notification {
            attributes,
            context,
            ..
        } = Notification::parse(document).unwrap();
        assert_eq!(attributes.size, None);
        assert!(attributes.md5.is_none() && attributes.sha1.is_none());
        let names: Vec<&str> = attributes.names.iter().map(|name| &**name).collect();
        assert_eq!(names, ["a", "b"]);
        assert!(attributes.tags.is_empty() && attributes.type_tags.is_empty());
        assert_eq!(attributes.first_submission_date, None);
        assert_eq!(attributes.last_analysis_stats.unwrap().score(), Some(50));
        assert_eq!(attributes.downloadable, None);
        let results = attributes.analysis_results();
        let engines: Vec<&str> = results.iter().map(|it| &*it.engine).collect();
        assert_eq!(engines, ["A", "C"]);
        assert!(context.hunting_info.is_none());
        assert_eq!(context.rule_name(), Some("L"));
    }

    #[test]
    fn what_is_not_a_livehunt_object_is_named() {
        let cases = [
            (
                "",
                "not a VirusTotal object: expected a JSON object, which this ceases to be at byte 0 of 0",
            ),
            (r#"["file","x"]"#, "at byte 0 of 12"),
            (r#"{"type":"file","id":"#, "at byte 20 of 20"),
            (r#"{"id":"x"}"#, "has no text in \"type\""),
            (r#"{"type":"file","id":null}"#, "has no text in \"id\""),
            (
                r#"{"type":"collection","id":"x"}"#,
                "object of type \"collection\"; expected file",
            ),
            (
                r#"{"type":"file","id":"x","error":{"code":"NotFoundError","message":"gone"}}"#,
                "an error in place of the file x: NotFoundError: gone",
            ),
        ];
        for (document, expected) in cases {
            let failure = Notification::parse(document).map(|_| ()).unwrap_err();
            let (Failure::Malformed(reason) | Failure::Unsupported(reason)) = failure;
            assert!(reason.contains(expected), "{document}: {reason}");
        }
    }

    #[test]
    fn score_is_rounded_half_to_even() {
        let cases = [
            ([Some(8), Some(3), Some(0)], Some(73)),
            ([Some(1), Some(7), Some(0)], Some(12)),
            ([Some(3), Some(5), Some(0)], Some(38)),
            ([Some(0), Some(0), Some(0)], None),
            ([Some(0), Some(9), None], Some(0)),
            ([None, Some(9), None], None),
            ([Some(u64::MAX), Some(u64::MAX), Some(0)], Some(50)),
        ];
        for ([malicious, undetected, harmless], expected) in cases {
            let stats = Stats {
                malicious,
                undetected,
                harmless,
            };
            assert_eq!(stats.score(), expected, "{stats:?}");
        }
    }
}
