//! Bars to the right, in groups, as SVG.

use std::error::Error;
use std::path::Path;
use std::str::FromStr;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::Axis;
use super::picture::{self, Area};
use super::units::Unit;

/// Room for a group's name, for values behind the bars, and at the edges.
const NAME: i32 = 300;
const VALUE: i32 = 90;
const MARGIN: i32 = 16;
/// A bar's height, the distance of groups, and the room for ticks and the axis' name.
const BAR: i32 = 18;
const DISTANCE: i32 = 14;
const FOOT: i32 = 58;

/// Bars that stand together: of several servers, say.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    name: String,
    bars: Vec<(String, f64)>,
}

impl FromStr for Group {
    type Err = String;

    /// `NAME:BAR=VALUE,BAR=VALUE`
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text} is not NAME:BAR=VALUE,BAR=VALUE,…");
        let (name, bars) = text.rsplit_once(':').ok_or_else(wrong)?;
        let bar = |bar: &str| {
            let (name, value) = bar.split_once('=')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        let bars: Option<Vec<_>> = bars.split(',').map(bar).collect();
        Ok(Self {
            name: name.into(),
            bars: bars.ok_or_else(wrong)?,
        })
    }
}

/// The texts, and what there is.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Bars {
    /// What they show.
    #[arg(long)]
    pub title: String,
    /// What goes to the right.
    #[arg(long)]
    pub right: String,
    /// Its unit: µs, B or %; values are then in the units of their size.
    #[arg(long, default_value = "")]
    pub unit: Unit,
    /// The axis is logarithmic.
    #[arg(long)]
    pub log: bool,
    /// Groups: NAME:BAR=VALUE,BAR=VALUE
    #[arg(required = true)]
    pub groups: Vec<Group>,
}

/// Draws them.
///
/// # Errors
/// If the file can't be written.
pub fn draw(file: &Path, bars: &Bars) -> std::io::Result<()> {
    try_draw(file, bars).map_err(|error| std::io::Error::other(error.to_string()))
}

fn try_draw(file: &Path, bars: &Bars) -> Result<(), Box<dyn Error>> {
    let mut names: Vec<&str> = Vec::new();
    let mut values = Vec::new();
    for (name, value) in bars.groups.iter().flat_map(|group| &group.bars) {
        if !names.contains(&&**name) {
            names.push(name);
        }
        values.push(*value);
    }
    let axis = Axis::round(&values, bars.log, bars.unit);
    let count = i32::try_from(values.len())?;
    let groups = i32::try_from(bars.groups.len())?;
    let bottom = BAR * count + DISTANCE * groups;
    let height = (bottom + FOOT).unsigned_abs();
    let (root, area) = picture::begin(file, bars.title.as_str(), &names, height)?;
    ticks(&area, &axis, bottom, &bars.right)?;
    let font = ("sans-serif", 15).into_font();
    let mut y = DISTANCE / 2;
    for group in &bars.groups {
        let all = BAR * i32::try_from(group.bars.len())?;
        let anchored = font
            .clone()
            .color(&BLACK)
            .pos(Pos::new(HPos::Right, VPos::Center));
        area.draw(&Text::new(
            group.name.as_str(),
            (NAME - 10, y + all / 2),
            anchored,
        ))?;
        for (name, value) in &group.bars {
            let number = names.iter().position(|known| known == name).unwrap_or(0);
            // Even the least is to be seen.
            let end = across(&axis, *value).max(NAME + 2);
            let corners = [(NAME, y + 1), (end, y + BAR - 1)];
            area.draw(&Rectangle::new(corners, picture::color(number).filled()))?;
            let text = bars.unit.tick(three_digits(*value));
            let anchored = font
                .clone()
                .color(&BLACK)
                .pos(Pos::new(HPos::Left, VPos::Center));
            area.draw(&Text::new(text, (end + 6, y + BAR / 2), anchored))?;
            y += BAR;
        }
        y += DISTANCE;
    }
    root.present()?;
    Ok(())
}

fn ticks(area: &Area<'_>, axis: &Axis, bottom: i32, right: &str) -> Result<(), Box<dyn Error>> {
    let font = ("sans-serif", 15).into_font().color(&BLACK);
    let below = font.pos(Pos::new(HPos::Center, VPos::Top));
    for (place, text) in axis.ticks() {
        let x = across_place(axis, *place);
        let line = [(x, 0), (x, bottom)];
        area.draw(&PathElement::new(line, BLACK.mix(0.14)))?;
        area.draw(&Text::new(text.as_str(), (x, bottom + 6), below.clone()))?;
    }
    let middle = i32::midpoint(NAME, picture::WIDTH.cast_signed() - VALUE);
    area.draw(&Text::new(right, (middle, bottom + 30), below))?;
    Ok(())
}

/// Where a value is, in pixels.
fn across(axis: &Axis, value: f64) -> i32 {
    across_place(axis, axis.place(value))
}

fn across_place(axis: &Axis, place: f64) -> i32 {
    let [low, high] = axis.ends();
    let room = f64::from(picture::WIDTH.cast_signed() - MARGIN - VALUE - NAME);
    NAME + (room * (place - low) / (high - low)).round() as i32
}

/// More would be noise.
fn three_digits(value: f64) -> f64 {
    if value == 0.0 {
        return value;
    }
    let one = 10f64.powf(value.abs().log10().floor() - 2.0);
    (value / one).round() * one
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_drawn_with_their_values() {
        let group: Group = "SORT (DATE):Ensign=4711.3,Cyrus=20000"
            .parse()
            .expect("well-formed");
        assert_eq!((&*group.name, group.bars.len()), ("SORT (DATE)", 2));
        assert!("a:Ensign".parse::<Group>().is_err());
        let file = std::env::temp_dir().join(format!("bars-{}.svg", std::process::id()));
        let bars = Bars {
            title: "who is sooner".into(),
            right: "time".into(),
            unit: Unit::Microseconds,
            log: true,
            groups: vec![group],
        };
        draw(&file, &bars).expect("drawn");
        let text = std::fs::read_to_string(&file).expect("there");
        std::fs::remove_file(file).expect("removed");
        for expected in [
            "who is sooner",
            "4.71 ms",
            "20 ms",
            "Ensign",
            "Cyrus",
            "SORT (DATE)",
        ] {
            assert!(text.contains(expected), "{expected}");
        }
    }

    #[test]
    fn values_have_three_digits() {
        let texts = [0.0, 4711.3, 0.123_45, 999_960.0].map(three_digits);
        let texts = texts.map(|value| Unit::Count.tick(value));
        assert_eq!(texts, ["0", "4,710", "0.123", "1 million"]);
    }
}
