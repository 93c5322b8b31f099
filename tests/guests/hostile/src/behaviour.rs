//! What the guest can do wrong, by name.

/// One table makes the type, the names and the description, so that none can be forgotten.
macro_rules! behaviours {
    ($($name:literal => $behaviour:ident,)*) => {
        /// What the guest does wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Behaviour {
            /// Nothing.
            None,
            $(#[doc = $name] $behaviour,)*
        }

        impl Behaviour {
            /// None where there is no such behaviour.
            pub(crate) fn from_name(name: &str) -> Option<Self> {
                match name {
                    "none" => Some(Self::None),
                    $($name => Some(Self::$behaviour),)*
                    _ => None,
                }
            }
        }

        /// The JSON of `describe`: one text, so that a test can spoil it in the built component.
        pub(crate) const DESCRIPTION: &str = concat!(
            r#"{"name":"hostile-guest","version":"1.0.0","#,
            r#""connector":{"name":"Hostile","scope":["Identity"],"environment_prefix":"HOSTILE","config_sections":["hostile"]},"#,
            r#""settings":[{"name":"BEHAVIOUR","kind":"choice","default":"none","choices":["none""#,
            $(",\"", $name, "\"",)*
            r#"],"help":"What to do wrong."}]}"#
        );
    };
}

behaviours! {
    "open panics" => OpenPanics,
    "open loops" => OpenLoops,
    "remarks panics" => RemarksPanics,
    "feed panics" => FeedPanics,
    "feed of an absolute URL" => FeedAbsoluteUrl,
    "feed of a parent folder" => FeedParentFolder,
    "feed of what no connector may read" => FeedUnlisted,
    "feed with a cursor" => FeedCursor,
    "feed with a bad pointer" => FeedBadPointer,
    "loop" => Loop,
    "memory" => Memory,
    "recursion" => Recursion,
    "panic" => Panic,
    "panic at each third call" => PanicAtThirdCall,
    "large output" => LargeOutput,
    "many objects" => ManyObjects,
    "many artifacts" => ManyArtifacts,
    "long skip" => LongSkip,
    "long failure" => LongFailure,
    "long remark" => LongRemark,
    "long question" => LongQuestion,
    "many questions" => ManyQuestions,
    "endless questions" => EndlessQuestions,
    "unknown question" => UnknownQuestion,
    "lookup of a parent folder" => LookupParentFolder,
    "lookup of an absolute URL" => LookupAbsoluteUrl,
    "lookup at another host" => LookupOtherHost,
    "lookup with a query" => LookupQuery,
    "lookup with a fragment" => LookupFragment,
    "lookup of a download" => LookupDownload,
    "digest panics" => DigestPanics,
    "large digest" => LargeDigest,
    "document that is no JSON" => NoJson,
    "document that is no object" => NoObject,
    "document with another id" => OtherId,
    "id that is no STIX id" => NoStixId,
    "artifact that is no JSON" => ArtifactNoJson,
    "artifact of another source" => ArtifactOtherSource,
    "explain panics" => ExplainPanics,
    "explain loops" => ExplainLoops,
    "explanation that is no JSON" => ExplanationNoJson,
    "explanation without words" => ExplanationWithoutWords,
    "large explanation" => LargeExplanation,
    "long filter" => LongFilter,
    "many filters" => ManyFilters,
    "words that steer a terminal" => SteeringWords,
}
