//! Who may do what: people with passwords and sessions, programs with tokens, and the machine's own token.
//!
//! Three ways lead to a [`Principal`]: a session's cookie, an API token, the token of `[console] token_file`. A
//! principal has a [`Scope`], and every route of the API names the least one it wants. Accounts stand in one file of the
//! home ([`accounts`]), sessions, failures and the first link in memory: a restart ends them.
//!
//! What fails to sign in fails in one way: an unknown name costs the same hash as a wrong password, and neither answer
//! nor time tell them apart.

pub mod accounts;
mod pace;
mod password;
mod principal;
mod sessions;
mod setup;
mod throttle;
mod totp;

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use data_encoding::HEXLOWER;
use jiff::{SignedDuration, Timestamp};
use openssl::sha::sha256;

pub use self::accounts::AccountsError;
pub use self::password::Cost;
pub use self::principal::{Credential, Kind, Principal, Role, Scope};
pub use self::sessions::{ABSOLUTE, IDLE};

use self::accounts::{Accounts, AccountsFile, StoredToken, StoredUser};
use self::pace::Pace;
use self::sessions::{Session, Sessions};
use self::setup::Setup;
use self::throttle::Throttle;
use super::problem::Problem;
use super::token::{Token, TokenError};
use crate::bilingual;
use crate::ground::clock::Clock;
use crate::ground::random;
use crate::ground::secret::Secret;

/// Where things are, and how people reach the console.
#[derive(Debug, Clone)]
pub struct AccessSettings {
    /// The machine's own token.
    pub token_file: PathBuf,
    /// Users and API tokens.
    pub users_file: PathBuf,
    /// The console's address for people, such as `https://127.0.0.1:4081`.
    pub url: String,
    /// The listener serves TLS.
    pub tls: bool,
    /// Names under which it may be reached, besides `localhost`, addresses and those of its certificate.
    pub hosts: Vec<String>,
    /// The names of the certificate that it shows now: another one is taken while it runs.
    pub certificate_names: Arc<ArcSwap<Vec<String>>>,
    /// Whoever is on this machine reads `/metrics` without a token.
    pub open_metrics: bool,
    /// Requests a minute with one API token.
    pub token_rate: u32,
    /// What a guess at a password costs.
    pub cost: Cost,
}

/// Who may do what.
pub struct Access {
    machine: Token,
    accounts: AccountsFile,
    sessions: Mutex<Sessions>,
    throttle: Mutex<Throttle>,
    pace: Mutex<Pace>,
    setup: Mutex<Setup>,
    /// When API tokens were used last, since the start.
    used: Mutex<HashMap<String, Timestamp>>,
    /// The last time step of a one-time code that each user has used.
    steps: Mutex<HashMap<String, u64>>,
    /// Hashes at a time: each takes memory on purpose.
    hashing: tokio::sync::Semaphore,
    decoy: String,
    settings: AccessSettings,
    clock: Arc<dyn Clock>,
}

/// A session that has begun.
pub struct SignedIn {
    /// Who.
    pub principal: Principal,
    /// What the cookie carries.
    pub cookie: Secret<String>,
}

/// Hashes at a time.
const HASHES: usize = 2;
/// Characters of a password: a book is not hashed.
pub(super) const PASSWORD_LENGTH: std::ops::RangeInclusive<usize> = 12..=256;

impl Access {
    /// Reads or makes the files; without any user a link for the first one is made.
    ///
    /// # Errors
    /// A file that cannot be used, or that others can read.
    pub fn open(settings: AccessSettings, clock: Arc<dyn Clock>) -> Result<Access, AccessError> {
        let machine = Token::load_or_create(&settings.token_file)?;
        let accounts = AccountsFile::load(&settings.users_file)?;
        let link_file = settings.token_file.with_file_name(setup::FILE);
        let setup = if accounts.read().users.is_empty() {
            Setup::open(&link_file, &settings.url, clock.now())?
        } else {
            Setup::closed(&link_file)
        };
        let decoy = password::decoy(settings.cost);
        Ok(Access {
            machine,
            accounts,
            sessions: Mutex::default(),
            throttle: Mutex::default(),
            pace: Mutex::default(),
            setup: Mutex::new(setup),
            used: Mutex::default(),
            steps: Mutex::default(),
            hashing: tokio::sync::Semaphore::new(HASHES),
            decoy,
            settings,
            clock,
        })
    }

    /// The file with the link for the first admin, while it is of use.
    pub fn setup_file(&self) -> Option<PathBuf> {
        lock(&self.setup).file(self.clock.now()).map(Path::to_owned)
    }

