//! The sections of the page.

use std::fmt::Write as _;

use super::charts::{course, meter, times};
use super::facts::{Certificate, Condition, Facts, Moment, Shard};
use super::words::{bytes, count, escaped, rate, time, while_of};

/// Seconds over which rates and times are looked at.
const LATELY_S: usize = 60;
/// Certificates that end within so many days are shown as a warning.
const WARNING_DAYS: i64 = 30;
/// Addresses and calls that are shown.
const SHOWN_MAX: usize = 12;

/// All, in the order of the page.
pub(super) fn all(facts: &Facts) -> Vec<(&'static str, String)> {
    vec![
        ("state", state(facts)),
        ("tiles", tiles(facts)),
        ("told", told(facts)),
        ("idle", idle(&facts.conditions)),
        ("shards", shards(&facts.shards)),
        ("store", store(facts)),
        ("memory", memory(facts)),
        ("certificates", certificates(&facts.certificates)),
        ("slow", slow(facts)),
        ("refused", refused(facts)),
        ("trouble", trouble(facts)),
    ]
}

fn state(facts: &Facts) -> String {
    let offered = !facts.conditions.is_empty() && facts.conditions.iter().all(|it| it.met);
    let mark = |good: bool, text: &str| {
        let class = if good { "good" } else { "bad" };
        format!("<span class=\"mark {class}\">{}</span> ", escaped(text))
    };
    let ready = facts.not_ready.unwrap_or("serves mail");
    let idle = if offered {
        "IDLE is offered"
    } else {
        "IDLE is not offered"
    };
    format!(
        "<p>{}{}<span class=\"quiet\">Ensign {} · up {}</span></p>",
        mark(facts.not_ready.is_none(), ready),
        mark(offered, idle),
        escaped(facts.version),
        while_of(facts.up_s)
    )
}

/// A number that is seen from afar, what it is, and more about it.
fn tile(id: &str, number: &str, what: &str, more: &str, picture: &str) -> String {
    format!(
        "<div class=\"tile\"><p class=\"number\" id=\"{id}\">{number}</p><p>{what}</p>\
         <p class=\"quiet\">{more}</p>{picture}</div>"
    )
}

fn tiles(facts: &Facts) -> String {
    let sum = |of: fn(&Shard) -> u64| facts.shards.iter().map(of).sum::<u64>();
    let sessions = sum(|it| it.login + it.active + it.parked);
    let (idling, active) = (count(sum(|it| it.idling)), count(sum(|it| it.active)));
    let login = count(sum(|it| it.login));
    let (lately, seconds) = facts.course.lately(LATELY_S);
    let a_second = |number| format!("{}<small>/s</small>", rate(number, seconds));
    let since = |number: u64| format!("{} since the start", count(number));
    let picture =
        |of: fn(&Moment) -> u64, grows, title| course(&facts.course.each(of, grows), title);
    let now = facts.course.now();
    let (half, most) = (lately.told.within(500), lately.told.within(990));
    let of = |bound: Option<u64>| bound.map_or("–".to_owned(), |ns| format!("≤ {}", time(ns)));
    [
        tile(
            "sessions",
            &count(sessions),
            "sessions",
            &format!("{idling} in IDLE · {active} active · {login} logging in"),
            &picture(|it| it.sessions, false, "Sessions"),
        ),
        tile(
            "deliveries",
            &a_second(lately.deliveries),
            "deliveries",
            &since(now.deliveries),
            &picture(|it| it.deliveries, true, "Deliveries a second"),
        ),
        tile(
            "announcements",
            &a_second(lately.announcements),
            "idlers told",
            &since(now.announcements),
            &picture(|it| it.announcements, true, "Idlers told a second"),
        ),
        tile(
            "soon",
            &of(half),
            "from commit to told, half of the last minute's",
            &format!("99 %: {}", of(most)),
            "",
        ),
        tile(
            "commands",
            &a_second(lately.commands),
            "commands",
            &since(now.commands),
            &picture(|it| it.commands, true, "Commands a second"),
        ),
        tile(
            "logins",
            &a_second(lately.logins),
            "logins",
            &since(now.logins),
            &picture(|it| it.logins, true, "Logins a second"),
        ),
    ]
    .concat()
}

fn told(facts: &Facts) -> String {
    let (lately, _) = facts.course.lately(LATELY_S);
    let (shown, when) = match lately.told.count() {
        0 => (facts.course.now().told, "since the start"),
        _ => (lately.told, "in the last minute"),
    };
    let (many, picture) = (count(shown.count()), times(&shown));
    format!("<h2>From commit to told</h2><p class=\"quiet\">{many} {when}</p>{picture}")
}

fn idle(conditions: &[Condition]) -> String {
    let mut html = String::from("<h2>When IDLE is offered</h2><ul class=\"conditions\">");
    for Condition { text, met, remedy } in conditions {
        let (class, word) = if *met {
            ("good", "met")
        } else {
            ("bad", "not met")
        };
        let _ = write!(
            html,
            "<li><span class=\"mark {class}\">{word}</span> {}",
            escaped(text)
        );
        if !met {
            let _ = write!(html, "<br><code>{}</code>", escaped(remedy));
        }
        html.push_str("</li>");
    }
    html.push_str("</ul>");
    html
}

/// A table in a box that is moved sideways where it finds no room.
fn table(titles: &[&str], rows: &str) -> String {
    let titles: String = titles
        .iter()
        .map(|title| format!("<th scope=\"col\">{title}</th>"))
        .collect();
    format!(
        "<div class=\"wide\"><table><thead><tr>{titles}</tr></thead>\
         <tbody>{rows}</tbody></table></div>"
    )
}

