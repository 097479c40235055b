//! Links of HDF5 files that the HDF5 library passes over: soft ones, and those into other files.
//! Each is looked up in its own group, by the bytes of the file.

use hdf5_pure::File;

/// What a group calls by a name.
pub(super) enum Link {
    /// An object, by where its header lies.
    Object(usize),
    /// A path: from the root where it begins with a slash, else from the group.
    Soft(String),
    /// An object of another file.
    Elsewhere,
}

/// Blocks and nodes of a group that are read, at most; ends a loop of damaged ones.
const MOST_BLOCKS: usize = 256;
/// Bytes that are searched of a block in a heap of links, at most.
const MOST_BYTES: usize = 1 << 16;

/// Kinds of messages in an object's header.
const LINK_INFO: usize = 0x02;
const LINK: usize = 0x06;
const CONTINUATION: usize = 0x10;
const SYMBOL_TABLE: usize = 0x11;

/// The first of a path's parts that is a link, its number, and where it leads; `None` where there
/// is none.
pub(super) fn first(file: &File, parts: &[&str]) -> Option<(usize, Link)> {
    let superblock = file.superblock();
    if (superblock.offset_size, superblock.length_size) != (8, 8) {
        return None;
    }
    let bytes = Bytes {
        all: file.as_bytes(),
        base: usize::try_from(superblock.base_address.get()).ok()?,
    };
    let mut group = usize::try_from(superblock.root_group_address).ok()?;
    for (at, part) in parts.iter().enumerate() {
        match bytes.link(group, part)? {
            Link::Object(header) => group = header,
            link => return Some((at, link)),
        }
    }
    None
}

struct Bytes<'a> {
    all: &'a [u8],
    /// What the file's addresses count from.
    base: usize,
}

impl<'a> Bytes<'a> {
    fn number(&self, at: usize, length: usize) -> Option<usize> {
        number(self.all, at, length)
    }

    /// Where that lies whose address stands in some bytes.
    fn place(&self, bytes: &[u8], at: usize) -> Option<usize> {
        let place = number(bytes, at, 8)?.checked_add(self.base)?;
        (place < self.all.len()).then_some(place)
    }

    /// What the group with this header calls `name`.
    fn link(&self, header: usize, name: &str) -> Option<Link> {
        let mut messages = self.messages(header)?.into_iter();
        messages.find_map(|(kind, message)| match kind {
            LINK => self.linked(message, name),
            LINK_INFO => self.heaped(message, name),
            SYMBOL_TABLE => self.tabled(message, name),
            _ => None,
        })
    }

    /// Kinds and contents of the messages in an object's header, old or new.
    fn messages(&self, header: usize) -> Option<Vec<(usize, &'a [u8])>> {
        let new = self.all.get(header..)?.starts_with(b"OHDR");
        let (first, head) = if new {
            let flags = self.number(header + 5, 1)?;
            let times = if flags & 0x20 == 0 { 0 } else { 16 };
            let phases = if flags & 0x10 == 0 { 0 } else { 4 };
            let (at, width) = (header + 6 + times + phases, 1_usize << (flags & 3));
            let ordered = if flags & 4 == 0 { 0 } else { 2 };
            ([at + width, self.number(at, width)?], 4 + ordered)
        } else {
            ([header + 16, self.number(header + 8, 4)?], 8)
        };
        let (mut blocks, mut next) = (vec![first], 0);
        let mut messages = Vec::new();
        while let Some([mut at, length]) = blocks.get(next).copied() {
            next += 1;
            let end = at.saturating_add(length);
            while at + head <= end && blocks.len() < MOST_BLOCKS {
                let width = if new { 1 } else { 2 };
                let (kind, size) = (self.number(at, width)?, self.number(at + width, 2)?);
                let message = self.all.get(at + head..at + head + size)?;
                at += head + size;
                if kind == CONTINUATION {
                    let (place, length) = (self.place(message, 0)?, number(message, 8, 8)?);
                    // A new one has a signature before and a checksum behind its messages.
                    blocks.push(match new {
                        true => [place + 4, length.saturating_sub(8)],
                        false => [place, length],
                    });
                } else {
                    messages.push((kind, message));
                }
            }
        }
        Some(messages)
    }