    /// How the console is reached.
    pub fn settings(&self) -> &AccessSettings {
        &self.settings
    }

    /// Users and tokens.
    pub fn accounts(&self) -> &AccountsFile {
        &self.accounts
    }

    /// Whom a bearer token stands for.
    pub fn bearer(&self, presented: &[u8]) -> Option<Principal> {
        if self.machine.matches(presented) {
            return Some(Principal::new("api-token", Scope::Admin, Credential::Machine));
        }
        let digest = HEXLOWER.encode(&sha256(presented));
        let now = self.clock.now();
        let accounts = self.accounts.read();
        let token = accounts.tokens.iter().find(|token| token.sha256 == digest && token.expires > now)?;
        lock(&self.used).insert(token.id.clone(), now);
        let credential = Credential::Token(token.id.clone());
        Some(Principal::new(&format!("token:{}", token.name), token.scope, credential))
    }

    /// One more request of this principal's.
    ///
    /// # Errors
    /// `too-many-requests`: its token has had as many as it may.
    pub fn admit(&self, principal: &Principal) -> Result<(), Problem> {
        match &principal.credential {
            Credential::Token(id) => lock(&self.pace).take(id, self.settings.token_rate, self.clock.now()),
            _ => Ok(()),
        }
    }

    /// Whom a session's cookie stands for; the session goes on from now.
    pub fn session(&self, cookie: &str) -> Option<Principal> {
        let session = lock(&self.sessions).touch(cookie, self.clock.now())?;
        let user = self.accounts.user(&session.user)?;
        Some(principal_of(&user, session, cookie))
    }

    /// Signs a person in.
    ///
    /// # Errors
    /// `login-failed`, whatever was wrong; `too-many-attempts`.
    pub async fn sign_in(
        &self,
        name: &str,
        password: Secret<String>,
        code: Option<&str>,
        from: Option<IpAddr>,
    ) -> Result<SignedIn, Problem> {
        let name = name.trim().to_lowercase();
        let _turn = self.turn(&name, from).await?;
        let (user, now) = (self.accounts.user(&name), self.clock.now());
        let hash = user.as_ref().map_or_else(|| self.decoy.clone(), |user| user.password.clone());
        let right = self.verify(hash, password).await;
        let user = user.filter(|_| right).filter(|user| self.second_factor(user, code, now));
        let Some(user) = user else {
            lock(&self.throttle).failed(&name, from, now);
            return Err(Problem::login_failed());
        };
        lock(&self.throttle).succeeded(&name, from);
        self.accounts.seen(&name, now);
        self.begin(&user)
    }

    /// Makes the first user out of the link, once, and signs it in.
    ///
    /// # Errors
    /// `setup-closed`: there is a user, or the link is wrong, used or over.
    pub async fn set_up(
        &self,
        link: &str,
        name: &str,
        password: Secret<String>,
        recorded: impl Future<Output = Result<(), Problem>> + Send,
    ) -> Result<SignedIn, Problem> {
        accounts::check_name(name)?;
        check_password(&password)?;
        if !lock(&self.setup).take(link, self.clock.now()) {
            return Err(Problem::setup_closed());
        }
        let made = self.add_user(name, Role::Admin, password, recorded).await;
        let user = made.inspect_err(|_| lock(&self.setup).give_back())?;
        lock(&self.setup).done();
        self.begin(&user)
    }

    /// Whether the first admin can be made now.
    pub fn is_set_up_open(&self) -> bool {
        lock(&self.setup).file(self.clock.now()).is_some()
    }

    /// Adds a user; durable when this returns.
    ///
    /// # Errors
    /// The name is taken or none, the password too short; the disk.
    pub async fn add_user(
        &self,
        name: &str,
        role: Role,
        password: Secret<String>,
        recorded: impl Future<Output = Result<(), Problem>> + Send,
    ) -> Result<StoredUser, Problem> {
        accounts::check_name(name)?;
        check_password(&password)?;
        let hash = self.hash(password).await?;
        let created = self.clock.now();
        let user = StoredUser { name: name.to_owned(), role, password: hash, totp: None, created };
        self.accounts.update(|accounts| accounts.add_user(user.clone()), recorded).await?;
        Ok(user)
    }

    /// Sets a user's password; its sessions end, but for the one that is kept.
    ///
    /// # Errors
    /// No such user, too short; the disk.
    pub async fn set_password(
        &self,
        name: &str,
        password: Secret<String>,
        keep: Option<&str>,
        recorded: impl Future<Output = Result<(), Problem>> + Send,
    ) -> Result<(), Problem> {
        check_password(&password)?;
        let hash = self.hash(password).await?;
        let set = |accounts: &mut Accounts| accounts.user_mut(name).map(|user| user.password = hash);
        self.accounts.update(set, recorded).await?;
        lock(&self.sessions).end_all(name, keep);
        Ok(())
    }

