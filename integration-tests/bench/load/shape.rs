//! What a load is: how many connections ask for what, and how they are answered.

use super::origin::Answer;
use anyhow::Result;
use std::net::Ipv4Addr;
use std::time::Duration;

/// What happens to a client's connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reuse {
    KeepAlive,
    /// The client closes, and connects anew when it asks again.
    PerRequest,
}

/// When the servers answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answering {
    AtOnce,
    After(Duration),
    Never,
}

/// What kind of load it is.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) connections: usize,
    /// Whole requests, taken in turn.
    pub(crate) requests: Vec<Vec<u8>>,
    /// Bytes of the body of every answer.
    pub(crate) body: usize,
    pub(crate) reuse: Reuse,
    pub(crate) answering: Answering,
    /// Requests per second; none: as many as come back.
    pub(crate) rate: Option<f64>,
    /// At a fixed rate: the most requests under way at once; what is due beyond waits.
    pub(crate) under_way_max: usize,
    /// Addresses that the clients connect to in turn.
    pub(crate) destinations: Vec<Ipv4Addr>,
    /// The bytes of the body.
    pub(super) expected: Vec<u8>,
    pub(super) answer: Answer,
}

impl Shape {
    /// Keep-alive, as fast as answers come, to one address.
    pub(crate) fn new(connections: usize, requests: Vec<Vec<u8>>, body: usize) -> Result<Self> {
        let expected = pattern(body);
        let answer = Answer::new(&expected)?;
        Ok(Self {
            connections,
            requests,
            body,
            reuse: Reuse::KeepAlive,
            answering: Answering::AtOnce,
            rate: None,
            under_way_max: usize::MAX,
            destinations: vec![Ipv4Addr::LOCALHOST],
            expected,
            answer,
        })
    }
}

/// Bytes without a period that a shifted or repeated block could hide in.
fn pattern(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let step = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        b'a' + (state % 26) as u8
    };
    (0..length).map(step).collect()
}
