//! What the entries of a table hold: counters, rates, tags, and the server that a client sticks to.

use super::rate::Rate;
use std::sync::Arc;

/// Elements of an array at most, as of `gpc`.
pub const ARRAY_MAX: u8 = 100;

/// What a datum is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A number of 32 bits.
    Number,
    /// A number of 64 bits.
    Long,
    /// Events of a period.
    Rate,
    /// The name or the address of a server.
    Name,
}

/// The kinds of data in the order in which haproxy lists them: the kind, the word of the configuration, what it is made of.
macro_rules! data_types {
    ($($kind:ident $name:literal $form:ident,)*) => {
        /// A kind of data.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        #[expect(missing_docs, reason = "the variants are the words of the manual")]
        pub enum DataType {
            $($kind,)*
        }

        impl DataType {
            /// All of them, in their order.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$kind),*];

            /// The word of the configuration.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }

            /// What it is made of.
            pub fn form(self) -> Form {
                match self {
                    $(Self::$kind => Form::$form,)*
                }
            }
        }
    };
}

data_types! {
    ServerId "server_id" Number,
    Gpt0 "gpt0" Number,
    Gpc0 "gpc0" Number,
    Gpc0Rate "gpc0_rate" Rate,
    ConnCnt "conn_cnt" Number,
    ConnRate "conn_rate" Rate,
    ConnCur "conn_cur" Number,
    SessCnt "sess_cnt" Number,
    SessRate "sess_rate" Rate,
    HttpReqCnt "http_req_cnt" Number,
    HttpReqRate "http_req_rate" Rate,
    HttpErrCnt "http_err_cnt" Number,
    HttpErrRate "http_err_rate" Rate,
    BytesInCnt "bytes_in_cnt" Long,
    BytesInRate "bytes_in_rate" Rate,
    BytesOutCnt "bytes_out_cnt" Long,
    BytesOutRate "bytes_out_rate" Rate,
    Gpc1 "gpc1" Number,
    Gpc1Rate "gpc1_rate" Rate,
    ServerKey "server_key" Name,
    HttpFailCnt "http_fail_cnt" Number,
    HttpFailRate "http_fail_rate" Rate,
    Gpt "gpt" Number,
    Gpc "gpc" Number,
    GpcRate "gpc_rate" Rate,
    GlitchCnt "glitch_cnt" Number,
    GlitchRate "glitch_rate" Rate,
}

impl DataType {
    /// The type of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether it is an array whose length is given.
    pub fn is_array(self) -> bool {
        matches!(self, Self::Gpt | Self::Gpc | Self::GpcRate)
    }

    /// The name of an element: `gpc7`, `gpc7_rate`.
    pub fn element(self, index: u8) -> String {
        match self {
            Self::Gpt => format!("gpt{index}"),
            Self::Gpc => format!("gpc{index}"),
            Self::GpcRate => format!("gpc{index}_rate"),
            _ => self.name().to_owned(),
        }
    }
}

/// One kind of data that a table stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Column {
    /// Which.
    pub kind: DataType,
    /// Elements; 1 where it is no array.
    pub elements: u8,
    /// The period of a rate in milliseconds; 0 where it is none.
    pub period_ms: u32,
}

impl Column {
    /// A column that is neither array nor rate.
    pub fn plain(kind: DataType) -> Self {
        Self { kind, elements: 1, period_ms: 0 }
    }
}

/// One datum of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Datum {
    /// [`Form::Number`] and [`Form::Long`].
    Number(u64),
    /// [`Form::Rate`]
    Rate(Rate),
    /// [`Form::Name`]
    Name(Option<Arc<String>>),
}

/// Where in an entry each kind of data stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// In the order of [`DataType`], with the place of the first element.
    columns: Box<[(Column, usize)]>,
    /// The number of columns' elements.
    len: usize,
    /// By kind, an index into `columns`; for look-ups on the path of a request.
    by_kind: [u8; DataType::ALL.len()],
}

const ABSENT: u8 = u8::MAX;

impl Layout {
    /// The layout of these columns, each kind at most once.
    pub fn new(columns: &[Column]) -> Self {
        let mut sorted: Vec<Column> = columns.to_vec();
        sorted.sort_by_key(|column| column.kind as u8);
        sorted.dedup_by_key(|column| column.kind);
        let (mut len, mut by_kind) = (0, [ABSENT; DataType::ALL.len()]);
        let mut placed = Vec::with_capacity(sorted.len());
        for (column, index) in sorted.into_iter().zip(0_u8..) {
            by_kind[column.kind as usize] = index;
            placed.push((column, len));
            len += usize::from(column.elements);
        }
        Self { columns: placed.into(), len, by_kind }
    }

    /// The columns with the place of their first element.
    pub fn columns(&self) -> &[(Column, usize)] {
        &self.columns
    }

    /// A column, and the place of its first element.
    pub fn column(&self, kind: DataType) -> Option<(Column, usize)> {
        // ABSENT is beyond the end.
        self.columns.get(usize::from(self.by_kind[kind as usize])).copied()
    }

    /// The place of an element.
    pub fn place(&self, kind: DataType, element: u8) -> Option<(Column, usize)> {
        let (column, first) = self.column(kind)?;
        (element < column.elements).then(|| (column, first + usize::from(element)))
    }

    /// The data of a new entry.
    pub fn empty(&self) -> Box<[Datum]> {
        let mut data = Vec::with_capacity(self.len);
        for (column, _) in &self.columns {
            let datum = match column.kind.form() {
                Form::Number | Form::Long => Datum::Number(0),
                Form::Rate => Datum::Rate(Rate::default()),
                Form::Name => Datum::Name(None),
            };
            data.extend(std::iter::repeat_n(datum, column.elements.into()));
        }
        data.into()
    }
}
