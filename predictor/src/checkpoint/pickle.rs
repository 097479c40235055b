//! Python's pickle, as far as PyTorch checkpoints use it.
//!
//! Nothing is executed: a call becomes a node that says what would have been called. Objects
//! live in one arena and refer to each other by index, so shared and even cyclic objects cost
//! nothing, and hostile nesting can't overflow the stack. One opcode makes at most one node, so
//! memory is bounded by the size of the input.

use std::collections::HashMap;

/// Index of an object in its [`Pickle`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Id(u32);

/// One Python object.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// An integer of more than 64 bits, as seeds are; its value is never needed.
    WideInt,
    /// A float.
    Float(f64),
    /// A string.
    Text(String),
    /// Bytes; their value is never needed.
    Bytes,
    /// A tuple.
    Tuple(Vec<Id>),
    /// A list or a set.
    List(Vec<Id>),
    /// A dictionary, ordered or not, in insertion order.
    Dict(Vec<(Id, Id)>),
    /// A class or function by module and name.
    Global(String, String),
    /// `callable(*args)`, not called.
    Call(Id, Id),
    /// A reference to something outside the pickle: for PyTorch, a storage.
    Persistent(Id),
}

/// A parsed pickle.
#[derive(Debug)]
pub(super) struct Pickle {
    nodes: Vec<Node>,
    root: Id,
}

impl Pickle {
    /// Parses protocol 2 to 5.
    ///
    /// # Errors
    /// A phrase saying what is wrong and at which byte.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let mut machine = Machine {
            bytes,
            at: 0,
            nodes: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        };
        loop {
            let at = machine.at;
            match machine.step() {
                Ok(None) => {}
                Ok(Some(root)) => {
                    return Ok(Pickle {
                        nodes: machine.nodes,
                        root,
                    })
                }
                Err(problem) => return Err(format!("{problem} at byte {at} of its pickle")),
            }
        }
    }

    /// The object that was pickled.
    pub(super) fn root(&self) -> Id {
        self.root
    }

    /// An object.
    pub(super) fn node(&self, id: Id) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// An object as text.
    pub(super) fn text(&self, id: Id) -> Option<&str> {
        match self.node(id) {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    /// An object as a number that is not negative.
    pub(super) fn size(&self, id: Id) -> Option<usize> {
        match self.node(id) {
            Node::Int(value) => usize::try_from(*value).ok(),
            _ => None,
        }
    }

    /// An object's elements, if it is a tuple or a list.
    pub(super) fn items(&self, id: Id) -> Option<&[Id]> {
        match self.node(id) {
            Node::Tuple(items) | Node::List(items) => Some(items),
            _ => None,
        }
    }

    /// An object's entries, if it is a dictionary.
    pub(super) fn entries(&self, id: Id) -> Option<&[(Id, Id)]> {
        match self.node(id) {
            Node::Dict(entries) => Some(entries),
            _ => None,
        }
    }

    /// Module, name and arguments, if an object is an uncalled call of a global.
    pub(super) fn call(&self, id: Id) -> Option<(&str, &str, &[Id])> {
        let Node::Call(callable, args) = self.node(id) else {
            return None;
        };
        let Node::Global(module, name) = self.node(*callable) else {
            return None;
        };
        Some((module, name, self.items(*args)?))
    }
}

/// The pickle machine: a stack, marks into it, and a memo.
struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    nodes: Vec<Node>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<usize, Id>,
}

