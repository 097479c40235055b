//! See the description in `Cargo.toml`.

/// What git would say where there is no git.
#[macro_export]
macro_rules! git_version {
    (args = [$($argument:tt)*], fallback = $fallback:expr $(,)?) => {
        $fallback
    };
}
