//! What all pictures share: a title, a legend below it that covers no curve, axes, and curves that
//! everyone can tell apart, by colour and by marker.

use std::error::Error;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::axis::Axis;

/// The palette of Okabe and Ito, without its yellow, which is too light on white. The colour-blind
/// can tell these apart.
const COLORS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(0, 0, 0),
];
/// Shapes of markers. With the colours there are 35 pairs.
const SHAPES: usize = 5;
pub(super) const WIDTH: u32 = 900;
const MARGIN: i32 = 16;
/// Room for the title, and for a line of the legend.
const TITLE: i32 = 44;
const LEGEND_LINE: i32 = 22;
/// About the width of a character of the legend, and of what stands before a name.
const CHARACTER: f64 = 7.0;
const SAMPLE: i32 = 36;
const GAP: i32 = 22;

/// What a picture says.
pub(super) struct Picture<'a> {
    pub(super) title: &'a str,
    /// What goes to the right, and upwards.
    pub(super) axes: [&'a str; 2],
    /// Of the curves, in pixels.
    pub(super) height: u32,
    pub(super) lines: Vec<Line<'a>>,
}

/// One curve, in places of its axes.
pub(super) struct Line<'a> {
    pub(super) name: &'a str,
    pub(super) points: Vec<(f64, f64)>,
    /// Where its markers are.
    pub(super) marks: Vec<(f64, f64)>,
}

pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws a picture.
///
/// # Errors
/// If the file can't be written.
pub(super) fn draw(
    file: &Path,
    picture: &Picture<'_>,
    right: &Axis,
    up: &Axis,
) -> std::io::Result<()> {
    try_draw(file, picture, right, up).map_err(|error| std::io::Error::other(error.to_string()))
}

fn try_draw(
    file: &Path,
    picture: &Picture<'_>,
    right: &Axis,
    up: &Axis,
) -> Result<(), Box<dyn Error>> {
    let names: Vec<&str> = picture.lines.iter().map(|line| line.name).collect();
    let (root, below) = begin(file, picture.title, &names, picture.height)?;
    let mut chart = ChartBuilder::on(&below)
        .margin(MARGIN)
        .margin_top(8)
        .margin_right(40)
        .x_label_area_size(50)
        .y_label_area_size(84)
        .build_cartesian_2d(right.clone(), up.clone())?;
    chart
        .configure_mesh()
        .x_desc(picture.axes[0])
        .y_desc(picture.axes[1])
        .label_style(("sans-serif", 15))
        .axis_desc_style(("sans-serif", 16))
        .x_label_formatter(&|place| right.label(*place))
        .y_label_formatter(&|place| up.label(*place))
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.14))
        .draw()?;
    for (style, line) in styles(&names).into_iter().zip(&picture.lines) {
        let stroke = style.color.stroke_width(2);
        chart.draw_series(LineSeries::new(line.points.iter().copied(), stroke))?;
        for at in &line.marks {
            mark(&root, chart.plotting_area().map_coordinate(at), style)?;
        }
    }
    root.present()?;
    Ok(())
}

/// Begins a picture with its title and, if there are several names, a legend. Gives all of it, and
/// what is below, of such a height.
pub(super) fn begin<'a>(
    file: &'a Path,
    title: &str,
    names: &[&str],
    height: u32,
) -> Result<(Area<'a>, Area<'a>), Box<dyn Error>> {
    let places = match names.len() {
        0 | 1 => Vec::new(),
        _ => places(names),
    };
    let rows = places.last().map_or(0, |(_, row)| row + 1);
    let head = TITLE + LEGEND_LINE * rows;
    let size = (WIDTH, head.unsigned_abs() + height);
    let root = SVGBackend::new(file, size).into_drawing_area();
    root.fill(&WHITE)?;
    let (above, below) = root.split_vertically(head);
    let font = ("sans-serif", 20).into_font().style(FontStyle::Bold);
    above.draw(&Text::new(title, (MARGIN, MARGIN), font))?;
    for ((style, name), (x, row)) in styles(names).into_iter().zip(names).zip(places) {
        legend(&above, style, name, (x, TITLE + LEGEND_LINE * row))?;
    }
    Ok((root, below))
}

