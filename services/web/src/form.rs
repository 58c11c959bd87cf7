//! Form encoding, as browsers and query strings write it.

/// Names and values in the order in which they were written. What is no `%XX` stands for itself,
/// and bytes that are no UTF-8 become U+FFFD, as in Python's `parse_qs`.
pub(crate) fn pairs(text: &[u8]) -> Vec<(String, String)> {
    text.split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let at = pair.iter().position(|byte| *byte == b'=');
            let (name, value) = match at {
                Some(at) => (pair.get(..at), pair.get(at + 1..)),
                None => (Some(pair), None),
            };
            (decoded(name.unwrap_or_default()), decoded(value.unwrap_or_default()))
        })
        .collect()
}

fn decoded(text: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let byte = match (*first, after) {
            (b'+', _) => b' ',
            (b'%', [high, low, beyond @ ..]) => match (nibble(*high), nibble(*low)) {
                (Some(high), Some(low)) => {
                    rest = beyond;
                    high << 4 | low
                }
                _ => b'%',
            },
            (byte, _) => byte,
        };
        bytes.push(byte);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The value of one hex digit.
pub(crate) fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read_as_browsers_write_them() {
        let check = |text: &[u8], expected: &[(&str, &str)]| {
            let found = pairs(text);
            let found: Vec<_> = found.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            assert_eq!(found, expected, "{text:?}");
        };
        check(b"", &[]);
        check(b"a=1&a=2&b=", &[("a", "1"), ("a", "2"), ("b", "")]);
        check(b"a+b=c%20d&&e", &[("a b", "c d"), ("e", "")]);
        check(b"x=%C3%A9=%3D", &[("x", "é==")]);
        check(b"x=100%&y=%zz&z=%4", &[("x", "100%"), ("y", "%zz"), ("z", "%4")]);
        check(b"x=%FF", &[("x", "\u{FFFD}")]);
    }
}