    /// What a link's message says, if the link has this name.
    fn linked(&self, message: &[u8], name: &str) -> Option<Link> {
        let flags = number(message, 1, 1)?;
        let typed = usize::from(flags & 8 != 0);
        let ordered = if flags & 4 == 0 { 0 } else { 8 };
        let encoded = usize::from(flags & 0x10 != 0);
        let (at, width) = (2 + typed + ordered + encoded, 1_usize << (flags & 3));
        let end = number(message, at, width)?.checked_add(at + width)?;
        if message.get(at + width..end)? != name.as_bytes() {
            return None;
        }
        Some(match number(message, 2, typed)? {
            0 => Link::Object(self.place(message, end)?),
            1 => {
                let length = number(message, end, 2)?;
                Link::Soft(text(message.get(end + 2..end + 2 + length)?)?)
            }
            _ => Link::Elsewhere,
        })
    }

    /// What the table of an old group says: entries with places in the group's heap, where names
    /// and the targets of soft links stand.
    fn tabled(&self, message: &[u8], name: &str) -> Option<Link> {
        let heap = self.place(self.all, self.place(message, 8)? + 24)?;
        let word = |at: usize| self.all.get(heap.checked_add(number(self.all, at, 8)?)?..);
        let named = |entry: usize| {
            let behind = word(entry).and_then(|word| word.strip_prefix(name.as_bytes()));
            behind.is_some_and(|behind| behind.first() == Some(&0))
        };
        let mut nodes = vec![self.place(message, 0)?];
        for _ in 0..MOST_BLOCKS {
            let node = nodes.pop()?;
            let count = self.number(node + 6, 2)?;
            if self.all.get(node..)?.starts_with(b"TREE") {
                let children = (0..count.min(MOST_BLOCKS)).map(|i| node + 32 + 16 * i);
                nodes.extend(children.filter_map(|at| self.place(self.all, at)));
                continue;
            }
            let mut entries = (0..count).map(|i| node + 8 + 40 * i);
            let Some(entry) = entries.find(|entry| named(*entry)) else {
                continue;
            };
            // Of a soft link, the place of its target is half as wide.
            return match self.number(entry + 16, 4)? {
                2 => {
                    let target = heap.checked_add(self.number(entry + 24, 4)?)?;
                    let target = self.all.get(target..)?.split(|b| *b == 0).next();
                    text(target?).map(Link::Soft)
                }
                _ => self.place(self.all, entry + 8).map(Link::Object),
            };
        }
        None
    }

    /// What a new group of many links says: its heap's blocks are full of links' messages.
    fn heaped(&self, message: &[u8], name: &str) -> Option<Link> {
        const MARK: &[u8] = b"FHDB\0";
        let at = if number(message, 1, 1)? & 1 == 0 {
            2
        } else {
            10
        };
        let size = self.number(self.place(message, at)? + 112, 8)?;
        let heap = message.get(at..at + 8)?;
        let ours = |mark: &[u8]| mark.starts_with(MARK) && mark.ends_with(heap);
        let marks = self.all.windows(MARK.len() + 8).enumerate();
        let mut blocks = marks.filter(|(_, mark)| ours(mark)).take(MOST_BLOCKS);
        blocks.find_map(|(begin, _)| {
            let block = &self.all[begin..];
            let block = &block[..block.len().min(size).min(MOST_BYTES)];
            // A message begins with its version, 1.
            let mut starts = (0..block.len()).filter(|at| block[*at] == 1);
            starts.find_map(|at| self.linked(&block[at..], name))
        })
    }
}

fn number(bytes: &[u8], at: usize, length: usize) -> Option<usize> {
    let bytes = bytes.get(at..at.checked_add(length)?)?;
    let value = bytes
        .iter()
        .rev()
        .fold(0_u64, |n, b| n << 8 | u64::from(*b));
    usize::try_from(value).ok()
}

fn text(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    let fits = !text.is_empty() && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned())
}
