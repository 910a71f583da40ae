//! Tracing by the documented environment variables (reference chapter 1.6).
//!
//! | variable | what it traces | here |
//! |---|---|---|
//! | `GAP_DEBUG`, `GAP_LOG_MODULES` | sockets, sessions | targets `gap::…` |
//! | `ENS_DEBUG`, `ENS_LOG_MODULES` | requests and notifications | targets `ens::…` |
//! | `XENP_TRACE` | frames, encoded | target `xenp` |
//! | `SERVICEBUS_DEBUG` | the service bus | target `servbus` |
//!
//! Levels are those of the manual: 0 to 7 from emergencies to debugging, anything more is debugging
//! too, and 100 is a full trace. No module is logged unless its bit is set.

/// The parts of the layer below ENP, by the bits of `GAP_LOG_MODULES`.
const GAP_MODULES: [(u32, &str); 4] = [
    (1, "gap::connection"),
    (2, "gap::session"),
    (4, "gap::transaction"),
    (8, "gap::dispatcher"),
];
/// The parts of ENS, by the bits of `ENS_LOG_MODULES`.
const ENS_MODULES: [(u32, &str); 5] = [
    (1, "ens::client"),
    (2, "ens::server"),
    (4, "ens::upub"),
    (8, "ens::renl"),
    (16, "ens::store"),
];

/// The filter that the environment asks for, in the form of `tracing_subscriber::EnvFilter`, after
/// the one that is in force anyway.
pub fn filter(base: &str, variable: impl Fn(&str) -> Option<String>) -> String {
    let number = |name: &str| variable(name).and_then(|text| text.trim().parse::<u32>().ok());
    let mut directives = vec![base.to_owned()];
    let mut family = |debug: &str, modules: &str, table: &[(u32, &str)]| {
        let bits = number(modules).unwrap_or(0);
        // The manual's default is 4, warnings.
        let level = level(number(debug).unwrap_or(4));
        for (bit, target) in table {
            let level = if bits & bit != 0 { level } else { "warn" };
            directives.push(format!("{target}={level}"));
        }
    };
    family("GAP_DEBUG", "GAP_LOG_MODULES", &GAP_MODULES);
    family("ENS_DEBUG", "ENS_LOG_MODULES", &ENS_MODULES);
    for (name, target) in [("XENP_TRACE", "xenp"), ("SERVICEBUS_DEBUG", "servbus")] {
        let on = number(name).is_some_and(|value| value != 0);
        directives.push(format!("{target}={}", if on { "trace" } else { "off" }));
    }
    directives.join(",")
}

/// Our level for one of the manual's.
fn level(number: u32) -> &'static str {
    match number {
        0..=3 => "error",
        4 => "warn",
        5 | 6 => "info",
        100 => "trace",
        _ => "debug",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> String {
        let find = |name: &str| {
            let found = variables.iter().find(|(have, _)| *have == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        filter("info", find)
    }

    #[test]
    fn nothing_is_traced_unless_asked_for() {
        let filter = with(&[("ENS_DEBUG", "7")]);
        assert!(filter.starts_with("info,gap::connection=warn,"));
        assert!(filter.contains("ens::server=warn"));
        assert!(filter.ends_with("xenp=off,servbus=off"));
    }

    #[test]
    fn bits_choose_modules_and_numbers_levels() {
        let filter = with(&[
            ("ENS_DEBUG", "100"),
            ("ENS_LOG_MODULES", "2"),
            ("GAP_DEBUG", "9"),
            ("GAP_LOG_MODULES", "3"),
            ("XENP_TRACE", "1"),
        ]);
        for part in [
            "ens::server=trace",
            "ens::client=warn",
            "gap::session=debug",
            "xenp=trace",
        ] {
            assert!(filter.contains(part), "{part} in {filter}");
        }
        assert!(filter.contains("gap::transaction=warn"));
    }
}
