//! A flow over a store of its own, with one partner, `theirs`, and what that partner sends.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};

use super::asynchronous::Later;
use super::candidate::Candidate;
use super::failures::FailureLimits;
use super::no_answer::NoAnswer;
use super::receive::Reception;
use super::reply::Answer;
use super::{Inbound, Parts, Settings};
use crate::as2::{
    self, As2Name, As2Version, Compression, Encryption, Incoming, MdnAsk, MdnMode, MessageId, MicalgStyle, Request,
    SendPlan, SentMics, Signing, Stamp,
};
use crate::cms::{ContentCipher, DigestAlgorithm, GcmForm, KeyTransport, SignatureScheme, SigningKey};
use crate::config;
use crate::ground::clock::{Clock, ManualClock};
use crate::ground::drain::{Shutdown, Tasks};
use crate::ground::durable;
use crate::ground::id::Id;
use crate::ground::limits::Limits;
use crate::ground::space::Space;
use crate::keys::{CertificateSet, KeyRing, KeyUses, StationKey, Window, load, save};
use crate::mime::{BytesSource, MemoryScratch, Source};
use crate::partner::{Directory, Partner};
use crate::store::draft::Draft;
use crate::store::record::{Body, Fact, Message};
use crate::store::{Store, StoreConfig, Transaction};

const GATEWAY: &str = "\
[station]
as2_name = \"ours\"
[[station.keys]]
certificate = \"keys/station.crt\"
private_key = \"keys/station.key\"
";
const PARTNER: &str = "\
as2_name = \"theirs\"
url = \"http://127.0.0.1:9/as2\"
[[certificates]]
file = \"keys/customs.crt\"
[accept]
signature = true
encryption = true
";

/// What `theirs` sends.
pub(super) const PAYLOAD: &[u8] = b"<order/>\n";

/// Where `theirs` wants its MDN: in the answer, or later.
pub(super) fn later() -> MdnMode {
    MdnMode::Async { url: "http://127.0.0.1:9/as2".to_owned() }
}

pub(super) struct Home {
    pub(super) flow: Inbound,
    pub(super) clock: Arc<ManualClock>,
    ours: SigningKey,
    theirs: SigningKey,
    folder: tempfile::TempDir,
}

/// A message of `theirs`.
pub(super) struct Letter {
    pub(super) request: Arc<Request>,
    pub(super) body: Vec<u8>,
    pub(super) mics: SentMics,
}

impl Home {
    pub(super) fn new() -> Home {
        Home::under(FailureLimits { per_ip: 0, per_partner: 0 })
    }

    pub(super) fn under(failures: FailureLimits) -> Home {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for below in ["keys", "partners"] {
            durable::create_dir_all(&path(below)).unwrap();
        }
        for (name, content) in [
            ("keys/station.crt", &include_bytes!("../../certs-example/station.crt")[..]),
            ("keys/station.key", include_bytes!("../../certs-example/station.key")),
            ("keys/customs.crt", include_bytes!("../../certs-example/customs.crt")),
            ("keys/customs.key", include_bytes!("../../certs-example/customs.key")),
            ("gateway.toml", GATEWAY.as_bytes()),
            ("partners/theirs.toml", PARTNER.as_bytes()),
        ] {
            save::private(&path(name), content).unwrap();
        }
        let key = |name: &str| {
            let pair = load::key_pair(&path(&format!("keys/{name}.crt")), &path(&format!("keys/{name}.key")), None);
            let (certificate, key) = pair.unwrap();
            SigningKey { certificate, key }
        };
        let (ours, theirs) = (key("station"), key("customs"));
        let clock = Arc::new(ManualClock::new("2026-06-01T00:00:00Z".parse().unwrap()));
        let config = config::load(&path("gateway.toml"), &|_| None, clock.now()).expect("it loads");
        let stored = StoreConfig { allow_untrusted_filesystem: true, ..StoreConfig::new(path("data"), clock.clone()) };
        let (store, _) = Store::open(stored).unwrap();
        let parts = Parts {
            store,
            station: config.station.clone(),
            directory: Arc::new(ArcSwap::from_pointee(config.partners.clone())),
            clock: clock.clone(),
            limits: config.limits,
            tasks: Tasks::new(),
            stop: Shutdown::new(),
        };
        let space = Space::new(folder.path(), 0);
        let settings = Settings { path: "/as2".to_owned(), space, failures, trusted_proxies: Vec::new() };
        Home { flow: Inbound::new(parts, settings), clock, ours, theirs, folder }
    }

    /// Time passes.
    pub(super) fn pass(&self, hours: i64) {
        self.clock.set(self.in_hours(hours));
    }

    pub(super) fn in_hours(&self, hours: i64) -> Timestamp {
        self.clock.now().checked_add(SignedDuration::from_hours(hours)).unwrap()
    }

    /// The partner's file is another from now on.
    pub(super) fn change(&self, change: impl FnOnce(&mut Partner)) {
        let mut partner = Partner::clone(&self.partner());
        change(&mut partner);
        self.flow.directory.store(Arc::new(Directory::new([Arc::new(partner)])));
    }

