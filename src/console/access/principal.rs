//! Who asks, and what they may.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::sessions::Session;
use crate::ground::secret::Secret;
use crate::store::trail::Change;

/// What may be done, each with everything before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// See.
    Read,
    /// Submit, act on messages, see payloads.
    Operate,
    /// Everything.
    Admin,
}

/// What a person is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Looks.
    Viewer,
    /// Works.
    Operator,
    /// Decides who may.
    Admin,
}

impl Role {
    /// What it may do.
    pub fn scope(self) -> Scope {
        match self {
            Role::Viewer => Scope::Read,
            Role::Operator => Scope::Operate,
            Role::Admin => Scope::Admin,
        }
    }
}

impl Scope {
    /// The role that may do this.
    pub fn role(self) -> Role {
        match self {
            Scope::Read => Role::Viewer,
            Scope::Operate => Role::Operator,
            Scope::Admin => Role::Admin,
        }
    }
}

/// A person or a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Signed in with a password.
    User,
    /// Presented a token.
    Token,
}

/// By what somebody is known.
#[derive(Debug, Clone)]
pub enum Credential {
    /// The token of the gateway's own machine.
    Machine,
    /// The API token with this id.
    Token(String),
    /// A session.
    Cookie(Secret<String>),
}

/// Who asks.
#[derive(Debug, Clone)]
pub struct Principal {
    /// As the audit trail names it.
    pub name: String,
    /// What it showed.
    pub credential: Credential,
    /// What it may do.
    pub scope: Scope,
    /// Where it asks from.
    pub from: Option<IpAddr>,
    /// A person's session.
    pub session: Option<Session>,
}

impl Principal {
    pub(super) fn new(name: &str, scope: Scope, credential: Credential) -> Principal {
        Principal { name: name.to_owned(), credential, scope, from: None, session: None }
    }

    /// A person or a program.
    pub fn kind(&self) -> Kind {
        if matches!(self.credential, Credential::Cookie(_)) { Kind::User } else { Kind::Token }
    }

    /// What a person's cookie carries.
    pub fn cookie(&self) -> Option<&str> {
        match &self.credential {
            Credential::Cookie(cookie) => Some(cookie.expose()),
            _ => None,
        }
    }

    /// What it wants, for whoever carries it out and knows what came of it.
    pub fn asks(&self, reason: String) -> Change {
        Change { reason: Some(reason), ..self.change("", String::new()) }
    }

    /// A change that it makes.
    pub fn change(&self, what: &str, on: String) -> Change {
        let from = self.from.map(|from| from.to_string());
        Change { who: self.name.clone(), what: what.to_owned(), on, from, ..Change::default() }
    }
}