    /// Changes a user and ends its sessions.
    ///
    /// # Errors
    /// No such user; there would be no admin left; the disk.
    pub async fn change_user(
        &self,
        name: &str,
        change: impl FnOnce(&mut Accounts) -> Result<(), Problem> + Send,
        recorded: impl Future<Output = Result<(), Problem>> + Send,
    ) -> Result<(), Problem> {
        self.accounts.update(change, recorded).await?;
        lock(&self.sessions).end_all(name, None);
        Ok(())
    }

    /// Whether this is the user's password; wrong ones count like failures to sign in.
    ///
    /// # Errors
    /// `login-failed`, `too-many-attempts`.
    pub async fn confirm(&self, name: &str, password: Secret<String>, from: Option<IpAddr>) -> Result<(), Problem> {
        let _turn = self.turn(name, from).await?;
        let hash = self.accounts.user(name).map_or_else(|| self.decoy.clone(), |user| user.password);
        if self.verify(hash, password).await {
            return Ok(());
        }
        lock(&self.throttle).failed(name, from, self.clock.now());
        Err(Problem::login_failed())
    }

    /// A secret for one-time codes, waiting in the session to be confirmed; shown as hex of its bytes.
    pub fn new_totp(&self, cookie: &str) -> Option<totp::Enrolment> {
        let secret = totp::new_secret();
        let user = lock(&self.sessions).offer_totp(cookie, &secret)?;
        Some(totp::Enrolment::new(&user, &secret))
    }

    /// Takes the waiting secret if `code` is of it.
    ///
    /// # Errors
    /// `login-failed`; the disk.
    pub async fn confirm_totp(
        &self,
        cookie: &str,
        code: &str,
        from: Option<IpAddr>,
        recorded: impl Future<Output = Result<(), Problem>> + Send,
    ) -> Result<(), Problem> {
        let now = self.clock.now();
        let offered = lock(&self.sessions).offered_totp(cookie);
        let Some((name, secret)) = offered else { return Err(Problem::login_failed()) };
        lock(&self.throttle).judge(&name, from, now)?;
        if totp::step_of(&secret, code, now).is_none() {
            lock(&self.throttle).failed(&name, from, now);
            return Err(Problem::login_failed());
        }
        let set = |accounts: &mut Accounts| accounts.user_mut(&name).map(|user| user.totp = Some(secret));
        self.accounts.update(set, recorded).await
    }

    /// Makes an API token; its text is returned once and kept nowhere.
    ///
    /// # Errors
    /// The name is taken or none; the disk.
    pub async fn add_token(
        &self,
        name: &str,
        scope: Scope,
        days: u16,
        by: &str,
        recorded: impl Future<Output = Result<(), Problem>> + Send,
    ) -> Result<(StoredToken, Secret<String>), Problem> {
        accounts::check_name(name)?;
        let text = format!("dxgt_{}", random::hex(32));
        let created = self.clock.now();
        let lasts = SignedDuration::from_hours(i64::from(days).saturating_mul(24));
        let token = StoredToken {
            id: random::hex(6),
            name: name.to_owned(),
            scope,
            sha256: HEXLOWER.encode(&sha256(text.as_bytes())),
            created,
            expires: created.checked_add(lasts).unwrap_or(Timestamp::MAX),
            by: by.to_owned(),
        };
        let new = token.clone();
        self.accounts.update(|accounts| accounts.add_token(new), recorded).await?;
        Ok((token, Secret::new(text)))
    }

    /// When a token was used last, since the start.
    pub fn last_used(&self, token: &str) -> Option<Timestamp> {
        lock(&self.used).get(token).copied()
    }

    /// Whether whoever asked may still go on: its session or token has not ended meanwhile.
    pub fn holds(&self, principal: &Principal) -> bool {
        let now = self.clock.now();
        match &principal.credential {
            Credential::Machine => true,
            Credential::Cookie(cookie) => lock(&self.sessions).lives(cookie.expose(), now),
            Credential::Token(id) => {
                self.accounts.read().tokens.iter().any(|token| token.id == *id && token.expires > now)
            }
        }
    }

    /// Ends a session.
    pub fn sign_out(&self, cookie: &str) {
        lock(&self.sessions).end(cookie);
    }

