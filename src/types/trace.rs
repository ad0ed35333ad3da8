//! Where a request stands in its trace, and the spans that it leaves: W3C trace context as plain data.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

/// Takes spans that have ended, and knows which traces are wanted.
pub trait SpanSink: Send + Sync {
    /// Takes a span. Must not wait.
    fn ended(&self, span: Span);
    /// 64 bits of chance.
    fn chance(&self) -> u64;
    /// Whether a trace that begins here is exported.
    fn samples(&self, trace_id: u128) -> bool;
    /// Whether questions and answers are told.
    fn wants_content(&self) -> bool;
}

/// A place in a trace: what begins next is a child of it. Cheap to clone.
#[derive(Clone)]
pub struct Trace {
    sink: Arc<dyn SpanSink>,
    place: Place,
}

/// The ids of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Of the whole trace.
    pub trace_id: u128,
    /// Of the span.
    pub span_id: u64,
    /// Whether it is exported.
    pub sampled: bool,
}

/// A span that has begun.
pub struct OpenSpan {
    trace: Trace,
    parent: Option<u64>,
    start: SystemTime,
}

/// A span that has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// Its ids.
    pub place: Place,
    /// The span that it is part of.
    pub parent: Option<u64>,
    /// When it began.
    pub start: SystemTime,
    /// When it ended.
    pub end: SystemTime,
    /// What it was.
    pub story: Story,
}

/// What a span was, told at its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Story {
    /// Low in variety: without ids.
    pub name: String,
    /// Which side of a call it was.
    pub kind: SpanKind,
    /// By the names of OpenTelemetry's semantic conventions, ours with `boathouse.` before.
    pub attributes: Vec<(&'static str, Attribute)>,
    /// What went wrong.
    pub error: Option<String>,
}

/// Which side of a call a span was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanKind {
    /// Answered a request.
    Server,
    /// Made one.
    Client,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Attribute {
    /// A word.
    Text(String),
    /// A count.
    Integer(i64),
    /// A measure.
    Float(f64),
    /// Words.
    List(Vec<String>),
}

impl From<&str> for Attribute {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Attribute {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<u64> for Attribute {
    fn from(count: u64) -> Self {
        Self::Integer(i64::try_from(count).unwrap_or(i64::MAX))
    }
}

impl From<u16> for Attribute {
    fn from(count: u16) -> Self {
        Self::Integer(count.into())
    }
}

impl Place {
    /// Reads a `traceparent`; `None` when it is none, which begins a trace of its own.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (version, trace_id, span_id, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let hex = |part: &str, digits: usize| {
            let sane = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            (part.len() == digits && part.bytes().all(sane)).then_some(())
        };
        hex(version, 2)?;
        hex(trace_id, 32)?;
        hex(span_id, 16)?;
        hex(flags, 2)?;
        // Later versions may say more; the first does not, and ff is none.
        if version == "ff" || (version == "00" && parts.next().is_some()) {
            return None;
        }
        let place = Self {
            trace_id: u128::from_str_radix(trace_id, 16).ok()?,
            span_id: u64::from_str_radix(span_id, 16).ok()?,
            sampled: u8::from_str_radix(flags, 16).ok()? & 1 == 1,
        };
        (place.trace_id != 0 && place.span_id != 0).then_some(place)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.sampled);
        write!(
            formatter,
            "00-{:032x}-{:016x}-{flags:02x}",
            self.trace_id, self.span_id
        )
    }
}

impl Trace {
    /// Begins the first span of a request, below the caller's where it told one.
    pub fn begin(
        sink: &Arc<dyn SpanSink>,
        traceparent: Option<&str>,
        start: SystemTime,
    ) -> OpenSpan {
        let caller = traceparent.and_then(Place::parse);
        let (trace_id, sampled) = match caller {
            Some(caller) => (caller.trace_id, caller.sampled),
            None => {
                let id = u128::from(sink.chance()) << 64 | u128::from(sink.chance());
                (id.max(1), sink.samples(id.max(1)))
            }
        };
        let place = Place {
            trace_id,
            span_id: sink.chance().max(1),
            sampled,
        };
        OpenSpan {
            trace: Self {
                sink: Arc::clone(sink),
                place,
            },
            parent: caller.map(|caller| caller.span_id),
            start,
        }
    }

    /// Begins a span below this place.
    pub fn open(&self, start: SystemTime) -> OpenSpan {
        let place = Place {
            span_id: self.sink.chance().max(1),
            ..self.place
        };
        OpenSpan {
            trace: Self {
                sink: Arc::clone(&self.sink),
                place,
            },
            parent: Some(self.place.span_id),
            start,
        }
    }

    /// The `traceparent` of a call that is made from here.
    pub fn traceparent(&self) -> String {
        self.place.to_string()
    }

    /// Whether questions and answers are told.
    pub fn wants_content(&self) -> bool {
        self.place.sampled && self.sink.wants_content()
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place.fmt(formatter)
    }
}

impl OpenSpan {
    /// Where its children begin.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Ends it. One that is dropped is never told.
    pub fn end(self, end: SystemTime, story: Story) {
        let Self {
            trace,
            parent,
            start,
        } = self;
        trace.sink.ended(Span {
            place: trace.place,
            parent,
            start,
            end,
            story,
        });
    }
}

/// Where a call to an upstream comes from.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// The request that it is made for.
    pub request_id: String,
    /// The request's place in its trace, where traces are wanted.
    pub trace: Option<Trace>,
}

impl PartialEq for Origin {
    fn eq(&self, other: &Self) -> bool {
        self.request_id == other.request_id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_comes_back_as_it_was() {
        let place = Place::parse(SENT).unwrap();
        assert_eq!(place.trace_id, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert!(place.sampled);
        assert_eq!(place.to_string(), SENT);
        let newer = SENT.replacen("00", "cc", 1) + "-more";
        assert_eq!(Place::parse(&newer), Some(place));
        assert!(!Place::parse(&SENT.replace("-01", "-02")).unwrap().sampled);
    }

    #[test]
    fn what_is_no_traceparent_is_left() {
        for sent in [
            "",
            "00",
            &SENT.to_uppercase(),
            &SENT.replacen("00", "ff", 1),
            &SENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &SENT.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &SENT.replace("4bf9", "4bf"),
            &SENT.replace("4bf9", "+bf9"),
            &format!("{SENT}-more"),
        ] {
            assert_eq!(Place::parse(sent), None, "{sent}");
        }
    }
}
