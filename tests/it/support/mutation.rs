//! Messages with mistakes in them, the same for the same seed.

use dxgate::declaration::schema::Ns;
use dxgate::declaration::schema::specimen::Piece;

/// Numbers that look random (SplitMix64).
pub struct Draw(pub u64);

impl Draw {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound.max(1)).expect("a bound")).expect("a number")
    }
}

/// Texts that some type refuses.
const TEXTS: [&str; 26] = [
    "",
    " ",
    "0",
    "-1",
    "+5.",
    ".5",
    "1e3",
    "1,000",
    "12345678901234567890",
    "1234567890",
    "0.123456",
    "1.100000",
    "2147483648",
    "00000000000001",
    "x",
    "海关",
    " x ",
    "\n",
    "2026-02-30T00:00:00",
    "2026-03-01",
    "2026-03-01Z",
    "QUI",
    "QQ==",
    "142",
    "1a",
    "a b\tc",
];

/// Number of elements below and including this one.
fn size(piece: &Piece) -> usize {
    1 + piece.children.iter().map(size).sum::<usize>()
}

/// The element at this place in document order.
fn nth(piece: &mut Piece, place: usize) -> &mut Piece {
    let mut left = place;
    if left == 0 {
        return piece;
    }
    left -= 1;
    let mut at = 0;
    for (index, child) in piece.children.iter().enumerate() {
        let size = size(child);
        if left < size {
            at = index;
            break;
        }
        left -= size;
    }
    nth(&mut piece.children[at], left)
}

/// Makes one mistake, or a harmless change.
pub fn mutate(root: &mut Piece, draw: &mut Draw) {
    let place = draw.below(size(root));
    let piece = nth(root, place);
    let child = draw.below(piece.children.len());
    let has_children = !piece.children.is_empty();
    match draw.below(14) {
        0 if has_children => {
            piece.children.remove(child);
        }
        1 if has_children => {
            let copy = piece.children[child].clone();
            piece.children.insert(child, copy);
        }
        2 if has_children => {
            let moved = piece.children.remove(child);
            let to = draw.below(piece.children.len() + 1);
            piece.children.insert(to, moved);
        }
        3 if has_children => {
            let copy = piece.children[child].clone();
            let count = [4, 5, 6, 99, 100, 101][draw.below(6)];
            piece.children.extend(std::iter::repeat_n(copy, count));
        }
        4 if has_children => piece.children.truncate(child),
        5 => "Stranger".clone_into(&mut piece.name),
        6 => piece.namespace = [Ns::Ceb, Ns::Dxp, Ns::Dsig][draw.below(3)],
        7 => {
            let stranger = Piece {
                namespace: [Ns::Ceb, Ns::Dxp, Ns::Dsig][draw.below(3)],
                name: ["Stranger", "note", "guid"][draw.below(3)].to_owned(),
                attributes: Vec::new(),
                text: String::new(),
                children: Vec::new(),
            };
            piece.children.insert(draw.below(piece.children.len() + 1), stranger);
        }
        8 => piece.attributes.push((["stray", "guid", "Id", "version"][draw.below(4)].to_owned(), "a1".to_owned())),
        9 => {
            piece.attributes.pop();
        }
        10 => {
            if let Some((_, value)) = piece.attributes.first_mut() {
                TEXTS[draw.below(TEXTS.len())].clone_into(value);
            }
        }
        11 => piece.text = "字".repeat([1, 10, 18, 19, 36, 60, 61, 100, 101, 1001][draw.below(10)]),
        _ => TEXTS[draw.below(TEXTS.len())].clone_into(&mut piece.text),
    }
    // A name given twice is not well-formed; that is not what is compared here.
    piece.attributes.sort();
    piece.attributes.dedup_by(|one, other| one.0 == other.0);
}
