//! Opening zip archives, of which `.pt` and `.npz` are made.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};

use zip::read::{ArchiveOffset, Config};
use zip::result::ZipResult;
use zip::ZipArchive;

/// An archive's reader.
pub(crate) type Archive = ZipArchive<BufReader<File>>;

/// Opens an archive. Where the file begins with a member, its directory's places are counted from
/// the file's start, as the format has it: looking for bytes that resemble a directory would
/// find some in the data, and shift everything.
pub(crate) fn open(mut file: File) -> ZipResult<Archive> {
    let mut start = [0; 4];
    let member_first = file.read_exact(&mut start).is_ok() && start == *b"PK\x03\x04";
    file.seek(SeekFrom::Start(0))?;
    let archive_offset = if member_first {
        ArchiveOffset::Known(0)
    } else {
        ArchiveOffset::Detect
    };
    ZipArchive::with_config(Config { archive_offset }, BufReader::new(file))
}
