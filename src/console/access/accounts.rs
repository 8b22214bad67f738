//! Users and API tokens, in one file of the home that only the gateway's user may read: JSON, replaced as a whole.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::super::problem::Problem;
use super::super::token::is_exposed;
use super::principal::{Role, Scope};
use crate::bilingual;
use crate::ground::sealed::Altered;
use crate::ground::text::Bilingual;
use crate::ground::{durable, sealed};
use crate::keys::save;

/// Users at most, and tokens at most: a list is one answer.
const MOST: usize = 500;
/// Bytes of the file, at most.
const LARGEST: u64 = 4 * 1024 * 1024;

/// A user as kept.
#[derive(Clone, Serialize, Deserialize)]
pub struct StoredUser {
    /// In lower case.
    pub name: String,
    /// What it is.
    pub role: Role,
    /// Its hash.
    pub password: String,
    /// The secret of its one-time codes in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub totp: Option<String>,
    /// When it was made.
    pub created: Timestamp,
}

/// An API token as kept.
#[derive(Clone, Serialize, Deserialize)]
pub struct StoredToken {
    /// Names it in routes.
    pub id: String,
    /// For people and the audit trail.
    pub name: String,
    /// What it may.
    pub scope: Scope,
    /// Of its text, hex.
    pub sha256: String,
    /// When it was made.
    pub created: Timestamp,
    /// Its end.
    pub expires: Timestamp,
    /// Who made it.
    pub by: String,
}

/// Everything in the file.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Accounts {
    /// People.
    pub users: Vec<StoredUser>,
    /// Programs.
    pub tokens: Vec<StoredToken>,
}

impl Accounts {
    pub(super) fn add_user(&mut self, user: StoredUser) -> Result<(), Problem> {
        if self.users.iter().any(|known| known.name == user.name) {
            return Err(name_taken(&user.name));
        }
        if self.users.len() >= MOST {
            return Err(too_many());
        }
        self.users.push(user);
        Ok(())
    }

    pub(super) fn add_token(&mut self, token: StoredToken) -> Result<(), Problem> {
        if self.tokens.iter().any(|known| known.name == token.name) {
            return Err(name_taken(&token.name));
        }
        if self.tokens.len() >= MOST {
            return Err(too_many());
        }
        self.tokens.push(token);
        Ok(())
    }

    /// A user, to be changed.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn user_mut(&mut self, name: &str) -> Result<&mut StoredUser, Problem> {
        self.users.iter_mut().find(|user| user.name == name).ok_or_else(Problem::no_user)
    }

    /// Sets a role; one admin stays.
    ///
    /// # Errors
    /// There is no such user, or it is the last admin.
    pub fn set_role(&mut self, name: &str, role: Role) -> Result<(), Problem> {
        let had = self.has_admin();
        self.user_mut(name)?.role = role;
        self.keep_an_admin(had)
    }

    /// Removes a user; one admin stays.
    ///
    /// # Errors
    /// There is no such user, or it is the last admin.
    pub fn remove_user(&mut self, name: &str) -> Result<(), Problem> {
        let had = self.has_admin();
        self.user_mut(name)?;
        self.users.retain(|user| user.name != name);
        self.keep_an_admin(had)
    }

    /// Removes a token.
    ///
    /// # Errors
    /// There is none with that id.
    pub fn remove_token(&mut self, id: &str) -> Result<StoredToken, Problem> {
        let found = self.tokens.iter().position(|token| token.id == id).ok_or_else(Problem::no_token)?;
        Ok(self.tokens.remove(found))
    }

    fn has_admin(&self) -> bool {
        self.users.iter().any(|user| user.role == Role::Admin)
    }

    /// Where the machine's own token made the first users there may be no admin yet, and none that could go.
    fn keep_an_admin(&self, had: bool) -> Result<(), Problem> {
        if !had || self.has_admin() {
            return Ok(());
        }
        let text = bilingual!(
            "至少须保留一名管理员。请先添加另一名管理员。",
            "one admin has to stay. Make another one first."
        );
        Err(Problem::new(StatusCode::CONFLICT, "last-admin", text))
    }
}

/// The file, and what is in it.
pub struct AccountsFile {
    path: PathBuf,
    current: Arc<Mutex<Accounts>>,
    /// Held by whoever writes.
    writing: tokio::sync::Mutex<()>,
    /// When people signed in last, since the start.
    seen: Mutex<HashMap<String, Timestamp>>,
}

