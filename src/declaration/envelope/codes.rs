//! `ResponseCode` of a `DxpRep` (报文规范 202205, table 7-1).

use crate::bilingual;
use crate::ground::text::{Bilingual, printable};

/// Meaning of a response code.
pub fn response_meaning(code: &str) -> Bilingual {
    let known = CODES.iter().find(|(known, ..)| *known == code);
    if response_is_success(code) {
        return bilingual!("平台已处理", "passed on by the platform");
    }
    if let Some((_, zh, en)) = known {
        return bilingual!("{zh}", "{en}");
    }
    let code = printable(code);
    bilingual!("平台响应码 {code}", "transport response code {code}")
}

/// Whether the code says that all went well. Table 7-1 has errors only; zeros are none of them.
pub fn response_is_success(code: &str) -> bool {
    !code.is_empty() && code.bytes().all(|byte| byte == b'0')
}

/// Whether sending the same envelope again can help: only failures of the platform itself (3xxx) pass.
pub fn response_is_transient(code: &str) -> bool {
    code.len() == 4 && code.starts_with('3') && code.bytes().all(|b| b.is_ascii_digit())
}

const CODES: [(&str, &str, &str); 15] = [
    ("0001", "报文格式错误", "message format error"),
    ("0002", "数据包不能通过 schema 验证", "not valid against the schema"),
    ("0999", "其他格式错误", "other format error"),
    ("1001", "数字签名无效", "digital signature invalid"),
    ("1002", "数字签名过期", "digital signature expired"),
    ("1003", "报文解密错误", "message cannot be decrypted"),
    ("1004", "签名与数据不符", "signature does not match the data"),
    ("1999", "其他安全错误", "other security error"),
    ("2001", "指定的接收方不存在", "receiver does not exist"),
    ("2002", "地址不匹配", "address does not match"),
    ("2999", "其他业务逻辑错误", "other business error"),
    ("3001", "数据库、中间件等系统错误", "system error of database or middleware"),
    ("3002", "远程连接错误", "remote connection failed"),
    ("3003", "远程连接超时", "remote connection timed out"),
    ("3999", "其他系统级错误", "other system error"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_failures_of_the_platform_are_worth_another_try() {
        assert!(response_is_transient("3002") && response_is_transient("3500"));
        assert!(!response_is_transient("0002") && !response_is_transient("30") && !response_is_transient("3abc"));
        assert_eq!(response_meaning("2001").zh, "指定的接收方不存在");
        assert!(response_meaning("4711").en.contains("4711"));
    }
}
