//! Settings with a name.

use std::borrow::Cow;

use toml::de::DeValue;
use toml::Spanned;

use crate::diagnostic::{nearest, Diagnostic};
use crate::source_table::{lay_under, parse, SourceTable};

/// The key by which a table names the preset it is laid over.
const KEY: &str = "preset";

/// Named TOML tables. A table that says `preset = "name"` is laid over that one, which may itself
/// be laid over another.
#[derive(Debug, Clone, Copy)]
pub struct Presets {
    /// Names, and tables as text.
    pub tables: &'static [(&'static str, &'static str)],
    /// The name for tables that say none.
    pub default: &'static str,
}

impl Presets {
    /// The names there are.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.tables.iter().map(|(name, _)| *name)
    }

    /// Lays `table` over the preset it names.
    ///
    /// # Errors
    /// When there is no preset of that name; the path is `preset`.
    pub fn lay_under(&self, table: &mut SourceTable<'_>) -> Result<(), Diagnostic> {
        let default = || Spanned::new(0..0, DeValue::String(Cow::Borrowed(self.default)));
        let named = table.entry(key()).or_insert_with(default);
        // What isn't a name is refused when the settings are read.
        let name = named.get_ref().as_str().unwrap_or(self.default).to_owned();
        lay_under(table, self.table(&name)?);
        Ok(())
    }

    /// The whole table of that name, with all it is laid over.
    ///
    /// # Errors
    /// When there is no preset of that name; the path is `preset`.
    pub fn table(&self, name: &str) -> Result<SourceTable<'static>, Diagnostic> {
        let wrong = |what: String, remedy: String| Diagnostic {
            path: KEY.into(),
            what,
            remedy,
        };
        let Some((name, text)) = self.tables.iter().find(|(n, _)| *n == name) else {
            let names: Vec<&str> = self.names().collect();
            let meant = nearest(name, &names);
            let there_are = meant.map_or("there are".into(), |m| {
                format!("did you mean `{m}`? There are")
            });
            return Err(wrong(
                format!("there is no preset {name:?}"),
                format!("{there_are} {}", names.join(", ")),
            ));
        };
        let mut table =
            parse(text).map_err(|e| wrong(format!("the preset {name:?}: {e}"), String::new()))?;
        if let Some(base) = table.get(KEY).and_then(|v| v.get_ref().as_str()) {
            let base = self.table(base)?;
            lay_under(&mut table, base);
        }
        let name = DeValue::String(Cow::Borrowed(name));
        table.insert(key(), Spanned::new(0..0, name));
        Ok(table)
    }
}

fn key() -> Spanned<Cow<'static, str>> {
    Spanned::new(0..0, Cow::Borrowed(KEY))
}