fn shards(shards: &[Shard]) -> String {
    let mut rows = String::new();
    for (number, shard) in shards.iter().enumerate() {
        let [tls12, tls13] = shard.tls;
        let told = shard
            .told
            .within(990)
            .map_or("–".into(), |ns| format!("≤ {}", time(ns)));
        let _ = write!(
            rows,
            "<tr><th scope=\"row\">{number}</th><td>{} of {} {}</td><td>{}</td><td>{}</td>\
             <td>{} · {}</td><td>{}</td><td>{told}</td></tr>",
            count(shard.open),
            count(shard.places),
            meter(shard.open, shard.places),
            count(shard.parked),
            count(shard.active),
            count(tls12),
            count(tls13),
            count(shard.topics),
        );
    }
    let titles = [
        "shard",
        "connections",
        "parked",
        "active",
        "TLS 1.2 · 1.3",
        "mailboxes watched",
        "99 % told",
    ];
    format!("<h2>Shards</h2>{}", table(&titles, &rows))
}

/// Pairs of a name and what is to say of it.
fn list(pairs: &[(&str, String)]) -> String {
    let row = |(name, value): &(&str, String)| format!("<dt>{name}</dt><dd>{value}</dd>");
    format!("<dl>{}</dl>", pairs.iter().map(row).collect::<String>())
}

fn store(facts: &Facts) -> String {
    let store = &facts.store;
    let (lately, seconds) = facts.course.lately(LATELY_S);
    let synced = match lately.synced.count() {
        0 => facts.course.now().synced,
        _ => lately.synced,
    };
    let of = |permille| {
        synced
            .within(permille)
            .map_or("–".into(), |ns| format!("≤ {}", time(ns)))
    };
    let together = match store.commits {
        0 => "–".into(),
        commits => format!("{:.1}", store.operations as f64 / commits as f64),
    };
    let (class, word) = if store.up {
        ("good", "takes mail")
    } else {
        ("bad", "has failed")
    };
    let busy = format!("{:.1} % of the time", store.busy_permille as f64 / 10.0);
    let rows = [
        (
            "commits",
            format!(
                "{}, {}/s",
                count(store.commits),
                rate(lately.synced.count(), seconds)
            ),
        ),
        ("operations a commit", together),
        (
            "written and synced",
            format!("half {}, 99 % {}", of(500), of(990)),
        ),
        ("the writer is busy", busy),
        ("free on the disk", bytes(store.free_bytes)),
    ];
    format!(
        "<h2>Store <span class=\"mark {class}\">{word}</span></h2>{}",
        list(&rows)
    )
}

fn memory(facts: &Facts) -> String {
    let mut rows = vec![("the process", bytes(facts.resident_bytes))];
    rows.extend(
        facts
            .memory
            .iter()
            .map(|(what, size)| (*what, bytes(*size))),
    );
    format!("<h2>Memory</h2>{}", list(&rows))
}

fn certificates(all: &[Certificate]) -> String {
    let mut rows = String::new();
    for Certificate {
        file,
        names,
        days_left,
    } in all
    {
        let (class, left) = match days_left {
            ..0 => ("bad", "has ended".to_owned()),
            left if *left < WARNING_DAYS => ("bad", format!("ends in {left} days")),
            left => ("good", format!("{left} days")),
        };
        let _ = write!(
            rows,
            "<tr><th scope=\"row\">{}</th><td>{}</td>\
             <td><span class=\"mark {class}\">{left}</span></td></tr>",
            escaped(file),
            escaped(names)
        );
    }
    let shown = match all {
        [] => "<p class=\"quiet\">none: <code>config/tls/</code> is empty, so there is no TLS</p>"
            .to_owned(),
        _ => table(&["file", "names", "ends"], &rows),
    };
    format!("<h2>Certificates</h2>{shown}")
}

fn slow(facts: &Facts) -> String {
    let mut rows = String::new();
    for one in facts.slow.iter().take(SHOWN_MAX) {
        let user = one.user.as_deref().map_or("–".into(), escaped);
        let (call, plane, ms) = (escaped(one.call), one.plane, one.ms);
        let _ = write!(
            rows,
            "<tr><th scope=\"row\">{call}</th><td>{plane}</td><td>{ms} ms</td><td>{user}</td></tr>"
        );
    }
    let shown = match facts.slow.is_empty() {
        true => "<p class=\"quiet\">none</p>".to_owned(),
        false => table(&["call", "held up", "for", "of user"], &rows),
    };
    format!("<h2>Slow calls</h2>{shown}")
}

fn refused(facts: &Facts) -> String {
    let mut rows = String::new();
    for one in facts.refused.iter().take(SHOWN_MAX) {
        let _ = write!(
            rows,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td></tr>",
            escaped(&one.address),
            escaped(one.why),
            count(one.count)
        );
    }
    let shown = match facts.refused.is_empty() {
        true => "<p class=\"quiet\">none</p>".to_owned(),
        false => table(&["address", "last", "times"], &rows),
    };
    format!("<h2>Refused addresses</h2>{shown}")
}

fn trouble(facts: &Facts) -> String {
    let mut rows = String::new();
    for (number, what) in &facts.trouble {
        let _ = write!(
            rows,
            "<tr><td>{}</td><th scope=\"row\">{}</th></tr>",
            count(*number),
            escaped(what)
        );
    }
    let shown = match facts.trouble.is_empty() {
        true => "<p class=\"quiet\">nothing</p>".to_owned(),
        false => table(&["times", "since the start"], &rows),
    };
    format!("<h2>Refused, dropped, cut</h2>{shown}")
}
