//! Hosts whose sessions are never packed away.

use std::sync::Arc;

use bytes::Bytes;

use super::{Active, Announce, Parked, Parking};
use crate::event::{Event, SessionId};

/// A host without the second half: all its sessions stay active.
pub trait NeverParks: Active {}

/// A parked session where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeverParked {}

impl<P: NeverParks> Parking for P {
    type Parked = NeverParked;
    type Key = NeverParked;

    fn park(&mut self, _: &Self::Session) -> Option<NeverParked> {
        None
    }
    fn unpark(&mut self, parked: NeverParked, _: SessionId) -> Self::Session {
        match parked {}
    }
    fn cursor(&self, parked: &NeverParked) -> Option<u64> {
        match *parked {}
    }
    fn announce(
        &mut self,
        parked: &mut NeverParked,
        _: &Event<Self::Fact>,
    ) -> Announce<NeverParked> {
        match *parked {}
    }
    fn render(&mut self, _: &Event<Self::Fact>, key: NeverParked) -> Bytes {
        match key {}
    }
    fn render_many(
        &mut self,
        parked: &mut NeverParked,
        _: &[Arc<Event<Self::Fact>>],
    ) -> Option<Bytes> {
        match *parked {}
    }
    fn parked_deadline(&mut self, parked: &mut NeverParked, _: u64) -> Parked {
        match *parked {}
    }
}
