//! Errors of the API as problem details (RFC 9457).

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::backend::Refusal;
use super::wire::ProblemWire;
use crate::bilingual;
use crate::ground::text::Bilingual;

/// A refused request on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    refusal: Refusal,
    /// Seconds after which it may be asked again.
    retry_after: Option<i64>,
}

impl Problem {
    /// `status` and `code` are the contract, `text` may be reworded.
    pub fn new(status: StatusCode, code: &str, text: Bilingual) -> Problem {
        Problem::from(Refusal { status: status.as_u16(), code: code.to_owned(), text })
    }

    /// 401, the same for a missing and for a wrong token.
    pub fn unauthorized() -> Problem {
        let text = bilingual!(
            "需要有效的令牌；请使用令牌文件中的内容：Authorization: Bearer <token>",
            "a valid token is required; send the content of the token file: Authorization: Bearer <token>"
        );
        Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", text)
    }

    /// 403: known, but not allowed to.
    pub fn forbidden() -> Problem {
        let text = bilingual!(
            "您的角色或令牌的权限不足以执行此操作；请联系管理员。",
            "your role, or the scope of the token, does not allow this; ask an admin."
        );
        Problem::new(StatusCode::FORBIDDEN, "forbidden", text)
    }

    /// 403: a change that another site may have asked for.
    pub fn csrf() -> Problem {
        let text = bilingual!(
            "请求缺少有效的 X-CSRF-Token，或来自其他网站；请重新载入页面。",
            "X-CSRF-Token is missing or wrong, or the request comes from another site; load the page again."
        );
        Problem::new(StatusCode::FORBIDDEN, "csrf", text)
    }

    /// 403: asked for under a name that is not ours.
    pub fn host_unknown() -> Problem {
        let text = bilingual!(
            "不接受以此主机名访问；请使用 IP 地址，或在 [console] hosts 中加入该名称。",
            "this host name is not ours; use the address, or add the name to [console] hosts."
        );
        Problem::new(StatusCode::FORBIDDEN, "host-unknown", text)
    }

    /// 429 after too many failures; `seconds` until the next try.
    pub fn too_many_attempts(seconds: i64) -> Problem {
        let text =
            bilingual!("失败次数过多，请 {seconds} 秒后再试。", "too many failures; try again in {seconds} seconds.");
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-attempts", text);
        Problem { retry_after: Some(seconds), ..problem }
    }

    /// 429: an API token has had its requests of this minute.
    pub fn too_many_requests(most: u32, seconds: i64) -> Problem {
        let text = bilingual!(
            "此令牌每分钟最多 {most} 次请求（console.token_rate），请 {seconds} 秒后再试。",
            "this token may make {most} requests a minute (console.token_rate); try again in {seconds} seconds."
        );
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", text);
        Problem { retry_after: Some(seconds), ..problem }
    }

    /// 429: as many streams of events are open as may be.
    pub fn too_many_streams() -> Problem {
        let text =
            bilingual!("打开的事件流过多，请关闭一些页面。", "too many streams of events are open; close some pages.");
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-streams", text);
        Problem { retry_after: Some(60), ..problem }
    }

    /// 415: the body is no JSON.
    pub fn unsupported_media_type() -> Problem {
        let text = bilingual!("请求内容须为 application/json。", "the body has to be application/json.");
        Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", text)
    }

    /// 405; the answer's `Allow` names the methods.
    pub fn method_not_allowed() -> Problem {
        let text = bilingual!("此地址不支持该方法。", "this path does not know the method.");
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", text)
    }

    /// 500 for what should not happen.
    pub fn internal() -> Problem {
        let text = bilingual!("内部错误；请查看日志。", "an internal error; see the log.");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal-error", text)
    }

    /// 400: a reason is wanted.
    pub fn no_reason() -> Problem {
        let text = bilingual!("请说明原因（1 至 500 个字符）。", "give a reason of 1 to 500 characters.");
        Problem::new(StatusCode::BAD_REQUEST, "reason-required", text)
    }

    /// 404 for a partner that is not configured.
    pub fn no_partner() -> Problem {
        Problem::new(StatusCode::NOT_FOUND, "partner-unknown", bilingual!("没有这个伙伴", "there is no such partner"))
    }

    /// 404 for a user that does not exist.
    pub fn no_user() -> Problem {
        Problem::new(StatusCode::NOT_FOUND, "user-unknown", bilingual!("没有这个用户", "there is no such user"))
    }

    /// 404 for a token that does not exist.
    pub fn no_token() -> Problem {
        Problem::new(StatusCode::NOT_FOUND, "token-unknown", bilingual!("没有这个令牌", "there is no such token"))
    }

    /// 404 for a path that is not part of the API.
    pub fn no_route() -> Problem {
        Problem::new(
            StatusCode::NOT_FOUND,
            "no-such-route",
            bilingual!("没有这个地址", "there is nothing at this path"),
        )
    }

    /// 404 for a message that does not exist.
    pub fn no_message() -> Problem {
        Problem::new(StatusCode::NOT_FOUND, "message-unknown", bilingual!("没有这个报文", "there is no such message"))
    }

    /// 404 for a run of the connectivity test that there is not.
    pub fn no_run() -> Problem {
        let text = bilingual!("没有这次联通测试", "there is no such run of the connectivity test");
        Problem::new(StatusCode::NOT_FOUND, "run-unknown", text)
    }

    /// 404 for a certificate exchange that there is not.
    pub fn no_exchange() -> Problem {
        let text = bilingual!("没有这个证书交换", "there is no such certificate exchange");
        Problem::new(StatusCode::NOT_FOUND, "exchange-unknown", text)
    }

    /// 404 for a number that no document has.
    pub fn no_declaration() -> Problem {
        let text = bilingual!(
            "没有这个编号的单证。可用订单号、企业内部编号、清单编号、运单号等查询。",
            "no document has this number. Ask by orderNo, copNo, invtNo, logisticsNo and the like."
        );
        Problem::new(StatusCode::NOT_FOUND, "declaration-unknown", text)
    }

    /// 400 for a parameter or body that cannot be understood; `what` names it.
    pub fn malformed(what: &str) -> Problem {
        let text = bilingual!("请求中的 {what} 无效", "{what} in the request is not valid");
        Problem::new(StatusCode::BAD_REQUEST, "malformed-request", text)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Problem {
        let retry_after = (refusal.status == StatusCode::SERVICE_UNAVAILABLE.as_u16()).then_some(60);
        Problem { refusal, retry_after }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Problem { refusal, retry_after } = self;
        let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = ProblemWire {
            kind: format!("urn:dxgate:problem:{}", refusal.code),
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            code: refusal.code,
            detail: refusal.text.en.clone(),
            text: refusal.text,
        };
        let mut response = (status, Json(body)).into_response();
        let problem = header::HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, problem);
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from(seconds));
        }
        response
    }
}
