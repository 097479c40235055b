//! The workers a planner shares its candidates with.

use std::collections::VecDeque;
use std::sync::mpsc::{channel, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use foresight_planner::ActionSequences;
use foresight_predictor::backend::{FrameEncoder, LatentPredictor};
use foresight_predictor::goal_distance::GoalDistance;
use foresight_predictor::rollout::{Rollout, RolloutStart};
use foresight_predictor::{Budget, PredictorConfig, PredictorError, WorldModel};
use foresight_robot::link::{open, LinkConfig};
use serde::Serialize;
use zenoh::query::Reply;
use zenoh::sample::Sample;
use zenoh::{Session, Wait};

use crate::error::{zenoh_error, WorkersError};
use crate::message::{
    bytes, context_message, floats, Candidates, ContextHeader, EnergiesHeader, FramesHeader,
    WorkerInfo, PROTOCOL, ROOT,
};
use crate::share::{shares, Pace};
use crate::speed::measure;
use crate::worker::KEPT_CONTEXTS;

/// How long workers are looked for, and how long one may take to answer.
const FIND: Duration = Duration::from_secs(3);
const ANSWER: Duration = Duration::from_millis(500);
/// A share may take this many times what was expected, and at least so long, before it is computed here.
const PATIENCE: f64 = 4.0;
const LEAST_PATIENCE: Duration = Duration::from_millis(150);
/// A worker that failed is left alone for so long.
const RECOVERY: Duration = Duration::from_secs(5);
/// How much the newest measurement counts in a pace.
const NEWEST: f64 = 0.3;
/// What is left of a latency every time a worker is too far away to be asked: one that came nearer is found
/// out after some decisions.
const FORGOTTEN: f64 = 0.99;
/// Frames are encoded by a worker that rolls out so many times faster than this machine.
const WORTH_ENCODING: f64 = 4.0;

/// Workers that serve this machine's model.
#[derive(Debug)]
pub struct Team {
    session: Session,
    members: Mutex<Vec<Member>>,
    traffic: Mutex<Traffic>,
}

/// What went over the network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Traffic {
    /// Requests for energies.
    pub requests: u64,
    /// Requests that a worker failed or was late with; their candidates were computed elsewhere.
    pub lost: u64,
    /// Bytes sent.
    pub sent: u64,
    /// Bytes received.
    pub received: u64,
}

/// A worker as its team sees it.
#[derive(Debug)]
struct Member {
    info: WorkerInfo,
    /// Candidates of one step a second.
    speed: f64,
    /// What an answer takes beside, s.
    latency_s: f64,
    /// Left alone until then.
    silent_until: Option<Instant>,
    /// Contexts it was sent, the newest last.
    contexts: VecDeque<String>,
}

/// A share on its way.
struct Asked {
    member: usize,
    share: std::ops::Range<usize>,
    /// Candidates times steps.
    work: f64,
    sent: Instant,
    expected_s: f64,
    replies: Receiver<(Instant, Reply)>,
}

