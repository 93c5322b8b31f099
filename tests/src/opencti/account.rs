//! Accounts that an administrator's token makes, and their tokens (protocol section 11).

use serde_json::{Value, json};

use super::access::CONNECTOR_ROLE;
use super::error::PlatformError;
use super::ids::internal_id;
use super::marking::Sight;
use super::platform::{Platform, User};
use super::upsert::MAX_CONFIDENCE;

/// The group of connectors' accounts, which is built in.
pub(crate) const GROUP: &str = "Connectors";

/// What every token begins with that is made here.
pub(crate) const TOKEN_PREFIX: &str = "flgrn_octi_tkn_simulated";

/// An account.
#[derive(Clone, Debug)]
pub struct Account {
    /// The platform's id.
    pub id: String,
    /// What it was made with: `UserAddInput`.
    pub input: Value,
    /// Its tokens: id, name and the token itself.
    pub tokens: Vec<(String, String, String)>,
}

impl Platform {
    /// `groups`, by name.
    pub(crate) fn groups_json(&self, filters: &Value) -> Result<Value, PlatformError> {
        let name = wanted(filters, "name")?;
        let found = self.groups.iter().filter(|group| *group == name);
        Ok(connection(found.map(
            |name| json!({"id": internal_id(name), "name": name}),
        )))
    }

    /// `users`, by address. That of the tests' token has none.
    pub(crate) fn accounts_json(&self, filters: &Value) -> Result<Value, PlatformError> {
        let email = wanted(filters, "user_email")?;
        let found = self
            .accounts
            .iter()
            .filter(|account| account.input["user_email"] == email);
        Ok(connection(found.map(Account::to_json)))
    }

    /// `userAdd`.
    pub(crate) fn add_account(&mut self, input: &Value) -> Result<Value, PlatformError> {
        let taken = |account: &Account| account.input["user_email"] == input["user_email"];
        if self.accounts.iter().any(taken) {
            return Err(PlatformError::functional("User already exists"));
        }
        let groups = input["groups"].as_array();
        for group in groups.into_iter().flatten() {
            if !self.groups.iter().any(|name| *group == internal_id(name)) {
                return Err(PlatformError::functional("Cannot find the group"));
            }
        }
        let account = Account {
            id: internal_id(&format!("account {}", self.accounts.len())),
            input: input.clone(),
            tokens: Vec::new(),
        };
        let json = account.to_json();
        self.accounts.push(account);
        Ok(json)
    }

    /// `userAdminTokenAdd`.
    pub(crate) fn add_token(&mut self, user: &str, name: &str) -> Result<Value, PlatformError> {
        let now = self.instant();
        let account = self.account_mut(user)?;
        let id = internal_id(&format!("token {now}"));
        let token = format!("{TOKEN_PREFIX}_{now}");
        account
            .tokens
            .push((id.clone(), name.to_owned(), token.clone()));
        Ok(json!({"token_id": id, "plaintext_token": token}))
    }

    /// `userAdminTokenRevoke`.
    pub(crate) fn revoke_token(&mut self, user: &str, id: &str) -> Result<Value, PlatformError> {
        let account = self.account_mut(user)?;
        account.tokens.retain(|(token, ..)| token != id);
        Ok(json!(id))
    }

    fn account_mut(&mut self, id: &str) -> Result<&mut Account, PlatformError> {
        let account = self.accounts.iter_mut().find(|account| account.id == id);
        account.ok_or_else(|| PlatformError::functional("User not found"))
    }

    /// Who has this token, with what the groups of that account grant.
    pub(crate) fn user_of_token(&self, token: &str) -> Option<User> {
        let has = |account: &&Account| account.tokens.iter().any(|(.., it)| it == token);
        self.accounts.iter().find(has).map(|it| self.user_of(it))
    }

    /// The account with this id, that of the tests' token among them.
    pub(crate) fn user_by_id(&self, id: &str) -> Option<User> {
        if id == self.user.id {
            return Some(self.user.clone());
        }
        let account = self.accounts.iter().find(|account| account.id == id);
        account.map(|it| self.user_of(it))
    }

    fn user_of(&self, account: &Account) -> User {
        let groups = account.input["groups"].as_array();
        let is_connector = groups
            .into_iter()
            .flatten()
            .any(|group| *group == internal_id(GROUP));
        let granted = is_connector.then_some(CONNECTOR_ROLE);
        let confidence = &account.input["user_confidence_level"]["max_confidence"];
        User {
            id: account.id.clone(),
            capabilities: granted
                .into_iter()
                .flatten()
                .map(|it| (*it).to_owned())
                .collect(),
            sight: Sight(self.group_max_marking),
            max_confidence: confidence.as_i64().unwrap_or(MAX_CONFIDENCE),
        }
    }

    /// Whether objects may be attributed to this id.
    pub(crate) fn is_user(&self, id: &str) -> bool {
        id == self.user.id || self.accounts.iter().any(|account| account.id == id)
    }
}

impl Account {
    fn to_json(&self) -> Value {
        let tokens: Vec<Value> = self
            .tokens
            .iter()
            .map(|(id, name, _)| json!({"id": id, "name": name}))
            .collect();
        json!({
            "id": self.id, "name": self.input["name"], "user_email": self.input["user_email"],
            "api_tokens": tokens,
        })
    }
}

/// The one value of the one filter that is understood here.
fn wanted<'v>(filters: &'v Value, key: &str) -> Result<&'v str, PlatformError> {
    let filter = &filters["filters"][0];
    let value = filter["values"][0].as_str();
    value
        .filter(|_| filter["key"][0] == key)
        .ok_or_else(|| PlatformError::functional(format!("the simulator filters by {key} alone")))
}

fn connection(nodes: impl Iterator<Item = Value>) -> Value {
    let edges: Vec<Value> = nodes
        .map(|node| json!({"cursor": "", "node": node}))
        .collect();
    json!({
        "pageInfo": {
            "startCursor": "", "endCursor": "", "hasNextPage": false, "hasPreviousPage": false,
            "globalCount": edges.len(),
        },
        "edges": edges,
    })
}
