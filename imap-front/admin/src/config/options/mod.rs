//! The table of options, a file for each first word of their names.

mod ens;
mod local;
mod logfile;
mod oauth;
mod service;
mod ssl;
mod store;

use super::kind::{ConfigOption, Kind};

const PORT: Kind = Kind::Number { min: 0, max: 65535 };

/// Any option of a plug-in's own.
pub static OWN: ConfigOption = ConfigOption {
    name: "local.store.notifyplugin.INSTANCE.*",
    kind: Kind::Text,
    default: "",
    refreshable: false,
    help: "the plug-in's own option: its documentation says what it does",
};

/// In the order of their names.
static TABLES: [&[ConfigOption]; 7] = [
    ens::ENS,
    local::LOCAL,
    logfile::LOGFILE,
    oauth::OAUTH,
    service::SERVICE,
    ssl::SSL,
    store::STORE,
];

/// All options, in the order of their names.
pub fn options() -> impl Iterator<Item = &'static ConfigOption> {
    TABLES.iter().copied().flatten()
}

/// The option of exactly that name.
pub(super) fn exact(name: &str) -> Option<&'static ConfigOption> {
    TABLES.iter().find_map(|table| {
        let at = table.binary_search_by(|option| option.name.cmp(name));
        at.ok().map(|at| &table[at])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted_and_their_defaults_are_valid() {
        assert!(options().is_sorted_by(|one, next| one.name < next.name));
        for option in options() {
            assert_eq!(option.kind.check(option.default), Ok(()), "{}", option.name);
            assert!(!option.help.is_empty());
            assert!(exact(option.name).is_some());
        }
    }
}
