//! A TCP proxy that can break: between a client and its node.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use foresight_robot::LinkConfig;

struct Shared {
    open: Mutex<Vec<TcpStream>>,
    cut: AtomicBool,
    stall: AtomicBool,
    over: AtomicBool,
}

pub struct Proxy {
    shared: Arc<Shared>,
    port: u16,
}

impl Proxy {
    /// Forwards to an endpoint such as `tcp/127.0.0.1:7447`.
    pub fn to(endpoint: &str) -> Proxy {
        let target = endpoint.trim_start_matches("tcp/").to_string();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared {
            open: Mutex::new(Vec::new()),
            cut: AtomicBool::new(false),
            stall: AtomicBool::new(false),
            over: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if accepting.over.load(Ordering::Relaxed) {
                    return;
                }
                if accepting.cut.load(Ordering::Relaxed) {
                    let _ = client.shutdown(Shutdown::Both);
                    continue;
                }
                let Ok(node) = TcpStream::connect(&target) else {
                    continue;
                };
                let copies = [&client, &node].map(|s| s.try_clone().expect("a socket"));
                accepting
                    .open
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .extend(copies);
                pump(&client, &node, &accepting, false);
                pump(&node, &client, &accepting, true);
            }
        });
        Proxy { shared, port }
    }

    pub fn link(&self) -> LinkConfig {
        LinkConfig::to(format!("tcp/127.0.0.1:{}", self.port))
    }

    /// Closes every connection and accepts no more.
    pub fn cut(&self) {
        self.shared.cut.store(true, Ordering::Relaxed);
        let mut open = self
            .shared
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for socket in open.drain(..) {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    /// Accepts again.
    pub fn mend(&self) {
        self.shared.cut.store(false, Ordering::Relaxed);
    }

    /// Swallows what the node sends.
    pub fn stall_answers(&self) {
        self.shared.stall.store(true, Ordering::Relaxed);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
        self.shared.over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn pump(from: &TcpStream, to: &TcpStream, shared: &Arc<Shared>, answers: bool) {
    let mut from = from.try_clone().expect("a socket");
    let mut to = to.try_clone().expect("a socket");
    let shared = Arc::clone(shared);
    let _ = from.set_nodelay(true);
    let _ = to.set_nodelay(true);
    std::thread::spawn(move || {
        let mut bytes = vec![0; 65536];
        loop {
            match from.read(&mut bytes) {
                Ok(0) | Err(_) => break,
                Ok(_) if answers && shared.stall.load(Ordering::Relaxed) => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Ok(n) => {
                    if to.write_all(&bytes[..n]).is_err() {
                        break;
                    }
                }
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}
