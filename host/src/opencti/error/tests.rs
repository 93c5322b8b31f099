use super::super::operations::{PING, REGISTER};
use super::*;

fn graphql(code: &str, message: &str) -> Error {
    Error::GraphQl {
        operation: &PING,
        code: Code::parse(code),
        message: message.to_owned(),
    }
}

#[test]
fn an_account_that_is_refused_stops_more_than_one_call() {
    let own = graphql("AUTH_REQUIRED", "").of_own_account();
    assert!(!own.is_about_this_alone() && own.is_about_account() && own.is_configuration());
    for (code, alone) in [
        ("AUTH_REQUIRED", false),
        ("OTP_REQUIRED", false),
        ("DATABASE_ERROR", false),
        ("FORBIDDEN_ACCESS", true),
        ("MISSING_REFERENCE_ERROR", true),
        ("SOMETHING_NEW", true),
    ] {
        assert_eq!(graphql(code, "").is_about_this_alone(), alone, "{code}");
    }
}

#[test]
fn what_is_worth_a_retry() {
    for (code, message, transient, configuration) in [
        ("AUTH_REQUIRED", "", false, true),
        ("AUTH_FAILURE", "", false, true),
        ("FORBIDDEN_ACCESS", "", false, true),
        ("OTP_REQUIRED", "", false, true),
        ("GRAPHQL_VALIDATION_FAILED", "", false, false),
        ("FUNCTIONAL_ERROR", "Too many requests", true, false),
        (
            "FUNCTIONAL_ERROR",
            "No connector found with the specified ID",
            false,
            false,
        ),
        ("MISSING_REFERENCE_ERROR", "", false, false),
        ("LOCK_ERROR", "", true, false),
        ("DATABASE_ERROR", "", true, false),
        ("INTERNAL_SERVER_ERROR", "", true, false),
        ("DRAFT_LOCKED", "", false, false),
        ("SOMETHING_NEW", "", false, false),
    ] {
        let error = graphql(code, message);
        assert_eq!(error.is_transient(), transient, "{error}");
        assert_eq!(error.is_configuration(), configuration, "{error}");
    }
    for (failure, configuration) in [
        (NetworkFailure::Refused, false),
        (NetworkFailure::Tls, true),
    ] {
        let error = Error::Network {
            failure,
            detail: String::new(),
        };
        assert!(error.is_transient(), "{error}");
        assert_eq!(error.is_configuration(), configuration, "{error}");
    }
    for (status, transient) in [
        (408, true),
        (429, true),
        (503, true),
        (522, true),
        (413, false),
        (404, false),
    ] {
        let error = Error::Status {
            status,
            retry_after: None,
            excerpt: Excerpt::of(b""),
        };
        assert_eq!(error.is_transient(), transient, "{error}");
    }
}

#[test]
fn messages_name_the_setting() {
    let forbidden = Error::GraphQl {
        operation: &REGISTER,
        code: Code::Forbidden,
        message: "You are not allowed to do this.".to_owned(),
    };
    assert!(
        forbidden.to_string().contains("CONNECTORAPI"),
        "{forbidden}"
    );
    assert!(
        graphql("AUTH_REQUIRED", "")
            .to_string()
            .contains("OPENCTI_TOKEN")
    );
    let page = Error::NotGraphQl {
        excerpt: Excerpt::of(b"<html>\n  <title>Proxy</title>"),
    };
    let text = page.to_string();
    assert!(
        text.contains("OPENCTI_URL") && text.contains("<html> <title>Proxy</title>"),
        "{text}"
    );
    let broken = Error::NotGraphQl {
        excerpt: Excerpt::of(b" {\"data\":{\"registerConnector\":{\"pass\":\"hidden\","),
    };
    assert!(!broken.to_string().contains("hidden"), "{broken}");
}

#[test]
fn a_deleted_connector_is_recognised() {
    assert!(
        graphql(
            "FUNCTIONAL_ERROR",
            "No connector found with the specified ID"
        )
        .is_unknown_connector()
    );
    assert!(!graphql("FUNCTIONAL_ERROR", "other").is_unknown_connector());
}

#[test]
fn waiting_helps_or_somebody_must_change_something() {
    for (code, message, needs_change) in [
        (
            "FUNCTIONAL_ERROR",
            "this mandatory field cannot be nil",
            true,
        ),
        ("FUNCTIONAL_ERROR", "Too many requests", false),
        ("UNSUPPORTED_ERROR", "", true),
        ("VALIDATION_ERROR", "", true),
        ("BAD_USER_INPUT", "", true),
        ("FORBIDDEN_ACCESS", "", true),
        ("AUTH_REQUIRED", "", true),
        ("DATABASE_ERROR", "", false),
        ("LOCK_ERROR", "", false),
    ] {
        assert_eq!(
            graphql(code, message).needs_change(),
            needs_change,
            "{code}"
        );
    }
    for (status, needs_change) in [(404, true), (302, true), (502, false), (429, false)] {
        let error = Error::Status {
            status,
            retry_after: None,
            excerpt: Excerpt::of(b""),
        };
        assert_eq!(error.needs_change(), needs_change, "{status}");
    }
}

#[test]
fn a_refused_registration_names_the_settings() {
    let refused = |code: &str, message: &str| Error::GraphQl {
        operation: &REGISTER,
        code: Code::parse(code),
        message: message.to_owned(),
    };
    for code in ["FUNCTIONAL_ERROR", "VALIDATION_ERROR", "BAD_USER_INPUT"] {
        let error = refused(code, "words");
        assert_eq!(error.setting(), Some("CONNECTOR_ID"), "{code}");
        assert!(
            error.to_string().contains("words; check CONNECTOR_ID"),
            "{error}"
        );
    }
    for (code, message) in [
        ("DATABASE_ERROR", "words"),
        ("FUNCTIONAL_ERROR", "Too many requests"),
    ] {
        let error = refused(code, message);
        assert_eq!(error.setting(), None, "{code}");
        assert!(error.to_string().ends_with(message), "{error}");
    }
}
