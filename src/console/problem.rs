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
pub struct Problem(Refusal);

impl Problem {
    /// `status` and `code` are the contract, `text` may be reworded.
    pub fn new(status: StatusCode, code: &str, text: Bilingual) -> Problem {
        Problem(Refusal { status: status.as_u16(), code: code.to_owned(), text })
    }

    /// 401, the same for a missing and for a wrong token.
    pub fn unauthorized() -> Problem {
        let text = bilingual!(
            "需要有效的令牌；请使用令牌文件中的内容：Authorization: Bearer <token>",
            "a valid token is required; send the content of the token file: Authorization: Bearer <token>"
        );
        Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", text)
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
        Problem(refusal)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = ProblemWire {
            kind: format!("urn:dxgate:problem:{}", self.0.code),
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            code: self.0.code,
            detail: self.0.text.en.clone(),
            text: self.0.text,
        };
        let mut response = (status, Json(body)).into_response();
        let problem = header::HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, problem);
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("60"));
        }
        response
    }
}
