//! What a proxy answers to `CONNECT` (RFC 9110 9.3.6), before the tunnel begins.

/// Bytes of the head, at most.
pub(super) const LONGEST: usize = 16 * 1024;

/// Whether this is a whole head: what follows belongs to the tunnel.
pub(super) fn is_whole(head: &[u8]) -> bool {
    head.ends_with(b"\r\n\r\n")
}

/// The status of a status line of HTTP/1.0 or 1.1 (RFC 9112 4).
pub(super) fn status(head: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(head.split(|byte| *byte == b'\r').next()?).ok()?;
    let rest = line.strip_prefix("HTTP/1.1 ").or_else(|| line.strip_prefix("HTTP/1.0 "))?;
    let code = rest.split(' ').next()?;
    let digits = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| code.parse().ok()).flatten()
}
