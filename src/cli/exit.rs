//! How the program ends, for whoever runs it in a script.

use std::process::ExitCode;

use fgd_sync::domain::cause::with_causes;

/// Shown below the help of the program.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  done, and nothing is wrong
  1  it failed, or something wrong was found
  2  the command line or the settings are wrong
  3  the service cannot be reached, or cannot answer now
  4  the service refuses the token
  5  the time given by --timeout is over; the job goes on";

/// What an exit code says; each is stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Done = 0,
    /// It failed, or found what it looks for.
    Failed = 1,
    /// The command line or the settings are wrong.
    Usage = 2,
    /// No answer of the service.
    Unreachable = 3,
    /// No token, a wrong one, or one whose role is too low.
    Refused = 4,
    /// A job that was waited for goes on.
    TimedOut = 5,
}

impl Exit {
    /// How two things end together: as the first that is not done.
    pub fn and(self, other: Self) -> Self {
        match self {
            Self::Done => other,
            _ => self,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Prints an error with all its causes.
pub fn fail(failed: &dyn std::error::Error) -> Exit {
    eprintln!("error: {}", with_causes(failed));
    Exit::Failed
}
