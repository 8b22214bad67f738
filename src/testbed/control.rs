//! The control listener of a testbed: reads and changes its scenario while it runs.
//!
//! | request | answer |
//! |---|---|
//! | `GET /scenario` | the scenario in force, as JSON with the keys of `config/scenario.example.toml` |
//! | `PUT /scenario` | plays this scenario from now on, whole: what is left out has its default; answers it as `GET` would |
//!
//! Errors are JSON with `code`, `message_zh` and `message_en`. It listens on this machine alone, and each request bears the
//! token (`Authorization: Bearer …`) of the file `testbed-control.token` in the data folder, which is written at each start.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use openssl::sha::sha256;

use super::bench::Bench;
use super::scenario::Scenario;
use crate::bilingual;
use crate::ground::clock::Clock;
use crate::ground::random;
use crate::ground::secret::Secret;
use crate::ground::text::{Bilingual, printable};
use crate::http::{Exchange, Handler, Reply};
use crate::keys::save;

/// The token's file in the data folder.
pub const TOKEN_FILE: &str = "testbed-control.token";
/// Bytes of randomness in it.
const TOKEN_BYTES: usize = 32;
/// Bytes of a scenario, at most: a thousand cases of the usual length.
pub const MAX_SCENARIO: u64 = 256 * 1024;

/// A running control listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Where it is.
    pub listen: SocketAddr,
    /// The file with the token.
    pub token: PathBuf,
}

/// Answers the requests of the control listener.
pub struct Control {
    bench: Bench,
    clock: Arc<dyn Clock>,
    token: Secret<String>,
}

impl Control {
    /// Makes a new token and writes it to its file in `data`, closed to others.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn open(bench: Bench, clock: Arc<dyn Clock>, data: &Path) -> io::Result<Control> {
        let file = data.join(TOKEN_FILE);
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let token = random::hex(TOKEN_BYTES);
        save::private(&file, format!("{token}\n").as_bytes())?;
        Ok(Control { bench, clock, token: Secret::new(token) })
    }

    fn lets_in(&self, request: &Exchange) -> bool {
        let shown = request.headers.get("authorization").and_then(|value| value.to_str().ok());
        let shown = shown.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        openssl::memcmp::eq(&sha256(shown.trim().as_bytes()), &sha256(self.token.expose().as_bytes()))
    }

    fn told(&self) -> Reply {
        json(200, &*self.bench.scenario())
    }

    async fn change(&self, mut request: Exchange) -> Reply {
        let body = match request.body.read_all(MAX_SCENARIO).await {
            Ok(body) => body,
            Err(error) => return error.reply(),
        };
        let scenario = match serde_json::from_slice::<Scenario>(&body) {
            Ok(scenario) => scenario,
            Err(error) => {
                let error = printable(&error.to_string());
                return refused(&bilingual!("场景不能使用：{error}", "the scenario cannot be used: {error}"));
            }
        };
        match self.bench.change(scenario, self.clock.now()) {
            Ok(()) => {
                tracing::info!("the testbed's scenario was changed");
                self.told()
            }
            Err(text) => refused(&text),
        }
    }
}

impl Handler for Control {
    async fn handle(&self, request: Exchange) -> Reply {
        if !self.lets_in(&request) {
            let text = bilingual!(
                "需要 Authorization: Bearer 令牌，见数据目录中的 {TOKEN_FILE}",
                "a token is needed (Authorization: Bearer …): see {TOKEN_FILE} in the data folder"
            );
            return problem(401, "unauthorized", &text).header("WWW-Authenticate", "Bearer").closing();
        }
        match (request.uri.path(), request.method.as_str()) {
            ("/scenario", "GET") => self.told(),
            ("/scenario", "PUT") => self.change(request).await,
            ("/scenario", _) => Reply::method_not_allowed("GET, PUT").closing(),
            _ => Reply::not_found().closing(),
        }
    }
}

fn refused(text: &Bilingual) -> Reply {
    problem(400, "scenario-invalid", text)
}

fn problem(status: u16, code: &str, text: &Bilingual) -> Reply {
    json(status, &serde_json::json!({ "code": code, "message_zh": text.zh, "message_en": text.en }))
}

fn json(status: u16, value: &impl serde::Serialize) -> Reply {
    let body = serde_json::to_vec(value).unwrap_or_default();
    Reply::new(status).header("Content-Type", "application/json").header("Cache-Control", "no-store").body(body)
}
