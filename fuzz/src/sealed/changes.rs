//! Changes to a run of octets, taken from the input: operation, place (2 bytes), length, bytes.

/// A run of octets with the changes applied.
pub(super) fn changed(mut octets: Vec<u8>, mut changes: &[u8]) -> Vec<u8> {
    while let [operation, high, low, len, rest @ ..] = changes {
        let len = usize::from(*len);
        let place = usize::from(u16::from_be_bytes([*high, *low]));
        // From the start, or from the end.
        let place = place % (octets.len() + 1);
        let at = if operation & 0x80 == 0 { place } else { octets.len() - place };
        let end = (at + len).min(octets.len());
        let (bytes, after) = rest.split_at(len.min(rest.len()));
        changes = after;
        match operation & 0x07 {
            0 => drop(octets.splice(at..at, bytes.iter().copied())),
            1 => drop(octets.splice(at..(at + bytes.len()).min(octets.len()), bytes.iter().copied())),
            // The rest takes no bytes of the input.
            2 => changes = delete(&mut octets, at, end, rest),
            3 => changes = twice(&mut octets, at, end, rest),
            4 => changes = flip(&mut octets, at, len, rest),
            5 => changes = arithmetic(&mut octets, at, len, rest),
            6 => changes = replace(&mut octets, at, end, rest),
            _ => changes = cut(&mut octets, at, rest),
        }
        if octets.len() > 256 * 1024 {
            break;
        }
    }
    octets
}

fn delete<'a>(octets: &mut Vec<u8>, at: usize, end: usize, rest: &'a [u8]) -> &'a [u8] {
    octets.drain(at..end);
    rest
}

/// A range once more, right behind itself or at the end.
fn twice<'a>(octets: &mut Vec<u8>, at: usize, end: usize, rest: &'a [u8]) -> &'a [u8] {
    let range = octets[at..end].to_vec();
    let place = if range.len() % 2 == 0 { end } else { octets.len() };
    octets.splice(place..place, range);
    rest
}

fn flip<'a>(octets: &mut [u8], at: usize, bit: usize, rest: &'a [u8]) -> &'a [u8] {
    if let Some(octet) = octets.get_mut(at) {
        *octet ^= 1 << (bit % 8);
    }
    rest
}

/// Lengths and tags that are off by a little.
fn arithmetic<'a>(octets: &mut [u8], at: usize, by: usize, rest: &'a [u8]) -> &'a [u8] {
    if let Some(octet) = octets.get_mut(at) {
        *octet = octet.wrapping_add(by as u8);
    }
    rest
}

/// A range by a word that means something to the layers.
fn replace<'a>(octets: &mut Vec<u8>, at: usize, end: usize, rest: &'a [u8]) -> &'a [u8] {
    let Some((which, rest)) = rest.split_first() else { return rest };
    let word = WORDS[usize::from(*which) % WORDS.len()];
    octets.splice(at..end, word.iter().copied());
    rest
}

fn cut<'a>(octets: &mut Vec<u8>, at: usize, rest: &'a [u8]) -> &'a [u8] {
    octets.truncate(at);
    rest
}

const WORDS: [&[u8]; 12] = [
    b"\r\n",
    b"\r\n\r\n",
    b"\r\n--sep\r\n",
    b"\r\n--sep--\r\n",
    b"Content-Transfer-Encoding: base64\r\n",
    b"Content-Transfer-Encoding: quoted-printable\r\n",
    b"application/pkcs7-mime; smime-type=compressed-data",
    b"application/pkcs7-mime; smime-type=enveloped-data",
    b"application/pkcs7-mime; smime-type=signed-data",
    b"multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=sep",
    b"\x30\x80",
    b"\x00\x00",
];
