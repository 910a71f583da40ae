//! The structures of `include/ensign_plugin.h`, field by field.

use std::ffi::{c_char, c_int, c_void};

/// ENSIGN_PLUGIN_ABI
pub(crate) const ABI: u32 = 1;
/// The function that a plug-in exports.
pub(crate) const INIT: &[u8] = b"ensign_plugin_init\0";

#[repr(C)]
pub struct Host {
    pub abi: u32,
    pub context: *mut c_void,
    pub option: extern "C" fn(*mut c_void, *const c_char, *mut c_char, usize) -> usize,
    pub publish: Option<extern "C" fn(*mut c_void, *const c_char, *const c_void, usize)>,
    pub log: extern "C" fn(*mut c_void, *const c_char),
}

#[repr(C)]
pub struct Param {
    pub name: *const c_char,
    pub value: *const c_char,
}

#[repr(C)]
pub struct Event {
    pub kind: *const c_char,
    pub mailbox: *const c_char,
    pub inbox: i32,
    pub params: *const Param,
    pub params_count: usize,
    pub header: *const c_void,
    pub header_size: usize,
    pub body: *const c_void,
    pub body_size: usize,
}

#[repr(C)]
pub struct PlugIn {
    pub abi: u32,
    pub context: *mut c_void,
    pub event: Option<extern "C" fn(*mut c_void, *const Event)>,
    pub close: Option<extern "C" fn(*mut c_void)>,
}

pub type Init = extern "C" fn(*const Host, *mut PlugIn, *mut c_char, usize) -> c_int;
