//! The table at the end.

use crate::stats::Spread;

/// One measurement beside what it is compared with.
pub struct Line {
    pub what: String,
    pub measured: String,
    /// What was measured beside it in the same run, and how it did.
    pub beside: String,
    pub ratio: Option<Spread>,
    pub goal: Goal,
}

/// What the measurement should reach.
pub enum Goal {
    None,
    /// Of the ratio.
    RatioAtLeast(f64),
    /// Of the figure itself, in the unit that it is shown in.
    AtMost {
        figure: f64,
        limit: f64,
        unit: &'static str,
    },
}

impl Goal {
    fn show(&self, ratio: Option<Spread>) -> String {
        let verdict = |met: bool| if met { "met" } else { "MISSED" };
        match self {
            Self::None => String::new(),
            Self::RatioAtLeast(limit) => {
                format!("at least {limit}: {}", verdict(ratio.is_some_and(|ratio| ratio.median >= *limit)))
            }
            Self::AtMost { figure, limit, unit } => format!("at most {limit} {unit}: {}", verdict(figure <= limit)),
        }
    }
}

/// Prints all lines as one table.
pub fn print(lines: &[Line]) {
    let heads = ["what", "measured", "beside it", "ratio (low to high)", "goal"].map(str::to_owned);
    let mut rows = vec![heads];
    rows.extend(lines.iter().map(|line| {
        let ratio = |ratio: Spread| format!("{} ({} to {})", short(ratio.median), short(ratio.low), short(ratio.high));
        let ratio = line.ratio.map(ratio).unwrap_or_default();
        [line.what.clone(), line.measured.clone(), line.beside.clone(), ratio, line.goal.show(line.ratio)]
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..5).map(width).collect();
    println!();
    for (number, row) in rows.iter().enumerate() {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        println!("{}", cells.join("  ").trim_end());
        if number == 0 {
            println!("{}", "-".repeat(widths.iter().sum::<usize>() + 8));
        }
    }
}

/// Three digits that count.
pub fn short(figure: f64) -> String {
    match figure.abs() {
        big if big >= 100.0 => format!("{figure:.0}"),
        middle if middle >= 10.0 => format!("{figure:.1}"),
        _ => format!("{figure:.2}"),
    }
}