    /// The cookie's name: the prefix makes browsers insist on TLS and on this host (RFC 6265bis 4.1.3.2).
    pub fn cookie_name(&self) -> &'static str {
        if self.settings.tls { "__Host-dxgate" } else { "dxgate" }
    }

    fn begin(&self, user: &StoredUser) -> Result<SignedIn, Problem> {
        let begun = || lock(&self.sessions).begin(&user.name, self.clock.now());
        let (cookie, session) = self.accounts.while_same(user, begun).ok_or_else(Problem::login_failed)?;
        Ok(SignedIn { principal: principal_of(user, session, cookie.expose()), cookie })
    }

    /// A user without a second factor needs none; a code is good once.
    fn second_factor(&self, user: &StoredUser, code: Option<&str>, now: Timestamp) -> bool {
        let Some(secret) = &user.totp else { return true };
        let Some(step) = code.and_then(|code| totp::step_of(secret, code, now)) else { return false };
        let mut steps = lock(&self.steps);
        let fresh = steps.get(&user.name).is_none_or(|last| *last < step);
        if fresh {
            steps.insert(user.name.clone(), step);
        }
        fresh
    }

    /// The turn to guess at a password: whoever waited for it is judged by what came of those before.
    async fn turn(&self, name: &str, from: Option<IpAddr>) -> Result<tokio::sync::SemaphorePermit<'_>, Problem> {
        lock(&self.throttle).judge(name, from, self.clock.now())?;
        let turn = self.hashing.acquire().await.map_err(|_| Problem::internal())?;
        lock(&self.throttle).judge(name, from, self.clock.now())?;
        Ok(turn)
    }

    /// Only with a [turn](Access::turn), which is held until what came of it is noted.
    async fn verify(&self, hash: String, password: Secret<String>) -> bool {
        let short_enough = password.expose().chars().count() <= *PASSWORD_LENGTH.end();
        let verified = crate::ground::drain::blocking(move || short_enough & password::verify(&hash, &password)).await;
        verified.unwrap_or(false)
    }

    async fn hash(&self, password: Secret<String>) -> Result<String, Problem> {
        let _permit = self.hashing.acquire().await.map_err(|_| Problem::internal())?;
        let cost = self.settings.cost;
        crate::ground::drain::blocking(move || password::hash(&password, cost)).await.map_err(|_| Problem::internal())
    }
}

fn principal_of(user: &StoredUser, session: Session, cookie: &str) -> Principal {
    let credential = Credential::Cookie(Secret::new(cookie.to_owned()));
    let mut principal = Principal::new(&user.name, user.role.scope(), credential);
    principal.session = Some(session);
    principal
}

fn check_password(password: &Secret<String>) -> Result<(), Problem> {
    let fits = PASSWORD_LENGTH.contains(&password.expose().chars().count());
    if fits { Ok(()) } else { Err(Problem::weak_password()) }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The files of the access cannot be used. The operator's doing.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The token file.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The users' file, or the link's.
    #[error(transparent)]
    Accounts(#[from] AccountsError),
}

impl AccessError {
    /// Stable name.
    pub fn code(&self) -> &'static str {
        match self {
            AccessError::Token(error) => error.code(),
            AccessError::Accounts(error) => error.code(),
        }
    }

    /// What is wrong and what to do.
    pub fn text(&self) -> crate::ground::text::Bilingual {
        match self {
            AccessError::Token(error) => error.text(),
            AccessError::Accounts(error) => error.text(),
        }
    }
}

impl Problem {
    /// 401, the same whatever was wrong.
    pub fn login_failed() -> Problem {
        let text = bilingual!(
            "登录失败：用户名、密码或动态码不正确。",
            "the sign-in failed: name, password or one-time code is wrong."
        );
        Problem::new(axum::http::StatusCode::UNAUTHORIZED, "login-failed", text)
    }

    /// 409: the first admin exists, or the link is not good.
    pub fn setup_closed() -> Problem {
        let text = bilingual!(
            "首次设置链接无效、已使用或已过期。如尚无用户，请重启网关以获得新链接；否则请用 dxgate user add。",
            "the link is wrong, used or over. Without any user a restart makes a new one; else use dxgate user add."
        );
        Problem::new(axum::http::StatusCode::CONFLICT, "setup-closed", text)
    }

    fn weak_password() -> Problem {
        let (least, most) = (PASSWORD_LENGTH.start(), PASSWORD_LENGTH.end());
        let text = bilingual!("密码须为 {least} 至 {most} 个字符。", "a password has {least} to {most} characters.");
        Problem::new(axum::http::StatusCode::UNPROCESSABLE_ENTITY, "weak-password", text)
    }
}

#[cfg(test)]
#[path = "access_tests.rs"]
mod tests;
