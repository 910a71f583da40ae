//! What the fields of a header say: the envelope of a message, the description of a part.

use super::budget::Budget;
use super::header::{self, Field};
use super::text::{TEXT_BYTES_MAX, bounded, bounded_extended};
use super::{Address, Envelope, Parameter, Part, address, parameters};

/// Tags of Content-Language kept of one part.
const LANGUAGES_MAX: usize = 64;
/// Longest type, subtype, encoding, parameter name or tag that is taken for one.
const TOKEN_BYTES_MAX: usize = 256;
/// Longest field that is looked at for types and parameters; what stands beyond is left out.
const STRUCTURED_BYTES_MAX: usize = 64 * 1024;

/// The envelope that a message's header gives.
pub(super) fn envelope(fields: &[Field<'_>], budget: &mut Budget) -> Envelope {
    let mut texts = |name| header::value(fields, name).map(|value| budget.text(value));
    let (date, subject) = (texts("Date"), texts("Subject"));
    let (in_reply_to, message_id) = (texts("In-Reply-To"), texts("Message-ID"));
    let from = addresses(fields, "From", true, budget);
    let mut or_from = |name| match addresses(fields, name, true, budget) {
        list if list.is_empty() => {
            budget.spend(&from);
            from.clone()
        }
        list => list,
    };
    Envelope {
        date,
        subject,
        sender: or_from("Sender"),
        reply_to: or_from("Reply-To"),
        to: addresses(fields, "To", false, budget),
        cc: addresses(fields, "Cc", false, budget),
        bcc: addresses(fields, "Bcc", false, budget),
        in_reply_to,
        message_id,
        from,
    }
}

/// The addresses of all fields of that name.
fn addresses(
    fields: &[Field<'_>],
    name: &str,
    is_originator: bool,
    budget: &mut Budget,
) -> Vec<Address> {
    let mut room = budget.room(is_originator);
    let list: Vec<Address> = header::values(fields, name)
        .flat_map(|value| address::parse(&value, &mut room))
        .collect();
    budget.spend(&list);
    list
}

/// What the header says of a part, and its boundary if it says so.
pub(super) fn described(
    fields: &[Field<'_>],
    in_digest: bool,
    budget: &mut Budget,
) -> (Part, Option<Vec<u8>>) {
    let content_type = structured(fields, "Content-Type").unwrap_or_default();
    let (media, mut parameters) = parameters::parse(&content_type);
    let media = without_stray(&media, &mut parameters);
    let boundary = parameters::find(&parameters, b"boundary")
        .map(|value| value.octets.trim_ascii_end().to_vec())
        .filter(|boundary| !boundary.is_empty());
    let mut parameters = kept(parameters, budget);
    let slash = media.iter().position(|&b| b == b'/');
    let (media_type, subtype) = match slash {
        Some(slash) => (
            media[..slash].trim_ascii().to_vec(),
            media[slash + 1..].trim_ascii().to_vec(),
        ),
        None => Default::default(),
    };
    let is_token = |text: &[u8]| (1..=TOKEN_BYTES_MAX).contains(&text.len());
    // RFC 2045 §5.2 and RFC 2046 §5.1.5: what is not given or not understood.
    let (media_type, subtype) = if is_token(&media_type) && is_token(&subtype) {
        (media_type, subtype)
    } else if in_digest {
        (b"MESSAGE".to_vec(), b"RFC822".to_vec())
    } else {
        if parameters.is_empty() {
            parameters.push((b"CHARSET".to_vec(), b"US-ASCII".to_vec()));
        }
        (b"TEXT".to_vec(), b"PLAIN".to_vec())
    };
    let encoding = structured(fields, "Content-Transfer-Encoding")
        .map(|value| parameters::token(&value))
        .filter(|encoding| is_token(encoding))
        .unwrap_or_else(|| b"7BIT".to_vec());
    let mut text = |name| header::value(fields, name).map(|value| budget.text(value));
    let part = Part {
        media_type,
        subtype,
        parameters,
        id: text("Content-ID"),
        description: text("Content-Description"),
        encoding,
        md5: text("Content-MD5"),
        location: text("Content-Location"),
        language: languages(fields),
        disposition: disposition(fields, budget),
        ..Part::default()
    };
    (part, boundary)
}

/// A media type as far as its first blank; what follows are parameters whose `;` was forgotten.
fn without_stray<'a>(media: &'a [u8], parameters: &mut Vec<Parameter>) -> &'a [u8] {
    let slash = media.iter().position(|&b| b == b'/').unwrap_or(0);
    let subtype = media[slash..]
        .iter()
        .skip(1)
        .position(|b| !b.is_ascii_whitespace());
    let start = slash + 1 + subtype.unwrap_or(0);
    let Some(rest) = media.get(start..) else {
        return media;
    };
    let Some(blank) = rest.iter().position(u8::is_ascii_whitespace) else {
        return media;
    };
    let stray = parameters::parse(&[b";", &rest[blank..]].concat()).1;
    parameters.splice(0..0, stray);
    &media[..start + blank]
}

/// Content-Disposition. A file name without a disposition is an attachment, as what is not
/// understood is (RFC 2183 §2.8).
fn disposition(fields: &[Field<'_>], budget: &mut Budget) -> Option<(Vec<u8>, Vec<Parameter>)> {
    let value = structured(fields, "Content-Disposition")?;
    let (mut kind, mut parameters) = parameters::parse(&value);
    if kind.contains(&b'=') {
        (kind, parameters) = parameters::parse(&[b";", &value[..]].concat());
    }
    if kind.is_empty() && !parameters.is_empty() {
        kind = b"attachment".to_vec();
    }
    let is_token = (1..=TOKEN_BYTES_MAX).contains(&kind.len());
    is_token.then(|| (kind, kept(parameters, budget)))
}

/// Content-Language, a tag each.
fn languages(fields: &[Field<'_>]) -> Vec<Vec<u8>> {
    let value = structured(fields, "Content-Language").unwrap_or_default();
    parameters::token(&value)
        .split(|&b| b == b',')
        .map(|tag| tag.trim_ascii().to_vec())
        .filter(|tag| (1..=TOKEN_BYTES_MAX).contains(&tag.len()))
        .take(LANGUAGES_MAX)
        .collect()
}

/// The parameters that there is room for, their values cut to what one may have.
fn kept(parameters: Vec<Parameter>, budget: &mut Budget) -> Vec<Parameter> {
    let cut = |(name, value): Parameter| {
        let value = match name.ends_with(b"*") {
            true => bounded_extended(value, TEXT_BYTES_MAX),
            false => bounded(value, TEXT_BYTES_MAX),
        };
        (name, value)
    };
    parameters
        .into_iter()
        .filter(|(name, _)| name.len() <= TOKEN_BYTES_MAX)
        .map(cut)
        .filter(|(name, value)| budget.take(name.len() + value.len()))
        .collect()
}

/// The value of a structured field.
fn structured(fields: &[Field<'_>], name: &str) -> Option<Vec<u8>> {
    let mut value = header::value(fields, name)?;
    value.truncate(STRUCTURED_BYTES_MAX);
    Some(value)
}
