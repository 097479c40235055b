//! Unit tests of `src/tensorboard.rs`.

use super::*;

#[test]
fn checksum_is_castagnoli() {
    // The check value of CRC-32C's definition.
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
}

#[test]
fn a_file_is_a_chain_of_records_with_scalars_in_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut events = EventFile::create(folder.path(), 300).unwrap();
    events
        .scalars(300, [("train/total", 0.5), ("rate", 1e-3)])
        .unwrap();
    let path = std::fs::read_dir(folder.path()).unwrap().next().unwrap();
    let data = std::fs::read(path.unwrap().path()).unwrap();
    let mut records = Vec::new();
    let mut rest = data.as_slice();
    while !rest.is_empty() {
        let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
        let crc = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap());
        assert_eq!(crc(8), masked_crc(&rest[..8]));
        let record = &rest[12..12 + length];
        assert_eq!(crc(12 + length), masked_crc(record));
        records.push(record.to_vec());
        rest = &rest[16 + length..];
    }
    assert_eq!(records.len(), 3);
    // Past the wall time: step 300, then one field 5 that holds both scalars.
    let scalars = &records[2][9..];
    assert_eq!(&scalars[..3], [0x10, 0xac, 0x02]);
    assert_eq!(scalars[3], 0x2a);
    assert_eq!(usize::from(scalars[4]), scalars.len() - 5);
    assert_eq!(&scalars[5..9], [0x0a, 18, 0x0a, 11]);
    assert_eq!(&scalars[9..20], b"train/total");
    assert_eq!(scalars[20], 0x15);
    assert_eq!(&scalars[21..25], 0.5f32.to_le_bytes());
}
