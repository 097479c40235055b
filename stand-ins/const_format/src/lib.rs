//! Constant strings from constant strings, by constant functions.

/// The strings one after the other.
#[macro_export]
macro_rules! concatcp {
    ($($part:expr),* $(,)?) => {{
        const PARTS: &[&str] = &[$($part),*];
        const LENGTH: usize = $crate::length(PARTS);
        const BYTES: [u8; LENGTH] = $crate::joined(PARTS);
        $crate::text(&BYTES)
    }};
}

/// The strings in the places `{}` of the format.
#[macro_export]
macro_rules! formatcp {
    ($format:expr $(, $part:expr)* $(,)?) => {{
        const FORMAT: &str = $format;
        const PARTS: &[&str] = &[$($part),*];
        const LENGTH: usize = FORMAT.len() - 2 * PARTS.len() + $crate::length(PARTS);
        const BYTES: [u8; LENGTH] = $crate::formatted(FORMAT, PARTS);
        $crate::text(&BYTES)
    }};
}

#[doc(hidden)]
pub const fn length(parts: &[&str]) -> usize {
    let (mut sum, mut i) = (0, 0);
    while i < parts.len() {
        sum += parts[i].len();
        i += 1;
    }
    sum
}

#[doc(hidden)]
pub const fn joined<const N: usize>(parts: &[&str]) -> [u8; N] {
    let (mut bytes, mut at, mut i) = ([0; N], 0, 0);
    while i < parts.len() {
        (bytes, at) = with(bytes, at, parts[i]);
        i += 1;
    }
    bytes
}

#[doc(hidden)]
pub const fn formatted<const N: usize>(format: &str, parts: &[&str]) -> [u8; N] {
    let format = format.as_bytes();
    let (mut bytes, mut at, mut i, mut part) = ([0; N], 0, 0, 0);
    while i < format.len() {
        if format[i] == b'{' {
            assert!(format[i + 1] == b'}', "only empty braces are known here");
            (bytes, at) = with(bytes, at, parts[part]);
            part += 1;
            i += 2;
        } else {
            bytes[at] = format[i];
            at += 1;
            i += 1;
        }
    }
    assert!(at == N && part == parts.len(), "as many places as parts");
    bytes
}

const fn with<const N: usize>(mut bytes: [u8; N], at: usize, part: &str) -> ([u8; N], usize) {
    let part = part.as_bytes();
    let mut i = 0;
    while i < part.len() {
        bytes[at + i] = part[i];
        i += 1;
    }
    (bytes, at + i)
}

#[doc(hidden)]
pub const fn text(bytes: &[u8]) -> &str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => panic!("parts of text are text"),
    }
}

#[cfg(test)]
mod tests {
    const A: &str = "ab";

    #[test]
    fn strings() {
        const JOINED: &str = concatcp!("v", A, "-", if true { "é" } else { "" });
        assert_eq!(JOINED, "vab-é");
        const FORMATTED: &str = formatcp!("{}|{} of {}", A, "", "c");
        assert_eq!(FORMATTED, "ab| of c");
        assert_eq!(formatcp!("none"), "none");
    }
}