impl Machine<'_> {
    /// One opcode; the root once it says stop.
    fn step(&mut self) -> Result<Option<Id>, String> {
        match self.byte()? {
            0x80 => drop(self.byte()?),  // protocol
            0x95 => drop(self.take(8)?), // frame
            b'.' => return self.pop().map(Some),
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.pop_to_mark()?),
            b'2' => {
                let top = self.top()?;
                self.stack.push(top);
            }
            b'N' => self.push(Node::None)?,
            0x88 => self.push(Node::Bool(true))?,
            0x89 => self.push(Node::Bool(false))?,
            b'K' => {
                let value = i64::from(self.byte()?);
                self.push(Node::Int(value))?;
            }
            b'M' => {
                let value = i64::from(u16::from_le_bytes(self.array()?));
                self.push(Node::Int(value))?;
            }
            b'J' => {
                let value = i64::from(i32::from_le_bytes(self.array()?));
                self.push(Node::Int(value))?;
            }
            0x8a => {
                let length = usize::from(self.byte()?);
                self.long(length)?;
            }
            0x8b => {
                let length = self.length4()?;
                self.long(length)?;
            }
            b'G' => {
                let value = f64::from_be_bytes(self.array()?);
                self.push(Node::Float(value))?;
            }
            0x8c | b'U' => self.byte().map(usize::from).and_then(|n| self.string(n))?,
            b'X' | b'T' => self.length4().and_then(|n| self.string(n))?,
            0x8d => self.length8().and_then(|n| self.string(n))?,
            b'C' => self.byte().map(usize::from).and_then(|n| self.skip(n))?,
            b'B' => self.length4().and_then(|n| self.skip(n))?,
            0x8e | 0x96 => self.length8().and_then(|n| self.skip(n))?,
            b']' | 0x8f => self.push(Node::List(Vec::new()))?,
            b'l' | 0x91 => {
                let items = self.pop_to_mark()?;
                self.push(Node::List(items))?;
            }
            b'a' => {
                let item = self.pop()?;
                self.extend(vec![item])?;
            }
            b'e' | 0x90 => {
                let items = self.pop_to_mark()?;
                self.extend(items)?;
            }
            b')' => self.push(Node::Tuple(Vec::new()))?,
            b't' => {
                let items = self.pop_to_mark()?;
                self.push(Node::Tuple(items))?;
            }
            count @ 0x85..=0x87 => {
                let count = usize::from(count - 0x84);
                let start = self.stack.len().checked_sub(count).ok_or(EMPTY)?;
                let items = self.stack.split_off(start);
                self.push(Node::Tuple(items))?;
            }
            b'}' => self.push(Node::Dict(Vec::new()))?,
            b'd' => {
                let items = self.pop_to_mark()?;
                self.push(Node::Dict(pairs(&items)?))?;
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.insert(&[key, value])?;
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.insert(&items)?;
            }
            b'c' => {
                let module = self.line()?;
                let name = self.line()?;
                self.push(Node::Global(module, name))?;
            }
            0x93 => {
                let name = self.pop()?;
                let module = self.pop()?;
                let text = |id: Id| match &self.nodes[id.0 as usize] {
                    Node::Text(text) => Ok(text.clone()),
                    _ => Err("a global without a name"),
                };
                let global = Node::Global(text(module)?, text(name)?);
                self.push(global)?;
            }
            b'R' | 0x81 => {
                let args = self.pop()?;
                let callable = self.pop()?;
                self.call(callable, args)?;
            }
            0x92 => {
                let _keywords = self.pop()?;
                let args = self.pop()?;
                let callable = self.pop()?;
                self.call(callable, args)?;
            }
            // Attributes set on an object (a state dict's `_metadata`): nothing we read.
            b'b' => drop(self.pop()?),
            b'Q' => {
                let id = self.pop()?;
                self.push(Node::Persistent(id))?;
            }
            b'h' => self.byte().map(usize::from).and_then(|n| self.recall(n))?,
            b'j' => self.length4().and_then(|n| self.recall(n))?,
            b'q' => self
                .byte()
                .map(usize::from)
                .and_then(|n| self.remember(n))?,
            b'r' => self.length4().and_then(|n| self.remember(n))?,
            0x94 => {
                let key = self.memo.len();
                self.remember(key)?;
            }
            other => return Err(format!("unknown opcode 0x{other:02x}")),
        }
        Ok(None)
    }

    fn take(&mut self, count: usize) -> Result<&[u8], String> {
        let rest = &self.bytes[self.at..];
        if count > rest.len() {
            return Err("data cut short".into());
        }
        self.at += count;
        Ok(&rest[..count])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.array::<1>()?[0])
    }

    fn length4(&mut self) -> Result<usize, String> {
        Ok(u32::from_le_bytes(self.array()?) as usize)
    }

    fn length8(&mut self) -> Result<usize, String> {
        usize::try_from(u64::from_le_bytes(self.array()?)).map_err(|e| e.to_string())
    }

    fn line(&mut self) -> Result<String, String> {
        let rest = &self.bytes[self.at..];
        let end = rest
            .iter()
            .position(|b| *b == b'\n')
            .ok_or("data cut short")?;
        let text = String::from_utf8_lossy(&rest[..end]).into_owned();
        self.at += end + 1;
        Ok(text)
    }

    fn string(&mut self, length: usize) -> Result<(), String> {
        let text = String::from_utf8_lossy(self.take(length)?).into_owned();
        self.push(Node::Text(text))
    }

    fn skip(&mut self, length: usize) -> Result<(), String> {
        self.take(length)?;
        self.push(Node::Bytes)
    }

    /// A little-endian two's complement integer of any length.
    fn long(&mut self, length: usize) -> Result<(), String> {
        let bytes = self.take(length)?.to_vec();
        let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
        let fill = if negative { 0xff } else { 0 };
        let mut wide = [fill; 8];
        for (i, byte) in bytes.iter().enumerate() {
            match wide.get_mut(i) {
                Some(slot) => *slot = *byte,
                None if *byte == fill => {}
                None => return self.push(Node::WideInt),
            }
        }
        self.push(Node::Int(i64::from_le_bytes(wide)))
    }

    fn push(&mut self, node: Node) -> Result<(), String> {
        let id = u32::try_from(self.nodes.len()).map_err(|_| "too many objects")?;
        self.nodes.push(node);
        self.stack.push(Id(id));
        Ok(())
    }

    fn pop(&mut self) -> Result<Id, String> {
        if self.marks.last() == Some(&self.stack.len()) {
            return Err(EMPTY.into());
        }
        self.stack.pop().ok_or_else(|| EMPTY.into())
    }

    fn top(&self) -> Result<Id, String> {
        self.stack.last().copied().ok_or_else(|| EMPTY.into())
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>, String> {
        let mark = self.marks.pop().ok_or("no mark")?;
        if mark > self.stack.len() {
            return Err(EMPTY.into());
        }
        Ok(self.stack.split_off(mark))
    }

    fn top_node(&mut self) -> Result<&mut Node, String> {
        let top = self.top()?;
        Ok(&mut self.nodes[top.0 as usize])
    }

    fn extend(&mut self, items: Vec<Id>) -> Result<(), String> {
        match self.top_node()? {
            Node::List(list) => list.extend(items),
            Node::Call(..) => {} // a list-like object of some class: its items are not needed
            _ => return Err("items for what is no list".into()),
        }
        Ok(())
    }

    fn insert(&mut self, items: &[Id]) -> Result<(), String> {
        let new = pairs(items)?;
        match self.top_node()? {
            Node::Dict(entries) => entries.extend(new),
            // Of whatever class: what takes entries is a dictionary.
            object @ Node::Call(..) => *object = Node::Dict(new),
            _ => return Err("entries for what is no dictionary".into()),
        }
        Ok(())
    }

    fn call(&mut self, callable: Id, args: Id) -> Result<(), String> {
        let is_dict = matches!(
            &self.nodes[callable.0 as usize],
            Node::Global(module, name)
                if module == "collections" && (name == "OrderedDict" || name == "defaultdict")
        );
        if is_dict {
            self.push(Node::Dict(Vec::new()))
        } else {
            self.push(Node::Call(callable, args))
        }
    }

    fn recall(&mut self, key: usize) -> Result<(), String> {
        let id = self.memo.get(&key).copied();
        self.stack
            .push(id.ok_or_else(|| format!("nothing remembered as {key}"))?);
        Ok(())
    }

    fn remember(&mut self, key: usize) -> Result<(), String> {
        let top = self.top()?;
        self.memo.insert(key, top);
        Ok(())
    }
}

const EMPTY: &str = "too few objects on the stack";

fn pairs(items: &[Id]) -> Result<Vec<(Id, Id)>, String> {
    let (pairs, rest) = items.as_chunks::<2>();
    if !rest.is_empty() {
        return Err("a key without a value".into());
    }
    Ok(pairs.iter().map(|[key, value]| (*key, *value)).collect())
}

#[cfg(test)]
#[path = "../../tests/unit/checkpoint_pickle.rs"]
mod tests;
