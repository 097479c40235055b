//! The `cmd/*` verbs of a node and the lease that comes before them.

use std::time::{Duration, Instant};

use franka_node::{CmdReply, CmdRequest};
use zenoh::liveliness::LivelinessToken;
use zenoh::query::Reply;
use zenoh::{Session, Wait};

use super::link_error;
use crate::arm::{ArmError, ArmResult};

/// How long a command waits for its reply. A stop blocks the node for up to 5 s.
const TIMEOUT: Duration = Duration::from_secs(7);
/// How long `home` and `gripper_home` wait: the node itself gives up after 60 s.
const HOME_TIMEOUT: Duration = Duration::from_secs(70);
/// How long a command may look for a node that answers it, and how often.
pub(super) const FIND_TIMEOUT: Duration = Duration::from_millis(1500);
const RETRY: Duration = Duration::from_millis(50);
/// How long the lease token may take to reach the node.
const LEASE_TIMEOUT: Duration = Duration::from_secs(3);

/// One command with only the client's id.
///
/// # Errors
/// As [`request`].
pub fn command(session: &Session, arm: &str, verb: &'static str, client_id: u32) -> ArmResult<()> {
    request(session, arm, verb, &CmdRequest::new(client_id))
}

/// Stops an arm. Anyone may, without a lease; an arm in which nothing runs is stopped already.
///
/// # Errors
/// [`ArmError`] when the node can't be reached or its stop fails.
pub fn stop(session: &Session, arm: &str, client_id: u32) -> ArmResult<()> {
    match command(session, arm, "stop", client_id) {
        Err(ArmError::Command { reason, .. }) if reason.starts_with("not allowed in") => Ok(()),
        other => other,
    }
}

/// One command: asks the node of `arm` for `verb` and waits for the answer.
///
/// # Errors
/// [`ArmError::Command`] with the node's own words when it refuses, or when nobody answers;
/// [`ArmError::Link`] when the query can't be sent.
pub fn request(
    session: &Session,
    arm: &str,
    verb: &'static str,
    request: &CmdRequest,
) -> ArmResult<()> {
    let refused = |reason: String| ArmError::Command {
        arm: arm.to_string(),
        verb,
        reason,
    };
    let payload = serde_json::to_string(request).map_err(|e| refused(e.to_string()))?;
    let timeout = if verb.ends_with("home") {
        HOME_TIMEOUT
    } else {
        TIMEOUT
    };
    let key = format!("franka/{arm}/cmd/{verb}");
    let reply = ask(session, &key, &payload, timeout, FIND_TIMEOUT)?.ok_or_else(|| {
        refused("no reply; is franka-node running and the arm's name right?".into())
    })?;
    let sample = reply.result().map_err(|e| refused(e.to_string()))?;
    let reply: CmdReply = serde_json::from_slice(&sample.payload().to_bytes())
        .map_err(|e| refused(format!("unreadable reply: {e}")))?;
    if reply.ok {
        Ok(())
    } else {
        Err(refused(
            reply.error.unwrap_or_else(|| "no reason given".into()),
        ))
    }
}

/// The reply of whoever answers `key`; `None` when nobody does within `timeout`. While nobody is there to ask, it is
/// asked again for as long as `patience`: a link that was just opened needs a moment.
pub(super) fn ask(
    session: &Session,
    key: &str,
    payload: &str,
    timeout: Duration,
    patience: Duration,
) -> ArmResult<Option<Reply>> {
    let patience = Instant::now() + patience;
    loop {
        let replies = session
            .get(key)
            .payload(payload)
            .timeout(timeout)
            .wait()
            .map_err(|e| link_error(format!("asking {key}"), e))?;
        let asked = Instant::now();
        match replies.recv() {
            Ok(reply) => return Ok(Some(reply)),
            Err(_) if asked.elapsed() < RETRY && Instant::now() < patience => {
                std::thread::sleep(RETRY);
            }
            Err(_) => return Ok(None),
        }
    }
}

/// The lease on an arm: a liveliness token that dies with this process. While it lives and the
/// node has granted `acquire`, only this client's targets count.
pub struct Lease {
    token: Option<LivelinessToken>,
    session: Session,
    arm: String,
    client_id: u32,
}

impl Lease {
    /// Declares the token and acquires the arm, retrying while the token is on its way.
    ///
    /// # Errors
    /// [`ArmError`] when someone else holds the arm or nobody answers.
    pub fn acquire(session: &Session, arm: &str, client_id: u32) -> ArmResult<Self> {
        let token = session
            .liveliness()
            .declare_token(format!("franka/{arm}/lease/{client_id}"))
            .wait()
            .map_err(|e| link_error("declaring the lease", e))?;
        let lease = Lease {
            token: Some(token),
            session: session.clone(),
            arm: arm.to_string(),
            client_id,
        };
        let deadline = Instant::now() + LEASE_TIMEOUT;
        loop {
            match command(session, arm, "acquire", client_id) {
                Ok(()) => return Ok(lease),
                Err(ArmError::Command { reason, .. })
                    if (reason == "no lease" || reason.starts_with("no reply"))
                        && Instant::now() < deadline =>
                {
                    std::thread::sleep(Duration::from_millis(50));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Releases the arm and takes the token back.
    ///
    /// # Errors
    /// [`ArmError`] when the node refuses the release; the token is gone all the same.
    pub fn release(mut self) -> ArmResult<()> {
        let released = command(&self.session, &self.arm, "release", self.client_id);
        if let Some(token) = self.token.take() {
            token
                .undeclare()
                .wait()
                .map_err(|e| link_error("taking the lease back", e))?;
        }
        released
    }
}
