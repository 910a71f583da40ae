//! Who answers whom (RFC 5256 §3, REFERENCES, step 1): messages, and those that others refer to
//! and that are not there.

use ahash::HashMap;

/// No node.
pub(super) const NONE: u32 = u32::MAX;

/// Steps up that looking for loops may take in all, and for each node. Only who forges references
/// needs more; links for which it would be needed are left out then.
const STEPS: usize = 1 << 20;
const STEPS_A_NODE: usize = 64;

/// A message, or one that is missing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    pub parent: u32,
    /// The message's number; [`NONE`] if it is missing.
    pub member: u32,
    has_children: bool,
}

/// The nodes and their links.
#[derive(Default)]
pub(super) struct Links {
    pub nodes: Vec<Node>,
    /// The node of each member.
    pub of_members: Vec<u32>,
    by_id: HashMap<u64, u32>,
    steps: usize,
}

impl Links {
    fn node(&mut self, member: u32) -> u32 {
        self.nodes.push(Node {
            parent: NONE,
            member,
            has_children: false,
        });
        (self.nodes.len() - 1) as u32
    }

    /// The node of an ID; that of a missing message if there is none yet.
    fn of_id(&mut self, id: u64) -> u32 {
        if let Some(node) = self.by_id.get(&id) {
            return *node;
        }
        let node = self.node(NONE);
        self.by_id.insert(id, node);
        node
    }

    /// Adds the next member.
    pub fn add(&mut self, member: u32, id: Option<u64>, references: impl Iterator<Item = u64>) {
        let mut last = NONE;
        for id in references {
            let node = self.of_id(id);
            if last != NONE && self.nodes[node as usize].parent == NONE {
                self.link(last, node);
            }
            last = node;
        }
        let known = id.map(|id| self.of_id(id));
        // Of several messages with an ID, the first has it.
        let own = known.filter(|node| self.nodes[*node as usize].member == NONE);
        let node = match own {
            Some(node) => {
                self.nodes[node as usize].member = member;
                node
            }
            None => self.node(member),
        };
        self.of_members.push(node);
        // What others have said about its parent counts less than what it says.
        self.nodes[node as usize].parent = NONE;
        if last != NONE {
            self.link(last, node);
        }
    }

    /// Makes a node without a parent the child of another, unless that would be a loop.
    fn link(&mut self, parent: u32, child: u32) {
        if parent == child {
            return;
        }
        if self.nodes[child as usize].has_children {
            let mut above = parent;
            while above != NONE && above != child {
                self.steps += 1;
                above = self.nodes[above as usize].parent;
                if self.steps > STEPS + STEPS_A_NODE * self.nodes.len() {
                    return;
                }
            }
            if above == child {
                return;
            }
        }
        self.nodes[child as usize].parent = parent;
        self.nodes[parent as usize].has_children = true;
    }

    /// What it takes in memory, in bytes, about.
    pub fn bytes(&self) -> usize {
        // Of the table, which is half full at least.
        let ids = self.by_id.len() * 2 * size_of::<(u64, u32)>();
        // Its answers, its place and how many are below it.
        const LATER_BYTES: usize = 24;
        let nodes = self.nodes.capacity() * size_of::<Node>() + self.nodes.len() * LATER_BYTES;
        nodes + size_of_val(&self.of_members[..]) + ids
    }
}
