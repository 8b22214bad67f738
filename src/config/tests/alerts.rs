//! What is refused or warned about in `[alerts]`.

use super::*;
use crate::config::{AlertLevel, MailSecurity};

const WEBHOOK: &str = "[[alerts.webhook]]\nname = \"ops\"\nurl = \"https://alerts.example.com/\"\n";

fn with(more: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("hook.secret", b"a secret shared by two\n");
    sandbox.write("weak.secret", b"short\n");
    sandbox.gateway(more);
    sandbox
}

#[test]
fn channels_are_read_with_their_defaults() {
    let mail = "[alerts.mail]\nserver = \"smtp.example.com\"\nfrom = \"a@example.com\"\nto = [\"b@example.com\"]\n";
    let command = "[alerts.command]\nprogram = \"/bin/true\"\nlevel = \"security\"\n";
    let alerts =
        with(&format!("{WEBHOOK}secret_file = \"hook.secret\"\n{mail}{command}")).load().expect("loads").alerts;
    let webhook = alerts.webhooks.first().expect("one");
    assert_eq!((webhook.name.as_str(), webhook.level), ("ops", AlertLevel::Warning));
    assert!(!format!("{webhook:?}").contains("shared by two"));
    let mail = alerts.mail.expect("there");
    assert_eq!((mail.host.as_str(), mail.port, mail.security), ("smtp.example.com", 587, MailSecurity::StartTls));
    assert_eq!(alerts.command.map(|command| command.level), Some(AlertLevel::Security));
}

#[test]
fn channels_that_cannot_work_are_refused_with_their_key() {
    let mail = "[alerts.mail]\nfrom = \"a@example.com\"\nto = [\"b@example.com\"]\n";
    for (more, code, key) in [
        (WEBHOOK.to_owned(), "key-missing", "alerts.webhook[0].secret_file"),
        (format!("{WEBHOOK}secret = \"inline\"\n"), "secret-inline", "alerts.webhook[0].secret"),
        (format!("{WEBHOOK}secret_file = \"weak.secret\"\n"), "secret-weak", "alerts.webhook[0].secret_file"),
        (
            "[alerts.mail]\nserver = \"smtp.example.com\"\nfrom = \"a@example.com\"\nto = []\n".to_owned(),
            "value-empty",
            "alerts.mail.to",
        ),
        (
            format!("{WEBHOOK}secret_file = \"hook.secret\"\nlevel = \"loud\"\n"),
            "value-invalid",
            "alerts.webhook[0].level",
        ),
        (
            format!("{WEBHOOK}secret_file = \"hook.secret\"\n{WEBHOOK}secret_file = \"hook.secret\"\n"),
            "webhook-name-taken",
            "alerts.webhook",
        ),
        (
            "[[alerts.webhook]]\nname = \"mail\"\nurl = \"https://a.example/\"\nsecret_file = \"hook.secret\"\n"
                .to_owned(),
            "value-invalid",
            "alerts.webhook[0].name",
        ),
        (mail.to_owned(), "key-missing", "alerts.mail.server"),
        (format!("{mail}server = \"smtp.example.com:mail\"\n"), "value-invalid", "alerts.mail.server"),
        (
            format!("{mail}server = \"smtp.example.com:25\"\nsecurity = \"plain\"\n"),
            "mail-in-clear",
            "alerts.mail.security",
        ),
        (format!("{mail}server = \"smtp.example.com\"\nuser = \"x\"\n"), "key-missing", "alerts.mail.password_file"),
        (format!("{mail}server = \"smtp.example.com\"\npassword = \"x\"\n"), "secret-inline", "alerts.mail.password"),
        (
            "[alerts.mail]\nserver = \"smtp.example.com\"\nfrom = \"A <a@example.com>\"\nto = [\"b@example.com\"]\n"
                .to_owned(),
            "value-invalid",
            "alerts.mail.from",
        ),
        ("[alerts.command]\narguments = [\"a\"]\n".to_owned(), "key-missing", "alerts.command.program"),
        ("[alerts]\nreminder = \"1000d\"\n".to_owned(), "value-out-of-range", "alerts.reminder"),
        ("[telemetry]\notlp = \"localhost:4318\"\n".to_owned(), "value-invalid", "telemetry.otlp"),
    ] {
        let sandbox = with(&more);
        let problems = sandbox.places();
        let found = problems.iter().any(|one| one.0 == code && one.3 == key);
        assert!(found, "{more}: expected {code} at {key}, found {problems:#?}");
        assert!(sandbox.load().is_err(), "{more}");
    }
    let sandbox =
        with(&WEBHOOK.replace("https", "http").replace("com/\"\n", "com/\"\nsecret_file = \"hook.secret\"\n"));
    assert!(sandbox.places().iter().any(|one| one.0 == "alerts-in-clear"), "{:#?}", sandbox.places());
    assert!(sandbox.load().is_ok(), "a warning");
}
