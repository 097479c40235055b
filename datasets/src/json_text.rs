//! JSON as Python writes it: with NaN and Infinity, which JSON has no words for.

use serde_json::Value;

/// Reads JSON; numbers that are none become null. A byte-order mark before it doesn't matter.
///
/// # Errors
/// When it is no JSON otherwise.
pub(crate) fn parse(bytes: &[u8]) -> serde_json::Result<Value> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match serde_json::from_slice(bytes) {
        Ok(value) => Ok(value),
        Err(error) => serde_json::from_slice(&without_nan(bytes)).map_err(|_| error),
    }
}

fn without_nan(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let (mut rest, mut text) = (bytes, false);
    while let Some((first, after)) = rest.split_first() {
        let word = [&b"-Infinity"[..], b"Infinity", b"NaN"].into_iter();
        let word = word.filter(|_| !text).find(|word| rest.starts_with(word));
        if let Some(word) = word {
            out.extend(b"null");
            rest = &rest[word.len()..];
            continue;
        }
        out.push(*first);
        rest = after;
        match first {
            b'"' => text = !text,
            b'\\' if text => {
                out.extend(rest.first());
                rest = rest.get(1..).unwrap_or_default();
            }
            _ => {}
        }
    }
    out
}

/// A text, or what else stands for one: serial numbers are numbers now and then.
pub(crate) fn text(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// A number, also written as a text.
pub(crate) fn number(value: Option<&Value>) -> Option<f64> {
    match value? {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A truth value, also as a number or a word.
pub(crate) fn truth(value: Option<&Value>) -> Option<bool> {
    match value? {
        Value::Bool(truth) => Some(*truth),
        Value::Number(number) => number.as_f64().map(|n| n != 0.0),
        Value::String(text) => match text.trim().to_lowercase().as_str() {
            "true" | "success" | "yes" | "1" => Some(true),
            "false" | "failure" | "no" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
#[path = "../tests/unit/json_text.rs"]
mod tests;
