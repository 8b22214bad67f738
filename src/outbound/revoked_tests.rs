//! A message whose certificate the partner's file holds no more.

use super::*;
use crate::ground::id::Id;
use crate::keys::authority::Authority;
use crate::outbound::specimens::{Home, PARTNER, customs, now};
use crate::store::Transaction;
use crate::store::record::{CertificateUse, Evidence, Fact, JobKind, Reach};

/// A message that waits, encrypted to this certificate.
async fn encrypted_to(certificate: &Certificate, flow: &Outbound, id: Id) -> Message {
    let queued = Fact::Queued {
        kind: JobKind::Payload,
        partner: "customs".to_owned(),
        file_name: "order.xml".to_owned(),
        payload: None,
        declaration: None,
        about: None,
    };
    let fingerprint = certificate.fingerprint().to_string();
    let evidence = Evidence {
        step: EvidenceStep::Composed,
        terms: Vec::new(),
        certificates: vec![CertificateUse { role: CertificateRole::Recipient, fingerprint }],
        content_key: None,
        remote: None,
        at_home: false,
        ahead: 0,
    };
    let mut transaction = Transaction::new(now());
    transaction.fact(id, queued);
    transaction.fact(id, Fact::Evidence { evidence });
    flow.store.commit(transaction).await.unwrap();
    flow.store.message(&id).unwrap()
}

#[tokio::test]
async fn what_waits_for_a_revoked_certificate_does_not_leave_though_the_partners_file_holds_another_by_now() {
    let authority = Authority::new("Test CA");
    let (kept, revoked) = (authority.certificate("kept.crt"), authority.certificate("revoked.crt"));
    let home = Home::new();
    let without_lists = customs(&home.load().partners);
    let lists = authority.publish("86400");
    home.write("partners/customs.toml", format!("revocation = \"{}\"\n{PARTNER}", lists.display()).as_bytes());
    let (flow, partner) = (home.flow(), customs(&home.load().partners));
    assert!(partner.certificates.revoked().is_empty(), "what is configured counts");

    let message = encrypted_to(&revoked, &flow, Id::from_bytes([1; 16])).await;
    assert_eq!(flow.encrypted_to_revoked(&partner, &message).await.unwrap(), None, "nobody has that certificate");
    for certificate in [&kept, &revoked] {
        flow.store.keep_certificate(certificate.der()).unwrap();
    }
    let held = flow.encrypted_to_revoked(&partner, &message).await.unwrap();
    assert_eq!(held.map(|reason| reason.code).as_deref(), Some("certificate-revoked"));
    assert_eq!(flow.encrypted_to_revoked(&without_lists, &message).await.unwrap(), None, "no list says so");

    let arrived = Message { attempts: 1, reach: Reach::First { attempt: 1, answered: false }, ..message };
    assert_eq!(flow.encrypted_to_revoked(&partner, &arrived).await.unwrap(), None, "it may have arrived");
    let replaced = encrypted_to(&kept, &flow, Id::from_bytes([2; 16])).await;
    assert_eq!(flow.encrypted_to_revoked(&partner, &replaced).await.unwrap(), None, "replaced, and not revoked");
}
