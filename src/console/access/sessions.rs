//! Sessions: in memory, found by the digest of what the cookie carries.

use std::collections::HashMap;
use std::fmt;

use data_encoding::HEXLOWER;
use jiff::{SignedDuration, Timestamp};
use openssl::sha::sha256;

use crate::ground::random;
use crate::ground::secret::Secret;

/// A session ends after this time without a request.
pub const IDLE: SignedDuration = SignedDuration::from_mins(30);
/// A session ends this long after it began.
pub const ABSOLUTE: SignedDuration = SignedDuration::from_hours(12);
/// Sessions at a time; beyond, the one that is idle longest ends.
const MOST: usize = 1000;
/// Sessions of one user at a time.
const MOST_OF_ONE: usize = 20;

/// What is known of a session.
#[derive(Clone)]
pub struct Session {
    /// Whose.
    pub user: String,
    /// What changes must repeat in `X-CSRF-Token`.
    pub csrf: String,
    /// It ends then unless it is used.
    pub idle_until: Timestamp,
    /// It ends then.
    pub until: Timestamp,
    /// The secret for one-time codes that waits for its first code.
    offered: Option<String>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("user", &self.user).finish_non_exhaustive()
    }
}

/// All of them, by the SHA-256 of their cookies.
#[derive(Default)]
pub(super) struct Sessions(HashMap<String, Session>);

impl Sessions {
    /// Begins one; returns what its cookie carries.
    pub(super) fn begin(&mut self, user: &str, now: Timestamp) -> (Secret<String>, Session) {
        self.0.retain(|_, session| session.lives(now));
        while self.0.values().filter(|session| session.user == user).count() >= MOST_OF_ONE {
            self.end_idlest(Some(user));
        }
        while self.0.len() >= MOST {
            self.end_idlest(None);
        }
        let cookie = random::hex(32);
        let session = Session {
            user: user.to_owned(),
            csrf: random::hex(32),
            idle_until: later(now, IDLE),
            until: later(now, ABSOLUTE),
            offered: None,
        };
        self.0.insert(digest(&cookie), session.clone());
        (Secret::new(cookie), session)
    }

    /// The session of a cookie, which goes on from now.
    pub(super) fn touch(&mut self, cookie: &str, now: Timestamp) -> Option<Session> {
        let digest = digest(cookie);
        let session = self.0.get_mut(&digest)?;
        if !session.lives(now) {
            self.0.remove(&digest);
            return None;
        }
        session.idle_until = later(now, IDLE);
        Some(session.clone())
    }

    /// Whether the session of a cookie goes on; asking does not prolong it.
    pub(super) fn lives(&self, cookie: &str, now: Timestamp) -> bool {
        self.0.get(&digest(cookie)).is_some_and(|session| session.lives(now))
    }

    pub(super) fn end(&mut self, cookie: &str) {
        self.0.remove(&digest(cookie));
    }

    /// Ends every session of a user but the one with the cookie `keep`.
    pub(super) fn end_all(&mut self, user: &str, keep: Option<&str>) {
        let keep = keep.map(digest);
        self.0.retain(|digest, session| session.user != user || keep.as_ref() == Some(digest));
    }

    /// Keeps a secret with the session; returns its user.
    pub(super) fn offer_totp(&mut self, cookie: &str, secret: &str) -> Option<String> {
        let session = self.0.get_mut(&digest(cookie))?;
        session.offered = Some(secret.to_owned());
        Some(session.user.clone())
    }

    /// The user and the secret that waits.
    pub(super) fn offered_totp(&self, cookie: &str) -> Option<(String, String)> {
        let session = self.0.get(&digest(cookie))?;
        Some((session.user.clone(), session.offered.clone()?))
    }

    fn end_idlest(&mut self, user: Option<&str>) {
        let of = self.0.iter().filter(|(_, session)| user.is_none_or(|user| session.user == user));
        let idlest = of.min_by_key(|(_, session)| session.idle_until).map(|(digest, _)| digest.clone());
        idlest.and_then(|digest| self.0.remove(&digest));
    }
}

impl Session {
    fn lives(&self, now: Timestamp) -> bool {
        now < self.idle_until && now < self.until
    }
}

fn later(now: Timestamp, by: SignedDuration) -> Timestamp {
    now.checked_add(by).unwrap_or(Timestamp::MAX)
}

fn digest(cookie: &str) -> String {
    HEXLOWER.encode(&sha256(cookie.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_its_number_of_sessions_a_user_loses_the_idlest_and_others_none() {
        let (mut sessions, at) = (Sessions::default(), Timestamp::UNIX_EPOCH);
        let (of_other, _) = sessions.begin("otto", at);
        let cookies: Vec<_> = (0..MOST_OF_ONE).map(|_| sessions.begin("ada", at).0).collect();
        let soon = later(at, SignedDuration::from_secs(60));
        assert!(cookies.iter().skip(1).all(|cookie| sessions.touch(cookie.expose(), soon).is_some()));
        sessions.begin("ada", soon);
        let lives = |cookie: &Secret<String>| sessions.lives(cookie.expose(), soon);
        assert_eq!(cookies.iter().map(lives).filter(|lives| !lives).count(), 1);
        assert!(!lives(&cookies[0]) && lives(&of_other));
    }

    #[test]
    fn there_are_never_more_sessions_than_the_gateway_keeps() {
        let (mut sessions, at) = (Sessions::default(), Timestamp::UNIX_EPOCH);
        for number in 0..MOST + 50 {
            sessions.begin(&format!("user-{number}"), at);
        }
        assert_eq!(sessions.0.len(), MOST);
    }
}
