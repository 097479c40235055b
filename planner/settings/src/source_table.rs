//! Tables that know where in their text each value stands, laid over one another.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue, Deserializer};
use toml::Spanned;

/// A TOML table whose keys and values know their place in the text `'a` they were read from.
pub type SourceTable<'a> = DeTable<'a>;

/// The table that a text is.
///
/// # Errors
/// What the TOML reader complains about.
pub fn parse(text: &str) -> Result<SourceTable<'_>, toml::de::Error> {
    SourceTable::parse(text).map(Spanned::into_inner)
}

/// Values of `over` in place of those of `table`, table by table.
pub fn lay_over<'a>(table: &mut SourceTable<'a>, over: SourceTable<'a>) {
    for (key, mut value) in over {
        // Removed first: a map keeps the key it has, and with it the place of the value replaced.
        let there = table.remove(key.get_ref().as_ref());
        if let (Some(there), DeValue::Table(_)) = (there, value.get_ref()) {
            if let DeValue::Table(mut under) = there.into_inner() {
                if let DeValue::Table(inner) = value.get_mut() {
                    lay_over(&mut under, std::mem::take(inner));
                    *inner = under;
                }
            }
        }
        table.insert(key, value);
    }
}

/// Values of `under` wherever `table` says nothing.
pub fn lay_under<'a>(table: &mut SourceTable<'a>, under: SourceTable<'a>) {
    let over = std::mem::replace(table, under);
    lay_over(table, over);
}

/// The table `key` in `table`, put there when it is absent; `None` when something else stands there.
pub fn inner_table<'t, 'a>(
    table: &'t mut SourceTable<'a>,
    key: &'static str,
) -> Option<&'t mut SourceTable<'a>> {
    let empty = || Spanned::new(0..0, DeValue::Table(SourceTable::default()));
    let key = Spanned::new(0..0, Cow::Borrowed(key));
    match table.entry(key).or_insert_with(empty).get_mut() {
        DeValue::Table(inner) => Some(inner),
        _ => None,
    }
}

/// What a table says, as a value of type `T`.
///
/// # Errors
/// What serde complains about, with the place in the text of whatever is wrong.
pub fn read<T: DeserializeOwned>(table: SourceTable<'_>) -> Result<T, toml::de::Error> {
    T::deserialize(Deserializer::from(Spanned::new(0..0, table)))
}