impl AccountsFile {
    /// What is in the file; nothing when there is none.
    ///
    /// # Errors
    /// It cannot be read, others can read it, or it is not ours.
    pub fn load(path: &Path) -> Result<AccountsFile, AccountsError> {
        let unusable = |cause: String| AccountsError::Unusable { path: path.to_owned(), cause };
        let accounts = match std::fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Accounts::default(),
            Err(error) => return Err(unusable(error.to_string())),
            Ok(metadata) if is_exposed(&metadata) => return Err(AccountsError::Exposed { path: path.to_owned() }),
            Ok(metadata) if metadata.len() > LARGEST => return Err(unusable("it is too large".to_owned())),
            Ok(_) => {
                let text = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
                let document =
                    sealed::open(&text).map_err(|altered| AccountsError::Damaged { path: path.to_owned(), altered })?;
                serde_json::from_slice(document).map_err(|error| unusable(error.to_string()))?
            }
        };
        Ok(AccountsFile {
            path: path.to_owned(),
            current: Arc::new(Mutex::new(accounts)),
            writing: tokio::sync::Mutex::new(()),
            seen: Mutex::default(),
        })
    }

    /// Everything in it.
    pub fn read(&self) -> Accounts {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A user.
    pub fn user(&self, name: &str) -> Option<StoredUser> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.users.iter().find(|user| user.name == name).cloned()
    }

    /// Does `then` if the user is still as it was read; whoever changes it comes before that or after.
    pub(super) fn while_same<T>(&self, user: &StoredUser, then: impl FnOnce() -> T) -> Option<T> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same =
            |now: &StoredUser| (&now.name, &now.password, &now.totp) == (&user.name, &user.password, &user.totp);
        current.users.iter().any(is_same).then(then)
    }

    /// Notes that a person signed in.
    pub(super) fn seen(&self, name: &str, at: Timestamp) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), at);
    }

    /// When a person signed in last, since the start.
    pub fn last_login(&self, name: &str) -> Option<Timestamp> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied()
    }

    /// Changes what is in it; durable when this returns. A refusal changes nothing. `recorded` completes when the
    /// audit trail has the change: it is awaited once the change is known to be lawful, before it is made.
    ///
    /// # Errors
    /// That of `change` or `recorded`; the disk.
    pub async fn update<T: Send>(
        &self,
        change: impl FnOnce(&mut Accounts) -> Result<T, Problem> + Send,
        recorded: impl Future<Output = Result<(), Problem>> + Send,
    ) -> Result<T, Problem> {
        let _writing = self.writing.lock().await;
        let mut next = self.read();
        let result = change(&mut next)?;
        recorded.await?;
        let text = serde_json::to_vec_pretty(&next).map_err(|_| Problem::internal())?;
        let path = self.path.clone();
        let written = crate::ground::drain::blocking(move || write_private(&path, &sealed::seal(text))).await;
        written.map_err(|_| Problem::internal())?.map_err(|error| {
            tracing::error!(%error, code = error.code(), "users and tokens could not be saved");
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.code(), error.text())
        })?;
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(result)
    }
}

/// A file of ours over whatever has its name, never readable by others, durable when this returns.
pub(super) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), AccountsError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let written = durable::create_dir_all(folder).and_then(|()| save::replace_private(path, bytes));
    written.map_err(|error| AccountsError::Unwritable { path: path.to_owned(), cause: error.to_string() })
}

/// A name for routes, logs and the trail: 1 to 64 lower-case letters, digits and `.-_@`, beginning with a letter or digit.
pub(in crate::console) fn check_name(name: &str) -> Result<(), Problem> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_@".contains(&byte);
    let begins = name.bytes().next().is_some_and(|first| first.is_ascii_lowercase() || first.is_ascii_digit());
    if begins && name.len() <= 64 && name.bytes().all(plain) && name != "api-token" {
        return Ok(());
    }
    let text = bilingual!(
        "名称须为 1 至 64 个小写字母、数字或 . - _ @，并以字母或数字开头。",
        "a name has 1 to 64 lower-case letters, digits or . - _ @, and begins with a letter or digit."
    );
    Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad-name", text))
}

fn name_taken(name: &str) -> Problem {
    let text = bilingual!("名称 {name} 已存在。", "the name {name} is taken.");
    Problem::new(StatusCode::CONFLICT, "name-taken", text)
}

fn too_many() -> Problem {
    let text = bilingual!("数量已达上限 {MOST}。请先删除不用的。", "there are {MOST} already. Remove some first.");
    Problem::new(StatusCode::CONFLICT, "too-many", text)
}

/// A file of the access cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    /// Not readable, or not ours.
    #[error("{} cannot be used: {cause}", path.display())]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// It is not what was written.
    #[error("{}: {altered}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// How that is known.
        altered: Altered,
    },
    /// It cannot be written.
    #[error("{} cannot be written: {cause}", path.display())]
    Unwritable {
        /// Which file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// Others can read it.
    #[error("{} can be read by others", path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
    },
}

impl AccountsError {
    /// Stable name.
    pub fn code(&self) -> &'static str {
        match self {
            AccountsError::Unusable { .. } => "users-unusable",
            AccountsError::Damaged { .. } => "users-damaged",
            AccountsError::Unwritable { .. } => "users-unwritable",
            AccountsError::Exposed { .. } => "users-exposed",
        }
    }

    /// What is wrong and what to do.
    pub fn text(&self) -> Bilingual {
        match self {
            AccountsError::Unusable { path, cause } => {
                let path = path.display();
                bilingual!(
                    "用户文件 {path} 无法使用：{cause}。请从备份恢复，或移走后重启以重新设置。",
                    "the users' file {path} cannot be used: {cause}. Restore it from a backup, or move it away and start again to set up anew."
                )
            }
            AccountsError::Damaged { path, altered } => altered.text(path),
            AccountsError::Unwritable { path, cause } => {
                let path = path.display();
                bilingual!(
                    "无法写入 {path}：{cause}。请检查磁盘和权限。",
                    "{path} cannot be written: {cause}. Check the disk and the permissions."
                )
            }
            AccountsError::Exposed { path } => {
                let path = path.display();
                bilingual!(
                    "其他用户可以读取 {path}；请执行 chmod 600 {path}",
                    "others can read {path}; run chmod 600 {path}"
                )
            }
        }
    }
}
