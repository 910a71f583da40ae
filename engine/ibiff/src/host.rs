//! Loading a plug-in and telling it events.
#![allow(unsafe_code, reason = "it loads and calls foreign code")]

use std::ffi::{CStr, CString, c_char, c_void};
use std::path::{Path, PathBuf};

use libloading::Library;

use crate::abi::{ABI, Event as RawEvent, Host, INIT, Init, Param, PlugIn};
use crate::biff::{Biff, Event};
use crate::crash;
use crate::trust::untrusted;

/// Room for a plug-in's reason.
const REASON_BYTES: usize = 1024;

/// What a plug-in may ask of its host.
pub trait Calls: Send {
    /// The value of an option of its instance; none if there is none of that name.
    fn option(&self, name: &str) -> Option<String>;
    /// Publishes an event. Never waits.
    fn publish(&self, event_ref: &str, payload: &[u8]);
    /// Writes a line to the log.
    fn log(&self, text: &str);
}

/// Why a plug-in is refused.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The library can't be loaded, or it is no plug-in.
    #[error("{}: {cause}", path.display())]
    Library {
        /// Where.
        path: PathBuf,
        /// Why.
        cause: libloading::Error,
    },
    /// It is for another server.
    #[error("{}: it has ABI {abi}, this server has {ABI}", path.display())]
    Abi {
        /// Where.
        path: PathBuf,
        /// Its number.
        abi: u32,
    },
    /// It said why it can't.
    #[error("{}: {reason}", path.display())]
    Refused {
        /// Where.
        path: PathBuf,
        /// What it said.
        reason: String,
    },
}

struct Context {
    calls: Box<dyn Calls>,
}

/// A plug-in at work. Its calls come from whoever has it, one at a time.
pub struct Loaded {
    plug_in: PlugIn,
    /// Which events its options enable.
    wanted: Biff,
    /// For the line of a crash.
    name: CString,
    // The plug-in uses these until it is closed.
    _host: Box<Host>,
    _context: Box<Context>,
    // Last: its code must outlive all of the above.
    _library: Library,
}

// SAFETY: a plug-in's functions may be called from any thread, one at a time (the header), and
// `Calls` is `Send`.
unsafe impl Send for Loaded {}

impl Loaded {
    /// Loads a library and makes an instance.
    ///
    /// # Errors
    /// Why it is refused. A library that crashes takes this process along: try it in another first.
    pub fn load(path: &Path, calls: Box<dyn Calls>) -> Result<Self, LoadError> {
        let failed = |cause| LoadError::Library {
            path: path.to_owned(),
            cause,
        };
        let wanted = Biff::new(|name| calls.option(name)).map_err(|reason| LoadError::Refused {
            path: path.to_owned(),
            reason,
        })?;
        if let Some(reason) = untrusted(path) {
            return Err(LoadError::Refused {
                path: path.to_owned(),
                reason,
            });
        }
        let name = CString::new(path.as_os_str().as_encoded_bytes()).unwrap_or_default();
        // SAFETY: the administrator chose this code to run in this process.
        let library = unsafe { Library::new(path) }.map_err(failed)?;
        // SAFETY: the header gives the function this type.
        let init: libloading::Symbol<'_, Init> = unsafe { library.get(INIT) }.map_err(failed)?;
        let mut context = Box::new(Context { calls });
        let host = Box::new(Host {
            abi: ABI,
            context: std::ptr::from_mut(&mut *context).cast(),
            option,
            publish: Some(publish),
            log,
        });
        let mut plug_in = PlugIn {
            abi: 0,
            context: std::ptr::null_mut(),
            event: None,
            close: None,
        };
        let mut reason = [0u8; REASON_BYTES];
        let code = init(
            &*host,
            &mut plug_in,
            reason.as_mut_ptr().cast(),
            REASON_BYTES,
        );
        if code != 0 {
            let reason = CStr::from_bytes_until_nul(&reason).unwrap_or(c"it gave no reason");
            let reason = reason.to_string_lossy().into_owned();
            return Err(LoadError::Refused {
                path: path.to_owned(),
                reason,
            });
        }
        if plug_in.abi != ABI {
            return Err(LoadError::Abi {
                path: path.to_owned(),
                abi: plug_in.abi,
            });
        }
        Ok(Self {
            plug_in,
            wanted,
            name,
            _host: host,
            _context: context,
            _library: library,
        })
    }

    /// Tells an event, if the plug-in's options enable it. Texts with a NUL in them can't be told.
    pub fn event(&mut self, event: &Event<'_>) {
        if self.wanted.enabled(event).is_none() {
            return;
        }
        let (Ok(kind), Ok(mailbox)) = (CString::new(event.kind), CString::new(event.mailbox))
        else {
            return;
        };
        let texts = event.params.iter().filter_map(|(name, value)| {
            Some((CString::new(*name).ok()?, CString::new(*value).ok()?))
        });
        let texts: Vec<(CString, CString)> = texts.collect();
        let param = |(name, value): &(CString, CString)| Param {
            name: name.as_ptr(),
            value: value.as_ptr(),
        };
        let params: Vec<Param> = texts.iter().map(param).collect();
        let raw = RawEvent {
            kind: kind.as_ptr(),
            mailbox: mailbox.as_ptr(),
            inbox: event.inbox.into(),
            params: params.as_ptr(),
            params_count: params.len(),
            header: event.header.as_ptr().cast(),
            header_size: event.header.len(),
            body: event.body.as_ptr().cast(),
            body_size: event.body.len(),
        };
        if let Some(tell) = self.plug_in.event {
            let _calling = crash::Calling::new(&self.name, &kind);
            tell(self.plug_in.context, &raw);
        }
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        if let Some(close) = self.plug_in.close {
            close(self.plug_in.context);
        }
    }
}

/// The context and a text of a call; none if the text is not UTF-8.
///
/// # Safety
/// The pointers are those of the header.
unsafe fn called<'a>(context: *mut c_void, text: *const c_char) -> Option<(&'a Context, &'a str)> {
    // SAFETY: the caller's promise.
    unsafe {
        Some((
            &*context.cast::<Context>(),
            CStr::from_ptr(text).to_str().ok()?,
        ))
    }
}

extern "C" fn option(
    context: *mut c_void,
    name: *const c_char,
    value: *mut c_char,
    size: usize,
) -> usize {
    // SAFETY: a plug-in calls with what the header says.
    let Some((context, name)) = (unsafe { called(context, name) }) else {
        return 0;
    };
    let Some(found) = context
        .calls
        .option(name)
        .and_then(|found| CString::new(found).ok())
    else {
        return 0;
    };
    let bytes = found.as_bytes_with_nul();
    if bytes.len() <= size {
        // SAFETY: the plug-in has `size` bytes there.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), value.cast(), bytes.len()) };
    }
    bytes.len()
}

extern "C" fn publish(
    context: *mut c_void,
    event_ref: *const c_char,
    payload: *const c_void,
    size: usize,
) {
    // SAFETY: a plug-in calls with what the header says.
    let Some((context, event_ref)) = (unsafe { called(context, event_ref) }) else {
        return;
    };
    let payload = match size {
        0 => &[][..],
        // SAFETY: as above.
        size => unsafe { std::slice::from_raw_parts(payload.cast::<u8>(), size) },
    };
    context.calls.publish(event_ref, payload);
}

extern "C" fn log(context: *mut c_void, text: *const c_char) {
    // SAFETY: a plug-in calls with what the header says.
    if let Some((context, text)) = unsafe { called(context, text) } {
        context.calls.log(text);
    }
}
