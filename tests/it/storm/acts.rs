//! What happens in a storm: people, deliveries, workers, and everything that goes wrong with them.

use proptest::prelude::*;
use serde_json::{Value, json};

/// Objects that everybody works on: mostly the first three, so that they meet; all of them, so that writes come in bulk.
pub const NAMES: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];
/// The two fields of an object: changes of different ones merge.
pub const FIELDS: [&str; 2] = ["left", "right"];

#[derive(Debug, Clone)]
pub enum Act {
    /// A person does something in the fabric of this number.
    Person(usize, Person),
    Mail(Mail),
    /// Time passes, in seconds.
    Wait(u64),
    /// A worker takes what is due, and something may go wrong.
    Step(Trouble),
    /// The head is asked for, as the schedule does.
    Poll,
    /// A full comparison of a fabric is asked for.
    Compare(usize),
    /// A person decides the conflict of a fabric's object, if it has one, for one of both sides.
    Resolve(usize, usize, Side),
    /// Redis is killed and started again.
    CrashRedis,
}

/// What a person does on one of both sides. Does nothing where it is not possible.
#[derive(Debug, Clone)]
pub enum Person {
    CreateRow(usize),
    SetField(usize, usize),
    RenameRow(usize, usize),
    DeleteRow(usize),
    WriteFile(usize, usize),
    /// Comments and order: no change of the object.
    Reformat(usize),
    /// All files in one commit.
    WriteFiles(usize),
    DeleteFile(usize),
    BreakFile(usize),
    /// Documents in a raw file; nobody's name is one that is not ours.
    Drop(usize, Vec<Option<usize>>),
    Rewind(usize),
}

/// What becomes of the deliveries on their way.
#[derive(Debug, Clone, Copy)]
pub enum Mail {
    ArriveAll,
    ArriveFirst,
    ArriveLast,
    /// All arrive twice, the last first.
    ArriveTwiceBackwards,
    LoseFirst,
    LoseAll,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Git,
    NetBox,
}

/// What goes wrong with a worker's step. `call` counts the calls of one side.
#[derive(Debug, Clone)]
pub enum Trouble {
    None,
    Fault {
        side: Side,
        call: usize,
        fault: Fault,
    },
    /// The process is gone at one of its awaits.
    KilledAtAwait(usize),
    /// The process stops in the middle of a call.
    Stopped {
        side: Side,
        call: usize,
        applied: bool,
        meanwhile: Meanwhile,
    },
}

#[derive(Debug, Clone, Copy)]
pub enum Fault {
    Refuse,
    ApplyThenCut,
    /// Of NetBox: its own failure; a login page; half a page.
    ServerError,
    Html,
    HalfPage,
}

/// What happens while a process is stopped, and what comes of it.
#[derive(Debug, Clone)]
pub struct Meanwhile {
    /// By the number of the fabric.
    pub people: Vec<(usize, Person)>,
    pub redis_crashes: bool,
    /// The lease ends, and another worker does all that is due.
    pub overtaken: bool,
    pub then: Then,
}

#[derive(Debug, Clone, Copy)]
pub enum Then {
    GoesOn,
    /// The call is lost with the process.
    Dies,
    /// The process is gone, and the server carries its request out after everything else.
    DiesButIsHeard,
}

/// A storm of up to so many acts.
pub fn storms(most: usize) -> impl Strategy<Value = Vec<Act>> {
    prop::collection::vec(act(), 1..most)
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        12 => (fabric(), person()).prop_map(|(fabric, person)| Act::Person(fabric, person)),
        5 => mail().prop_map(Act::Mail),
        2 => prop::sample::select(vec![1, 3, 16, 100, 4_000]).prop_map(Act::Wait),
        9 => trouble().prop_map(Act::Step),
        1 => Just(Act::Poll),
        1 => fabric().prop_map(Act::Compare),
        1 => (fabric(), name(), prop::sample::select(vec![Side::Git, Side::NetBox]))
            .prop_map(|(fabric, name, side)| Act::Resolve(fabric, name, side)),
    ]
}

fn fabric() -> impl Strategy<Value = usize> {
    0..2_usize
}

