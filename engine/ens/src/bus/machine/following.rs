//! What a process knows of pools on other hosts goes to the one that follows it. Without that its
//! publishers, who are with that one at once, would publish for nobody until others have said which
//! pools they have.

use bytes::{Buf, BufMut, Bytes};

use super::Machine;
use crate::bus::mutant::{Mutant, planted};
use crate::bus::wire::{Header, Said};

impl Machine {
    /// Appends what others have said of their pools, as they would say it once more: each message
    /// behind its length in four bytes.
    pub fn hand_over_pools(&self, now_ns: u64, output: &mut Vec<u8>) {
        if planted(Mutant::ForgetPools) {
            return;
        }
        for (origin, version, pools) in self.pools.lists() {
            let Some(age_ns) = self.incoming.age_ns(now_ns, origin) else {
                continue;
            };
            let (part, parts) = (0, 1);
            let said = Said::Pools {
                version,
                part,
                parts,
                pools,
            };
            let order = 0;
            let header = Header {
                origin,
                age_ns,
                order,
            };
            let message = said.encode(header);
            output.put_u32(message.len() as u32);
            output.put_slice(&message);
        }
    }

    /// Knows what the predecessor did, as far as it has not heard otherwise. False if these are
    /// not its bytes.
    pub fn take_pools_over(&mut self, now_ns: u64, mut input: Bytes) -> bool {
        let mut messages = vec![];
        while let Ok(length) = input.try_get_u32() {
            if input.len() < length as usize {
                return false;
            }
            messages.push(input.split_to(length as usize));
        }
        let is_whole = input.is_empty();
        self.known_ns = Some(now_ns);
        self.hear(now_ns, messages);
        is_whole
    }
}
