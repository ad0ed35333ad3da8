//! A disk that fails on demand, and one that forgets: what the calls of this thread may have left after a crash.
//!
//! Calls go to a real folder. While a [`Recording`] is held they are noted, too; [`Crash`] replays a prefix of them
//! on a model of a disk that keeps only what was synced, plus whatever part of the rest the dice say.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A change of the disk.
#[derive(Debug, Clone)]
pub(crate) enum Call {
    Create(PathBuf),
    Write(PathBuf, u64, Vec<u8>),
    Cut(PathBuf, u64),
    Sync(PathBuf),
    SyncDir(PathBuf),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    CreateDir(PathBuf),
}

/// What goes wrong, counted in calls since [`fail`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// From this call on there is no room for anything new: creations and writes fail, the first write half done.
    Full(usize),
    /// This one call fails if it is a sync.
    Sync(usize),
    /// From this call on everything fails.
    Dead(usize),
}

#[derive(Default)]
struct State {
    fault: Option<Fault>,
    calls: usize,
    recording: Option<Vec<Call>>,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

/// Lets calls of this thread fail, until [`heal`].
pub(crate) fn fail(fault: Fault) {
    STATE.with_borrow_mut(|state| (state.fault, state.calls) = (Some(fault), 0));
}

/// Ends the faults. Returns whether one was met.
pub(crate) fn heal() -> bool {
    STATE.with_borrow_mut(|state| match state.fault.take() {
        Some(Fault::Full(at) | Fault::Sync(at) | Fault::Dead(at)) => state.calls > at,
        None => false,
    })
}

/// Weighs and notes a call that is about to be made.
pub(super) fn before(call: Call) -> io::Result<()> {
    STATE.with_borrow_mut(|state| {
        state.weigh(&call)?;
        state.note(call);
        Ok(())
    })
}

/// The same of a write. Returns what of it shall be written.
pub(super) fn before_write<'a>(path: &Path, at: u64, bytes: &'a [u8]) -> io::Result<&'a [u8]> {
    STATE.with_borrow_mut(|state| {
        let call = |bytes: &[u8]| Call::Write(path.to_owned(), at, bytes.to_owned());
        let bytes = match state.weigh(&call(&[])) {
            Ok(()) => bytes,
            // The first write that finds no room is cut short, as the operating system does.
            Err(_) if state.fault == Some(Fault::Full(state.calls - 1)) && bytes.len() > 1 => {
                &bytes[..bytes.len() / 2]
            }
            Err(error) => return Err(error),
        };
        state.note(call(bytes));
        Ok(bytes)
    })
}

impl State {
    fn weigh(&mut self, call: &Call) -> io::Result<()> {
        let number = self.calls;
        self.calls += 1;
        match (self.fault, call) {
            (Some(Fault::Full(at)), Call::Create(_) | Call::Write(..) | Call::CreateDir(_))
                if number >= at =>
            {
                Err(io::ErrorKind::StorageFull.into())
            }
            (Some(Fault::Sync(at)), Call::Sync(_) | Call::SyncDir(_)) if number == at => {
                Err(io::Error::other("the disk does not answer"))
            }
            (Some(Fault::Dead(at)), _) if number >= at => Err(io::Error::other("the disk is gone")),
            _ => Ok(()),
        }
    }

    fn note(&mut self, call: Call) {
        if let Some(calls) = &mut self.recording {
            calls.push(call);
        }
    }
}

/// Notes the calls of this thread below one folder, from a given content on.
pub(crate) struct Recording {
    root: PathBuf,
    before: Disk,
}

impl Recording {
    /// Begins with what the folder holds now, all of it synced.
    pub(crate) fn start(root: &Path) -> Self {
        let mut before = Disk::default();
        before.read(root, ROOT);
        STATE.with_borrow_mut(|state| state.recording = Some(Vec::new()));
        let root = root.to_owned();
        Self { root, before }
    }

    /// How many calls there were.
    pub(crate) fn len(&self) -> usize {
        STATE.with_borrow(|state| state.recording.as_ref().map_or(0, Vec::len))
    }

