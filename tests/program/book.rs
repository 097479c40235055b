//! The book: its pages exist, and its commands do what they say they do.

use std::os::unix::fs::{symlink, PermissionsExt};
use std::path::Path;
use std::process::Command;

#[path = "../support/book.rs"]
mod pages;

/// What `foresight` and `cargo` are while the book's commands run. A task that was not achieved
/// (1) is no broken command.
const FORESIGHT: &str = r#"#!/bin/sh
"$REAL" "$@"
code=$?
case "$1:$code" in run:1) exit 0 ;; *) exit $code ;; esac
"#;
const CARGO: &str = r#"#!/bin/sh
if [ "$1 $2 $3" = "run --release --" ]; then shift 3; exec foresight "$@"; fi
echo "mark this block with sh,build: cargo $*" >&2
exit 97
"#;

fn program(path: &Path, text: &str) {
    std::fs::write(path, text).expect("written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("permitted");
}

/// A folder that looks like a clone to the commands.
fn clone(folder: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in ["bin", "scenarios", "models"] {
        std::fs::create_dir_all(folder.join(name)).expect("a folder");
    }
    for entry in std::fs::read_dir(root.join("scenarios")).expect("scenarios") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|e| e == "toml" || e == "json") {
            let name = path.file_name().expect("a name");
            std::fs::copy(&path, folder.join("scenarios").join(name)).expect("copied");
        }
    }
    for model in ["models/tabletop", "models/two_views"] {
        symlink(root.join(model), folder.join(model)).expect("a link");
    }
    symlink(root.join("fixtures"), folder.join("fixtures")).expect("a link");
    program(&folder.join("bin/foresight"), FORESIGHT);
    program(&folder.join("bin/cargo"), CARGO);
}

#[test]
fn every_command_of_the_book_runs() {
    let mut ran = 0;
    for page in pages::pages() {
        // The README's main job is the book's first run.
        if page.ends_with("README.md") {
            continue;
        }
        let mut script = String::new();
        for block in pages::blocks(&page) {
            let checked_only = |m: &String| pages::ONLY_CHECKED.contains(&m.as_str());
            if block.marks.iter().any(checked_only) {
                continue;
            }
            let needs_ffmpeg = block.marks.iter().any(|m| m == pages::NEEDS_FFMPEG);
            if needs_ffmpeg && !crate::require::ffmpeg() {
                continue;
            }
            script += &format!("echo '== line {}'\n{}", block.line, block.text);
            ran += 1;
        }
        if script.is_empty() {
            continue;
        }
        let folder = tempfile::tempdir().expect("a folder");
        clone(folder.path());
        let bin = folder.path().join("bin").display().to_string();
        let path = std::env::var("PATH").unwrap_or_default();
        let output = Command::new("sh")
            .args(["-eu", "-c", &script])
            .current_dir(folder.path())
            .env("PATH", format!("{bin}:{path}"))
            .env("REAL", env!("CARGO_BIN_EXE_foresight"))
            .output()
            .expect("a shell");
        assert!(
            output.status.success(),
            "{} ({}):\n{}\n{}",
            page.display(),
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    assert!(ran >= 12, "only {ran} blocks found");
}

#[test]
fn links_between_pages_lead_somewhere() {
    for page in pages::pages() {
        let text =
            std::fs::read_to_string(&page).unwrap_or_else(|e| panic!("{}: {e}", page.display()));
        let folder = page.parent().expect("a folder");
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let target = link.split('#').next().unwrap_or_default();
            let elsewhere = target.is_empty() || target.contains("://") || target.contains(' ');
            assert!(
                elsewhere || folder.join(target).exists(),
                "{}: {link} leads nowhere",
                page.display()
            );
        }
    }
}

#[test]
fn the_reference_page_is_what_the_program_prints() {
    let output = Command::new(env!("CARGO_BIN_EXE_foresight"))
        .args(["scenario", "reference"])
        .output()
        .expect("the program starts");
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/scenario-reference.md");
    let page = std::fs::read_to_string(page).unwrap_or_default();
    assert!(
        page == String::from_utf8_lossy(&output.stdout),
        "docs/scenario-reference.md is out of date: foresight scenario reference > docs/scenario-reference.md"
    );
}
