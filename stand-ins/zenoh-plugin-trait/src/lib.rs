//! What zenoh implements for its runtime even where it is built without plugins.

/// A structure that a plugin would share with the program that loads it.
pub trait StructVersion {
    /// The version of the structure.
    fn struct_version() -> &'static str;
    /// The features it was compiled with.
    fn struct_features() -> &'static str;
}

/// What a plugin would be started with.
pub trait PluginStartArgs: StructVersion {}
