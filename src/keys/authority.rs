//! A small CA made by OpenSSL's command, for tests here and in the layers above.

use std::path::PathBuf;
use std::process::Command;

use crate::cms::Certificate;

/// A folder with a CA and two certificates that it has issued, `kept` and `revoked`.
pub(crate) struct Authority(tempfile::TempDir);

impl Authority {
    pub(crate) fn new(name: &str) -> Authority {
        let authority = Authority(tempfile::tempdir().expect("a folder"));
        let config = "[ca]\ndefault_ca = d\n[d]\ndatabase = index.txt\nserial = serial\ncrlnumber = crlnumber\n\
                      default_md = sha256\npolicy = p\nnew_certs_dir = .\ndefault_days = 3650\n\
                      unique_subject = no\n[p]\ncommonName = supplied\n";
        for (file, text) in [("ca.cnf", config), ("index.txt", ""), ("serial", "1000\n"), ("crlnumber", "01\n")] {
            std::fs::write(authority.path(file), text).expect("written");
        }
        let subject = format!("/CN={name}");
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650"];
        authority
            .run(&[&["req", "-x509", "-subj", &subject, "-keyout", "ca.key", "-out", "ca.crt"][..], &key].concat());
        for leaf in ["kept", "revoked"] {
            let (subject, key_file) = (format!("/CN={leaf}"), format!("{leaf}.key"));
            let (request, certificate) = (format!("{leaf}.csr"), format!("{leaf}.crt"));
            authority
                .run(&[&["req", "-subj", &subject, "-keyout", &key_file, "-out", &request][..], &key[..5]].concat());
            authority.ca(&["-in", &request, "-out", &certificate, "-notext"]);
        }
        authority.ca(&["-revoke", "revoked.crt"]);
        authority
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn run(&self, arguments: &[&str]) {
        let output = Command::new("openssl").args(arguments).current_dir(self.0.path()).output().expect("openssl runs");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn ca(&self, arguments: &[&str]) {
        self.run(
            &[&["ca", "-batch", "-config", "ca.cnf", "-cert", "ca.crt", "-keyfile", "ca.key"][..], arguments].concat(),
        );
    }

    /// A folder `lists` with the CA's certificate and a list that is fresh for so many seconds.
    pub(crate) fn publish(&self, seconds: &str) -> PathBuf {
        let folder = self.path("lists");
        std::fs::create_dir_all(&folder).expect("made");
        self.ca(&["-gencrl", "-crlsec", seconds, "-out", "lists/ca.crl"]);
        std::fs::copy(self.path("ca.crt"), folder.join("ca.crt")).expect("copied");
        folder
    }

    pub(crate) fn certificate(&self, name: &str) -> Certificate {
        Certificate::read(&std::fs::read(self.path(name)).expect("read")).expect("a certificate")
    }
}
