//! What is said of an attempt without an answer.

use super::*;

#[test]
fn the_reason_of_an_attempt_promises_no_other_one() {
    use PostErrorKind::*;
    let connecting = [BadUrl, Forbidden, Resolve, Connect, ConnectTimeout, Proxy, Tls, TlsVersion];
    let certificates = [Certificate, CertificateExpired, CertificateName];
    let others = [Body, Timeout, Closed, Protocol, TooLarge];
    let kinds = connecting.into_iter().chain(certificates).chain(others);
    let reasons = kinds.map(|kind| {
        let reason = missed(&PostError::new(kind, "what was seen"));
        assert!(reason.code == kind.code() && reason.text.en.contains("what was seen"), "{reason:?}");
        assert!(reason.text.zh.contains("what was seen"), "{reason:?}");
        reason
    });
    for Reason { code, text } in reasons.chain([answered_early()]) {
        let promises = |text: &String| ["again", "later", "重发", "重试"].iter().any(|word| text.contains(word));
        assert!(!promises(&text.en) && !promises(&text.zh), "{code}: {text:?}");
    }
}
