//! From a notification that passed the filters to STIX objects.

mod artifact;
mod draft;
mod file;
mod incident;
mod indicator;
pub(crate) mod labels;
pub(crate) mod malware_config;
mod network;
mod ruleset;
pub(crate) mod text;

use crate::contract::{Answer, Emission, Failure, Outcome, Question, Severity, Verdict};
use crate::notification::{EntityType, Notification};
use crate::settings::Settings;
use crate::stix::{Date, ExternalReference};
use draft::Draft;

pub(crate) use draft::Preamble;
pub(crate) use ruleset::digest;

/// Name of the author of everything that is created; external references name it as their source.
const AUTHOR_NAME: &str = "Virustotal Livehunt Notifications";

/// A rule matched an object: the facts that every step of the mapping needs.
struct RuleMatch<'a> {
    settings: &'a Settings,
    notification: &'a Notification<'a>,
    rule_name: &'a str,
    /// When VirusTotal notified, in seconds since the epoch.
    notified: u64,
    /// The same.
    date: Date,
    report_url: String,
}

impl RuleMatch<'_> {
    fn report(&self) -> ExternalReference<'_> {
        ExternalReference {
            source_name: AUTHOR_NAME,
            description: "Virustotal Analysis",
            url: &self.report_url,
        }
    }

    /// Since when VirusTotal has had the object. What is dated by it is the same in all notifications about it.
    fn known_since(&self) -> Date {
        self.notification
            .attributes
            .first_submission_date
            .and_then(Date::from_seconds)
            .unwrap_or(self.date)
    }
}

/// The object that the rule matched, where it became an observable.
struct Observable {
    id: String,
    /// OpenCTI's name of its type.
    main_type: &'static str,
}

/// # Errors
/// [`Failure::Malformed`] without the name of a rule, with a date after the year 9999, or for a file without a
/// SHA-256.
pub(crate) fn map(
    settings: &Settings,
    preamble: &Preamble,
    notification: &Notification<'_>,
    notified: u64,
    answers: &[(Question, Answer)],
) -> Result<Verdict, Failure> {
    let malformed = |reason: String| Failure::Malformed(reason);
    let date = Date::from_seconds(notified).ok_or_else(|| {
        malformed(format!(
            "notification date {notified} is after the year 9999"
        ))
    })?;
    let rule_name = notification.context.rule_name().ok_or_else(|| {
        malformed("neither hunting_info.rule_name nor the label of a ruleset is there".to_owned())
    })?;
    let rule_match = RuleMatch {
        settings,
        notification,
        rule_name,
        notified,
        date,
        report_url: text::report_url(notification),
    };
    let file = match notification.entity_type {
        EntityType::File => Some(file::Facts::new(&rule_match)?),
        _ => None,
    };

    let mut questions = Vec::new();
    if settings.create_yara_rule {
        questions.extend(ruleset::questions(&rule_match));
    }
    if let Some(file) = &file {
        questions.extend(artifact::question(&rule_match, file));
    }
    questions.retain(|question| answer_to(question, answers).is_none());
    if !questions.is_empty() {
        return Ok(Verdict {
            outcome: Outcome::Ask(questions),
            remarks: Vec::new(),
        });
    }
    Ok(build(&rule_match, preamble, file.as_ref(), answers))
}

fn answer_to<'a>(question: &Question, answers: &'a [(Question, Answer)]) -> Option<&'a Answer> {
    answers
        .iter()
        .find(|(asked, _)| asked == question)
        .map(|(_, answer)| answer)
}

/// Everything is known: makes the objects, each after those that it refers to.
fn build(
    rule_match: &RuleMatch<'_>,
    preamble: &Preamble,
    file: Option<&file::Facts>,
    answers: &[(Question, Answer)],
) -> Verdict {
    let settings = rule_match.settings;
    let mut draft = Draft::new(preamble);
    let matched = match file {
        Some(_) => None,
        None => network::add_matched(rule_match, &mut draft),
    };
    let file_observable = file
        .filter(|_| settings.create_file)
        .map(|file| file.add(rule_match, &mut draft));
    let observable = file_observable
        .as_ref()
        .or(matched.as_ref().map(|it| &it.observable));
    let incident = settings.create_alert.then(|| {
        let incident = incident::add(rule_match, file, &mut draft);
        if let Some(observable) = observable {
            draft.relate("related-to", &incident, &observable.id, rule_match.date);
        }
        incident
    });
    if let (Some(file), Some(observable)) = (file, observable) {
        if settings.create_file_indicators {
            file.add_indicator(rule_match, &mut draft, &observable.id, incident.as_deref());
        }
        if settings.get_malware_config {
            network::add_malware_config(
                rule_match,
                &mut draft,
                &observable.id,
                incident.as_deref(),
            );
        }
    }
    if let Some(matched) = &matched {
        matched.add_indicator(rule_match, &mut draft, incident.as_deref());
    }
    if settings.create_yara_rule {
        ruleset::add_rules(
            rule_match,
            &mut draft,
            observable,
            incident.as_deref(),
            answers,
        );
    }
    let artifacts = file.and_then(|file| {
        let owner = incident.as_deref().or(observable.map(|it| it.id.as_str()));
        artifact::request(rule_match, &mut draft, file, owner, answers)
    });
    if draft.is_empty() && artifacts.is_none() {
        draft.remark(
            Severity::Debug,
            "the settings create nothing of this notification".to_owned(),
        );
    }
    let (objects, remarks) = draft.finish(artifacts.is_some());
    Verdict {
        outcome: Outcome::Emit(Emission {
            objects,
            artifacts: artifacts.into_iter().collect(),
            acknowledge: settings.delete_notification,
        }),
        remarks,
    }
}
