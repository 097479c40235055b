//! Unit tests of `src/checkpoint/pickle.rs`.

use super::*;

#[test]
fn reads_protocol_2_and_4() {
    // pickle.dumps({"a": (1, -2, 300, 70000), "b": [True, None, 0.5]}, 2) and 4
    let two = b"\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01(K\x01J\xfe\xff\xff\xffM,\x01Jp\x11\x01\x00tq\x02X\x01\x00\x00\x00bq\x03]q\x04(\x88NG?\xe0\x00\x00\x00\x00\x00\x00eu.";
    let four = b"\x80\x04\x95\x30\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01a\x94(K\x01J\xfe\xff\xff\xffM,\x01Jp\x11\x01\x00t\x94\x8c\x01b\x94]\x94(\x88NG?\xe0\x00\x00\x00\x00\x00\x00eu.";
    for bytes in [&two[..], &four[..]] {
        let pickle = Pickle::parse(bytes).unwrap();
        let entries = pickle.entries(pickle.root()).unwrap();
        assert_eq!(pickle.text(entries[0].0), Some("a"));
        let numbers = pickle.items(entries[0].1).unwrap();
        assert_eq!(pickle.node(numbers[1]), &Node::Int(-2));
        assert_eq!(pickle.size(numbers[3]), Some(70000));
        let list = pickle.items(entries[1].1).unwrap();
        assert_eq!(pickle.node(list[2]), &Node::Float(0.5));
    }
}

#[test]
fn long_integers_have_signs_and_limits() {
    let int = |bytes: &[u8]| Pickle::parse(bytes).map(|p| p.node(p.root()).clone());
    assert_eq!(int(b"\x8a\x02\x00\xff."), Ok(Node::Int(-256)));
    assert_eq!(int(b"\x8a\x03\xff\xff\x00."), Ok(Node::Int(65535)));
    let wide = b"\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01.";
    assert_eq!(int(wide), Ok(Node::WideInt));
}

#[test]
fn nonsense_is_an_error_and_never_a_panic() {
    for bad in [
        &b""[..],
        b".",
        b"t.",
        b"(0.",
        b"Ns.",
        b"N\x86.",
        b"X\xff\xff\xff\xffa.",
        b"h\x05.",
        b"Nr\xff\xff\xff\xffj\x00\x00\x00\x00.",
        b"cos\nsystem",
        b"\xffrest",
    ] {
        assert!(Pickle::parse(bad).is_err(), "{bad:?}");
    }
    // Deep nesting: a million tuples in tuples must neither overflow the stack nor leak time.
    let mut deep = vec![b'N'];
    deep.extend(std::iter::repeat_n(0x85u8, 1_000_000));
    deep.push(b'.');
    assert!(Pickle::parse(&deep).is_ok());
    // Every prefix and every flipped byte of a real pickle.
    let real = b"\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01(K\x01J\xfe\xff\xff\xfftq\x02uccollections\nOrderedDict\nq\x03)Rq\x04b.";
    for i in 0..real.len() {
        let _ = Pickle::parse(&real[..i]);
        for value in 0..=255u8 {
            let mut bytes = real.to_vec();
            bytes[i] = value;
            let _ = Pickle::parse(&bytes);
        }
    }
}
