//! Pictures as SVG, without a word of style: classes are `style.css`'s.

use std::fmt::Write as _;

use counting::{BOUNDS_NS, Counted};

use super::facts::COURSE_S;
use super::words::{count, time};

const WIDTH: f64 = 240.0;
const HEIGHT: f64 = 48.0;

/// The course of the last seconds, the newest at the right.
pub(super) fn course(values: &[u64], title: &str) -> String {
    let highest = values.iter().copied().max().unwrap_or_default();
    let step = WIDTH / (COURSE_S - 1) as f64;
    let from = WIDTH - step * values.len().saturating_sub(1) as f64;
    let height = |value: u64| match highest {
        0 => HEIGHT - 1.0,
        highest => HEIGHT - 1.0 - (HEIGHT - 3.0) * value as f64 / highest as f64,
    };
    let mut line = String::new();
    for (number, value) in values.iter().enumerate() {
        let (x, y) = (from + step * number as f64, height(*value));
        let _ = write!(line, "{x:.1},{y:.1} ");
    }
    let (line, last) = (line.trim_end(), WIDTH);
    let area = format!("{from:.1},{HEIGHT} {line} {last},{HEIGHT}");
    let drawn = match values.len() {
        0 | 1 => String::new(),
        _ => format!(
            "<polygon class=\"area\" points=\"{area}\"/>\
             <polyline class=\"line\" points=\"{line}\"/>"
        ),
    };
    format!(
        "<svg class=\"course\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" \
         role=\"img\" aria-label=\"{title} in the last two minutes, at most {}\">{drawn}</svg>",
        count(highest)
    )
}

/// How often something took how long: a bar for each step between the first and the last with
/// anything in it.
pub(super) fn times(times: &Counted) -> String {
    let all = times.count();
    let some = |count: &u64| *count > 0;
    let (Some(first), Some(last)) = (
        times.counts.iter().position(some),
        times.counts.iter().rposition(some),
    ) else {
        return "<p class=\"quiet\">nothing yet</p>".into();
    };
    let most = times.counts.iter().copied().max().unwrap_or(1).max(1);
    let mut rows = String::from("<table class=\"times\">");
    for step in first..=last {
        let here = times.counts[step];
        let label = match BOUNDS_NS.get(step) {
            Some(bound) => format!("≤ {}", time(*bound)),
            None => time(u64::MAX),
        };
        let share = here as f64 * 100.0 / all as f64;
        let width = here as f64 * 100.0 / most as f64;
        let _ = write!(
            rows,
            "<tr><th scope=\"row\">{label}</th><td class=\"bar\"><svg viewBox=\"0 0 100 10\" \
             preserveAspectRatio=\"none\" aria-hidden=\"true\"><rect class=\"fill\" \
             width=\"{width:.1}\" height=\"10\"/></svg></td><td>{share:.1} %</td></tr>"
        );
    }
    rows.push_str("</table>");
    rows
}

/// How much of something is used.
pub(super) fn meter(used: u64, whole: u64) -> String {
    let percent = match whole {
        0 => 0.0,
        whole => (used as f64 * 100.0 / whole as f64).min(100.0),
    };
    format!(
        "<svg class=\"meter\" viewBox=\"0 0 100 10\" preserveAspectRatio=\"none\" role=\"img\" \
         aria-label=\"{percent:.0} %\"><rect class=\"ground\" width=\"100\" height=\"10\"/>\
         <rect class=\"fill\" width=\"{percent:.1}\" height=\"10\"/></svg>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_have_what_there_is() {
        assert!(!course(&[], "x").contains("polyline"));
        let picture = course(&[0, 5, 10], "Sessions");
        assert!(picture.contains("240.0,2.0\""), "{picture}");
        assert!(picture.contains("at most 10"), "{picture}");
        let histogram = counting::Histogram::default();
        assert!(times(&histogram.read()).contains("nothing yet"));
        histogram.add(20_000, 3);
        histogram.add(90_000, 1);
        let picture = times(&histogram.read());
        assert_eq!(picture.matches("<tr>").count(), 3, "{picture}");
        assert!(
            picture.contains("≤ 25 µs") && picture.contains("75.0 %"),
            "{picture}"
        );
        assert!(meter(5, 0).contains("width=\"0.0\""));
    }
}
