//! Users, sessions, tokens and the audit trail, as JSON.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::super::access::{Kind, Role, Scope};
use super::super::schema;
use crate::ground::secret::Secret;
use crate::store::trail::Entry;

/// `GET /api/v1/session`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionWire {
    /// As the audit trail names it.
    pub name: String,
    /// A person or a program.
    pub kind: Kind,
    /// What it may.
    pub role: Role,
    /// For `X-CSRF-Token`; people only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub csrf: Option<String>,
    /// The session ends then unless it is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_until: Option<Timestamp>,
    /// The session ends then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// One-time codes are asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub totp: Option<bool>,
}

/// `GET /api/v1/setup`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SetupState {
    /// The first admin can be made.
    pub open: bool,
}

/// `POST /api/v1/setup`.
#[derive(Debug, Deserialize, ToSchema)]
pub struct SetupRequest {
    /// What stands behind `#` in the link.
    pub link: String,
    /// The admin's name.
    pub name: String,
    /// 12 to 256 characters.
    #[schema(value_type = String)]
    pub password: Secret<String>,
}

/// `POST /api/v1/session`.
#[derive(Debug, Deserialize, ToSchema)]
pub struct SignInRequest {
    /// The user's name.
    pub name: String,
    /// Its password.
    #[schema(value_type = String)]
    pub password: Secret<String>,
    /// Its one-time code, when it has set that up.
    #[serde(default)]
    pub code: Option<String>,
}

/// `POST /api/v1/session/password`.
#[derive(Debug, Deserialize, ToSchema)]
pub struct PasswordRequest {
    /// The password so far.
    #[schema(value_type = String)]
    pub current: Secret<String>,
    /// The new one.
    #[schema(value_type = String)]
    pub password: Secret<String>,
}

/// Body of what wants the password once more.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ConfirmRequest {
    /// The password.
    #[schema(value_type = String)]
    pub current: Secret<String>,
}

/// `POST /api/v1/session/totp/confirm`.
#[derive(Debug, Deserialize, ToSchema)]
pub struct CodeRequest {
    /// Six digits.
    pub code: String,
}

/// Answer to `POST /api/v1/session/totp`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TotpWire {
    /// Base32, to be typed.
    pub secret: String,
    /// `otpauth://…`, to be scanned.
    pub uri: String,
}

/// `GET /api/v1/users`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UserList {
    /// In the order of their names.
    pub users: Vec<UserWire>,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UserWire {
    /// Its name.
    pub name: String,
    /// What it may.
    pub role: Role,
    /// One-time codes are asked for.
    pub totp: bool,
    /// When it was made.
    pub created: Timestamp,
    /// Its last sign-in since the gateway started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_login: Option<Timestamp>,
}

/// `POST /api/v1/users`.
#[derive(Debug, Deserialize, ToSchema)]
pub struct NewUser {
    /// 1 to 64 lower-case letters, digits or `.-_@`.
    pub name: String,
    /// What it may.
    pub role: Role,
    /// 12 to 256 characters.
    #[schema(value_type = String)]
    pub password: Secret<String>,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
}

/// `PATCH /api/v1/users/{name}`; what is absent stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub struct UserChange {
    /// What it may.
    #[serde(default)]
    pub role: Option<Role>,
    /// A new password.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub password: Option<Secret<String>>,
    /// `false`: one-time codes are no longer asked for.
    #[serde(default)]
    pub totp: Option<bool>,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
}

/// `GET /api/v1/tokens`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenList {
    /// In the order of their names.
    pub tokens: Vec<TokenWire>,
}

/// An API token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenWire {
    /// Names it in routes.
    pub id: String,
    /// For people and the audit trail.
    pub name: String,
    /// What it may.
    pub scope: Scope,
    /// When it was made.
    pub created: Timestamp,
    /// Its end.
    pub expires: Timestamp,
    /// Who made it.
    pub by: String,
    /// Its last use since the gateway started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used: Option<Timestamp>,
}

/// `POST /api/v1/tokens`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NewToken {
    /// 1 to 64 lower-case letters, digits or `.-_@`.
    pub name: String,
    /// What it may.
    pub scope: Scope,
    /// It ends after so many days, 1 to 3650.
    pub days: u16,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
}

/// A token that was just made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MadeToken {
    /// The only time that it is shown.
    pub token: String,
    /// What a list shows of it.
    #[serde(flatten)]
    pub line: TokenWire,
}

/// `GET /api/v1/audit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TrailList {
    /// Newest first.
    pub entries: Vec<EntryWire>,
    /// Give it as `before` to read on; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EntryWire {
    /// The journal's frame that holds it.
    pub sequence: u64,
    /// When.
    pub at: Timestamp,
    /// The user's name, `token:<name>`, or `api-token`.
    pub who: String,
    /// Stable kebab-case name, such as `partner-paused`.
    pub what: String,
    /// `partner:<id>`, `user:<name>`, `message:<id>`, …
    pub on: String,
    /// What mattered before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schema::anything)]
    pub before: Option<Value>,
    /// The same afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schema::anything)]
    pub after: Option<Value>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The address it was asked from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

impl From<Entry> for EntryWire {
    fn from(Entry { sequence, at, change, .. }: Entry) -> EntryWire {
        let crate::store::trail::Change { who, what, on, before, after, reason, from } = change;
        EntryWire { sequence, at, who, what, on, before, after, reason, from }
    }
}
