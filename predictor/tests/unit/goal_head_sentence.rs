//! Unit tests of `src/goal_head/sentence.rs`.

use super::*;

fn vocabulary() -> Vec<String> {
    let all = "put place the on onto to pick up and it set down red blue yellow purple green \
                   white cup mug box block disc circle goes";
    all.split(' ').map(String::from).collect()
}

fn read(sentence: &str) -> Result<Understood, Misunderstood> {
    understand(sentence, &vocabulary(), 16)
}

#[test]
fn objects_and_places_are_found_in_any_order_and_by_synonyms() {
    for sentence in [
        "Put the red cup on the green disc.",
        "onto the green circle put the red mug",
        "pick up the red cup and set it down on the green disc",
        "the red mug goes to the green disc",
    ] {
        let understood = read(sentence).expect(sentence);
        let name = |part: &Option<Part>| part.as_ref().map(Part::name);
        assert_eq!(
            name(&understood.object).as_deref(),
            Some("red cup"),
            "{sentence}"
        );
        assert_eq!(
            name(&understood.target).as_deref(),
            Some("green disc"),
            "{sentence}"
        );
    }
    let understood = read("put the blue block on the white disc").unwrap();
    assert_eq!(understood.object.unwrap().at, [2, 3]);
}

#[test]
fn what_is_wrong_is_said() {
    for (sentence, reason) in [
        ("", "nothing was said"),
        (
            "put the red spoon on the green disc",
            "\"spoon\" is not known",
        ),
        ("put the redd cup on the green disc", "is \"red\" meant"),
        (
            "put the red blue cup on the green disc",
            "both red and blue",
        ),
        (
            "put the red cup and the blue box on the green disc",
            "two objects",
        ),
        (
            "put the red cup on the green disc and the white disc",
            "painted on the table",
        ),
        (
            "put the red cup on the green disc and on the white disc",
            "two places",
        ),
        ("put the green disc on the red cup", "painted on the table"),
        ("put the red cup on the blue box", "not on a disc"),
        ("put the red cup", "where to put it"),
        ("put it on the green disc", "which object"),
        ("put the cup on the green", "describes nothing"),
    ] {
        let error = read(sentence).expect_err(sentence).to_string();
        assert!(error.contains(reason), "{sentence}: {error}");
    }
    let long = "put the red cup on the green disc ".repeat(3);
    assert_eq!(read(&long), Err(Misunderstood::Long(16)));
}

#[test]
fn sentences_about_other_things_are_only_read() {
    let known: Vec<String> = ["close", "the", "drawer"].map(String::from).to_vec();
    let understood = understand("Close the drawer", &known, 16).expect("known words");
    assert_eq!((understood.object, understood.target), (None, None));
}
