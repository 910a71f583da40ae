//! What the library exports: `ensign_plugin_init`.
#![allow(unsafe_code, reason = "it is called with foreign memory")]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ens::client::{Address, Connection, Options};

use crate::abi::{ABI, Event, Host, PlugIn};
use crate::biff::{self, Biff};

struct Instance {
    biff: Biff,
    /// The server's, valid until `close`.
    host: *const Host,
    /// To the broker, if the host doesn't publish.
    own: Option<Connection>,
    /// Events that found no broker there.
    lost: AtomicU64,
}

impl Instance {
    /// Nothing is kept for a broker that is away; the first event that is lost, and ever fewer of
    /// the others, are told to the host's log.
    fn publish_itself(&self, own: &Connection, published: &biff::Published) {
        let why = match own.is_up() {
            true => match own.publish(&published.event_ref, &published.payload, b"", false) {
                Ok(_) => return,
                Err(error) => error.to_string(),
            },
            false => own
                .failure()
                .unwrap_or_else(|| "no broker answers yet".into()),
        };
        let lost = self.lost.fetch_add(1, Ordering::Relaxed) + 1;
        if lost.is_power_of_two()
            && let Ok(text) = CString::new(format!(
                "libibiff: an event was not published, {lost} in all: {why}"
            ))
        {
            // SAFETY: the host is there until `close`.
            let (context, log) = unsafe { ((*self.host).context, (*self.host).log) };
            log(context, text.as_ptr());
        }
    }
}

/// How long what was published may take to leave at the end.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);
/// The guide's defaults for `enshost` and `ensport`.
const ENS_HOST: &str = "127.0.0.1";
const ENS_PORT: u16 = 7997;

/// See `include/ensign_plugin.h`.
///
/// # Safety
/// As the header says: `host` and `plugin` point to their structures, `error` to `size` bytes, and
/// the host stays until `close` has returned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ensign_plugin_init(
    host: *const Host,
    plugin: *mut PlugIn,
    error: *mut c_char,
    size: usize,
) -> c_int {
    let made = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the caller's promise.
        let abi = unsafe { (*host).abi };
        if abi != ABI {
            return Err(format!("the server has ABI {abi}, this plug-in {ABI}"));
        }
        let option = |name: &str| {
            // SAFETY: the caller's promise.
            unsafe { option(host, name) }
        };
        let biff = Biff::new(option)?;
        // SAFETY: as above.
        let publishes = unsafe { (*host).publish }.is_some();
        let own = (!publishes).then(|| connect(option)).transpose()?;
        Ok((biff, own))
    }));
    let why = match made {
        Ok(Ok((biff, own))) => {
            let instance = Box::into_raw(Box::new(Instance {
                biff,
                host,
                own,
                lost: AtomicU64::new(0),
            }));
            let filled = PlugIn {
                abi: ABI,
                context: instance.cast(),
                event: Some(event),
                close: Some(close),
            };
            // SAFETY: the caller's promise.
            unsafe { plugin.write(filled) };
            return 0;
        }
        Ok(Err(why)) => why,
        Err(_) => "the plug-in has panicked".to_owned(),
    };
    let bytes = &why.as_bytes()[..why.len().min(size.saturating_sub(1))];
    if size > 0 {
        // SAFETY: `bytes` and a NUL fit into the `size` bytes of the caller.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), error.cast(), bytes.len());
            error.add(bytes.len()).write(0);
        }
    }
    1
}

/// A connection to the broker that the options name; it may come later.
fn connect(option: impl Fn(&str) -> Option<String>) -> Result<Connection, String> {
    let host = option("enshost").filter(|host| !host.is_empty());
    let port = match option("ensport").filter(|port| !port.is_empty()) {
        None => ENS_PORT,
        Some(port) => port
            .parse()
            .map_err(|_| format!("ensport can't be {port:?}"))?,
    };
    let address = Address::new(host.as_deref().unwrap_or(ENS_HOST), port);
    let options = Options {
        name: "libibiff".into(),
        reconnect: true,
        patient: true,
        ..Options::default()
    };
    Connection::open(address, options, |_, _| {}).map_err(|error| error.to_string())
}

/// Asks the host for an option.
///
/// # Safety
/// The host is there.
unsafe fn option(host: *const Host, name: &str) -> Option<String> {
    let name = CString::new(name).ok()?;
    // SAFETY: the caller's promise.
    let (context, ask) = unsafe { ((*host).context, (*host).option) };
    let mut value = vec![0u8; 256];
    loop {
        let needed = ask(
            context,
            name.as_ptr(),
            value.as_mut_ptr().cast(),
            value.len(),
        );
        if needed == 0 {
            return None;
        }
        if needed <= value.len() {
            value.truncate(needed - 1);
            return String::from_utf8(value).ok();
        }
        value.resize(needed, 0);
    }
}

extern "C" fn event(context: *mut c_void, event: *const Event) {
    // Nothing of a panic may reach the host.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the context is the one that init gave, and the event is valid during the call.
        let (instance, event) = unsafe { (&*context.cast::<Instance>(), &*event) };
        // SAFETY: as above, for all that the event points to.
        let Some(published) = (unsafe { publish(&instance.biff, event) }) else {
            return;
        };
        if let Some(own) = &instance.own {
            instance.publish_itself(own, &published);
        }
        let Ok(event_ref) = CString::new(published.event_ref) else {
            return;
        };
        let payload = &published.payload;
        // SAFETY: the host is there until `close`.
        let (context, give) = unsafe { ((*instance.host).context, (*instance.host).publish) };
        if let Some(give) = give {
            give(
                context,
                event_ref.as_ptr(),
                payload.as_ptr().cast(),
                payload.len(),
            );
        }
    }));
}

/// # Safety
/// The event's pointers are valid.
unsafe fn publish(biff: &Biff, event: &Event) -> Option<biff::Published> {
    // SAFETY: the caller's promise, here and below.
    let text = |pointer: *const c_char| unsafe { CStr::from_ptr(pointer) }.to_str().ok();
    let bytes = |pointer: *const c_void, size: usize| match size {
        0 => &[][..],
        // SAFETY: the caller's promise.
        size => unsafe { std::slice::from_raw_parts(pointer.cast::<u8>(), size) },
    };
    let params = match event.params_count {
        0 => &[][..],
        // SAFETY: the caller's promise.
        count => unsafe { std::slice::from_raw_parts(event.params, count) },
    };
    let params = params
        .iter()
        .map(|param| Some((text(param.name)?, text(param.value)?)));
    let params: Option<Vec<_>> = params.collect();
    biff.publish(&biff::Event {
        kind: text(event.kind)?,
        mailbox: text(event.mailbox)?,
        inbox: event.inbox != 0,
        params: &params?,
        header: bytes(event.header, event.header_size),
        body: bytes(event.body, event.body_size),
    })
}

extern "C" fn close(context: *mut c_void) {
    // SAFETY: the context is the one that init gave, and this is the last call with it.
    let instance = unsafe { Box::from_raw(context.cast::<Instance>()) };
    if let Some(own) = &instance.own {
        own.drain(DRAIN_WITHIN);
    }
}
