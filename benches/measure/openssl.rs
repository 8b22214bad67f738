//! What this machine's OpenSSL does, by `openssl speed`, and the bound that follows from it for AS2 exchanges.

use std::process::Command;
use std::thread::available_parallelism;

/// What a core does, alone or beside the others.
#[derive(Debug, Clone, Copy)]
pub struct Primitives {
    /// RSA-2048 private-key operations a second.
    pub rsa_private: f64,
    /// SHA-256, bytes a second.
    pub sha256: f64,
    /// AES-128-CBC encryption, bytes a second.
    pub encrypt: f64,
    /// AES-128-CBC decryption, bytes a second.
    pub decrypt: f64,
    /// Cores.
    pub cores: f64,
}

impl Primitives {
    /// Asks `openssl speed` for one core, `seconds` for each primitive. It counts by its own processor time, so that other
    /// work on the machine does not make the bound smaller.
    pub fn of_one(seconds: u32) -> Primitives {
        Primitives::measure(seconds, 1)
    }

    /// The same with every core at work, counted by the clock: what a core does then, which is less where cores share what
    /// their host gives them.
    pub fn of_all(seconds: u32) -> Primitives {
        Primitives::measure(seconds, available_parallelism().map_or(1, usize::from))
    }

    fn measure(seconds: u32, at_a_time: usize) -> Primitives {
        let speed = |arguments: &[&str]| {
            let mut command = Command::new("openssl");
            command.args(["speed", "-mr", "-seconds", &seconds.to_string()]);
            if at_a_time > 1 {
                command.args(["-multi", &at_a_time.to_string()]);
            }
            let output = command.args(arguments).output().expect("openssl is installed");
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        let count = |number: usize| f64::from(u32::try_from(number).unwrap_or(1));
        // Of several it prints the sum.
        let each = |output: String, mark: &str| field(&output, mark, 3) / count(at_a_time);
        let bulk = |arguments: &[&str]| each(speed(&[&["-bytes", "16384"], arguments].concat()), "+F:");
        Primitives {
            // "+F2:index:bits:signatures a second:verifications a second"
            rsa_private: each(speed(&["rsa2048"]), "+F2:"),
            sha256: bulk(&["-evp", "sha256"]),
            encrypt: bulk(&["-evp", "aes-128-cbc"]),
            decrypt: bulk(&["-decrypt", "-evp", "aes-128-cbc"]),
            cores: count(available_parallelism().map_or(1, usize::from)),
        }
    }

    /// Half way between two measurements: a shared machine's clock may change by a quarter within a minute.
    pub fn mean(&self, other: &Primitives) -> Primitives {
        let mean = |figure: fn(&Primitives) -> f64| f64::midpoint(figure(self), figure(other));
        Primitives {
            rsa_private: mean(|of| of.rsa_private),
            sha256: mean(|of| of.sha256),
            encrypt: mean(|of| of.encrypt),
            decrypt: mean(|of| of.decrypt),
            cores: self.cores,
        }
    }

    /// Exchanges a second if nothing but the cryptography took time: three private-key operations (signature,
    /// decryption, signature of the MDN), and every byte hashed twice, encrypted once and decrypted once.
    pub fn bound(&self, payload: f64) -> f64 {
        let bulk = payload * (2.0 / self.sha256 + 1.0 / self.encrypt + 1.0 / self.decrypt);
        self.cores / (3.0 / self.rsa_private + bulk)
    }
}

/// A colon-separated field of the line that begins with `mark`.
fn field(output: &str, mark: &str, place: usize) -> f64 {
    let line = output.lines().rev().find(|line| line.starts_with(mark));
    let value = line.and_then(|line| line.split(':').nth(place)).and_then(|value| value.trim().parse().ok());
    value.unwrap_or_else(|| panic!("no {mark} in what openssl speed printed:\n{output}"))
}
