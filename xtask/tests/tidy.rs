//! The rules of the house, as tests: what may depend on what, how large things may be, what may
//! stand where. Each test names every place that breaks its rule.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "tidy/captions.rs"]
mod captions;
#[path = "tidy/circles.rs"]
mod circles;
#[path = "tidy/edges.rs"]
mod edges;
#[path = "tidy/files.rs"]
mod files;
#[path = "tidy/glossary.rs"]
mod glossary;
#[path = "tidy/sizes.rs"]
mod sizes;
#[path = "tidy/words.rs"]
mod words;

/// Fails with the list of places, if there are any.
fn none(rule: &str, broken: Vec<String>) {
    assert!(broken.is_empty(), "{rule}:\n{}\n", broken.join("\n"));
}

#[test]
fn crates_depend_only_on_lower_floors() {
    none(
        "an edge that the table of allowed edges lacks",
        edges::forbidden(),
    );
}

#[test]
fn the_table_of_edges_names_every_crate() {
    none(
        "a crate missing in the table, or a name too many",
        edges::unknown(),
    );
}

#[test]
fn no_files_need_each_other() {
    none("files in a circle", circles::circles());
}

#[test]
fn captions_match_the_folders() {
    none(
        "ARCHITECTURE.md and the folders differ",
        captions::differences(),
    );
}

#[test]
fn files_functions_and_lines_are_short() {
    none("too long", sizes::too_long());
}

#[test]
fn unsafe_stands_only_where_it_may() {
    none("`unsafe` outside its places", words::stray_unsafe());
}

#[test]
fn nothing_is_left_over() {
    none("left over", words::left_over());
}

#[test]
fn documents_name_no_machine() {
    none("a path of one machine", words::machine_paths());
}

#[test]
fn every_document_has_one_title() {
    none("not exactly one title", words::titles());
}

#[test]
fn the_glossary_names_places_that_are_there() {
    none(
        "the glossary names what is not there",
        glossary::missing_places(),
    );
}

#[test]
fn replaced_names_stay_away() {
    none(
        "a name that the glossary has replaced",
        glossary::replaced_names(),
    );
}