impl Team {
    /// Opens a link to workers and asks who is there, for up to 3 s. Each must serve a model of the hash
    /// `sha256`.
    ///
    /// # Errors
    /// When the link can't be opened, nobody answers, or one that does has another model.
    pub fn find(link: &LinkConfig, model: &str, sha256: &str) -> Result<Self, WorkersError> {
        let session = open(link)?;
        let until = Instant::now() + FIND;
        let wanted = link.connect.len().max(1);
        let mut found = Vec::new();
        // A link that was just opened needs a moment.
        while found.len() < wanted && Instant::now() < until {
            found = answering(&session)?;
            if found.len() < wanted {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        if found.is_empty() {
            return Err(WorkersError::Silent {
                endpoints: link.connect.join(", "),
            });
        }
        if found.len() < wanted {
            tracing::warn!(
                "{} of {wanted} workers answer at {}",
                found.len(),
                link.connect.join(", ")
            );
        }
        for info in &found {
            if info.protocol != PROTOCOL {
                return Err(WorkersError::OtherProtocol {
                    worker: info.name.clone(),
                    theirs: info.protocol,
                    ours: PROTOCOL,
                });
            }
            if info.sha256 != sha256 {
                return Err(WorkersError::OtherModel {
                    worker: info.name.clone(),
                    theirs: info.model.clone(),
                    their_hash: info.sha256.clone(),
                    ours: model.to_owned(),
                    our_hash: sha256.to_owned(),
                });
            }
        }
        let member = |info: WorkerInfo| -> Result<Member, WorkersError> {
            Ok(Member {
                speed: info.samples_per_s,
                latency_s: round_trip(&session, &info.name)?.as_secs_f64(),
                silent_until: None,
                contexts: VecDeque::new(),
                info,
            })
        };
        let members = found.into_iter().map(member).collect::<Result<_, _>>()?;
        Ok(Team {
            session,
            members: Mutex::new(members),
            traffic: Mutex::new(Traffic::default()),
        })
    }

    /// Who is in it.
    pub fn workers(&self) -> Vec<WorkerInfo> {
        self.members().iter().map(|m| m.info.clone()).collect()
    }

    /// What went over the network so far.
    pub fn traffic(&self) -> Traffic {
        *locked(&self.traffic)
    }

    /// `model` with its rollouts shared out among this machine and the team, and its frames encoded where that
    /// is much faster. Gradients and single rollouts stay here.
    ///
    /// # Errors
    /// When the model fails.
    pub fn share(self: &Arc<Self>, model: WorldModel) -> Result<WorldModel, WorkersError> {
        for info in self.workers() {
            if info.computes != model.computes() {
                tracing::warn!(
                    "the worker {} computes {}, this machine {}: plans may differ in their last bits",
                    info.name,
                    info.computes,
                    model.computes()
                );
            }
        }
        let speed = measure(model.predictor().as_ref(), model.budget())?;
        let predictor = SharedPredictor {
            own: Arc::clone(model.predictor()),
            own_speed: Mutex::new(speed),
            team: Arc::clone(self),
        };
        let encoder = SharedEncoder {
            own: Arc::clone(model.encoder()),
            own_speed: speed,
            team: Arc::clone(self),
        };
        Ok(model.with_networks(Arc::new(encoder), Arc::new(predictor)))
    }

    fn members(&self) -> MutexGuard<'_, Vec<Member>> {
        locked(&self.members)
    }

    fn count(&self, count: impl FnOnce(&mut Traffic)) {
        count(&mut locked(&self.traffic));
    }

    /// How all members get through candidates of `horizon` steps; those left alone don't.
    fn paces(&self, horizon: usize) -> Vec<Pace> {
        let now = Instant::now();
        let pace = |m: &Member| Pace {
            speed: match m.silent_until {
                Some(until) if until > now => 0.0,
                _ => m.speed / horizon.max(1) as f64,
            },
            latency_s: m.latency_s,
        };
        self.members().iter().map(pace).collect()
    }

    /// Says that a member was not worth asking.
    fn passed_over(&self, member: usize) {
        self.members()[member].latency_s *= FORGOTTEN;
    }

    /// Asks member `member` for a share, its context first where it hasn't got it.
    fn ask(
        &self,
        member: usize,
        share: std::ops::Range<usize>,
        (context, context_payload): (&ContextHeader, &[u8]),
        (header, payload): (&EnergiesHeader, Vec<u8>),
        pace: Pace,
    ) -> Result<Asked, WorkersError> {
        let (key, known) = {
            let mut members = self.members();
            let member = &mut members[member];
            let known = member.contexts.contains(&context.id);
            if !known {
                member.contexts.push_back(context.id.clone());
                // Half of what the worker keeps: the other half is another planner's.
                while member.contexts.len() > KEPT_CONTEXTS / 2 {
                    member.contexts.pop_front();
                }
            }
            (format!("{ROOT}/{}", member.info.name), known)
        };
        let expected_s = pace.latency_s + header.samples as f64 / pace.speed.max(1e-9);
        let timeout = Duration::from_secs_f64((PATIENCE * expected_s).clamp(1.0, 3600.0));
        if !known {
            self.count(|t| t.sent += context_payload.len() as u64);
            // Its refusal shows in the answer to what follows, on the same link in the same order.
            self.request(
                &format!("{key}/context"),
                context,
                context_payload.to_vec(),
                timeout,
            )?;
        }
        self.count(|t| {
            t.requests += 1;
            t.sent += payload.len() as u64;
        });
        let sent = Instant::now();
        let replies = self.request(&format!("{key}/energies"), header, payload, timeout)?;
        Ok(Asked {
            member,
            share,
            work: header.samples as f64 * header.horizon as f64,
            sent,
            expected_s,
            replies,
        })
    }

    /// Asks, and keeps answers with the moment they came: whoever asked may be busy with its own share.
    fn request(
        &self,
        key: &str,
        header: &impl Serialize,
        payload: Vec<u8>,
        timeout: Duration,
    ) -> Result<Receiver<(Instant, Reply)>, WorkersError> {
        let header = serde_json::to_vec(header).map_err(|e| WorkersError::Zenoh {
            what: format!("asking {key}"),
            reason: e.to_string(),
        })?;
        let query = self.session.get(key).payload(payload).attachment(header);
        let (came, replies) = channel();
        query
            .timeout(timeout)
            .callback(move |reply| drop(came.send((Instant::now(), reply))))
            .wait()
            .map_err(zenoh_error(format!("asking {key}")))?;
        Ok(replies)
    }

    /// The energies a share was asked for; `None` when they don't come, after which the worker is left alone
    /// for a while.
    fn answer(&self, asked: &Asked) -> Option<Vec<f32>> {
        let patience = Duration::from_secs_f64(PATIENCE * asked.expected_s).max(LEAST_PATIENCE);
        let left = (asked.sent + patience).saturating_duration_since(Instant::now());
        let what = match asked.replies.recv_timeout(left) {
            Ok((came, reply)) => match reply.into_result() {
                Ok(sample) => {
                    let payload = sample.payload().to_bytes();
                    self.count(|t| t.received += payload.len() as u64);
                    let energies = floats(&payload);
                    let right = energies.filter(|e| e.len() == asked.share.len());
                    let right = right.map(|energies| (came, computing_s(&sample), energies));
                    right.ok_or_else(|| "another number of energies than asked for".to_owned())
                }
                Err(error) => {
                    Err(String::from_utf8_lossy(&error.payload().to_bytes()).into_owned())
                }
            },
            Err(RecvTimeoutError::Timeout) => {
                Err(format!("nothing within {:.2} s", patience.as_secs_f64()))
            }
            Err(RecvTimeoutError::Disconnected) => Err("nobody answers there any more".into()),
        };
        let mut members = self.members();
        let member = &mut members[asked.member];
        match what {
            Ok((came, computing_s, energies)) => {
                member.silent_until = None;
                let passed_s = (came - asked.sent).as_secs_f64();
                let computing_s = computing_s.clamp(1e-6, passed_s.max(1e-6));
                member.speed += NEWEST * (asked.work / computing_s - member.speed);
                member.latency_s += NEWEST * (passed_s - computing_s - member.latency_s);
                Some(energies)
            }
            Err(words) => {
                member.contexts.clear();
                member.silent_until = Some(Instant::now() + RECOVERY);
                tracing::warn!(
                    "the worker {}: {words}; its candidates are computed again",
                    member.info.name
                );
                drop(members);
                self.count(|t| t.lost += 1);
                None
            }
        }
    }
}

/// What a mutex holds, also where a thread that held it panicked: every value of these is a good one.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long a worker says its answer took to compute, s; nothing where it doesn't say.
fn computing_s(sample: &Sample) -> f64 {
    let bytes = sample.attachment().map(|a| a.to_bytes().into_owned());
    let bytes = bytes.and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
    let seconds = bytes.map_or(0.0, f64::from_le_bytes);
    if seconds.is_finite() {
        seconds
    } else {
        0.0
    }
}

/// How long a question to a worker takes that needs no thought.
fn round_trip(session: &Session, name: &str) -> Result<Duration, WorkersError> {
    let key = format!("{ROOT}/{name}/info");
    let began = Instant::now();
    let replies = session.get(&key).timeout(ANSWER).wait();
    // One that is silent is found out when it is asked for energies.
    let _ = replies
        .map_err(zenoh_error(format!("asking {key}")))?
        .recv_timeout(ANSWER);
    Ok(began.elapsed())
}

/// Workers that answer now.
fn answering(session: &Session) -> Result<Vec<WorkerInfo>, WorkersError> {
    let key = format!("{ROOT}/*/info");
    let replies = session.get(&key).timeout(ANSWER).wait();
    let replies = replies.map_err(zenoh_error(format!("asking {key}")))?;
    let mut found: Vec<WorkerInfo> = Vec::new();
    while let Ok(reply) = replies.recv() {
        let Ok(sample) = reply.into_result() else {
            continue;
        };
        match serde_json::from_slice(&sample.payload().to_bytes()) {
            Ok(info) => found.push(info),
            Err(error) => tracing::warn!("{}: an unreadable answer: {error}", sample.key_expr()),
        }
    }
    // One order, whoever answered first.
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found.dedup_by(|a, b| a.name == b.name);
    Ok(found)
}

/// A predictor whose energies this machine and a team compute.
#[derive(Debug)]
struct SharedPredictor {
    own: Arc<dyn LatentPredictor>,
    own_speed: Mutex<f64>,
    team: Arc<Team>,
}

impl LatentPredictor for SharedPredictor {
    fn config(&self) -> &PredictorConfig {
        self.own.config()
    }

