//! Unit tests of `src/link/session.rs`.

use super::*;

fn settings(text: &str) -> FileSettings {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("zenoh.json5");
    std::fs::write(&path, text).unwrap();
    FileSettings::of(&Config::from_file(&path).unwrap())
}

#[test]
fn what_a_file_says_is_told_from_what_it_leaves_out() {
    let nothing = FileSettings {
        connect: Vec::new(),
        listen: Vec::new(),
        has_mode: false,
        multicast: false,
        gossip: false,
    };
    assert_eq!(settings("{}"), nothing);
    let said = settings(
        r#"{ // a lab's
                mode: "client",
                connect: { endpoints: ["tcp/10.0.0.1:7447"] },
                listen: { endpoints: { client: ["tcp/127.0.0.1:0"] } },
                scouting: { multicast: { enabled: true } },
            }"#,
    );
    assert_eq!(
        said,
        FileSettings {
            connect: vec!["tcp/10.0.0.1:7447".into()],
            listen: vec!["tcp/127.0.0.1:0".into()],
            has_mode: true,
            multicast: true,
            gossip: false,
        }
    );
}

#[test]
fn a_bad_file_is_named_with_its_field_and_without_places_in_sources() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("old.json5");
    let refused = |text: &str| {
        std::fs::write(&path, text).unwrap();
        let config = LinkConfig {
            zenoh_config: Some(path.clone()),
            ..LinkConfig::default()
        };
        let error = open(&config).map(drop).unwrap_err();
        assert!(error.is_input(), "{error}");
        let words = error.to_string();
        assert!(words.contains("old.json5"), "{words}");
        assert!(
            !words.contains(".rs:") && !words.contains("check the endpoint"),
            "{words}"
        );
        words
    };
    let old = refused(r#"{ mode: "client", peer: "tcp/127.0.0.1:7447" }"#);
    assert!(old.contains("`peer`"), "{old}");
    assert!(refused("{}").contains("connect.endpoints"));
    refused("");
    refused("{ mode: ");
    std::fs::remove_file(&path).unwrap();
    let config = LinkConfig {
        zenoh_config: Some(path.clone()),
        ..LinkConfig::to("tcp/127.0.0.1:1")
    };
    assert!(open(&config).map(drop).unwrap_err().is_input());
}

#[test]
fn endpoints_and_certificates_that_cannot_be_are_refused_before_anything_is_tried() {
    for endpoint in [
        "",
        "127.0.0.1:7447",
        "tcp/127.0.0.1",
        "tcp/127.0.0.1:99999",
        "tcp/127.0.0.1:abc",
        "tcp/:7447",
        "tcp://127.0.0.1:7447",
        "http/127.0.0.1:7447",
        "quic/127.0.0.1:7447",
    ] {
        let error = open(&LinkConfig::to(endpoint)).map(drop).unwrap_err();
        assert!(error.is_input(), "{error}");
        let words = error.to_string();
        assert!(words.contains(&format!("{endpoint:?}")), "{words}");
        assert!(words.contains("tcp/HOST:PORT"), "{words}");
    }
    for endpoint in [
        "tcp/127.0.0.1:7447",
        "tls/fr3.lab:7447",
        "tcp/[::1]:0",
        "tcp/10.0.0.1:7447?rel=1#iface=eth0",
    ] {
        assert_eq!(endpoint_doubt(endpoint), None);
    }
    let bare = open(&LinkConfig::to("tls/127.0.0.1:7447")).map(drop);
    let words = bare.unwrap_err().to_string();
    assert!(words.contains("--certificates"), "{words}");
    let nowhere = LinkConfig {
        tls: Some(TlsConfig {
            certificate: Some("nowhere/planner.pem".into()),
            ..TlsConfig::default()
        }),
        ..LinkConfig::to("tls/127.0.0.1:7447")
    };
    let error = open(&nowhere).map(drop).unwrap_err();
    assert!(error.is_input(), "{error}");
    assert!(error.to_string().contains("nowhere/planner.pem"), "{error}");
}
