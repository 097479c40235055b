//! One machine's model, offered to others.

use std::collections::VecDeque;
use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use foresight_predictor::goal_distance::GoalDistance;
use foresight_predictor::rollout::RolloutStart;
use foresight_predictor::{Budget, WorldModel};
use serde::de::DeserializeOwned;
use zenoh::query::{Query, Queryable};
use zenoh::{Session, Wait};

use crate::error::{zenoh_error, WorkersError};
use crate::message::{
    bytes, floats, Candidates, Context, ContextHeader, EnergiesHeader, FramesHeader, WorkerInfo,
    PROTOCOL, ROOT,
};
use crate::planning;
use crate::speed::measure;

/// Contexts that are kept: of a decision, and of planners that share the worker.
pub(crate) const KEPT_CONTEXTS: usize = 8;

/// A model on offer, until it is dropped.
pub struct Worker {
    info: WorkerInfo,
    queryables: Vec<Queryable<()>>,
    threads: Vec<JoinHandle<()>>,
}

impl Worker {
    /// Offers `model`, whose weights have the hash `sha256`, on a session under the session's own id as the
    /// worker's name.
    ///
    /// # Errors
    /// When the model fails or zenoh refuses the keys.
    pub fn start(
        session: &Session,
        model: Arc<WorldModel>,
        sha256: String,
    ) -> Result<Self, WorkersError> {
        let info = WorkerInfo {
            protocol: PROTOCOL,
            name: session.zid().to_string(),
            model: model.config().name.clone(),
            sha256,
            computes: model.computes().to_owned(),
            samples_per_s: measure(model.predictor().as_ref(), model.budget())?,
        };
        let own = format!("{ROOT}/{}", info.name);
        let offer = |verb: &str, to: Sender<Query>| {
            // A queryable's callback runs on zenoh's own thread, which has more to do.
            session
                .declare_queryable(format!("{own}/{verb}"))
                .callback(move |query| drop(to.send(query)))
                .wait()
                .map_err(zenoh_error(format!("offering {own}/{verb}")))
        };
        // Who asks whether the worker lives doesn't wait for what it computes.
        let (asked, questions) = channel();
        let (ordered, work) = channel();
        let queryables = vec![
            offer("info", asked)?,
            offer("encode", ordered.clone())?,
            offer("context", ordered.clone())?,
            offer("energies", ordered.clone())?,
            offer("plan", ordered)?,
        ];
        let told = info.clone();
        let service = Service {
            budget: model.budget(),
            model,
            contexts: VecDeque::new(),
        };
        let threads = vec![
            spawn("workers-info", move || tell(&told, &questions))?,
            spawn("workers-rollouts", move || service.work(&work))?,
        ];
        Ok(Worker {
            info,
            queryables,
            threads,
        })
    }

    /// What it says of itself.
    pub fn info(&self) -> &WorkerInfo {
        &self.info
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Without queryables the threads run out of questions.
        for queryable in self.queryables.drain(..) {
            if let Err(error) = queryable.undeclare().wait() {
                tracing::debug!("taking an offer back: {error}");
            }
        }
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a worker's thread panicked");
            }
        }
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, WorkersError> {
    let thread = std::thread::Builder::new().name(name.into()).spawn(run);
    thread.map_err(|e| WorkersError::Zenoh {
        what: format!("starting the thread {name}"),
        reason: e.to_string(),
    })
}

fn tell(info: &WorkerInfo, questions: &Receiver<Query>) {
    // Under its own name: of answers under the key that was asked for, with its wildcard, zenoh would
    // deliver one worker's.
    let key = format!("{ROOT}/{}/info", info.name);
    while let Ok(query) = questions.recv() {
        let answer = serde_json::to_vec(info).map_err(|e| e.to_string());
        reply(&query, &key, answer, None);
    }
}

/// What answers requests, one after another.
struct Service {
    model: Arc<WorldModel>,
    budget: Budget,
    contexts: VecDeque<(String, Context)>,
}

