//! `balance first`: fills the first server, then the next, so that the last ones may rest.

use super::farm::Farm;
use super::{Picked, Request};

/// The members in the order of their ids.
#[derive(Debug, Default)]
pub(super) struct First {
    order: Vec<usize>,
    members: Vec<bool>,
}

impl First {
    pub(super) fn new(farm: &Farm) -> Self {
        let mut order: Vec<usize> = (0..farm.servers().len()).collect();
        order.sort_by_key(|&index| farm.servers().get(index).map(|server| server.settings().id));
        Self { members: vec![false; order.len()], order }
    }

    /// Whether the server may be chosen.
    pub(super) fn set(&mut self, index: usize, member: bool) {
        if let Some(known) = self.members.get_mut(index) {
            *known = member;
        }
    }

    pub(super) fn pick(&self, request: &Request, farm: &Farm) -> Picked {
        let members = || self.order.iter().copied().filter(|&index| self.members.get(index) == Some(&true));
        let taken = members()
            .filter(|&index| request.avoid != Some(index))
            .find(|&index| farm.try_take(index))
            .or_else(|| members().find(|&index| request.avoid == Some(index) && farm.try_take(index)));
        match taken {
            Some(index) => Picked::Taken(index),
            None if members().next().is_none() => Picked::Nobody,
            None => Picked::AllFull,
        }
    }
}
