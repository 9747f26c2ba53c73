//! Which span of which trace: W3C's `traceparent`.

use std::fmt;
use std::str::FromStr;

use ring::rand::{SecureRandom, SystemRandom};

/// A span's place. Written as `00-<trace, 32 hex digits>-<span, 16>-01`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanContext {
    trace: [u8; 16],
    span: [u8; 8],
}

/// A text that is no context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not a traceparent of version 00")]
pub struct NotAContext;

impl SpanContext {
    /// The first span of a trace.
    pub(super) fn new_trace() -> Self {
        Self { trace: random(), span: random() }
    }

    /// A span in the same trace.
    pub(super) fn child(&self) -> Self {
        Self { trace: self.trace, span: random() }
    }

    /// 32 hex digits.
    pub fn trace(&self) -> String {
        hex::encode(self.trace)
    }

    /// 16 hex digits.
    pub fn span(&self) -> String {
        hex::encode(self.span)
    }
}

/// All zeroes mean no span at all; a generator that fails gives that, and the span is not told.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => bytes,
        Err(_) => [0; N],
    }
}

impl fmt::Display for SpanContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-01", self.trace(), self.span())
    }
}

impl FromStr for SpanContext {
    type Err = NotAContext;

    fn from_str(text: &str) -> Result<Self, NotAContext> {
        let mut parts = text.split('-');
        let mut next = || parts.next().ok_or(NotAContext);
        let (version, trace, span, flags) = (next()?, next()?, next()?, next()?);
        let mut context = Self { trace: [0; 16], span: [0; 8] };
        hex::decode_to_slice(trace, &mut context.trace).map_err(|_| NotAContext)?;
        hex::decode_to_slice(span, &mut context.span).map_err(|_| NotAContext)?;
        let is_good = version == "00" && flags.len() == 2 && parts.next().is_none();
        if is_good && context.trace != [0; 16] && context.span != [0; 8] { Ok(context) } else { Err(NotAContext) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_is_read_as_it_is_written() {
        let context = SpanContext::new_trace();

        assert_eq!(context.to_string().parse(), Ok(context));
        assert_eq!(context.child().trace(), context.trace());
        assert_ne!(context.child().span(), context.span());
    }

    #[test]
    fn what_is_no_context_is_refused() {
        let zeroes = format!("00-{}-{}-01", "0".repeat(32), "0".repeat(16));
        for text in ["", "00-ab-cd-01", "x", &zeroes] {
            assert_eq!(text.parse::<SpanContext>(), Err(NotAContext), "{text}");
        }
    }
}
