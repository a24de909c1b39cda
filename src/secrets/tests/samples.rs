//! Samples made from templates: `{x40}` is 40 hexadecimal digits.

/// How many samples are made of each template.
pub(super) const SAMPLES: u64 = 40;

/// A small generator of numbers (splitmix64): the same samples in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        let number = self.next() % u64::try_from(bound).expect("a bound");
        usize::try_from(number).expect("a small number")
    }
}

const WORDS: [&str; 24] = [
    "agent", "billing", "cache", "deploy", "engine", "forecast", "gateway", "handler", "invoice",
    "journal", "kernel", "ledger", "metric", "notify", "orders", "planner", "queue", "report",
    "search", "ticket", "update", "vector", "worker", "zone",
];

/// The samples of a template.
pub(super) fn samples(template: &str) -> Vec<String> {
    let seed = template.bytes().fold(7_u64, |seed, byte| {
        seed.wrapping_mul(131).wrapping_add(u64::from(byte))
    });
    let mut numbers = Numbers(seed);
    (0..SAMPLES).map(|_| fill(template, &mut numbers)).collect()
}

fn fill(template: &str, numbers: &mut Numbers) -> String {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        rest = after;
        match hole(after) {
            Some((kind, count, after)) => {
                push(&mut filled, kind, count, numbers);
                rest = after;
            }
            // A brace of the sample's own.
            None => filled.push('{'),
        }
    }
    filled + rest
}

/// The kind and number of characters that a hole takes, and what follows it.
fn hole(after: &str) -> Option<(&str, usize, &str)> {
    let (hole, after) = after.split_once('}')?;
    let (kind, count) = hole.split_at_checked(1)?;
    Some((kind, count.parse().ok()?, after))
}

fn push(filled: &mut String, kind: &str, count: usize, numbers: &mut Numbers) {
    const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
    const DIGITS: &str = "0123456789";
    let alphabet = match kind {
        "d" => DIGITS.to_owned(),
        "x" => "0123456789abcdef".to_owned(),
        "X" => "0123456789ABCDEF".to_owned(),
        "l" => LOWER.to_owned(),
        "L" => UPPER.to_owned(),
        "a" => [LOWER, UPPER, DIGITS].concat(),
        "n" => [LOWER, DIGITS].concat(),
        "N" => [UPPER, DIGITS].concat(),
        "u" => [LOWER, UPPER, DIGITS, "_-"].concat(),
        "b" => [LOWER, UPPER, DIGITS, "+/"].concat(),
        // Base58 and the two alphabets of base32.
        "c" => "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz".to_owned(),
        "s" => "abcdefghijklmnopqrstuvwxyz234567".to_owned(),
        "r" => "0123456789ABCDEFGHJKMNPQRSTVWXYZ".to_owned(),
        // A word in lower case; a capitalised one.
        "w" | "W" => {
            for _ in 0..count {
                let (first, rest) = WORDS[numbers.below(WORDS.len())].split_at(1);
                let upper = first.to_ascii_uppercase();
                filled.extend([if kind == "W" { &upper } else { first }, rest]);
            }
            return;
        }
        other => panic!("{other} is no kind"),
    };
    let bytes = alphabet.as_bytes();
    filled.extend((0..count).map(|_| char::from(bytes[numbers.below(bytes.len())])));
}
