//! What rules ask of an entry, and what they do with it.

use super::data::DataType;
use super::entry::Data;

/// A general purpose counter as rules name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Gpc {
    /// `gpc0`: one of its own, or the first of the array.
    Zero,
    /// `gpc1`: one of its own, or the second of the array.
    One,
    /// An element of the array.
    Element(u8),
}

impl Gpc {
    /// Where the count may stand, the first place that the table has.
    fn counts(self) -> [(DataType, u8); 2] {
        match self {
            Self::Zero => [(DataType::Gpc0, 0), (DataType::Gpc, 0)],
            Self::One => [(DataType::Gpc1, 0), (DataType::Gpc, 1)],
            Self::Element(index) => [(DataType::Gpc, index); 2],
        }
    }

    /// The same of its rate.
    fn rates(self) -> [(DataType, u8); 2] {
        match self {
            Self::Zero => [(DataType::Gpc0Rate, 0), (DataType::GpcRate, 0)],
            Self::One => [(DataType::Gpc1Rate, 0), (DataType::GpcRate, 1)],
            Self::Element(index) => [(DataType::GpcRate, index); 2],
        }
    }

    /// Counts up, the rate too; the new count. `None`: the table stores neither.
    pub fn add(self, data: &mut Data<'_>, amount: u64, now_ms: u64) -> Option<u64> {
        let rate = add_first(data, self.rates(), amount, now_ms);
        add_first(data, self.counts(), amount, now_ms).or(rate)
    }
}

fn add_first(data: &mut Data<'_>, places: [(DataType, u8); 2], amount: u64, now_ms: u64) -> Option<u64> {
    places.into_iter().find_map(|(kind, element)| data.add(kind, element, amount, now_ms))
}

/// A general purpose tag as rules name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Gpt {
    /// `gpt0`: one of its own, or the first of the array.
    Zero,
    /// An element of the array.
    Element(u8),
}

impl Gpt {
    fn places(self) -> [(DataType, u8); 2] {
        match self {
            Self::Zero => [(DataType::Gpt0, 0), (DataType::Gpt, 0)],
            Self::Element(index) => [(DataType::Gpt, index); 2],
        }
    }

    /// Sets it; whether the table stores it.
    pub fn set(self, data: &mut Data<'_>, value: u64, now_ms: u64) -> bool {
        self.places().into_iter().any(|(kind, element)| data.set(kind, element, value, now_ms).is_some())
    }
}

/// A number of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ask {
    /// A counter, a tag or a rate as it is stored.
    Value(DataType),
    /// Bytes in units of 1024.
    Kilobytes(DataType),
    /// `get_gpc0`
    Count(Gpc),
    /// `gpc0_rate`
    CountRate(Gpc),
    /// `get_gpt0`
    Tag(Gpt),
    /// `inc_gpc0`: counts up and tells the new count.
    Increment(Gpc),
    /// `clr_gpc0`: sets the count to zero and tells the old one.
    Clear(Gpc),
    /// `updt_conn_cnt`: counts a connection and tells how many it were.
    CountConnection,
}

impl Ask {
    /// Whether asking changes the entry, so that one is made where there is none.
    pub fn changes(self) -> bool {
        match self {
            Self::Increment(_) | Self::Clear(_) | Self::CountConnection => true,
            Self::Value(_) | Self::Kilobytes(_) | Self::Count(_) | Self::CountRate(_) | Self::Tag(_) => false,
        }
    }

    /// The answer. `None`: the table does not store what it is about.
    pub fn of(self, data: &mut Data<'_>, now_ms: u64) -> Option<u64> {
        let first = |data: &Data<'_>, places: [(DataType, u8); 2]| {
            places.into_iter().find_map(|(kind, element)| data.read(kind, element, now_ms))
        };
        match self {
            Self::Value(kind) => data.read(kind, 0, now_ms),
            Self::Kilobytes(kind) => data.read(kind, 0, now_ms).map(|bytes| bytes >> 10),
            Self::Count(counter) => first(data, counter.counts()),
            Self::CountRate(counter) => first(data, counter.rates()),
            Self::Tag(tag) => first(data, tag.places()),
            Self::Increment(counter) => counter.add(data, 1, now_ms),
            Self::Clear(counter) => {
                counter.counts().into_iter().find_map(|(kind, element)| data.set(kind, element, 0, now_ms))
            }
            Self::CountConnection => data.add(DataType::ConnCnt, 0, 1, now_ms),
        }
    }
}