/// As `storms`, with a Redis that crashes.
pub fn storms_over_redis(most: usize) -> impl Strategy<Value = Vec<Act>> {
    prop::collection::vec(prop_oneof![9 => act(), 1 => Just(Act::CrashRedis)], 1..most)
}

fn name() -> impl Strategy<Value = usize> {
    prop_oneof![9 => 0..3_usize, 1 => 0..NAMES.len()]
}

fn field() -> impl Strategy<Value = usize> {
    0..FIELDS.len()
}

fn person() -> impl Strategy<Value = Person> {
    let some = prop::collection::vec(prop::option::weighted(0.8, name()), 1..4);
    let all = Just((0..NAMES.len()).map(Some).collect());
    let documents = prop_oneof![4 => some, 1 => all];
    prop_oneof![
        4 => name().prop_map(Person::CreateRow),
        6 => (name(), field()).prop_map(|(name, field)| Person::SetField(name, field)),
        1 => (name(), name()).prop_map(|(from, to)| Person::RenameRow(from, to)),
        2 => name().prop_map(Person::DeleteRow),
        6 => (name(), field()).prop_map(|(name, field)| Person::WriteFile(name, field)),
        1 => name().prop_map(Person::Reformat),
        2 => field().prop_map(Person::WriteFiles),
        1 => name().prop_map(Person::DeleteFile),
        1 => name().prop_map(Person::BreakFile),
        4 => (0..2_usize, documents).prop_map(|(file, documents)| Person::Drop(file, documents)),
        1 => (1..3_usize).prop_map(Person::Rewind),
    ]
}

fn mail() -> impl Strategy<Value = Mail> {
    prop_oneof![
        4 => Just(Mail::ArriveAll),
        2 => Just(Mail::ArriveFirst),
        1 => Just(Mail::ArriveLast),
        1 => Just(Mail::ArriveTwiceBackwards),
        1 => Just(Mail::LoseFirst),
        1 => Just(Mail::LoseAll),
    ]
}

/// Which call goes wrong: reads are many in NetBox, and the writes come after them.
fn call() -> impl Strategy<Value = (Side, usize)> {
    prop_oneof![
        (0..9_usize).prop_map(|call| (Side::Git, call)),
        (0..9_usize).prop_map(|call| (Side::NetBox, call)),
        (0..30_usize).prop_map(|call| (Side::NetBox, call)),
    ]
}

fn trouble() -> impl Strategy<Value = Trouble> {
    let faults = prop::sample::select(vec![
        Fault::Refuse,
        Fault::ApplyThenCut,
        Fault::ServerError,
        Fault::Html,
        Fault::HalfPage,
    ]);
    let ends = prop::sample::select(vec![Then::GoesOn, Then::GoesOn, Then::Dies, Then::DiesButIsHeard]);
    let meanwhile =
        (prop::collection::vec((fabric(), person()), 0..3), prop::bool::weighted(0.04), any::<bool>(), ends);
    prop_oneof![
        4 => Just(Trouble::None),
        2 => (call(), faults).prop_map(|((side, call), fault)| Trouble::Fault { side, call, fault }),
        1 => (1..80_usize).prop_map(Trouble::KilledAtAwait),
        3 => (call(), any::<bool>(), meanwhile).prop_map(
            |((side, call), applied, (people, redis_crashes, overtaken, then))| Trouble::Stopped {
                side,
                call,
                applied,
                meanwhile: Meanwhile { people, redis_crashes, overtaken, then },
            }
        ),
    ]
}

/// A spec with these values of its fields.
pub fn spec(values: [&str; 2]) -> Value {
    json!({ FIELDS[0]: values[0], FIELDS[1]: values[1] })
}

/// A document as a person writes it.
pub fn document(name: &str, values: [&str; 2]) -> String {
    format!(
        "apiVersion: wiring.githedgehog.com/v1beta1\nkind: Server\nmetadata:\n  name: {name}\nspec:\n  {}: {}\n  {}: {}\n",
        FIELDS[0], values[0], FIELDS[1], values[1]
    )
}