    pub(super) fn partner(&self) -> Arc<Partner> {
        self.flow.directory.load().by_id("theirs").unwrap().clone()
    }

    /// The window of the partner's certificate ends then.
    pub(super) fn end_certificate(&self, until: Timestamp) {
        self.change(|partner| {
            let mut certificates = partner.certificates.certificates().to_vec();
            certificates.iter_mut().for_each(|one| one.window.until = until);
            partner.certificates = CertificateSet::new(certificates);
        });
    }

    /// Our key decrypts and does not sign.
    pub(super) fn stop_signing(&self) {
        self.hold(&self.ours, KeyUses { sign: false, decrypt: true });
    }

    /// Another key than the one that messages are encrypted to is all that we have.
    pub(super) fn replace_key(&self) {
        self.hold(&self.theirs, KeyUses { sign: true, decrypt: true });
    }

    /// Our key is as it was.
    pub(super) fn restore_key(&self) {
        self.hold(&self.ours, KeyUses { sign: true, decrypt: true });
    }

    fn hold(&self, key: &SigningKey, uses: KeyUses) {
        let key = StationKey {
            certificate: key.certificate.clone(),
            key: key.key.clone(),
            uses,
            window: Window::of(&key.certificate),
            transports: KeyTransport::ALL.to_vec(),
            file: "key".into(),
            withheld: false,
        };
        self.flow.station.keys.replace(&KeyRing::new(vec![key]));
    }

    /// Signed by the partner, encrypted to us; a signed MDN is wanted.
    pub(super) fn letter(&self, message_id: &str, mode: MdnMode, digest: DigestAlgorithm) -> Letter {
        self.letter_of(message_id, (mode, digest), ("application/xml", &BytesSource(PAYLOAD)))
    }

    /// The same with this payload, of this type.
    pub(super) fn letter_of(
        &self,
        message_id: &str,
        (mode, digest): (MdnMode, DigestAlgorithm),
        (content_type, payload): (&str, &dyn Source),
    ) -> Letter {
        let name = |text| As2Name::from_plain(text).unwrap();
        let plan = SendPlan {
            from: name("theirs"),
            to: name("ours"),
            signing: Some(Signing { key: self.theirs.clone(), digest, scheme: SignatureScheme::RsaPkcs1 }),
            encryption: Some(Encryption {
                recipients: vec![self.ours.certificate.clone()],
                cipher: ContentCipher::Aes256Cbc,
                gcm_form: GcmForm::default(),
                transport: KeyTransport::RsaPkcs1,
                base64: false,
            }),
            compression: Compression::None,
            mdn: MdnAsk { mode, signed: true, micalgs: Vec::new() },
            content_type: content_type.to_owned(),
            file_name: Some("letter.xml".to_owned()),
            subject: None,
            micalg_style: MicalgStyle::default(),
            version: As2Version::default(),
        };
        let stamp = Stamp { message_id: MessageId::parse(message_id).unwrap(), date: self.clock.now() };
        let mut body = Vec::new();
        let composed = as2::compose(&plan, &stamp, payload, &MemoryScratch, &mut body).unwrap();
        let read = as2::read_head(&composed.headers, &body, &Limits::default()).unwrap();
        let Incoming::Message(request) = read else { panic!("it is a message") };
        Letter { request: Arc::new(request), body, mics: composed.mics }
    }

    /// It arrives and is answered on the same connection; which reception that is.
    pub(super) async fn send(&self, letter: &Letter) -> (Id, Result<Answer, NoAnswer>) {
        let now = self.clock.now();
        let candidate = Candidate::new(Id::new(now), self.partner(), letter.request.clone(), now);
        let wire = Draft::Inline(letter.body.clone());
        let reception = Reception { wire, admission: None, remote: None, pieced: false };
        (candidate.id, self.flow.settle(&candidate, reception).await)
    }

    /// It is taken with a promise to answer later, and then the process ends.
    pub(super) async fn take(&self, letter: &Letter) -> Later {
        let received = self.clock.now();
        let id = Id::new(received);
        let mut transaction = Transaction::new(received);
        let wire = transaction.body(letter.body.clone());
        let request = letter.request.clone();
        let (message_id, headers) = (request.message_id.as_str().to_owned(), request.headers.clone());
        let partner = "theirs".to_owned();
        transaction.fact(id, Fact::Received { partner: partner.clone(), message_id, headers, wire });
        self.flow.store.commit(transaction).await.unwrap();
        Later { id, partner, request, wire, received }
    }

    /// Where a body is that is not in the journal.
    pub(super) fn body_file(&self, body: &Body) -> PathBuf {
        self.folder.path().join("data/bodies").join(body.id.to_string())
    }

    /// What was taken or is owed an answer is worked on to its end.
    pub(super) async fn resume(&self) {
        self.flow.resume();
        assert!(self.flow.tasks.join_all(Duration::from_secs(30)).await.is_empty(), "it comes to an end");
    }

    pub(super) fn message(&self, id: &Id) -> Message {
        self.flow.store.message(id).unwrap()
    }
}
