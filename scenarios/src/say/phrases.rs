//! The grammar that recordings' sentences are drawn from.
//!
//! A phrasing says one act with places for an object and a disc; nouns have a synonym each. Some phrasings
//! are held out: only validation and evaluation use them. Their words all occur in the others.

use foresight_sim::Scene;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The stream of a seed's random numbers that draws how a task is said.
const STREAM: u64 = 6;

/// Nouns, and another word for each.
pub const SYNONYMS: [(&str, &str); 3] = [("cup", "mug"), ("box", "block"), ("disc", "circle")];

/// What a sentence asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// The object on the disc.
    Place,
    /// The object in the hand, lifted.
    Lift,
}

impl Act {
    /// Its phrasings; `{object}` and `{target}` stand for names. Held-out ones are others.
    pub fn phrasings(self, held_out: bool) -> &'static [&'static str] {
        match (self, held_out) {
            (Act::Place, false) => &[
                "put the {object} on the {target}",
                "place the {object} on the {target}",
                "move the {object} to the {target}",
                "set the {object} down on the {target}",
                "bring the {object} to the {target}",
                "pick up the {object} and put it on the {target}",
                "take the {object} and place it on the {target}",
                "grab the {object} and set it down on the {target}",
                "the {object} goes on the {target}",
                "onto the {target} put the {object}",
            ],
            (Act::Place, true) => &[
                "put the {object} onto the {target}",
                "take the {object} to the {target}",
                "grab the {object} and bring it to the {target}",
                "pick up the {object} and move it onto the {target}",
                "on the {target} place the {object}",
                "the {object} goes to the {target}",
            ],
            (Act::Lift, false) => &[
                "pick up the {object}",
                "lift the {object}",
                "grab the {object}",
                "take the {object} and lift it",
            ],
            (Act::Lift, true) => &["take the {object}", "grab the {object} and lift it up"],
        }
    }
}

/// A sentence and the phrasing it was made by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The sentence.
    pub sentence: String,
    /// The phrasing.
    pub phrasing: &'static str,
}

/// How the seed says what is done with the scene's first object and disc.
pub fn said(act: Act, scene: &Scene, held_out: bool, seed: u64) -> Said {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(STREAM);
    let phrasings = act.phrasings(held_out);
    let phrasing = phrasings[rng.random_range(0..phrasings.len())];
    let sentence = filled(phrasing, scene);
    let words = sentence.split(' ').map(|word| {
        let other = SYNONYMS.iter().find(|(noun, _)| *noun == word);
        match other {
            Some((_, other)) if rng.random_bool(0.3) => other,
            _ => word,
        }
    });
    let words: Vec<&str> = words.collect();
    Said {
        sentence: words.join(" "),
        phrasing,
    }
}

/// A phrasing about the scene's first object and disc.
pub fn filled(phrasing: &str, scene: &Scene) -> String {
    phrasing
        .replace("{object}", &scene.object.name())
        .replace("{target}", &scene.target.name())
}

#[cfg(test)]
#[path = "../../tests/unit/say_phrases.rs"]
mod tests;