    /// Ends it.
    pub(crate) fn stop(self) -> Crash {
        let calls = STATE.with_borrow_mut(|state| state.recording.take());
        Crash {
            root: self.root,
            before: self.before,
            calls: calls.unwrap(),
        }
    }
}

/// What survives of what was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Survives {
    /// Nothing: the power went.
    Nothing,
    /// Everything: only the process went.
    Everything,
    /// By the dice of this seed, whatever a disk may have got round to, in any order.
    Something(u64),
}

/// The calls of a recording.
pub(crate) struct Crash {
    root: PathBuf,
    before: Disk,
    calls: Vec<Call>,
}

impl Crash {
    pub(crate) fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// Puts what is left after the first `count` calls into the empty folder `target`.
    pub(crate) fn leave(&self, count: usize, survives: Survives, target: &Path) {
        let mut disk = self.before.clone();
        for call in &self.calls[..count] {
            disk.take(&self.root, call);
        }
        let mut dice = match survives {
            Survives::Something(seed) => Some(seed),
            _ => None,
        };
        let mut keep = |left: usize| match (&mut dice, survives) {
            (Some(state), _) => {
                // splitmix64
                *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                usize::try_from((mixed ^ (mixed >> 31)) % (left as u64 + 1)).unwrap()
            }
            (None, Survives::Everything) => left,
            (None, _) => 0,
        };
        disk.write(ROOT, target, &mut keep);
    }
}

const ROOT: usize = 0;

/// Files and folders by number. Number 0 is the root.
#[derive(Debug, Clone, Default)]
struct Disk {
    nodes: Vec<Node>,
}

#[derive(Debug, Clone)]
enum Node {
    File {
        synced: Vec<u8>,
        /// Writes at an offset, and cuts at a length.
        pending: Vec<(u64, Option<Vec<u8>>)>,
    },
    Folder {
        synced: BTreeMap<String, usize>,
        pending: Vec<Naming>,
    },
}

#[derive(Debug, Clone)]
enum Naming {
    Set(String, usize),
    Unset(String),
    /// Whole or not at all.
    Moved(String, String, usize),
}

fn apply_write(content: &mut Vec<u8>, at: u64, bytes: &[u8]) {
    let at = usize::try_from(at).unwrap();
    if content.len() < at + bytes.len() {
        // What was never written reads as zeros.
        content.resize(at + bytes.len(), 0);
    }
    content[at..at + bytes.len()].copy_from_slice(bytes);
}

fn apply_change(content: &mut Vec<u8>, (at, bytes): &(u64, Option<Vec<u8>>)) {
    match bytes {
        Some(bytes) => apply_write(content, *at, bytes),
        None => content.resize(usize::try_from(*at).unwrap(), 0),
    }
}

fn apply_naming(names: &mut BTreeMap<String, usize>, naming: &Naming) {
    match naming {
        Naming::Set(name, node) => drop(names.insert(name.clone(), *node)),
        Naming::Unset(name) => drop(names.remove(name)),
        Naming::Moved(from, to, node) => {
            names.remove(from);
            names.insert(to.clone(), *node);
        }
    }
}

impl Disk {
    /// Takes over a real file or folder.
    fn read(&mut self, path: &Path, number: usize) {
        if path.is_file() {
            let synced = fs::read(path).unwrap();
            let pending = Vec::new();
            self.nodes.push(Node::File { synced, pending });
            return;
        }
        let (synced, pending) = (BTreeMap::new(), Vec::new());
        self.nodes.push(Node::Folder { synced, pending });
        for entry in fs::read_dir(path).unwrap() {
            let entry = entry.unwrap();
            let child = self.nodes.len();
            self.read(&entry.path(), child);
            let Node::Folder { synced, .. } = &mut self.nodes[number] else {
                unreachable!()
            };
            synced.insert(entry.file_name().into_string().unwrap(), child);
        }
    }

    /// The names that a running process sees in a folder.
    fn names(&self, folder: usize) -> BTreeMap<String, usize> {
        let Node::Folder { synced, pending } = &self.nodes[folder] else {
            panic!("not a folder")
        };
        let mut names = synced.clone();
        pending.iter().for_each(|one| apply_naming(&mut names, one));
        names
    }

