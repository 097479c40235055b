//! Settings with a name: TOML tables.

use foresight_settings::Presets;

/// The named settings: files of `planner/presets`, the first line of each saying what it is.
pub const PRESETS: Presets = Presets {
    tables: &[
        ("paper", include_str!("../presets/paper.toml")),
        ("notebook", include_str!("../presets/notebook.toml")),
        ("fast", include_str!("../presets/fast.toml")),
        ("hierarchical", include_str!("../presets/hierarchical.toml")),
        ("icem", include_str!("../presets/icem.toml")),
        ("mppi", include_str!("../presets/mppi.toml")),
        ("stand_still", include_str!("../presets/stand_still.toml")),
        ("random", include_str!("../presets/random.toml")),
    ],
    default: "fast",
};

/// What a schema says about the names of [`PRESETS`]: the first line of each file.
#[cfg(feature = "schema")]
pub(crate) struct Preset;

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Preset {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Preset".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let name = |(name, text): &(&str, &str)| {
            let about = text.lines().next().unwrap_or_default();
            let about = about.trim_start_matches(['#', ' ']);
            serde_json::json!({"description": about, "type": "string", "const": name})
        };
        let names: Vec<_> = PRESETS.tables.iter().map(name).collect();
        schemars::json_schema!({"description": "Named settings.", "oneOf": names})
    }
}
