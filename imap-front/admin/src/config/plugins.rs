//! The list of notification plug-ins: `lib$instance$$lib$instance`, one to five (reference
//! chapter 3.1).

/// Before the names of all their options.
pub const PREFIX: &str = "local.store.notifyplugin";
/// Plug-ins at most.
const PLUGINS_MAX: usize = 5;

/// A plug-in of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlugIn {
    /// Its library, without `.so` if the administrator left that off.
    pub library: String,
    /// Its name, if its options stand under one.
    pub instance: Option<String>,
}

impl PlugIn {
    /// The full name of one of its options, such as `enshost`.
    pub fn option(&self, name: &str) -> String {
        match &self.instance {
            Some(instance) => format!("{PREFIX}.{instance}.{name}"),
            None => format!("{PREFIX}.{name}"),
        }
    }
}

/// Takes the list apart.
///
/// # Errors
/// What is wrong with it.
pub fn parse(list: &str) -> Result<Vec<PlugIn>, &'static str> {
    if list.is_empty() {
        return Ok(vec![]);
    }
    let mut plugins: Vec<PlugIn> = Vec::new();
    for entry in list.split("$$") {
        let (library, instance) = match entry.split_once('$') {
            Some((library, instance)) => (library, Some(instance.to_ascii_lowercase())),
            None => (entry, None),
        };
        let is_name = |name: &String| {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        };
        if library.is_empty() {
            return Err("a library is missing");
        }
        if !instance.as_ref().is_none_or(is_name) {
            return Err("an instance's name has letters, digits, - and _");
        }
        if plugins.iter().any(|have| have.instance == instance) {
            return Err("two plug-ins have the same instance name");
        }
        plugins.push(PlugIn {
            library: library.into(),
            instance,
        });
    }
    if plugins.len() > PLUGINS_MAX {
        return Err("there are more than five plug-ins");
    }
    Ok(plugins)
}

/// `local.store.notifyplugin.INSTANCE.NAME` without its instance; none if it has none.
pub(super) fn without_instance(name: &str) -> Option<String> {
    let rest = name.strip_prefix(PREFIX)?.strip_prefix('.')?;
    let (_, rest) = rest.split_once('.')?;
    Some(format!("{PREFIX}.{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_taken_apart() {
        let plug_in = |library: &str, instance: Option<&str>| PlugIn {
            library: library.into(),
            instance: instance.map(Into::into),
        };
        assert_eq!(parse(""), Ok(vec![]));
        assert_eq!(
            parse("/b/lib/libibiff"),
            Ok(vec![plug_in("/b/lib/libibiff", None)])
        );
        let two = parse("lib/libibiff$one$$lib/libibiff$Two");
        let expected = [
            plug_in("lib/libibiff", Some("one")),
            plug_in("lib/libibiff", Some("two")),
        ];
        assert_eq!(two, Ok(expected.to_vec()));
        for bad in [
            "$a",
            "a$$",
            "a$x$$b$x",
            "a$$b",
            "a$b.c",
            "a$1$$a$2$$a$3$$a$4$$a$5$$a$6",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert_eq!(
            plug_in("l", Some("x")).option("enshost"),
            "local.store.notifyplugin.x.enshost"
        );
    }
}
