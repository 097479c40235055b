//! What a sentence names: an object and a disc, by colour and kind; and what is wrong with it.

use serde::{Deserialize, Serialize};
use strsim::levenshtein;

use super::words;

/// Words for colours.
pub const COLOURS: [&str; 7] = [
    "red", "orange", "yellow", "green", "blue", "purple", "white",
];
/// Words for objects, and the kind each means.
const OBJECTS: [(&str, &str); 5] = [
    ("cup", "cup"),
    ("mug", "cup"),
    ("box", "box"),
    ("block", "box"),
    ("cube", "box"),
];
/// Words for where objects go, and the kind each means.
const PLACES: [(&str, &str); 2] = [("disc", "disc"), ("circle", "disc")];
/// Words that say where to.
const TOWARDS: [&str; 3] = ["on", "onto", "to"];

/// A thing that a sentence names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its colour, where that is said.
    pub colour: Option<String>,
    /// Its kind: `cup`, `box` or `disc`.
    pub kind: String,
    /// Numbers of the words, colour and noun.
    pub at: [usize; 2],
}

impl Part {
    /// As it is called: `red cup`.
    pub fn name(&self) -> String {
        match &self.colour {
            Some(colour) => format!("{colour} {}", self.kind),
            None => self.kind.clone(),
        }
    }
}

/// What was understood of a sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Understood {
    /// Its words.
    pub words: Vec<String>,
    /// The object to move; `None` where the sentence speaks of none that is known here.
    pub object: Option<Part>,
    /// Where it should go, likewise.
    pub target: Option<Part>,
}

/// Why a sentence is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misunderstood {
    /// Nothing was said.
    #[error("nothing was said")]
    Empty,
    /// A word that the head hasn't learned.
    #[error("the word {word:?} is not known here{}", .nearest.as_ref().map_or(String::new(), |n| format!("; is {n:?} meant?")))]
    Unknown {
        /// The word.
        word: String,
        /// One that is spelled nearly so.
        nearest: Option<String>,
    },
    /// More words than the head takes.
    #[error("the sentence has more than {0} words")]
    Long(usize),
    /// It names too much, or what can't be.
    #[error("the sentence contradicts itself: {0}")]
    Contradiction(String),
    /// It names too little.
    #[error("the sentence doesn't say {0}")]
    Incomplete(&'static str),
}

/// What a sentence names, given the words that are known.
///
/// Sentences of demonstrations from elsewhere may speak of other things than cups, boxes and discs: where
/// none of these words is known, only the words themselves are checked.
///
/// # Errors
/// [`Misunderstood`] says what is wrong with it.
pub fn understand(
    sentence: &str,
    vocabulary: &[String],
    most_words: usize,
) -> Result<Understood, Misunderstood> {
    let words = words(sentence);
    if words.is_empty() {
        return Err(Misunderstood::Empty);
    }
    if let Some(word) = words.iter().find(|w| !vocabulary.contains(w)) {
        return Err(Misunderstood::Unknown {
            word: word.clone(),
            nearest: nearest(word, vocabulary),
        });
    }
    if words.len() > most_words {
        return Err(Misunderstood::Long(most_words));
    }
    let known =
        |nouns: &[(&str, &str)]| nouns.iter().any(|(n, _)| vocabulary.iter().any(|w| w == n));
    let (objects, targets) = named(&words)?;
    let one = |parts: Vec<Part>, what: &str| -> Result<Option<Part>, Misunderstood> {
        let mut parts = parts.into_iter();
        let first = parts.next();
        let other = parts.find(|p| Some(p.name()) != first.as_ref().map(Part::name));
        if let (Some(one), Some(other)) = (&first, &other) {
            return Err(Misunderstood::Contradiction(format!(
                "it names two {what}, the {} and the {}",
                one.name(),
                other.name()
            )));
        }
        Ok(first)
    };
    let object = one(objects, "objects to move")?;
    let target = one(targets, "places to put it")?;
    if object.is_none() && known(&OBJECTS) {
        return Err(Misunderstood::Incomplete("which object to move"));
    }
    if target.is_none() && known(&PLACES) {
        return Err(Misunderstood::Incomplete("where to put it"));
    }
    Ok(Understood {
        words,
        object,
        target,
    })
}

/// The objects and the places that words name, in order.
fn named(words: &[String]) -> Result<(Vec<Part>, Vec<Part>), Misunderstood> {
    let kind = |nouns: &[(&'static str, &'static str)], word: &str| {
        nouns
            .iter()
            .find(|(n, _)| *n == word)
            .map(|(_, kind)| *kind)
    };
    let (mut objects, mut targets) = (Vec::new(), Vec::new());
    let mut colour: Option<(usize, &String)> = None;
    let mut towards = false;
    for (at, word) in words.iter().enumerate() {
        if COLOURS.contains(&word.as_str()) {
            match colour {
                Some((_, other)) if other != word => {
                    let what = format!("one thing is both {other} and {word}");
                    return Err(Misunderstood::Contradiction(what));
                }
                _ => colour = Some((at, word)),
            }
            continue;
        }
        let (object, place) = (kind(&OBJECTS, word), kind(&PLACES, word));
        if let Some(kind) = object.or(place) {
            let part = Part {
                colour: colour.map(|(_, c)| c.clone()),
                kind: kind.to_owned(),
                at: [colour.map_or(at, |(at, _)| at), at],
            };
            match (object.is_some(), towards) {
                (true, true) => {
                    let what = format!("it puts something on the {}, not on a disc", part.name());
                    return Err(Misunderstood::Contradiction(what));
                }
                (false, false) => {
                    let what = format!(
                        "it moves the {}, which is painted on the table",
                        part.name()
                    );
                    return Err(Misunderstood::Contradiction(what));
                }
                (true, false) => objects.push(part),
                (false, true) => targets.push(part),
            }
            (colour, towards) = (None, false);
        } else if let Some((_, colour)) = colour {
            let what = format!("{colour:?} is followed by {word:?}, which is no thing");
            return Err(Misunderstood::Contradiction(what));
        } else if TOWARDS.contains(&word.as_str()) {
            towards = true;
        } else if word != "the" && word != "a" {
            towards = false;
        }
    }
    match colour {
        Some((_, colour)) => Err(Misunderstood::Contradiction(format!(
            "{colour:?} describes nothing"
        ))),
        None => Ok((objects, targets)),
    }
}

/// A known word that is spelled nearly like another.
fn nearest(word: &str, vocabulary: &[String]) -> Option<String> {
    let apart = vocabulary
        .iter()
        .map(|known| (levenshtein(word, known), known));
    let (apart, known) = apart.min()?;
    let most = if word.chars().count() > 3 { 2 } else { 1 };
    (apart <= most).then(|| known.clone())
}

#[cfg(test)]
#[path = "../../tests/unit/goal_head_sentence.rs"]
mod tests;
