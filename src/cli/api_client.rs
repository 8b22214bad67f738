//! A small client of the gateway's API. Address, token and certificate come from the gateway's own configuration.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Context;
use super::exit_code::ExitCode;
use super::failure::Failure;
use crate::bilingual;
use crate::config::{self, Reach};
use crate::console::wire::ProblemWire;
use crate::console::{Token, TokenError};
use crate::ground::random;
use crate::http::{Addresses, Answer, Client, ClientSettings, PostError, SendBody, Timeouts, Trust};

/// Code of the failure to get any answer.
pub const UNREACHABLE: &str = "gateway-unreachable";
/// Largest answer in bytes.
const ANSWER_LIMIT: usize = 64 * 1024 * 1024;
/// Deadlines; `total` covers the upload of a large file.
const TIMEOUTS: Timeouts = Timeouts { connect: Duration::from_secs(5), total: Duration::from_secs(15 * 60) };

/// Speaks to one gateway.
#[derive(Debug)]
pub struct ApiClient {
    client: Client,
    base: String,
    token: Token,
}

impl ApiClient {
    /// The gateway that the configuration describes. It may run well while a file has a mistake, so the rest of the
    /// configuration is not looked at.
    pub fn from_config(context: &Context<'_>) -> Result<ApiClient, Failure> {
        let Reach { listen, token_file, certificates } = config::reach(&context.global.config)?;
        let token = Token::load(&token_file).map_err(|error| {
            let exit = match error {
                TokenError::Unreadable { .. } => ExitCode::Unreachable,
                _ => ExitCode::Usage,
            };
            Failure::new(exit, error.code(), error.text())
        })?;
        let scheme = if certificates.is_some() { "https" } else { "http" };
        let base = format!("{scheme}://{}", reachable(listen));
        let trust = certificates.map_or(Trust::System, |pinned| {
            Trust::Pinned(pinned.iter().map(|certificate| certificate.der().to_vec()).collect())
        });
        ApiClient::new(base, token, trust)
    }

    /// The gateway at `base`, such as `http://127.0.0.1:4081`.
    pub fn new(base: String, token: Token, trust: Trust) -> Result<ApiClient, Failure> {
        let settings = ClientSettings {
            trust,
            addresses: Addresses::Any,
            answer_limit: ANSWER_LIMIT,
            ..ClientSettings::default()
        };
        let client = Client::new(settings);
        let client = client.map_err(|error| Failure::new(ExitCode::Usage, error.code(), error.text()))?;
        Ok(ApiClient { client, base, token })
    }

    /// GETs `path` (with its query string).
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.call("GET", path, "application/json", SendBody::empty()).await
    }

    /// POSTs JSON to `path`.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Failure> {
        let body = serde_json::to_vec(body).map_err(std::io::Error::from)?;
        self.call("POST", path, "application/json", body.into()).await
    }

    /// PATCHes JSON to `path`.
    pub async fn patch<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Failure> {
        let body = serde_json::to_vec(body).map_err(std::io::Error::from)?;
        self.call("PATCH", path, "application/json", body.into()).await
    }

    /// DELETEs `path`.
    pub async fn delete(&self, path: &str) -> Result<(), Failure> {
        self.call("DELETE", path, "application/json", SendBody::empty()).await
    }

    /// POSTs a file to `path`. When the answer is lost it is sent once more, under the same random key, so that the
    /// gateway takes it only once.
    pub async fn upload<T: DeserializeOwned>(&self, path: &str, file: &Path) -> Result<T, Failure> {
        let key = random::hex(16);
        let send = async || {
            let body = SendBody::file(file).map_err(|error| Failure::file(file, &error))?;
            self.request("POST", path, "application/octet-stream", body, Some(&key)).await
        };
        match send().await {
            Err(failure) if failure.code() == UNREACHABLE => send().await,
            answered => answered,
        }
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        body: SendBody,
    ) -> Result<T, Failure> {
        self.request(method, path, content_type, body, None).await
    }

    async fn request<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        body: SendBody,
        key: Option<&str>,
    ) -> Result<T, Failure> {
        let url = format!("{}{path}", self.base);
        let mut headers = vec![
            ("Authorization".to_owned(), self.token.authorization()),
            ("Content-Type".to_owned(), content_type.to_owned()),
            ("Accept".to_owned(), "application/json".to_owned()),
        ];
        headers.extend(key.map(|key| ("Idempotency-Key".to_owned(), key.to_owned())));
        let answer = self.client.request(method, &url, &headers, body, TIMEOUTS).await;
        let answer = answer.map_err(|error| self.unreachable(&error))?;
        if !(200..300).contains(&answer.status) {
            return Err(self.refused(&answer));
        }
        let body: &[u8] = if answer.body.is_empty() { b"null" } else { &answer.body };
        serde_json::from_slice(body).map_err(|_| self.not_ours(answer.status))
    }

    fn unreachable(&self, error: &PostError) -> Failure {
        let (base, detail) = (&self.base, &error.detail);
        let text = bilingual!(
            "无法访问网关 {base}：{detail}；请确认 dxgate serve 正在运行",
            "the gateway at {base} cannot be reached: {detail}; is dxgate serve running?"
        );
        Failure::new(ExitCode::Unreachable, UNREACHABLE, text)
    }

    /// The gateway's own words. A message's state or content says no (1), a request that makes no sense is a wrong
    /// usage (2), trouble of the gateway's is 3.
    fn refused(&self, answer: &Answer) -> Failure {
        let Ok(problem) = serde_json::from_slice::<ProblemWire>(&answer.body) else {
            return self.not_ours(answer.status);
        };
        let exit = match answer.status {
            409 | 413 | 422 => ExitCode::No,
            400..=499 => ExitCode::Usage,
            _ => ExitCode::Unreachable,
        };
        Failure::new(exit, &problem.code, problem.text)
    }

    fn not_ours(&self, status: u16) -> Failure {
        let base = &self.base;
        let text = bilingual!(
            "{base} 的应答（状态 {status}）不是 dxgate 的；请检查 console.listen",
            "the answer of {base} (status {status}) is not dxgate's; check console.listen"
        );
        Failure::new(ExitCode::Unreachable, "not-a-gateway", text)
    }
}

/// An address to connect to: a listener on all addresses is reached by loopback.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// A value for a path segment or query string (RFC 3986 2.3: everything but the unreserved characters is encoded).
pub fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// Runs `work` to its end on this thread.
pub fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_the_query_string() {
        assert_eq!(encoded("订 1&a=b/c.xml"), "%E8%AE%A2%201%26a%3Db%2Fc.xml");
    }

    #[test]
    fn a_listener_on_all_addresses_is_reached_by_loopback() {
        let reached = |listen: &str| reachable(listen.parse().expect("literal")).to_string();
        assert_eq!(reached("0.0.0.0:4081"), "127.0.0.1:4081");
        assert_eq!(reached("[::]:4081"), "[::1]:4081");
        assert_eq!(reached("10.0.0.1:4081"), "10.0.0.1:4081");
    }
}