    fn rollout(
        &self,
        start: &RolloutStart,
        sequences: &ActionSequences,
        sample: usize,
    ) -> Result<Rollout, PredictorError> {
        self.own.rollout(start, sequences, sample)
    }

    fn final_latents(
        &self,
        start: &RolloutStart,
        sequences: &ActionSequences,
        budget: Budget,
    ) -> Result<Vec<Vec<f32>>, PredictorError> {
        self.own.final_latents(start, sequences, budget)
    }

    fn energies(
        &self,
        start: &RolloutStart,
        sequences: &ActionSequences,
        depth: usize,
        distance: &GoalDistance,
        budget: Budget,
    ) -> Result<Vec<f32>, PredictorError> {
        start.check(self.config())?;
        let context = context_message(start.latent, distance.goal(), distance.weights());
        let mut energies = vec![0.0; sequences.samples()];
        let mut open: Vec<usize> = (0..sequences.samples()).collect();
        // Whoever fails is left alone, so this ends: at the latest with all computed here.
        while !open.is_empty() {
            let horizon = sequences.horizon();
            let mut paces = vec![Pace {
                speed: *locked(&self.own_speed) / horizon.max(1) as f64,
                latency_s: 0.0,
            }];
            paces.extend(self.team.paces(horizon));
            let mut parts = shares(open.len(), &paces).into_iter();
            let own_part = parts.next().unwrap_or(0..open.len());
            let mut asked = Vec::new();
            let mut failed = Vec::new();
            for (member, part) in parts.enumerate() {
                if part.is_empty() {
                    self.team.passed_over(member);
                    continue;
                }
                let candidates = Candidates {
                    pose: start.pose,
                    extrinsics: start.extrinsics,
                    steps: distance.steps().map(<[f32]>::to_vec),
                    sequences: sequences.select(&open[part.clone()]),
                };
                let header = EnergiesHeader {
                    context: context.0.id.clone(),
                    samples: part.len(),
                    horizon,
                    depth,
                    extrinsics: start.extrinsics.is_some(),
                    along: distance.steps().is_some(),
                };
                let request = (&header, candidates.payload());
                let context = (&context.0, &context.1[..]);
                let pace = paces[member + 1];
                match self.team.ask(member, part.clone(), context, request, pace) {
                    Ok(share) => asked.push(share),
                    Err(error) => {
                        tracing::warn!("{error}");
                        failed.extend_from_slice(&open[part]);
                    }
                }
            }
            let own = &open[own_part];
            if !own.is_empty() || !failed.is_empty() {
                let here = [own, &failed].concat();
                let began = Instant::now();
                let chosen = sequences.select(&here);
                let computed = self.own.energies(start, &chosen, depth, distance, budget)?;
                let steps = here.len() as f64 * horizon as f64;
                let speed = steps / began.elapsed().as_secs_f64().max(1e-6);
                let mut known = locked(&self.own_speed);
                *known += NEWEST * (speed - *known);
                for (sample, energy) in here.iter().zip(computed) {
                    energies[*sample] = energy;
                }
            }
            let mut again = Vec::new();
            for asked in asked {
                let samples = &open[asked.share.clone()];
                match self.team.answer(&asked) {
                    Some(computed) => {
                        for (sample, energy) in samples.iter().zip(computed) {
                            energies[*sample] = energy;
                        }
                    }
                    None => again.extend_from_slice(samples),
                }
            }
            open = again;
        }
        Ok(energies)
    }
}

/// An encoder that asks a much faster machine.
#[derive(Debug)]
struct SharedEncoder {
    own: Arc<dyn FrameEncoder>,
    own_speed: f64,
    team: Arc<Team>,
}

impl SharedEncoder {
    fn asked(&self, frames: &[f32], size: [usize; 2]) -> Option<Vec<f32>> {
        let paces = self.team.paces(1);
        let fastest = |a: &(usize, Pace), b: &(usize, Pace)| a.1.speed.total_cmp(&b.1.speed);
        let (member, pace) = paces.into_iter().enumerate().max_by(fastest)?;
        if pace.speed < WORTH_ENCODING * self.own_speed {
            return None;
        }
        let key = format!("{ROOT}/{}/encode", self.team.members()[member].info.name);
        let payload = bytes(frames);
        self.team.count(|t| t.sent += payload.len() as u64);
        let header = FramesHeader { size };
        let wait = Duration::from_secs(60);
        let replies = self.team.request(&key, &header, payload, wait).ok()?;
        let (_, reply) = replies.recv_timeout(wait).ok()?;
        let sample = reply.into_result().ok()?;
        let payload = sample.payload().to_bytes();
        self.team.count(|t| t.received += payload.len() as u64);
        floats(&payload)
    }
}

impl FrameEncoder for SharedEncoder {
    fn encode(&self, frames: &[f32], size: [usize; 2]) -> Result<Vec<f32>, PredictorError> {
        match self.asked(frames, size) {
            Some(latents) => Ok(latents),
            None => self.own.encode(frames, size),
        }
    }

    fn encode_clips(&self, clips: &[f32], size: [usize; 3]) -> Result<Vec<f32>, PredictorError> {
        self.own.encode_clips(clips, size)
    }
}
