//! Every command of the book is one that this program understands.

use clap::Parser;

use crate::Cli;

#[path = "../support/book.rs"]
mod book;

/// The calls of this program in a block, as words.
fn calls(text: &str) -> Vec<Vec<String>> {
    let mut calls = Vec::new();
    let mut until: Option<String> = None;
    for line in text.replace("\\\n", " ").lines() {
        if let Some(end) = &until {
            if line.trim() == end {
                until = None;
            }
            continue;
        }
        if let Some((_, word)) = line.split_once("<<") {
            until = Some(word.trim_matches(|c: char| " '\"-".contains(c)).to_owned());
        }
        let line = line.trim();
        let call = [
            "foresight ",
            "cargo run --release -- ",
            "target/release/foresight ",
        ]
        .iter()
        .find_map(|start| line.strip_prefix(start));
        if let Some(call) = call {
            let ends = ["#", ">", "|", "&&", ";", "2>"];
            let own = words(call).into_iter();
            calls.push(own.take_while(|w| !ends.contains(&w.as_str())).collect());
        }
    }
    calls
}

/// Words of a command line; what stands in double quotes is one.
fn words(line: &str) -> Vec<String> {
    let parts = line.split('"').enumerate();
    parts
        .flat_map(|(i, part)| match i % 2 {
            1 => vec![part.to_owned()],
            _ => part.split_whitespace().map(str::to_owned).collect(),
        })
        .collect()
}

#[test]
fn every_command_of_the_book_is_understood() {
    let mut checked = 0;
    for page in book::pages() {
        for block in book::blocks(&page) {
            for mark in &block.marks {
                let known =
                    book::ONLY_CHECKED.contains(&mark.as_str()) || mark == book::NEEDS_FFMPEG;
                assert!(
                    known,
                    "{}:{}: unknown mark {mark}",
                    page.display(),
                    block.line
                );
            }
            for call in calls(&block.text) {
                let words = std::iter::once("foresight".to_owned()).chain(call.clone());
                if let Err(error) = Cli::try_parse_from(words) {
                    let asked = matches!(
                        error.kind(),
                        clap::error::ErrorKind::DisplayHelp
                            | clap::error::ErrorKind::DisplayVersion
                    );
                    assert!(
                        asked,
                        "{}:{}: {call:?}\n{error}",
                        page.display(),
                        block.line
                    );
                }
                checked += 1;
            }
        }
    }
    assert!(checked > 30, "only {checked} commands found");
}

#[test]
fn a_command_that_does_not_exist_is_noticed() {
    let found = calls(
        "cat > x <<'END'\nforesight nonsense\nEND\nforesight run \\\n  a.toml --sedd 1 # why\n",
    );
    assert_eq!(found, [["run", "a.toml", "--sedd", "1"]]);
    assert!(Cli::try_parse_from(["foresight", "run", "a.toml", "--sedd", "1"]).is_err());
}

/// Two flags of one name: the first takes what was meant for the second, and only a debug build
/// notices.
#[test]
fn no_flag_is_defined_twice() {
    fn check(command: &clap::Command) {
        let mut names: Vec<_> = command
            .get_arguments()
            .map(|a| a.get_id().as_str())
            .collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all, "{}: {names:?}", command.get_name());
        command.get_subcommands().for_each(check);
    }
    check(&<Cli as clap::CommandFactory>::command());
}
