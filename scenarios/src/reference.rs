//! Every key of a scenario file as Markdown, from the schema: the book's reference page.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::scenario::Scenario;

/// The reference page, ending with a newline.
pub fn markdown() -> String {
    let schema = schemars::schema_for!(Scenario);
    let schema = serde_json::to_value(&schema).unwrap_or_default();
    let none = Map::new();
    let definitions = schema["$defs"].as_object().unwrap_or(&none);
    let mut page = Page {
        definitions,
        text: String::from(
            "# Every key of a scenario\n\n<!-- Written by `foresight scenario reference`; don't \
             edit. -->\n\nKeys carry their units: `_m` metres, `_rad` radians, `_s` seconds, \
             `_px` pixels. Positions are in the robot's base frame.\n",
        ),
        queue: Vec::new(),
        known: BTreeSet::new(),
    };
    page.table("The file", &schema);
    while !page.queue.is_empty() {
        let name = page.queue.remove(0);
        let definition = &definitions[&name];
        page.definition(&name, definition);
    }
    page.text
}

struct Page<'a> {
    definitions: &'a Map<String, Value>,
    text: String,
    queue: Vec<String>,
    known: BTreeSet<String>,
}

impl Page<'_> {
    /// A type of its own section.
    fn definition(&mut self, name: &str, schema: &Value) {
        if schema["properties"].is_object() {
            self.table(name, schema);
            return;
        }
        self.heading(name, schema);
        let variants = ["oneOf", "anyOf"]
            .iter()
            .find_map(|key| schema[*key].as_array());
        for variant in variants.into_iter().flatten() {
            self.variant(variant);
        }
        if let Some(names) = schema["enum"].as_array() {
            for name in names.iter().filter_map(Value::as_str) {
                self.text += &format!("- `\"{name}\"`\n");
            }
        }
    }

    fn heading(&mut self, name: &str, schema: &Value) {
        self.text += &format!("\n## {name}\n\n");
        let about = one_line(&schema["description"]);
        if !about.is_empty() {
            self.text += &format!("{about}\n\n");
        }
    }

    /// One of several shapes a value can have.
    fn variant(&mut self, variant: &Value) {
        let about = one_line(&variant["description"]);
        let names = variant["enum"].as_array().cloned().unwrap_or_default();
        let names = names.iter().chain(variant.get("const"));
        for name in names.filter_map(Value::as_str) {
            self.text += &format!("- `\"{name}\"`: {about}\n");
        }
        let Some(properties) = variant["properties"].as_object() else {
            return;
        };
        for (key, inner) in properties {
            let kind = self.kind(inner);
            self.text += &format!("- `{key}` = {kind}: {about}\n");
            for (key, field) in inner["properties"].as_object().into_iter().flatten() {
                let kind = self.kind(field);
                let about = one_line(&field["description"]);
                self.text += &format!("  - `{key}`, {kind}: {about}\n");
            }
        }
    }

    fn table(&mut self, name: &str, schema: &Value) {
        self.heading(name, schema);
        let required: Vec<&str> = schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        self.text += "| key | value | default | meaning |\n|---|---|---|---|\n";
        for (key, field) in schema["properties"].as_object().into_iter().flatten() {
            let kind = self.kind(field);
            let default = if required.contains(&key.as_str()) {
                "**required**".to_owned()
            } else {
                default_of(&field["default"])
            };
            let about = one_line(&field["description"]).replace('|', "\\|");
            self.text += &format!("| `{key}` | {kind} | {default} | {about} |\n");
        }
    }

    /// What a value is, with a link where it has a section.
    fn kind(&mut self, schema: &Value) -> String {
        if let Some(name) = schema["$ref"].as_str().and_then(|r| r.rsplit('/').next()) {
            return self.link(name);
        }
        for key in ["anyOf", "allOf", "oneOf"] {
            if let Some(options) = schema[key].as_array() {
                let options: Vec<String> = options
                    .iter()
                    .filter(|o| o["type"] != "null")
                    .map(|o| self.kind(o))
                    .collect();
                return options.join(" or ");
            }
        }
        if let Some(names) = schema["enum"].as_array() {
            let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            return names.join(" or ");
        }
        let names: Vec<&str> = match &schema["type"] {
            Value::String(name) => vec![name],
            Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        match names.iter().find(|n| **n != "null") {
            Some(&"array") => {
                let items = self.kind(&schema["items"]);
                match (&schema["minItems"], &schema["maxItems"]) {
                    (Value::Number(a), Value::Number(b)) if a == b => format!("{a} × {items}"),
                    _ => format!("list of {items}"),
                }
            }
            Some(&"integer") => "whole number".into(),
            Some(&"boolean") => "true or false".into(),
            Some(&"object") => "table".into(),
            Some(&"string") => "text".into(),
            Some(other) => (*other).to_owned(),
            None => "value".into(),
        }
    }

    fn link(&mut self, name: &str) -> String {
        if let Some(definition) = self.definitions.get(name) {
            let plain = definition["properties"].is_null()
                && definition["oneOf"].is_null()
                && definition["anyOf"].is_null()
                && definition["enum"].is_null();
            if plain {
                return self.kind(&definition.clone());
            }
            if self.known.insert(name.to_owned()) {
                self.queue.push(name.to_owned());
            }
        }
        format!("[{name}](#{})", name.to_lowercase())
    }
}

fn one_line(text: &Value) -> String {
    let text = text.as_str().unwrap_or_default();
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ")
}

/// A default, when it is short enough to read in a table.
fn default_of(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Object(_) => "see there".into(),
        value => format!("`{value}`"),
    }
}
