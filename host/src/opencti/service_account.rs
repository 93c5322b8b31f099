//! An account of the connector's own, made with the rights of an administrator's token (protocol section 11).

use secrecy::SecretString;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::client::{Client, Retry};
use super::error::Error;
use super::operations::{
    CONNECTORS_GROUP, SERVICE_ACCOUNT, USER_ADD, USER_TOKEN_ADD, USER_TOKEN_REVOKE,
};
use crate::config::ServiceAccount;

/// The group of connectors' accounts, which is built in.
const GROUP: &str = "Connectors";
/// By it pycti and we find the token again.
const TOKEN_NAME: &str = "Connector auto generated token";
/// Behind the connector's name; pycti's.
const DOMAIN: &str = "connector.octi.filigran.io";

#[derive(Serialize)]
struct FilterVariables {
    filters: Value,
}

#[derive(Deserialize)]
struct GroupsAnswer {
    groups: Option<Edges<Node>>,
}

#[derive(Deserialize)]
struct UsersAnswer {
    users: Option<Edges<Account>>,
}

#[derive(Deserialize)]
struct Edges<N> {
    edges: Vec<Edge<N>>,
}

#[derive(Deserialize)]
struct Edge<N> {
    node: N,
}

#[derive(Deserialize)]
struct Node {
    id: String,
}

/// An account with the tokens that it has.
#[derive(Deserialize)]
struct Account {
    id: String,
    #[serde(default)]
    api_tokens: Vec<Token>,
}

#[derive(Deserialize)]
struct Token {
    id: String,
    #[serde(default)]
    name: Option<String>,
}

#[derive(Serialize)]
struct UserVariables {
    input: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UserAnswer {
    user_add: Node,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AddTokenVariables<'a> {
    user_id: &'a str,
    input: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TokenAnswer {
    user_admin_token_add: Generated,
}

#[derive(Deserialize)]
struct Generated {
    plaintext_token: SecretString,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RevokeVariables<'a> {
    user_id: &'a str,
    id: &'a str,
}

impl Client {
    /// A fresh token of the connector's own account, which is made where it is not there. The token of an earlier
    /// start is revoked, as pycti does: whoever still works with it is refused from then on. Without retries, for
    /// callers that try again anyway: repeating it does no harm.
    ///
    /// # Errors
    /// When the platform does not answer, refuses, or has no group "Connectors".
    pub(super) async fn renew_service_account_once(
        &self,
        connector_name: &str,
        account: ServiceAccount,
    ) -> Result<SecretString, Error> {
        let email = email(connector_name);
        let found = match self.account_at(&email).await? {
            Some(found) => found,
            None => self.add_account(connector_name, &email, account).await?,
        };
        let ours = |token: &&Token| token.name.as_deref() == Some(TOKEN_NAME);
        for token in found.api_tokens.iter().filter(ours) {
            let _: IgnoredAny = self
                .call(&USER_TOKEN_REVOKE, Retry::Never, |_| RevokeVariables {
                    user_id: &found.id,
                    id: &token.id,
                })
                .await?;
        }
        let answer: TokenAnswer = self
            .call(&USER_TOKEN_ADD, Retry::Never, |_| AddTokenVariables {
                user_id: &found.id,
                input: json!({"name": TOKEN_NAME, "duration": "UNLIMITED"}),
            })
            .await?;
        tracing::info!(email, "the connector works as its own account");
        Ok(answer.user_admin_token_add.plaintext_token)
    }

    async fn account_at(&self, email: &str) -> Result<Option<Account>, Error> {
        let answer: UsersAnswer = self
            .call(&SERVICE_ACCOUNT, Retry::Never, |_| FilterVariables {
                filters: equal("user_email", email),
            })
            .await?;
        Ok(first(answer.users))
    }

    /// Without a password: nobody logs in as a service account.
    async fn add_account(
        &self,
        connector_name: &str,
        email: &str,
        account: ServiceAccount,
    ) -> Result<Account, Error> {
        let answer: GroupsAnswer = self
            .call(&CONNECTORS_GROUP, Retry::Never, |_| FilterVariables {
                filters: equal("name", GROUP),
            })
            .await?;
        let Some(group) = first(answer.groups) else {
            return Err(Error::NoConnectorsGroup);
        };
        let answer: UserAnswer = self
            .call(&USER_ADD, Retry::Never, |_| UserVariables {
                input: json!({
                    "name": format!("[C] {connector_name}"),
                    "user_email": email,
                    "user_service_account": true,
                    "groups": [group.id],
                    "user_confidence_level": {
                        "max_confidence": account.confidence_level,
                        "overrides": [],
                    },
                }),
            })
            .await?;
        tracing::info!(email, "an account of the connector's own is made");
        Ok(Account {
            id: answer.user_add.id,
            api_tokens: Vec::new(),
        })
    }
}

fn equal(key: &str, value: &str) -> Value {
    json!({
        "mode": "and",
        "filters": [{"key": [key], "values": [value]}],
        "filterGroups": [],
    })
}

fn first<N>(found: Option<Edges<N>>) -> Option<N> {
    let edge = found?.edges.into_iter().next()?;
    Some(edge.node)
}

/// The address that pycti gives to the account of a connector of this name, so that it is found again.
fn email(connector_name: &str) -> String {
    let mut local = String::new();
    for character in connector_name.to_lowercase().chars() {
        let fits = character.is_ascii_alphanumeric() || "._+-".contains(character);
        let character = if fits { character } else { '-' };
        if character != '-' || !local.ends_with('-') {
            local.push(character);
        }
    }
    format!("{}@{DOMAIN}", local.trim_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_pycti_makes_them() {
        for (name, local) in [
            (
                "VirusTotal Livehunt Notifications",
                "virustotal-livehunt-notifications",
            ),
            ("a.b_c+d-e", "a.b_c+d-e"),
            ("(A)  --  Ü/x!", "a-x"),
        ] {
            assert_eq!(
                email(name),
                format!("{local}@connector.octi.filigran.io"),
                "{name}"
            );
        }
    }
}
