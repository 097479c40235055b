//! The JSON schema of scenario files, for editors.

use crate::scenario::Scenario;

/// The schema as JSON text, ending with a newline.
pub fn json_schema() -> String {
    let schema = schemars::schema_for!(Scenario);
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}