/// Where the names of a legend begin, and their lines: as many to a line as there is room for.
fn places(names: &[&str]) -> Vec<(i32, i32)> {
    let (mut x, mut row) = (MARGIN, 0);
    let mut all = Vec::new();
    for name in names {
        let width = SAMPLE + (name.chars().count() as f64 * CHARACTER) as i32 + GAP;
        if x > MARGIN && x + width > WIDTH.cast_signed() {
            (x, row) = (MARGIN, row + 1);
        }
        all.push((x, row));
        x += width;
    }
    all
}

fn legend(
    area: &Area<'_>,
    style: Style,
    name: &str,
    (x, y): (i32, i32),
) -> Result<(), Box<dyn Error>> {
    let middle = y + 8;
    let stroke = style.color.stroke_width(2);
    area.draw(&PathElement::new(
        [(x, middle), (x + SAMPLE - 8, middle)],
        stroke,
    ))?;
    mark(area, (x + (SAMPLE - 8) / 2, middle), style)?;
    let font = ("sans-serif", 15).into_font();
    area.draw(&Text::new(name, (x + SAMPLE, y), font))?;
    Ok(())
}

/// How a curve is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Style {
    color: RGBColor,
    shape: usize,
}

/// Each name's own colour and shape. Where there are more names than colours, and all have a part
/// before a colon, that part has a colour and what is behind it has a shape.
fn styles(names: &[&str]) -> Vec<Style> {
    let parts: Vec<_> = names
        .iter()
        .filter_map(|name| name.split_once(": "))
        .collect();
    let both = names.len() > COLORS.len() && parts.len() == names.len();
    let style = |number: usize| {
        let [color, shape] = match both {
            true => [
                nth(parts.iter().map(|(before, _)| *before), parts[number].0),
                nth(parts.iter().map(|(_, behind)| *behind), parts[number].1),
            ],
            false => [number; 2],
        };
        Style {
            color: self::color(color),
            shape: shape % SHAPES,
        }
    };
    (0..names.len()).map(style).collect()
}

/// How many other words come before it for the first time.
fn nth<'a>(all: impl Iterator<Item = &'a str>, word: &str) -> usize {
    let mut seen: Vec<&str> = Vec::new();
    for one in all.take_while(|one| *one != word) {
        if !seen.contains(&one) {
            seen.push(one);
        }
    }
    seen.len()
}

pub(super) fn color(number: usize) -> RGBColor {
    COLORS[number % COLORS.len()]
}

/// Draws a curve's marker: its shape says which curve it is, as its colour does.
fn mark(area: &Area<'_>, (x, y): (i32, i32), style: Style) -> Result<(), Box<dyn Error>> {
    let fill = style.color.filled();
    let corners: &[(i32, i32)] = match style.shape {
        0 => {
            area.draw(&Circle::new((x, y), 4, fill))?;
            return Ok(());
        }
        1 => &[(0, -6), (6, 5), (-6, 5)],
        2 => &[(-4, -4), (4, -4), (4, 4), (-4, 4)],
        3 => &[(0, -6), (6, 0), (0, 6), (-6, 0)],
        _ => &[(-6, -5), (6, -5), (0, 6)],
    };
    let corners = corners.iter().map(|(right, down)| (x + right, y + down));
    area.draw(&Polygon::new(corners.collect::<Vec<_>>(), fill))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_legend_goes_on_in_the_next_line() {
        assert_eq!(places(&["a"]), [(MARGIN, 0)]);
        let long = "a name of forty characters or a few more";
        let all = places(&[long; 5]);
        let rows: Vec<i32> = all.iter().map(|(_, row)| *row).collect();
        assert_eq!(rows, [0, 0, 1, 1, 2]);
        assert_eq!(all[2].0, MARGIN);
    }

    #[test]
    fn every_curve_is_drawn_otherwise() {
        let different = |names: &[&str]| {
            let all = styles(names);
            let others = |at: usize| all[at + 1..].iter().all(|style| *style != all[at]);
            assert!((0..all.len()).all(others));
            all
        };
        different(&["a"; 35]);
        let brokers = [
            "enpd: one",
            "enpd: first",
            "enpd: last",
            "nats: one",
            "nats: first",
        ];
        different(&brokers);
        let brokers = [&brokers[..], &["nats: last", "redis: one", "redis: last"]].concat();
        let all = different(&brokers);
        assert_eq!(all[0].color, all[1].color, "of one broker");
        assert_eq!(all[0].shape, all[3].shape, "of one measure");
    }
}
