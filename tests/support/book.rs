//! The book's pages and the commands in them.

use std::path::{Path, PathBuf};

/// A fenced block of shell commands.
#[derive(Debug, Clone)]
pub(super) struct Block {
    /// Line of its fence, from 1.
    pub line: usize,
    /// Marks after `sh`, e.g. `robot`.
    pub marks: Vec<String>,
    /// Its lines.
    pub text: String,
}

/// Marks of blocks that a test can't run, only check.
#[allow(dead_code)] // each of the two tests that share this uses a part
pub(super) const ONLY_CHECKED: [&str; 4] = ["robot", "network", "hours", "build"];

/// Mark of blocks that are run where `ffmpeg` is installed.
#[allow(dead_code)]
pub(super) const NEEDS_FFMPEG: &str = "ffmpeg";

/// The pages of the book in order, then the README.
pub(super) fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = root.join("docs");
    let summary = std::fs::read_to_string(docs.join("SUMMARY.md")).expect("docs/SUMMARY.md");
    let mut pages: Vec<PathBuf> = summary
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .map(|name| docs.join(name))
        .collect();
    pages.push(root.join("README.md"));
    pages.push(root.join("CONTRIBUTING.md"));
    pages
}

/// The shell blocks of a page.
pub(super) fn blocks(page: &Path) -> Vec<Block> {
    let text = std::fs::read_to_string(page).unwrap_or_else(|e| panic!("{}: {e}", page.display()));
    let mut blocks: Vec<Block> = Vec::new();
    let mut open: Option<bool> = None;
    for (number, line) in text.lines().enumerate() {
        let Some(info) = line.trim_start().strip_prefix("```") else {
            if let (Some(true), Some(block)) = (open, blocks.last_mut()) {
                block.text += line;
                block.text.push('\n');
            }
            continue;
        };
        if open.is_some() {
            open = None;
            continue;
        }
        let mut words = info
            .split([',', ' '])
            .map(str::trim)
            .filter(|w| !w.is_empty());
        let shell = words
            .next()
            .is_some_and(|w| ["sh", "bash", "shell", "console"].contains(&w));
        open = Some(shell);
        if shell {
            blocks.push(Block {
                line: number + 1,
                marks: words.map(str::to_owned).collect(),
                text: String::new(),
            });
        }
    }
    blocks
}
