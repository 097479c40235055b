//! What a goal head makes of sentences on unseen scenes, before anything moves: which object it would go to,
//! which disc, and what it refuses. Arguments: a model folder with a goal head, and how many scenes.

use std::collections::BTreeMap;
use std::path::Path;

use foresight_predictor::goal_head::sentence::Understood;
use foresight_predictor::goal_head::{GoalHead, StageGoal};
use foresight_scenarios::controllers::sentences::heard;
use foresight_scenarios::evaluate::Counted;
use foresight_scenarios::say::phrases::{said, Act};
use foresight_scenarios::{LoadedScenario, ModelSource, RunError};
use foresight_sim::{Scene, Simulator};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The first evaluation scene.
const FIRST_SEED: u64 = 3000;
/// The stages whose places say which object and which disc are meant.
const HOVER: usize = 0;
const CARRY: usize = 3;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let model = arguments.next().ok_or("give a model folder")?;
    let scenes: u64 = arguments.next().map_or(Ok(100), |n| n.parse())?;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("pick_and_place_said.toml");
    let scenario = LoadedScenario::read(&file)?.scenario;
    let source = ModelSource::model(Path::new(&model))?;
    let eyes = source.eyes().ok_or("no model")?;
    let head = eyes.head.as_deref().ok_or("the model has no goal head")?;
    let mut right: BTreeMap<String, [Vec<bool>; 2]> = BTreeMap::new();
    let (mut refused, mut chance) = (Vec::new(), 0.0);
    let mut absent: [Vec<bool>; 2] = Default::default();
    for seed in FIRST_SEED..FIRST_SEED + scenes {
        let scene = scenario.scene.sample(seed);
        let simulator = Simulator::new(&scene)?;
        let camera = scenario.camera;
        let frame = simulator.render(camera.width_px, camera.height_px);
        let now = eyes.encode(&[frame])?.remove(0);
        let ask = |understood: &Understood, stage: usize| -> Result<StageGoal, RunError> {
            let words = head.config().numbers(&understood.words);
            let words = words.map_err(|_| RunError::NotUnderstood("unknown words".into()))?;
            Ok(head.goal(&now, &simulator.pose(), &words, stage)?)
        };
        let said = said(Act::Place, &scene, true, seed);
        let understood = heard(head, &said.sentence)?;
        let (hover, carry) = (ask(&understood, HOVER)?, ask(&understood, CARRY)?);
        let objects: Vec<[f64; 2]> = scene.objects().map(|o| o.position_m).collect();
        let discs: Vec<[f64; 2]> = scene.targets().map(|t| t.position_m).collect();
        let chosen = [nearest(&hover, &objects) == 0, nearest(&carry, &discs) == 0];
        chance += 1.0 / objects.len() as f64;
        let groups = [
            "all".to_owned(),
            format!("{} objects", objects.len()),
            said.phrasing.to_owned(),
        ];
        for group in groups {
            let counts = right.entry(group).or_default();
            (0..2).for_each(|i| counts[i].push(chosen[i]));
        }
        refused.push(!fits(head, &hover));
        for (part, absent) in absent.iter_mut().enumerate() {
            let missing = missing_from(&scene, &said.sentence, part, seed);
            absent.push(!fits(head, &ask(&heard(head, &missing)?, HOVER)?));
        }
    }
    for (group, [objects, discs]) in &right {
        let (objects, discs) = (Counted::of(objects), Counted::of(discs));
        println!("{group}: right object {objects}, right disc {discs}");
    }
    println!(
        "an object by chance: {:.0} %",
        100.0 * chance / scenes as f64
    );
    println!("true sentences refused: {}", Counted::of(&refused));
    println!("absent objects refused: {}", Counted::of(&absent[0]));
    println!("absent discs refused: {}", Counted::of(&absent[1]));
    Ok(())
}

/// Which of some places the hand would be nearest to.
fn nearest(goal: &StageGoal, places: &[[f64; 2]]) -> usize {
    let [x, y, _] = goal.place_m;
    let off = |place: &[f64; 2]| (place[0] - x).hypot(place[1] - y);
    let places = places.iter().enumerate();
    let nearest = places.min_by(|a, b| off(a.1).total_cmp(&off(b.1)));
    nearest.map_or(0, |(number, _)| number)
}

/// Whether a sentence would be pursued.
fn fits(head: &GoalHead, goal: &StageGoal) -> bool {
    let least = head.config().least_fit;
    (0..2).all(|i| goal.fit[i] >= least[i])
}

/// A sentence about an object (part 0) or a disc (1) that the scene doesn't have.
fn missing_from(scene: &Scene, sentence: &str, part: usize, seed: u64) -> String {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let objects: Vec<String> = scene.objects().map(|o| o.name()).collect();
    let (own, disc) = (scene.object.name(), scene.target.name());
    let colours = ["red", "yellow", "blue", "purple"];
    if part == 0 {
        let kind = scene.object.kind.name();
        let absent = |colour: &&str| !objects.contains(&format!("{colour} {kind}"));
        let absent: Vec<&str> = colours.into_iter().filter(|c| absent(c)).collect();
        let colour = absent[rng.random_range(0..absent.len())];
        let own = own.split(' ').next().unwrap_or_default();
        return sentence.replacen(own, colour, 1);
    }
    let own = disc.split(' ').next().unwrap_or_default();
    sentence.replacen(own, colours[rng.random_range(0..colours.len())], 1)
}
