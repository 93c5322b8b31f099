//! From a notification that passed the filters to STIX objects.

mod artifact;
mod draft;
mod file;
mod incident;
mod indicator;
pub(crate) mod labels;
pub(crate) mod malware_config;
mod network;
mod platform;
mod predecessor;
mod ruleset;
pub(crate) mod text;

use crate::contract::{Answer, Emission, Failure, Outcome, Question, Severity, Verdict};
use crate::notification::{EntityType, Notification};
use crate::settings::Settings;
use crate::stix::{Date, ExternalReference, Tlp};
use artifact::Relatives;
use draft::Draft;
use ruleset::Rules;

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
            external_id: "",
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
        return Ok(ask(questions));
    }
    Ok(build(&rule_match, preamble, file.as_ref(), answers))
}

fn ask(questions: Vec<Question>) -> Verdict {
    Verdict {
        outcome: Outcome::Ask(questions),
        remarks: Vec::new(),
    }
}

fn answer_to<'a>(question: &Question, answers: &'a [(Question, Answer)]) -> Option<&'a Answer> {
    answers
        .iter()
        .find(|(asked, _)| asked == question)
        .map(|(_, answer)| answer)
}

/// VirusTotal was asked: makes the objects, each after those that it refers to. Which of them the platform holds
/// already is asked once they are made.
fn build<'a>(
    rule_match: &RuleMatch<'_>,
    preamble: &'a Preamble,
    file: Option<&file::Facts>,
    answers: &'a [(Question, Answer)],
) -> Verdict {
    let settings = rule_match.settings;
    let rules = Rules::looked_up(rule_match, answers);
    let rules_tlp = rules.as_ref().map_or(Tlp::Clear, Rules::tlp);
    let mut draft = Draft::new(preamble, answers);
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
        let incident = incident::add(rule_match, file, rules_tlp, &mut draft);
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
    if let Some(rules) = rules {
        rules.add(rule_match, &mut draft, observable, incident.as_deref());
    }
    let artifacts = file.and_then(|file| {
        let relatives = Relatives {
            incident: incident.as_deref(),
            file: observable.map(|it| it.id.as_str()),
        };
        artifact::request(rule_match, &mut draft, file, &relatives, answers)
    });
    let questions = draft.take_questions();
    if !questions.is_empty() {
        return ask(questions);
    }
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
