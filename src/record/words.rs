//! What a person or a program says while an arm is recorded: keys at a terminal, lines of a pipe.

use std::io::{BufRead, IsTerminal};
use std::sync::mpsc::{self, Receiver};

use console::{Key, Term};
use foresight_planner::Action;

/// One thing that was asked for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Word {
    /// Begin an episode, with a task of its own where one is named.
    Start(Option<String>),
    /// End it; whether the task was achieved.
    Stop(Option<bool>),
    /// Forget it.
    Discard,
    /// The task of the episodes from now on.
    Task(String),
    /// Move the arm.
    Move(Action),
    /// No more episodes.
    Quit,
    /// What can't be understood, and why.
    Unknown(String),
}

pub(super) const LINES: &str = "lines: start [TASK], success, failure, stop (outcome unknown), \
    discard, task TEXT, quit";
pub(super) const KEYS: &str =
    "keys: r record, y success, n failure, space stop (outcome unknown), \
    x discard, q quit";
pub(super) const MOVES: &str = "with --robot: w s a d e c by a step along x, y and z, o opens, \
    p closes; as a line: move DX DY DZ [DRX DRY DRZ] [GRIPPER], open, close";

/// Hears words: keys where standard input is a terminal, else lines; the channel closes at its end.
/// A key moves the hand by `step_m`.
pub(super) fn listen(step_m: f64) -> Receiver<Word> {
    let (sender, words) = mpsc::channel();
    std::thread::spawn(move || {
        if std::io::stdin().is_terminal() {
            let terminal = Term::stderr();
            while let Ok(key) = terminal.read_key() {
                if let Some(word) = of_key(&key, step_m) {
                    if sender.send(word).is_err() {
                        return;
                    }
                }
            }
            return;
        }
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if !line.trim().is_empty() && sender.send(of_line(line.trim())).is_err() {
                return;
            }
        }
    });
    words
}

fn of_key(key: &Key, step_m: f64) -> Option<Word> {
    let along = |axis: usize, sign: f64| {
        let mut values = [0.0; 7];
        values[axis] = sign * step_m;
        Word::Move(Action::from_array(values))
    };
    Some(match key {
        Key::Char('r') => Word::Start(None),
        Key::Char('y') => Word::Stop(Some(true)),
        Key::Char('n') => Word::Stop(Some(false)),
        Key::Char(' ') => Word::Stop(None),
        Key::Char('x') => Word::Discard,
        Key::Char('q') => Word::Quit,
        Key::Char('w') => along(0, 1.0),
        Key::Char('s') => along(0, -1.0),
        Key::Char('a') => along(1, 1.0),
        Key::Char('d') => along(1, -1.0),
        Key::Char('e') => along(2, 1.0),
        Key::Char('c') => along(2, -1.0),
        Key::Char('o') => fingers(-1.0),
        Key::Char('p') => fingers(1.0),
        _ => return None,
    })
}

fn fingers(closing: f64) -> Word {
    Word::Move(Action::from_array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, closing]))
}

fn of_line(line: &str) -> Word {
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    match (word, rest) {
        ("start", "") => Word::Start(None),
        ("start", task) => Word::Start(Some(task.to_owned())),
        ("success", "") => Word::Stop(Some(true)),
        ("failure", "") => Word::Stop(Some(false)),
        ("stop", "") => Word::Stop(None),
        ("discard", "") => Word::Discard,
        ("quit", "") => Word::Quit,
        ("open", "") => fingers(-1.0),
        ("close", "") => fingers(1.0),
        ("task", task) if !task.is_empty() => Word::Task(task.to_owned()),
        ("move", numbers) => moved(numbers).unwrap_or_else(|| {
            Word::Unknown(format!(
                "`{line}`: move takes 3, 4, 6 or 7 numbers: DX DY DZ [DRX DRY DRZ] [GRIPPER], m \
                 and rad, gripper -1 to 1"
            ))
        }),
        _ => Word::Unknown(format!("`{line}` is none of these {LINES}")),
    }
}

fn moved(numbers: &str) -> Option<Word> {
    let numbers = numbers.split_whitespace().map(str::parse);
    let numbers: Vec<f64> = numbers.collect::<Result<_, _>>().ok()?;
    let (motion, gripper) = match numbers.len() {
        3 | 6 => (&numbers[..], 0.0),
        4 | 7 => numbers
            .split_last()
            .map(|(gripper, motion)| (motion, *gripper))?,
        _ => return None,
    };
    let mut values = [0.0; 7];
    values[..motion.len()].copy_from_slice(motion);
    values[6] = gripper;
    let finite = values.iter().all(|v| v.is_finite());
    finite.then(|| Word::Move(Action::from_array(values)))
}

#[cfg(test)]
#[path = "../../tests/unit/record_words.rs"]
mod tests;