impl Service {
    fn work(mut self, work: &Receiver<Query>) {
        while let Ok(query) = work.recv() {
            let began = Instant::now();
            let verb = query.key_expr().as_str().rsplit('/').next();
            let answer = match verb {
                Some("encode") => self.encode(&query),
                Some("context") => self.remember(&query),
                Some("plan") => self.plan(&query),
                _ => self.energies(&query),
            };
            let took = Some(began.elapsed());
            reply(&query, query.key_expr().as_str(), answer, took);
        }
    }

    fn plan(&self, query: &Query) -> Result<Vec<u8>, String> {
        let plan = planning::plan(&self.model, &header(query)?, &payload(query))?;
        serde_json::to_vec(&plan).map_err(|e| e.to_string())
    }

    fn encode(&self, query: &Query) -> Result<Vec<u8>, String> {
        let header: FramesHeader = header(query)?;
        let frames = floats(&payload(query)).ok_or("the frames are no whole numbers")?;
        let latents = self.model.encoder().encode(&frames, header.size);
        latents.map(|l| bytes(&l)).map_err(|e| e.to_string())
    }

    fn remember(&mut self, query: &Query) -> Result<Vec<u8>, String> {
        let header: ContextHeader = header(query)?;
        let context = Context::read(&header, &payload(query));
        let context = context.ok_or("the context isn't what its header says")?;
        let config = self.model.predictor().config();
        let wanted = config.tokens_per_frame() * config.embed_dim;
        if context.latent.len() != wanted {
            return Err(format!(
                "a latent of {} numbers; this model's have {wanted}",
                context.latent.len()
            ));
        }
        self.contexts.retain(|(id, _)| *id != header.id);
        self.contexts.push_back((header.id, context));
        while self.contexts.len() > KEPT_CONTEXTS {
            self.contexts.pop_front();
        }
        Ok(Vec::new())
    }

    fn energies(&self, query: &Query) -> Result<Vec<u8>, String> {
        let header: EnergiesHeader = header(query)?;
        let known = self.contexts.iter().find(|(id, _)| *id == header.context);
        let (_, context) = known.ok_or("unknown context")?;
        let candidates = Candidates::read(&header, &payload(query));
        let candidates = candidates.ok_or("the candidates aren't what their header says")?;
        let distance = GoalDistance::from_parts(
            &context.goal,
            context.weights.as_deref(),
            candidates.steps.as_deref(),
        );
        let start = RolloutStart {
            latent: &context.latent,
            pose: candidates.pose,
            extrinsics: candidates.extrinsics,
        };
        let (predictor, sequences) = (self.model.predictor(), &candidates.sequences);
        let energies = predictor.energies(&start, sequences, header.depth, &distance, self.budget);
        energies.map(|e| bytes(&e)).map_err(|e| e.to_string())
    }
}

fn header<H: DeserializeOwned>(query: &Query) -> Result<H, String> {
    let attached = query.attachment().ok_or("a request without a header")?;
    serde_json::from_slice(&attached.to_bytes()).map_err(|e| format!("an unreadable header: {e}"))
}

fn payload(query: &Query) -> Vec<u8> {
    query
        .payload()
        .map_or(Vec::new(), |p| p.to_bytes().into_owned())
}

/// Answers, and says how long that took to compute: what else passes is the way's.
fn reply(query: &Query, key: &str, answer: Result<Vec<u8>, String>, took: Option<Duration>) {
    let sent = match answer {
        Ok(payload) => {
            let seconds = took.map(|took| took.as_secs_f64().to_le_bytes().to_vec());
            query.reply(key, payload).attachment(seconds).wait()
        }
        Err(words) => query.reply_err(words).wait(),
    };
    // Who asked may be gone; others are still there.
    if let Err(error) = sent {
        tracing::debug!("answering {key}: {error}");
    }
}