    fn find(&self, root: &Path, path: &Path) -> usize {
        let below = path.strip_prefix(root).unwrap();
        below.iter().fold(ROOT, |folder, name| {
            self.names(folder)[name.to_str().unwrap()]
        })
    }

    fn name(&mut self, root: &Path, path: &Path, naming: impl FnOnce(String) -> Naming) {
        let folder = self.find(root, path.parent().unwrap());
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let Node::Folder { pending, .. } = &mut self.nodes[folder] else {
            panic!("not a folder")
        };
        pending.push(naming(name));
    }

    fn take(&mut self, root: &Path, call: &Call) {
        match call {
            Call::Create(path) => {
                let folder = self.find(root, path.parent().unwrap());
                let name = path.file_name().unwrap().to_str().unwrap();
                if let Some(&there) = self.names(folder).get(name) {
                    self.change(there, (0, None));
                    return;
                }
                let (synced, pending) = (Vec::new(), Vec::new());
                self.nodes.push(Node::File { synced, pending });
                let number = self.nodes.len() - 1;
                self.name(root, path, |name| Naming::Set(name, number));
            }
            Call::CreateDir(path) => {
                let (synced, pending) = (BTreeMap::new(), Vec::new());
                self.nodes.push(Node::Folder { synced, pending });
                let number = self.nodes.len() - 1;
                self.name(root, path, |name| Naming::Set(name, number));
            }
            Call::Write(path, at, bytes) => {
                let file = self.find(root, path);
                self.change(file, (*at, Some(bytes.clone())));
            }
            Call::Cut(path, len) => {
                let file = self.find(root, path);
                self.change(file, (*len, None));
            }
            Call::Sync(path) => {
                let file = self.find(root, path);
                let Node::File { synced, pending } = &mut self.nodes[file] else {
                    panic!("not a file")
                };
                pending.drain(..).for_each(|one| apply_change(synced, &one));
            }
            Call::SyncDir(path) => {
                let folder = self.find(root, path);
                let names = self.names(folder);
                let pending = Vec::new();
                self.nodes[folder] = Node::Folder {
                    synced: names,
                    pending,
                };
            }
            Call::Rename(from, to) => {
                assert_eq!(from.parent(), to.parent());
                let node = self.find(root, from);
                let new = to.file_name().unwrap().to_str().unwrap().to_owned();
                self.name(root, from, |old| Naming::Moved(old, new, node));
            }
            Call::Remove(path) => self.name(root, path, Naming::Unset),
        }
    }

    fn change(&mut self, file: usize, change: (u64, Option<Vec<u8>>)) {
        let Node::File { pending, .. } = &mut self.nodes[file] else {
            panic!("not a file")
        };
        pending.push(change);
    }

    /// Writes what is left. `keep(n)` says how much of `n`.
    fn write(&self, number: usize, target: &Path, keep: &mut impl FnMut(usize) -> usize) {
        match &self.nodes[number] {
            Node::File { synced, pending } => {
                let mut content = synced.clone();
                for change in pending {
                    match change {
                        (at, Some(bytes)) => {
                            let kept = keep(bytes.len());
                            // Two in three writes are kept whole or not at all: else nothing long would ever be whole.
                            let kept = match keep(2) {
                                0 => kept,
                                _ if kept * 2 >= bytes.len() => bytes.len(),
                                _ => 0,
                            };
                            if kept > 0 {
                                apply_write(&mut content, *at, &bytes[..kept]);
                            }
                            // The length may be there before the bytes are.
                            let end = usize::try_from(*at).unwrap() + bytes.len();
                            if keep(3) == 3 && content.len() < end {
                                content.resize(end, 0);
                            }
                        }
                        cut if keep(1) == 1 => apply_change(&mut content, cut),
                        _ => {}
                    }
                }
                fs::write(target, content).unwrap();
            }
            Node::Folder { synced, pending } => {
                fs::create_dir_all(target).unwrap();
                let mut names = synced.clone();
                for naming in pending {
                    if keep(1) == 1 {
                        apply_naming(&mut names, naming);
                    }
                }
                for (name, child) in names {
                    self.write(child, &target.join(name), keep);
                }
            }
        }
    }
}
