//! What goes into the ledger and comes out of it.

mod deliveries;
mod events;
mod jobs;
mod letters;
mod memory;
mod runs;
mod standing;
mod time;
mod work;

pub use deliveries::{Accept, Accepted, AskedBy, Delivered, Delivery, DeliveryFilter, DeliveryPage, Ignored, Origin};
pub use events::{Event, EventId, FabricChange, Happening};
pub use jobs::{Intervention, Job, JobFilter, JobPage, JobPart, Note, Pause, Pauses};
pub use letters::{DeadLetter, LetterEnd, LetterFilter, LetterId, LetterPage, LettersEnded};
pub use memory::{Advance, FabricMemory};
pub use runs::{Run, RunFilter, RunOutcome, RunPage, RunPart};
pub use standing::{Circuit, FabricStanding, FabricStatus, Health, LedgerNumbers, Server};
pub use time::{Debounce, Millis};
pub use work::{Claim, JobError, Lease, Part, PartOutcome, SettledHead, Settlement};
